"""Log and count each request by its route; never log names, queries, forms or cookies."""

from __future__ import annotations

import logging
import time

import flask
from flask import Request, g
from werkzeug.wrappers import Response

from painchain.core import logs, runtime

MAX_PATH_LENGTH = 200
METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
UNKNOWN_PATH = "(no such address)"
# Requests that pages, probes and Prometheus repeat all day.
QUIET = frozenset(("static", "meta_api.health", "metrics.scrape", "news.news", "health.watch", "retention.progress"))
log = logging.getLogger("painchain.web.access")  # documented: people filter their logs by it


def begin(request_id: str) -> None:
    """Start the clock, and add the request's ID, address, method and path to every line it logs."""
    request = _request()
    method, path = method_of(request), path_of(request)
    g.access = (time.perf_counter(), method, path)
    set_context(request_id, request.remote_addr, method, path)


def set_context(request_id: str, address: str | None, method: str, path: str) -> None:
    """Add these to every line that the request logs."""
    logs.set_context(request_id=request_id, address=address, method=method, path=path)


def finish(response: Response) -> Response:
    """Log and count the response."""
    (started, method, path), request, status = g.access, _request(), response.status_code
    seconds, rule = time.perf_counter() - started, request.url_rule
    level = logging.DEBUG if status < 400 and request.endpoint in QUIET else logging.INFO
    record(rule.rule if rule else None, method, path, status, seconds, level)
    return response


def record(route: str | None, method: str, path: str, status: int, seconds: float, level: int = logging.INFO) -> None:
    """Log and count a response."""
    runtime.current().metrics.count_request(route, method, status, seconds)
    members = {"status": status, "ms": round(seconds * 1000, 1)}
    logs.log_members(log, level, f"{method} {path} {status}", members)


def clear(problem: BaseException | None = None) -> None:
    """Clear the log context, so that later lines of the thread do not carry the request's ID."""
    logs.set_context()


def method_of(request: Request) -> str:
    """Return the method of a request; OTHER if it is not a standard one."""
    return request.method if request.method in METHODS else "OTHER"


def path_of(request: Request) -> str:
    """Return the route of a request with its numbers filled in, without any other part of the address.

    Text in an address may be a secret (/link/<secret>), and an unknown address may be a secret pasted by mistake.
    """
    if request.url_rule is None:
        return UNKNOWN_PATH
    path = request.url_rule.rule
    if request.view_args:
        for name, value in request.view_args.items():
            if isinstance(value, int):
                path = path.replace(f"<int:{name}>", str(value))
    return path[:MAX_PATH_LENGTH]


def _request() -> Request:
    """Return the request object itself: access through Flask's proxy is slow."""
    current: Request = flask.request._get_current_object()  # type: ignore[attr-defined]
    return current
