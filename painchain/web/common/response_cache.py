"""Cache rendered responses until anything changes, so that many open dashboards cost little."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import wraps

from flask import current_app, g, make_response, request, session
from flask.typing import ResponseReturnValue
from werkzeug.wrappers import Response

from painchain.audit import trail as audit_trail
from painchain.audit.trail import Auditing
from painchain.core import runtime
from painchain.core.sized_cache import Moment
from painchain.database.session import autocommit_connection, db
from painchain.indexes import rollup_state
from painchain.timeline import queries
from painchain.timeline.cursor import Cursor
from painchain.web.common import compression, cookies, csrf
from painchain.web.common.responses import is_htmx, opened, zone


def cached(view: Callable[[], ResponseReturnValue]) -> Callable[[], ResponseReturnValue]:
    """Answer the same request from the cache while neither log nor configuration has changed.

    Requests that arrive while the response is rendered wait for it. It is cached for a minute at most, because ranges
    such as "24 h" move with the clock. A page with a flashed message is never cached.
    """

    @wraps(view)
    def cached_view() -> ResponseReturnValue:
        if cookies.read(current_app.config["SESSION_COOKIE_NAME"]) and session.get("_flashes"):
            return view()
        rendered: list[Response] = []

        def render() -> bytes | None:
            response = make_response(view())
            rendered.append(response)
            return response.get_data() if response.status_code == 200 and not session.modified else None

        key = _key()
        body = runtime.current().cache.get_or_compute(key, render, moment=_moment())
        if body is not None:
            compression.keep_compressed(repr(key), _moment())
        return rendered[-1] if rendered else Response(body, mimetype="text/html")

    return cached_view


def newest_body(key: Hashable, compute: Callable[[], tuple[bytes, Cursor | None]]) -> tuple[bytes, Cursor | None]:
    """Return a body with the newest events and the cursor of the next page, computed once until anything changes.

    They are the same for all readers. `key` contains what else they depend on, besides the log.
    """
    _read_head()
    key = ("newest", key, g.log_head)
    cache = runtime.current().cache
    found = cache.get_or_compute(key, compute, lambda newest: len(newest[0]), _moment())
    compression.keep_compressed(repr(key), _moment())
    return found or compute()


def page_for_many(key: Hashable, render: Callable[[Auditing], Response]) -> Response:
    """Return a page that is rendered once for all who see the same: only its CSRF token differs by browser.

    `key` contains what the page depends on, besides its reader, the date, and whether auditing is on.
    """
    auditing = audit_trail.auditing()
    if cookies.read(current_app.config["SESSION_COOKIE_NAME"]) and session.get("_flashes"):
        return render(auditing)

    def render_for_many() -> str:
        with csrf.renders_for_many():
            return render(auditing).get_data(as_text=True)

    seen_by = (zone().key, cookies.read_script_cookie("theme"), g.who.role, g.who.name, g.who.person_id)
    today = g.now.astimezone(zone()).date()
    of_layout = (auditing.on, auditing.since, auditing.by, auditing.broken)
    cache = runtime.current().cache
    html = cache.get_or_compute(("page", key, seen_by, today, of_layout), render_for_many) or render_for_many()
    return make_response(csrf.with_token(html))


def head_of_request() -> queries.Head:
    """Return the head of the log, as it was before anything else was read for this request."""
    if "log_head" not in g:
        g.log_head = queries.head()
    rollup_state.remember(g.log_head.rollups)
    head: queries.Head = g.log_head
    return head


def _moment() -> Moment:
    """Return the moment of this request: the revision of the log, as `_key` read it, and the minute."""
    return g.log_head.revision, int(g.now.timestamp()) // 60


def _read_head() -> None:
    """Store the head of the log for the view, which reads nothing that is older."""
    db.session.rollback()  # on SQLite, what was read before, such as the names in a filter, began a snapshot
    with autocommit_connection() as connection:  # a session would cost several times as much
        g.log_head = queries.head(connection)


def _key() -> Hashable:
    """Return what the response to this request depends on, and store the head of the log for the view."""
    _read_head()
    seen_by = (opened(), zone().key, cookies.read_script_cookie("theme"))
    # Whole pages differ by browser: forms have a CSRF token. Fragments for htmx have neither forms nor names.
    actor = (g.who.name, g.who.sign_in, session.get("csrf_token")) if not is_htmx() else ()
    return (
        *("response", g.log_head, _moment(), request.path, request.query_string, is_htmx()),
        *(*seen_by, g.who.role, g.who.person_id, *actor),
    )
