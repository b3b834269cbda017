"""Tell an open dashboard what it has missed; most of the time that is nothing, and costs next to nothing."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from time import perf_counter
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from flask import Blueprint, g, request
from flask.typing import ResponseReturnValue
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from painchain.ingestion import health as connector_polls
from painchain.timeline import queries
from painchain.timeline.filter import BadFilter
from painchain.timeline.queries import PAGE, Event
from painchain.timeline.team_filter import UnknownTeam
from painchain.web.common import connector_health, responses
from painchain.web.common.responses import Toast, join
from painchain.web.common.security_headers import Headers
from painchain.web.dashboard.views import chart_values, days_of, feed_values, view_of, wanted_of

blueprint = Blueprint("news", __name__)

ADDRESS = "/news"
_AFTER = re.compile(r"(?:^|&)after=([0-9]{1,18})(?:&|$)", re.ASCII)


class Unchanged:
    """Answer those who have missed nothing, and leave everything else to the app.

    Dashboards ask all day long. Before the app it costs a third of what it costs inside it (`make bench`).
    """

    def __init__(
        self,
        app: WSGIApplication,
        engine: Engine,
        admits: Callable[[str], bool],
        lets_in: Callable[[Connection, WSGIEnvironment], bool],
        headers: Headers,
        answered: Callable[[str, str, int, float], None],
    ):
        self._app = app
        self._engine = engine
        self._lets_in = lets_in
        self._admits = admits
        self._answered = answered
        # Not 204, after which the server closes the connection: opening one costs more than this answer.
        self._plain = {"Content-Type": "text/html; charset=utf-8", "Content-Length": "0", "Cache-Control": "no-store"}
        self._headers = headers

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        if environ["PATH_INFO"] != ADDRESS:
            return self._app(environ, start_response)
        began = perf_counter()
        if self._has_missed_nothing(environ):
            self._answered(ADDRESS, "GET", 200, perf_counter() - began)
            start_response("200 OK", list({**self._plain, **self._headers(environ)}.items()))
            return [b""]
        return self._app(environ, start_response)

    def _has_missed_nothing(self, environ: WSGIEnvironment) -> bool:
        after = _AFTER.search(environ["QUERY_STRING"])
        if not after or environ["REQUEST_METHOD"] != "GET" or not self._admits(environ.get("HTTP_HOST", "")):
            return False
        try:
            with self._engine.connect() as connection:  # a session would cost several times as much
                missed_nothing = queries.head(connection).last_event == int(after[1])
                return missed_nothing and self._lets_in(connection, environ)
        except SQLAlchemyError:
            return False  # the app knows how to say so


@blueprint.get(ADDRESS)
def news() -> ResponseReturnValue:
    """Return what is new since event number `after`, and where to ask next.

    With `keep` the events that are shown stay: many are then given page by page instead of the first page anew.
    """
    try:
        after = whole_number(request.args.get("after", ""))
        view = view_of(request.args)
        wanted = wanted_of(view)
    except UnknownTeam as error:  # it was renamed or deleted while the dashboard was open: say so once
        said = responses.fragment(
            "shared/toast", oob=True, toasts=[Toast(f"{error} This page goes on no longer.", "bad")]
        )
        return join(responses.fragment("dashboard/live", oob=True, view=view, live_after=None), said)
    except BadFilter as error:
        return responses.error(422, "This filter is not understood", str(error))
    if wanted.end:  # the range has ended meanwhile
        return responses.fragment("dashboard/live", oob=True, view=view, live_after=None)
    head = queries.head()  # before looking, so that nothing falls between
    new = queries.written_after(wanted, after)
    if not new:
        return responses.fragment("dashboard/live", oob=True, view=view, live_after=head.last_event)
    values = {
        **chart_values(view, wanted),
        "failing_connectors": connector_health.failing(connector_polls.list_all(g.now)),
    }
    if len(new) == PAGE and "keep" not in request.args:
        return responses.fragment("dashboard/news", whole=True, **values, **feed_values(view, wanted))
    days = days_of(sorted(new, key=newest_first))
    return responses.fragment("dashboard/news", whole=False, days=days, live_after=new[-1].id, **values)


def newest_first(event: Event) -> tuple[float, int]:
    """Return the place of an event in the order of the feed."""
    return -event.timestamp.timestamp(), -event.id


def whole_number(text: str) -> int:
    """Read the number of an event.

    :raises BadFilter: when it is none.
    """
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise BadFilter("after", "after must be the number of an event.")
    return int(text)
