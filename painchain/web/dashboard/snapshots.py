"""The past: the whole configuration as it was at a moment, and the difference between two moments."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from flask import Blueprint, g, request
from flask.typing import ResponseReturnValue

from painchain.history import snapshots
from painchain.history.projection import differences, toggle_label
from painchain.timeline.filter import BadFilter, parse_time
from painchain.web.common import responses

blueprint = Blueprint("past", __name__)


@dataclass(frozen=True)
class Asked:
    """The moments that an address asks for, and what is wrong with it."""

    at: datetime
    compare: datetime | None = None
    problem: str = ""


@blueprint.get("/as-of")
def index() -> ResponseReturnValue:
    """Show the configuration at a moment, and what was different at another one."""
    asked = _asked()
    moments = sorted(one for one in (asked.at, asked.compare) if one)
    seen = snapshots.snapshots_at(moments)
    values = {
        "asked": asked,
        "moments": moments,
        "snapshot": seen[moments.index(asked.at)],
        "differences": list(differences(seen[0], seen[-1])) if asked.compare else [],
        "begins": snapshots.oldest(),
        "inputs": {"at": _input(asked.at), "compare": _input(asked.compare)},
        "toggle_label": toggle_label,
    }
    return responses.page("pages/dashboard/as_of.html", 422 if asked.problem else 200, **values)


def _asked() -> Asked:
    try:
        return Asked(moment_given("at", responses.zone()) or g.now, moment_given("compare", responses.zone()))
    except BadFilter as error:
        return Asked(g.now, problem=str(error))


def moment_given(name: str, zone: ZoneInfo) -> datetime | None:
    """Return the time that a parameter of the query names, if it is there.

    :raises BadFilter: when it is not a time.
    """
    text = request.args.get(name, "").strip()
    return parse_time(text, name, zone) if text else None


def _input(value: datetime | None) -> str:
    """Return a moment as a date-time input has it, in the viewer's zone: the second that has it all."""
    if value is None:
        return ""
    whole = value if not value.microsecond else value.replace(microsecond=0) + timedelta(seconds=1)
    return f"{whole.astimezone(responses.zone()):%Y-%m-%dT%H:%M:%S}"
