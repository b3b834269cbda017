"""Send an open dashboard the events that were recorded since its last request."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import Blueprint, g, request
from flask.typing import ResponseReturnValue

from painchain.ingestion import health as connector_polls
from painchain.presentation import event_groups
from painchain.presentation.event_groups import Day, EventRow
from painchain.timeline import queries
from painchain.timeline.cursor import Cursor
from painchain.timeline.filter import BadFilter, Filter
from painchain.timeline.queries import PAGE, Event
from painchain.timeline.team_filter import UnknownTeam
from painchain.web.common import connector_health, responses
from painchain.web.common.live_update_middleware import LIVE_UPDATES_PATH
from painchain.web.common.response_cache import cached, head_of_request
from painchain.web.common.responses import Toast, join
from painchain.web.dashboard import onboarding
from painchain.web.dashboard.filter_view import filter_of, view_of
from painchain.web.dashboard.widgets import chart_fragment, days_of, feed_values

blueprint = Blueprint("news", __name__)


@blueprint.get(LIVE_UPDATES_PATH)
@cached
def news() -> ResponseReturnValue:
    """Return the events after number `after`, and the number to send with the next request.

    If there is more than a page of them, the whole feed is replaced. With `keep` the shown events stay, and new events
    are added page by page. `oldest` is the cursor of the oldest event that the dashboard shows, unless it shows all: a
    new event that belongs to a shown one comes with it, as one row.
    """
    try:
        after = parse_event_number(request.args.get("after", ""))
        oldest = Cursor.parse(request.args["oldest"]) if request.args.get("oldest") else None
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
    head = head_of_request()  # read before the events, so that none is missed
    new = queries.written_after(event_filter, after)
    noted = queries.noted_since(event_filter, after, oldest)
    if not new and not noted:
        return responses.fragment("dashboard/live", oob=True, view=view, live_after=head.last_event)
    days, changed = _rows(new, noted, event_filter, after, oldest)
    if not new:
        live = responses.fragment("dashboard/live", oob=True, view=view, live_after=head.last_event)
        return join(live, responses.fragment("dashboard/changed_rows", t0=view.t0, changed_rows=changed))
    overview = connector_polls.overview(g.now)
    values: dict[str, Any] = {
        "view": view,
        "chart": chart_fragment(view, event_filter, head, oob=True),
        "t0": view.t0,
        "failing_connectors": connector_health.failing(overview.connectors),
        "checklist": onboarding.checklist(overview.connectors, overview.setup),
    }
    if len(new) == PAGE and "keep" not in request.args:
        return responses.fragment("dashboard/news", replace_feed=True, **{**values, **feed_values(view, event_filter)})
    values |= {"days": days, "changed_rows": changed, "live_after": new[-1].id}
    return responses.fragment("dashboard/news", replace_feed=False, **values)


def _rows(
    new: Sequence[Event], noted: Sequence[Event], event_filter: Filter, after: int, oldest: Cursor | None
) -> tuple[list[Day], list[EventRow]]:
    """Return the rows of new events by day, and the other rows that have an event with a new note.

    Both also have the shown events of their groups.
    """
    joining = [*noted, *filter(event_groups.can_join_earlier, new)]
    # A request records its events at once: only the first new one can belong to a save that the last page cut in two.
    if new and new[0] not in joining and event_groups.group_key(new[0]) and queries.is_continued(new[0], after):
        joining.append(new[0])
    grouped = [event for event in joining if event_groups.group_key(event)]
    keys = {event_groups.group_key(event) for event in grouped}
    shown = queries.of_same_days(grouped, event_filter, after, oldest) if grouped else ()
    of_groups = (event for event in shown if event_groups.group_key(event) in keys)
    events = {event.id: event for event in (*new, *noted, *of_groups)}
    days = days_of(sorted(events.values(), key=newest_first))
    new_days = event_groups.rows_with(days, {event.id for event in new})
    placed = {event.id for row in event_groups.rows_in(new_days) for event in row.events}
    changed_days = event_groups.rows_with(days, {event.id for event in noted} - placed)
    return new_days, event_groups.rows_in(changed_days)


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
