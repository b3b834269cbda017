"""The API's view of the past: the configuration as it was at a time."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask import g, jsonify
from flask.typing import ResponseReturnValue

from painchain.audit.diff import SET
from painchain.connectors.base import Kind
from painchain.database.types import iso
from painchain.history import snapshots
from painchain.history.projection import ConnectorState
from painchain.web.api.events import guarded
from painchain.web.common import responses
from painchain.web.dashboard.snapshots import moment_given

blueprint = guarded("snapshots_api")


@blueprint.get("/api/as-of")
def configuration() -> ResponseReturnValue:
    """Return the configuration at a moment."""
    at = moment_given("at", responses.UTC_ZONE) or g.now
    seen = snapshots.snapshot_at(at)
    return jsonify(
        at=_time(at),
        begins=_time(seen.begins),
        complete=seen.whole,
        gaps=[{"start": _time(gap.start), "end": _time(gap.end)} for gap in seen.gaps],
        connectors=[standing_json(one) for one in seen.connectors],
    )


def standing_json(one: ConnectorState) -> dict[str, Any]:
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


def _time(value: datetime | None) -> str | None:
    return iso(value) if value else None
