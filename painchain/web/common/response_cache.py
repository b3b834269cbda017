"""Cache rendered responses until anything changes, so that many open dashboards cost little."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from functools import wraps
from threading import Lock

from flask import current_app, g, make_response, request, session
from flask.typing import ResponseReturnValue
from werkzeug.wrappers import Response

from painchain.core import runtime
from painchain.database.session import autocommit_connection
from painchain.timeline import queries
from painchain.web.common import compression, cookies
from painchain.web.common.responses import is_htmx, opened, zone

MAX_RESPONSES = 48


class ResponseCache:
    """The most recently used responses of one app."""

    def __init__(self) -> None:
        self._responses: OrderedDict[Hashable, bytes] = OrderedDict()
        self._lock = Lock()

    def get(self, key: Hashable) -> bytes | None:
        """Return the cached response of a key; None if there is none."""
        with self._lock:
            if key in self._responses:
                self._responses.move_to_end(key)
            return self._responses.get(key)

    def put(self, key: Hashable, response: bytes) -> None:
        """Cache a response; remove the least recently used one if the cache is full."""
        with self._lock:
            self._responses[key] = response
            if len(self._responses) > MAX_RESPONSES:
                self._responses.popitem(last=False)


def cached(view: Callable[[], ResponseReturnValue]) -> Callable[[], ResponseReturnValue]:
    """Answer the same request from the cache while neither log nor configuration has changed.

    A response is cached for a minute at most, because ranges such as "24 h" move with the clock. A page with a flashed
    message is never cached.
    """

    @wraps(view)
    def cached_view() -> ResponseReturnValue:
        if cookies.read(current_app.config["SESSION_COOKIE_NAME"]) and session.get("_flashes"):
            return view()
        cache = runtime.current().response_cache
        minute = int(g.now.timestamp()) // 60
        parts = (
            request.path,
            request.query_string,
            is_htmx(),
            opened(),
            zone().key,
            cookies.read_script_cookie("theme"),
        )
        # Pages differ by actor, and by browser: forms have a CSRF token.
        actor_parts = (g.who.name, g.who.role, g.who.sign_in, session.get("csrf_token"))
        with autocommit_connection() as connection:
            g.log_head = queries.head(connection)
        key = (g.log_head, minute, *parts, *actor_parts)
        if body := cache.get(key):
            compression.keep_compressed(repr(key))
            return Response(body, mimetype="text/html")
        response = make_response(view())
        if response.status_code == 200 and not session.modified:
            cache.put(key, response.get_data())
            compression.keep_compressed(repr(key))
        return response

    return cached_view
