"""The names of cookies: where the browser comes by https, they are bound to it and to this host alone."""

from __future__ import annotations

from wsgiref.types import WSGIEnvironment

from flask import Flask, request
from flask.sessions import SecureCookieSessionInterface
from itsdangerous import URLSafeTimedSerializer
from werkzeug.wrappers import Response
from werkzeug.wsgi import get_host

from painchain.core import runtime
from painchain.core.config import Settings

# A browser takes such a cookie by https alone, for one host and all of its paths; no other host can plant it.
BOUND = "__Host-"


def came_by_https(environ: WSGIEnvironment, own: Settings) -> bool:
    """Say whether a browser came by https: to this server, or to the proxy that its public address leads to.

    What a trusted proxy says goes before the public address: somebody who comes to it by http would be given cookies
    that his browser does not keep, and be asked to sign in for ever.
    """
    if environ["wsgi.url_scheme"] == "https":
        return True
    told = environ.get("HTTP_X_FORWARDED_PROTO", "").count(",") + 1 if "HTTP_X_FORWARDED_PROTO" in environ else 0
    if 0 < own.trusted_proxies <= told:
        return False
    return own.public_url.startswith("https:") and f"https://{get_host(environ)}" == own.public_url


def by_https() -> bool:
    """Say whether the browser of this request came by https."""
    return came_by_https(request.environ, runtime.current().settings)


def name(plain: str) -> str:
    """Return the name that a cookie has in this request."""
    return bound(plain, by_https())


def bound(plain: str, secure: bool) -> str:
    """Return the name of a cookie, by https or not."""
    return BOUND + plain if secure else plain


def read(plain: str) -> str:
    """Return the text of a cookie; nothing if there is none."""
    return request.cookies.get(name(plain), "")


def of_script(plain: str) -> str:
    """Return the text of a cookie that our scripts set: they know by themselves whether they came by https."""
    return read(plain) or request.cookies.get(BOUND + plain) or request.cookies.get(plain, "")


def keep(answer: Response, plain: str, text: str, seconds: int) -> None:
    """Have the browser keep a cookie, out of reach of scripts and other sites."""
    secure = by_https()
    answer.set_cookie(bound(plain, secure), text, max_age=seconds, httponly=True, samesite="Lax", secure=secure)
    if secure and plain in request.cookies:  # it was kept before this server was reached by https
        answer.delete_cookie(plain, httponly=True, samesite="Lax")


def drop(answer: Response, plain: str) -> None:
    """Have the browser forget a cookie."""
    secure = by_https()
    answer.delete_cookie(bound(plain, secure), httponly=True, samesite="Lax", secure=secure)


class Sessions(SecureCookieSessionInterface):
    """Flask's signed cookies; what signs them is made once, not for every request."""

    signing: URLSafeTimedSerializer | None = None

    def get_signing_serializer(self, app: Flask) -> URLSafeTimedSerializer | None:
        """Return what signs the cookies."""
        self.signing = self.signing or super().get_signing_serializer(app)
        return self.signing

    def get_cookie_name(self, app: Flask) -> str:
        """Return the name that the cookie has in this request."""
        return name(super().get_cookie_name(app))

    def get_cookie_secure(self, app: Flask) -> bool:
        """Say whether the cookie goes by https alone."""
        return by_https()
