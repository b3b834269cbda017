"""What every answer tells the browser to allow, and to refuse, whoever gives it."""

from __future__ import annotations

from collections.abc import Callable
from wsgiref.types import WSGIEnvironment

from flask import g, request
from werkzeug.wrappers import Response
from werkzeug.wsgi import get_host

from painchain.core import runtime
from painchain.core.config import Settings
from painchain.web.common.cookies import came_by_https

SECURITY = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'; object-src 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
}
YEAR = 31_536_000

Headers = Callable[[WSGIEnvironment], dict[str, str]]


def headers_for(own: Settings) -> Headers:
    """Return what gives the headers of the answer to one request."""

    def headers(environ: WSGIEnvironment) -> dict[str, str]:
        # A browser applies it to every port of a host: where a port is named, others may serve something else.
        if came_by_https(environ, own) and ":" not in get_host(environ).rpartition("]")[2]:
            return {**SECURITY, "Strict-Transport-Security": f"max-age={YEAR}"}
        return SECURITY

    return headers


def protect(response: Response) -> Response:
    """Add the security headers, and tell caches that fragments and pages differ."""
    headers = response.headers
    headers.extend(headers_for(runtime.current().settings)(request.environ))
    headers.add("X-Request-Id", g.get("request_id", ""))
    if request.endpoint != "static" or response.status_code >= 400:
        headers.setdefault("Cache-Control", "no-store")
        if response.mimetype == "text/html":
            headers.add("Vary", "HX-Request, Cookie")
    return response
