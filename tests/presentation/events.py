"""Events to show, and their views."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from painchain.eventlog.writer import NewEvent
from painchain.presentation.event_view import EventView, describe

UTC_ZONE = ZoneInfo("UTC")
NOON = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)


def event(event_type: str = "ConfigChanged", source: str = "painchain", **members: Any) -> Any:
    """Return an event as read from the database."""
    plain: dict[str, Any] = {
        "event_id": "made-up",
        "title": "[Made Up] title",
        "description": {"text": "Something happened"},
        "metadata": {},
        "author": "system",
        "request_id": "one-action",
        "timestamp": NOON,
        "recorded_at": NOON,
        "connector_name": "Work",
    }
    return NewEvent(source=source, event_type=event_type, **{**plain, **members})


def view_of(event: Any, *hidden: str) -> EventView:
    """Return the view of an event; the named fields are hidden."""
    return describe(event, frozenset((event.event_type, field) for field in hidden), UTC_ZONE)


CHANGED = event(
    description={
        "connector_name": "Work",
        "field": "poll_interval",
        "label": "Poll interval",
        "kind": "number",
        "old_value": 300,
        "new_value": 600,
    },
    metadata={"action": "config_change", "field": "poll_interval"},
)
UPDATED = event(
    "ConnectorUpdated",
    description={
        "connector_name": "Work",
        "connector_type": "github",
        "changes": [
            {"key": "poll_interval", "label": "Poll interval", "kind": "number", "old": 300, "new": 600},
            {"key": "tags", "label": "Tags", "kind": "tags", "old": [], "new": ["a"]},
        ],
        "field_visibility": [{"event_type": "Commit", "field": "sha", "label": "SHA", "visible": False}],
    },
    metadata={
        "action": "update",
        "changes": {
            "poll_interval": {"old": 300, "new": 600},
            "tags": {"old": [], "new": ["a"]},
            "field_visibility.Commit.sha": {"old": True, "new": False},
        },
    },
)
