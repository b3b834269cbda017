"""Send an open dashboard the events that were recorded since its last request."""

from __future__ import annotations

from flask import Blueprint, g, request
from flask.typing import ResponseReturnValue

from painchain.ingestion import health as connector_polls
from painchain.timeline import queries
from painchain.timeline.filter import BadFilter
from painchain.timeline.queries import PAGE, Event
from painchain.timeline.team_filter import UnknownTeam
from painchain.web.common import connector_health, responses
from painchain.web.common.live_update_middleware import LIVE_UPDATES_PATH
from painchain.web.common.responses import Toast, join
from painchain.web.dashboard.filter_view import filter_of, view_of
from painchain.web.dashboard.widgets import chart_values, days_of, feed_values

blueprint = Blueprint("news", __name__)


@blueprint.get(LIVE_UPDATES_PATH)
def news() -> ResponseReturnValue:
    """Return the events after number `after`, and the number to send with the next request.

    If there is more than a page of them, the whole feed is replaced. With `keep` the shown events stay, and new events
    are added page by page.
    """
    try:
        after = parse_event_number(request.args.get("after", ""))
        view = view_of(request.args)
        event_filter = filter_of(view)
    except UnknownTeam as error:  # renamed or deleted while the dashboard was open
        toast = Toast(f"{error} Live updates have stopped.", "bad")
        message = responses.fragment("shared/toast", oob=True, toasts=[toast])
        return join(responses.fragment("dashboard/live", oob=True, view=view, live_after=None), message)
    except BadFilter as error:
        return responses.error(422, "Invalid filter", str(error))
    if event_filter.end:  # the range ended while the dashboard was open
        return responses.fragment("dashboard/live", oob=True, view=view, live_after=None)
    head = queries.head()  # read before the events, so that none is missed
    new = queries.written_after(event_filter, after)
    if not new:
        return responses.fragment("dashboard/live", oob=True, view=view, live_after=head.last_event)
    values = {
        **chart_values(view, event_filter),
        "t0": view.t0,
        "failing_connectors": connector_health.failing(connector_polls.list_all(g.now)),
    }
    if len(new) == PAGE and "keep" not in request.args:
        return responses.fragment("dashboard/news", replace_feed=True, **{**values, **feed_values(view, event_filter)})
    days = days_of(sorted(new, key=newest_first))
    return responses.fragment("dashboard/news", replace_feed=False, days=days, live_after=new[-1].id, **values)


def newest_first(event: Event) -> tuple[float, int]:
    """Return the sort key of an event in the order of the feed."""
    return -event.timestamp.timestamp(), -event.id


def parse_event_number(text: str) -> int:
    """Parse the number of an event.

    :raises BadFilter: when the text is not a number.
    """
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise BadFilter("after", "after must be an event number.")
    return int(text)
