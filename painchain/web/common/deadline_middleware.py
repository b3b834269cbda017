"""Limit how long a request waits for the database server."""

from __future__ import annotations

from collections.abc import Iterable
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from painchain.database import deadlines
from painchain.web.common.live_update_middleware import LIVE_UPDATES_PATH

QUICK = ("/health", LIVE_UPDATES_PATH)  # programs repeat these, and do not wait long


class DeadlineMiddleware:
    """WSGI middleware that gives each request a deadline for its statements. A streamed body has none as a whole."""

    def __init__(self, app: WSGIApplication):
        self._app = app

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        is_quick = environ["PATH_INFO"] in QUICK
        with deadlines.within(deadlines.QUICK_SECONDS if is_quick else deadlines.REQUEST_SECONDS):
            return self._app(environ, start_response)
