"""Add the security headers to every response, also to those that are not from the app."""

from __future__ import annotations

from collections.abc import Callable
from wsgiref.types import WSGIEnvironment

from flask import g, request
from werkzeug.wrappers import Response

from painchain.core import runtime
from painchain.core.config import Settings
from painchain.web.common.cookies import is_https
from painchain.web.common.hosts import host_of

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


def headers_for(settings: Settings) -> Headers:
    """Return a function that gives the headers for a request."""

    def headers(environ: WSGIEnvironment) -> dict[str, str]:
        # Browsers apply it to every port of a host: with a port in the address, other ports may serve something else.
        if is_https(environ, settings) and ":" not in host_of(environ).rpartition("]")[2]:
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
