"""Set and read cookies: over https their names bind them to https and to this host."""

from __future__ import annotations

from wsgiref.types import WSGIEnvironment

from flask import Flask, Request, request
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface
from itsdangerous import URLSafeTimedSerializer
from werkzeug.wrappers import Response

from painchain.core import runtime
from painchain.core.config import Settings
from painchain.web.common.hosts import host_of

# Browsers accept such a cookie only over https and for one host, so no other host can plant it.
HOST_PREFIX = "__Host-"


def is_https(environ: WSGIEnvironment, settings: Settings) -> bool:
    """Return whether a browser uses https: to this server, or to the proxy at its public address.

    A trusted proxy's header has precedence over the public address: a browser that uses http to the proxy would not
    store https cookies, and could never sign in.
    """
    if environ["wsgi.url_scheme"] == "https":
        return True
    hops = environ.get("HTTP_X_FORWARDED_PROTO", "").count(",") + 1 if "HTTP_X_FORWARDED_PROTO" in environ else 0
    if 0 < settings.trusted_proxies <= hops:
        return False
    return settings.public_url.startswith("https:") and f"https://{host_of(environ)}" == settings.public_url


def is_https_request() -> bool:
    """Return whether the browser of this request uses https."""
    return is_https(request.environ, runtime.current().settings)


def name_in_request(plain: str) -> str:
    """Return the name of a cookie in this request, with the prefix over https."""
    return prefixed_name(plain, is_https_request())


def prefixed_name(plain: str, secure: bool) -> str:
    """Return the name of a cookie: with the prefix if it is `secure`."""
    return HOST_PREFIX + plain if secure else plain


def read(plain: str) -> str:
    """Return the text of a cookie; an empty text if there is none."""
    return _text(name_in_request(plain)) if _has_any(request) else ""


def read_script_cookie(plain: str) -> str:
    """Return the text of a cookie that a script set, under either name."""
    return (read(plain) or _text(HOST_PREFIX + plain) or _text(plain)) if _has_any(request) else ""


def _has_any(request: Request) -> bool:
    """Return whether a request has cookies. Scripts send none, and to look for one takes much longer."""
    return "HTTP_COOKIE" in request.environ


def _text(name: str) -> str:
    # `get` would raise and catch an error of HTTP if there is none.
    return next(iter(request.cookies.getlist(name)), "")


def set_cookie(answer: Response, plain: str, text: str, seconds: int) -> None:
    """Set a cookie that scripts and other sites cannot read."""
    secure = is_https_request()
    answer.set_cookie(prefixed_name(plain, secure), text, max_age=seconds, httponly=True, samesite="Lax", secure=secure)
    if secure and plain in request.cookies:  # set before this server was reached over https
        answer.delete_cookie(plain, httponly=True, samesite="Lax")


def delete_cookie(answer: Response, plain: str) -> None:
    """Delete a cookie."""
    secure = is_https_request()
    answer.delete_cookie(prefixed_name(plain, secure), httponly=True, samesite="Lax", secure=secure)


class Sessions(SecureCookieSessionInterface):
    """Flask's signed session cookie, with a serializer made once instead of for every request."""

    signing: URLSafeTimedSerializer | None = None

    def get_signing_serializer(self, app: Flask) -> URLSafeTimedSerializer | None:
        """Return the serializer that signs the cookie."""
        self.signing = self.signing or super().get_signing_serializer(app)
        return self.signing

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        """Return the session of a request; an empty one without a cookie."""
        return super().open_session(app, request) if _has_any(request) else self.session_class()

    def get_cookie_name(self, app: Flask) -> str:
        """Return the name of the session cookie in this request."""
        return name_in_request(super().get_cookie_name(app))

    def get_cookie_secure(self, app: Flask) -> bool:
        """Return whether the cookie is sent over https only."""
        return is_https_request()
