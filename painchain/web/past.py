"""The past: the whole configuration as it was at a moment, and the difference between two moments."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flask import Blueprint, g, jsonify, request
from flask.typing import ResponseReturnValue

from painchain import past, timeline
from painchain.changes import SET
from painchain.connectors.base import Kind
from painchain.fold import Standing, differences, toggle_label
from painchain.timeline import BadFilter
from painchain.web import api, responses

door = Blueprint("past", __name__)
door.before_request(api.refuse_unknown_parameters)


@dataclass(frozen=True)
class Asked:
    """The moments that an address asks for, and what is wrong with it."""

    at: datetime
    compare: datetime | None = None
    problem: str = ""


@door.get("/as-of")
def index() -> ResponseReturnValue:
    """Show the configuration at a moment, and what was different at another one."""
    asked = _asked()
    moments = sorted(one for one in (asked.at, asked.compare) if one)
    seen = past.pictures(moments)
    values = {
        "asked": asked,
        "moments": moments,
        "picture": seen[moments.index(asked.at)],
        "differences": list(differences(seen[0], seen[-1])) if asked.compare else [],
        "begins": past.oldest(),
        "inputs": {"at": _input(asked.at), "compare": _input(asked.compare)},
        "toggle_label": toggle_label,
    }
    return responses.page("pages/as_of.html", 422 if asked.problem else 200, **values)


@door.get("/api/as-of")
def configuration() -> ResponseReturnValue:
    """Return the configuration at a moment."""
    at = _moment("at", responses.UTC_ZONE) or g.now
    seen = past.picture(at)
    return jsonify(
        at=_time(at),
        begins=_time(seen.begins),
        complete=seen.whole,
        gaps=[{"start": _time(gap.start), "end": _time(gap.end)} for gap in seen.gaps],
        connectors=[standing_json(one) for one in seen.connectors],
    )


@door.errorhandler(BadFilter)
def bad_filter(problem: BadFilter) -> ResponseReturnValue:
    """Answer a query of the API that cannot be understood."""
    return api.bad_filter(problem)


def standing_json(one: Standing) -> dict[str, Any]:
    """Return a connector of the past as the API gives it: of a secret only whether it was set."""
    secrets = {field.key: {"set": one.values[field.key] == SET} for field in one.fields if field.kind is Kind.SECRET}
    return {
        "id": one.id,
        "type": one.type,
        "name": one.name,
        "enabled": one.enabled,
        "tags": one.values.get("tags"),
        "config": {key: value for key, value in {**one.values, **secrets}.items() if key not in ("name", "tags")},
        "hidden": [{"event_type": event_type, "field": field} for event_type, field in sorted(one.hidden)],
        "changed_at": _time(one.since),
        "changed_by": one.by,
        "complete": one.whole,
    }


def _asked() -> Asked:
    try:
        return Asked(_moment("at", responses.zone()) or g.now, _moment("compare", responses.zone()))
    except BadFilter as error:
        return Asked(g.now, problem=str(error))


def _moment(name: str, zone: Any) -> datetime | None:
    text = request.args.get(name, "").strip()
    return timeline.parse_time(text, name, zone) if text else None


def _input(value: datetime | None) -> str:
    """Return a moment as a date-time input has it, in the viewer's zone: the second that has it all."""
    if value is None:
        return ""
    whole = value if not value.microsecond else value.replace(microsecond=0) + timedelta(seconds=1)
    return f"{whole.astimezone(responses.zone()):%Y-%m-%dT%H:%M:%S}"


def _time(value: datetime | None) -> str | None:
    return value.isoformat(timespec="microseconds").replace("+00:00", "Z") if value else None
