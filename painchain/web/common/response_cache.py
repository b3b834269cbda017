"""Keep rendered answers until anything changes, so that many open dashboards cost little."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from functools import wraps
from threading import Lock

from flask import current_app, g, make_response, request, session
from flask.typing import ResponseReturnValue
from werkzeug.wrappers import Response

from painchain.core import runtime
from painchain.database.session import db
from painchain.timeline import queries
from painchain.web.common import cookies
from painchain.web.common.responses import is_htmx, zone

SIZE = 48


class ResponseCache:
    """The answers used last, for one app."""

    def __init__(self) -> None:
        self._answers: OrderedDict[Hashable, bytes] = OrderedDict()
        self._lock = Lock()

    def get(self, key: Hashable) -> bytes | None:
        """Return the answer kept under `key`, if there is one."""
        with self._lock:
            if key in self._answers:
                self._answers.move_to_end(key)
            return self._answers.get(key)

    def put(self, key: Hashable, answer: bytes) -> None:
        """Keep an answer, in the place of the one that was used longest ago."""
        with self._lock:
            self._answers[key] = answer
            if len(self._answers) > SIZE:
                self._answers.popitem(last=False)


def cached(view: Callable[[], ResponseReturnValue]) -> Callable[[], ResponseReturnValue]:
    """Answer again what a view answered to the same request, while neither log nor configuration has moved on.

    An answer is kept for a minute at most, because ranges such as "24 h" move with the clock. A page that brings a
    message along is never kept.
    """

    @wraps(view)
    def answer() -> ResponseReturnValue:
        if cookies.read(current_app.config["SESSION_COOKIE_NAME"]) and session.get("_flashes"):
            return view()
        shelf: ResponseCache = runtime.current().response_cache
        minute = int(g.now.timestamp()) // 60
        asked = (request.path, request.query_string, is_htmx(), zone().key, cookies.of_script("theme"))
        # Nobody gets the page of another, nor of another browser: its form to sign out has a token of its own.
        who = (g.who.name, g.who.role, g.who.sign_in, session.get("csrf_token") if g.who.sign_in else None)
        with db.engine.connect() as connection:
            key = (queries.head(connection), minute, *asked, *who)
        if found := shelf.get(key):
            return Response(found, mimetype="text/html")
        response = make_response(view())
        if response.status_code == 200 and not session.modified:
            shelf.put(key, response.get_data())
        return response

    return answer
