"""The page of past configurations: the whole configuration at a time, and the differences between two times."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from flask import Blueprint, g, redirect
from flask.typing import ResponseReturnValue

from painchain.history import snapshots
from painchain.history.projection import differences, toggle_label
from painchain.timeline.filter import BadFilter
from painchain.web.common import responses
from painchain.web.common.parameters import time_parameter
from painchain.web.dashboard import time_range

blueprint = Blueprint("past", __name__)


@dataclass(frozen=True)
class SnapshotQuery:
    """The times in the query, or what is wrong with them."""

    at: datetime
    compare: datetime | None = None
    problem: str = ""


@blueprint.get("/as-of")
def index() -> ResponseReturnValue:
    """Show the configuration at a time, and its differences from another time."""
    query = _parse_query()
    address = "" if query.problem else time_range.address_in_utc("at", "compare")
    if address:
        return redirect(address, 302)
    times = sorted(time for time in (query.at, query.compare) if time)
    states = snapshots.snapshots_at(times)
    values = {
        "query": query,
        "moments": times,
        "snapshot": states[times.index(query.at)],
        "differences": list(differences(states[0], states[-1])) if query.compare else [],
        "begins": snapshots.oldest(),
        "inputs": {"at": _input(query.at), "compare": _input(query.compare)},
        "toggle_label": toggle_label,
    }
    return responses.page("pages/dashboard/as_of.html", 422 if query.problem else 200, **values)


def _parse_query() -> SnapshotQuery:
    try:
        return SnapshotQuery(
            time_parameter("at", responses.zone()) or g.now, time_parameter("compare", responses.zone())
        )
    except BadFilter as error:
        return SnapshotQuery(g.now, problem=str(error))


def _input(value: datetime | None) -> str:
    """Format a time for a date-time input, in the viewer's zone, rounded up to a whole second."""
    if value is None:
        return ""
    rounded_up = value if not value.microsecond else value.replace(microsecond=0) + timedelta(seconds=1)
    return f"{rounded_up.astimezone(responses.zone()):%Y-%m-%dT%H:%M:%S}"
