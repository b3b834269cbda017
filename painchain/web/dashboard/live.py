"""Send an open dashboard the events that are new since it last asked."""

from __future__ import annotations

from flask import Blueprint, g, request
from flask.typing import ResponseReturnValue

from painchain.ingestion import health as connector_polls
from painchain.timeline import queries
from painchain.timeline.filter import BadFilter
from painchain.timeline.queries import PAGE, Event
from painchain.timeline.team_filter import UnknownTeam
from painchain.web.common import connector_health, responses
from painchain.web.common.responses import Toast, join
from painchain.web.common.unchanged import ADDRESS
from painchain.web.dashboard.filter_view import filter_of, view_of
from painchain.web.dashboard.widgets import chart_values, days_of, feed_values

blueprint = Blueprint("news", __name__)


@blueprint.get(ADDRESS)
def news() -> ResponseReturnValue:
    """Return what is new since event number `after`, and where to ask next.

    With `keep` the events that are shown stay: many are then given page by page instead of the first page anew.
    """
    try:
        after = whole_number(request.args.get("after", ""))
        view = view_of(request.args)
        wanted = filter_of(view)
    except UnknownTeam as error:  # it was renamed or deleted while the dashboard was open: say so once
        said = responses.fragment(
            "shared/toast", oob=True, toasts=[Toast(f"{error} Live updates have stopped.", "bad")]
        )
        return join(responses.fragment("dashboard/live", oob=True, view=view, live_after=None), said)
    except BadFilter as error:
        return responses.error(422, "Invalid filter", str(error))
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
