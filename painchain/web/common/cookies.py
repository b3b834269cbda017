"""Set and read cookies: over https their names bind them to https and to this host."""

from __future__ import annotations

from wsgiref.types import WSGIEnvironment

from flask import Flask, request
from flask.sessions import SecureCookieSessionInterface
from itsdangerous import URLSafeTimedSerializer
from werkzeug.wrappers import Response
from werkzeug.wsgi import get_host

from painchain.core import runtime
from painchain.core.config import Settings

# Browsers accept such a cookie only over https and for one host, so no other host can plant it.
BOUND = "__Host-"


def came_by_https(environ: WSGIEnvironment, settings: Settings) -> bool:
    """Say whether a browser came over https: to this server, or to the proxy at its public address.

    A trusted proxy's header has precedence over the public address: a browser that comes to the proxy over http would
    not keep https cookies, and could never sign in.
    """
    if environ["wsgi.url_scheme"] == "https":
        return True
    hops = environ.get("HTTP_X_FORWARDED_PROTO", "").count(",") + 1 if "HTTP_X_FORWARDED_PROTO" in environ else 0
    if 0 < settings.trusted_proxies <= hops:
        return False
    return settings.public_url.startswith("https:") and f"https://{get_host(environ)}" == settings.public_url


def by_https() -> bool:
    """Say whether the browser of this request came over https."""
    return came_by_https(request.environ, runtime.current().settings)


def name(plain: str) -> str:
    """Return the name that a cookie has in this request."""
    return bound(plain, by_https())


def bound(plain: str, secure: bool) -> str:
    """Return the name of a cookie, over https or not."""
    return BOUND + plain if secure else plain


def read(plain: str) -> str:
    """Return the text of a cookie; an empty text if there is none."""
    return request.cookies.get(name(plain), "")


def of_script(plain: str) -> str:
    """Return the text of a cookie that a script set, under either name."""
    return read(plain) or request.cookies.get(BOUND + plain) or request.cookies.get(plain, "")


def keep(answer: Response, plain: str, text: str, seconds: int) -> None:
    """Set a cookie that scripts and other sites cannot read."""
    secure = by_https()
    answer.set_cookie(bound(plain, secure), text, max_age=seconds, httponly=True, samesite="Lax", secure=secure)
    if secure and plain in request.cookies:  # set before this server was reached over https
        answer.delete_cookie(plain, httponly=True, samesite="Lax")


def drop(answer: Response, plain: str) -> None:
    """Delete a cookie."""
    secure = by_https()
    answer.delete_cookie(bound(plain, secure), httponly=True, samesite="Lax", secure=secure)


class Sessions(SecureCookieSessionInterface):
    """Flask's signed session cookie, with a serializer made once instead of for every request."""

    signing: URLSafeTimedSerializer | None = None

    def get_signing_serializer(self, app: Flask) -> URLSafeTimedSerializer | None:
        """Return the serializer that signs the cookie."""
        self.signing = self.signing or super().get_signing_serializer(app)
        return self.signing

    def get_cookie_name(self, app: Flask) -> str:
        """Return the name that the cookie has in this request."""
        return name(super().get_cookie_name(app))

    def get_cookie_secure(self, app: Flask) -> bool:
        """Say whether the cookie is sent over https only."""
        return by_https()
