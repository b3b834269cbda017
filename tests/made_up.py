"""Made-up events, written straight to the log."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from painchain.ledger import NewEvent

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def new(number: int, **given: Any) -> NewEvent:
    """Return an event, different from others by its number alone."""
    timestamp = given.get("timestamp", NOW - HOUR)
    plain: dict[str, Any] = {
        "event_id": f"made-up-{number}",
        "source": "github",
        "event_type": "Commit",
        "title": f"[Commit] number {number}",
        "description": {"text": f"Commit {number}"},
        "metadata": {},
        "author": "system",
        "request_id": f"request-{number}",
        "timestamp": timestamp,
        "recorded_at": timestamp,
    }
    return NewEvent(**{**plain, **given})
