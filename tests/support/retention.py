"""Retention rules, and the removals that follow from them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select, text

from painchain.audit.trail import Trail
from painchain.database.models import ChangeEvent
from painchain.database.session import db
from painchain.database.types import EPOCH
from painchain.eventlog import writer
from painchain.eventlog.writer import NewEvent
from painchain.retention import rules as retention_rules

Events = Callable[..., list[dict[str, Any]]]
NOW = datetime.now(UTC)


class Clock:
    """A clock that the test sets. Each call advances it by a millisecond."""

    def __init__(self, now: datetime = NOW):
        self.now = now

    def __call__(self) -> datetime:
        self.now += timedelta(milliseconds=1)
        return self.now


def write(source: str, days_ago: float, tags: tuple[str, ...] = ("a", "b")) -> int:
    """Write an event that is some days old, and return its number."""
    when = NOW - timedelta(days=days_ago)
    with writer.writing() as event_log:
        name = f"{source}-{event_log.last_event + 1}"
        about = {"text": "Something"}
        return event_log.append(
            NewEvent(name, source, "Job", name, about, {}, "ann", name, when, when, tags=list(tags), status="done")
        )


def set_rules(**days: int | None) -> None:
    with writer.writing() as event_log:
        retention_rules.change(days, {}, Trail(event_log, "ann", writer.new_request_id(NOW), NOW))


def schedule_prunes(now: datetime = NOW, beat: datetime = EPOCH) -> list[int]:
    with writer.writing() as event_log:
        trail = Trail(event_log, "ann", "the-request", now, reason="The disk is full")
        return retention_rules.schedule_prune(
            retention_rules.prunable(retention_rules.rules(), now), retention_rules.ON_DEMAND, trail, beat
        )


def sources() -> dict[str, int]:
    """Return the number of events of each source except the audit trail."""
    db.session.rollback()  # the session may still have an old snapshot from a request of the test client
    rows = db.session.execute(text("SELECT source, count(*) FROM change_events GROUP BY source")).all()
    db.session.rollback()
    return {source: number for source, number in rows if source != "painchain"}


def tags_left() -> int:
    """Return how many tags the events of other sources than the audit trail have together."""
    remaining = db.session.scalars(select(ChangeEvent.tags).where(ChangeEvent.source != "painchain"))
    number = sum(map(len, remaining))
    db.session.rollback()
    return number


def pruned(events: Events) -> list[dict[str, Any]]:
    db.session.rollback()
    return [event for event in events() if event["event_type"] == "EventsPruned"]
