"""Log and count each request: by its route, never by what stands in an address, a form or a cookie."""

from __future__ import annotations

import logging
import time

from flask import Request, g, request
from werkzeug.wrappers import Response

from painchain.core import logs, runtime

LONGEST = 200
METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
NOWHERE = "(no such address)"
# What is asked for all day long, by pages, probes and Prometheus.
QUIET = frozenset(("static", "meta_api.health", "metrics.scrape", "news.news", "health.watch", "retention.progress"))
log = logging.getLogger("painchain.web.access")  # documented: people filter their logs by it


def begin(request_id: str) -> None:
    """Take the time, and let every line that is logged for this request tell which one it is."""
    asked = _request()
    method, path = method_of(asked), path_of(asked)
    g.access = (time.perf_counter(), method, path)
    logs.begin(request_id=request_id, address=asked.remote_addr, method=method, path=path)


def answered(response: Response) -> Response:
    """Log and count an answer."""
    (began, method, path), asked, status = g.access, _request(), response.status_code
    seconds, rule = time.perf_counter() - began, asked.url_rule
    runtime.current().metrics.answered(rule.rule if rule else None, method, status, seconds)
    level = logging.DEBUG if status < 400 and asked.endpoint in QUIET else logging.INFO
    if log.isEnabledFor(level):
        members = {"status": status, "ms": round(seconds * 1000, 1)}
        log.log(level, "%s %s %s", method, path, status, extra={"members": members})
    return response


def ended(problem: BaseException | None = None) -> None:
    """Let nothing that the thread logs later seem to belong to this request."""
    logs.begin()


def method_of(asked: Request) -> str:
    """Return the method of a request, unless somebody made it up."""
    return asked.method if asked.method in METHODS else "OTHER"


def path_of(asked: Request) -> str:
    """Return the route of a request with the numbers that stand in it, and nothing else of the address.

    A name may be a secret (/link/<secret>), and what leads nowhere may be a secret that was pasted wrongly.
    """
    if asked.url_rule is None:
        return NOWHERE
    path = asked.url_rule.rule
    if asked.view_args:
        for name, value in asked.view_args.items():
            if isinstance(value, int):
                path = path.replace(f"<int:{name}>", str(value))
    return path[:LONGEST]


def _request() -> Request:
    """Return the request itself: each look through Flask's proxy takes as long as all that is done here."""
    found: Request = request._get_current_object()  # type: ignore[attr-defined]
    return found
