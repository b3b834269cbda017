"""Events for the dashboard."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask

from painchain.eventlog import writer
from painchain.eventlog.writer import NewEvent
from tests.web.dashboard.edits import NOON, RecordEvent
from tests.web.dashboard.pages import MINUTE, Write


@pytest.fixture
def write(app: Flask) -> Write:
    """Return a function that logs events of a connector, one per minute before now, and returns their numbers."""
    serial = itertools.count(1)

    def event(members: dict[str, Any]) -> NewEvent:
        number = next(serial)
        timestamp = members.get("timestamp", datetime.now(UTC) - number * MINUTE)
        plain: dict[str, Any] = {
            "event_id": f"made-up/{number}",
            "source": "github",
            "event_type": "Commit",
            "title": f"Commit {number}",
            "description": {"text": f"Commit {number}"},
            "metadata": {"sha": f"sha-{number}"},
            "author": "system",
            "request_id": f"request-{number}",
            "recorded_at": timestamp,
        }
        return NewEvent(**{**plain, "timestamp": timestamp, **members})

    def append(*events: dict[str, Any]) -> list[int]:
        with app.app_context(), writer.writing() as event_log:
            return [event_log.append(event(members)) for members in events]

    return append


@pytest.fixture
def record_event(app: Flask) -> RecordEvent:
    """Return a function that records an event some minutes after noon and returns its number."""

    def record_event(title: str, minutes: float = 0, **more: Any) -> int:
        when = NOON + timedelta(minutes=minutes)
        facts = {"source": "github", "event_type": "Commit", "request_id": title, "author": "dev", **more}
        with app.app_context(), writer.writing() as event_log:
            new = writer.NewEvent(
                event_id=title, title=title, description={}, metadata={}, timestamp=when, recorded_at=when, **facts
            )
            return event_log.append(new)

    return record_event
