"""The state of the integrity check, and the events and checkpoints it makes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from flask import Flask

from painchain.eventlog import writer
from painchain.integrity import check_job, checkpoints, latest_checkpoint
from painchain.integrity.check_job import State

Events = Callable[..., list[dict[str, Any]]]
NOW = datetime(2026, 1, 15, 14, tzinfo=UTC)


def state(app: Flask) -> State:
    """Return the state of the check."""
    with app.app_context():
        return check_job.state()


def request_check(app: Flask) -> None:
    """Press "Check now"."""
    with app.app_context(), writer.writing():
        check_job.request_check()


def checkpoint_sizes(app: Flask) -> list[int]:
    """Return the sizes of the checkpoints in the file."""
    with app.app_context():
        return [checkpoint.size for checkpoint in checkpoints.read_with_known_key(latest_checkpoint.file())[0]]


def of_type(events: Events, *names: str) -> list[dict[str, Any]]:
    """Return PainChain's own events of these types, oldest first."""
    return [event for event in events(source="painchain") if event["event_type"] in names]
