"""Read the events around one event, and the changes of one connector: through indexes, only as many as are shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Select, Tuple, literal, select, tuple_

from painchain.database.models import IS_AUDIT, ChangeEvent
from painchain.database.session import db
from painchain.indexes import notes
from painchain.timeline.cursor import Cursor
from painchain.timeline.queries import SHOWN, Event, Page

SIDE = 50
SPANS = {
    "5m": timedelta(minutes=5),
    "30m": timedelta(minutes=30),
    "1h": timedelta(hours=1),
    "2h": timedelta(hours=2),
    "24h": timedelta(hours=24),
}
DEFAULT_SPAN = "1h"

_event = ChangeEvent.__table__.c


@dataclass(frozen=True)
class EventSlice:
    """Some events, newest first, and the cursor of those further away, if there are any."""

    events: Sequence[Event]
    further: Cursor | None = None


def cursor_of(event: Event) -> Cursor:
    """Return the cursor of an event."""
    return Cursor(event.timestamp, event.id)


def events_before(start: datetime, before: Cursor, limit: int = SIDE) -> EventSlice:
    """Return the nearest events before a cursor, none older than `start`."""
    query = select(*SHOWN).where(_event.timestamp >= start, _key() < _position(before))
    return _slice(query.order_by(_event.timestamp.desc(), _event.id.desc()), limit)


def events_after(end: datetime, after: Cursor, limit: int = SIDE) -> EventSlice:
    """Return the nearest events after a cursor, none newer than `end`."""
    query = select(*SHOWN).where(_event.timestamp <= end, _key() > _position(after))
    nearest = _slice(query.order_by(_event.timestamp, _event.id), limit)
    return EventSlice(nearest.events[::-1], nearest.further)


def connector_history(
    number: int, before: Cursor | None = None, limit: int = SIDE, since: datetime | None = None
) -> Page:
    """Return the newest changes of a connector, none older than `since`, or those older than `before`."""
    query = select(*SHOWN).where(*_changes_of(number))
    if since:
        query = query.where(_event.timestamp >= since)
    if before:
        query = query.where(_key() < _position(before))
    changes = _slice(query.order_by(_event.timestamp.desc(), _event.id.desc()), limit)
    return Page(changes.events, changes.further)


def last_change(number: int) -> Event | None:
    """Return the newest change of a connector. It has the connector's name, also after it was deleted."""
    changes = connector_history(number, limit=1).events
    return changes[0] if changes else None


def _changes_of(number: int) -> tuple[ColumnElement[bool], ...]:
    is_change = _event.event_type != notes.EVENT_TYPE  # a note on an event of the connector changes nothing
    return _event.connector_id == number, IS_AUDIT, is_change


def _key() -> Tuple:
    return tuple_(_event.timestamp, _event.id)


def _position(cursor: Cursor) -> Tuple:
    return tuple_(literal(cursor.timestamp, _event.timestamp.type), cursor.id)


def _slice(query: Select[tuple[object, ...]], limit: int) -> EventSlice:
    rows = db.session.execute(query.limit(limit + 1)).all()
    events = rows[:limit]
    return EventSlice(events, cursor_of(events[-1]) if len(rows) > limit else None)
