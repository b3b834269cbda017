"""Webhook events that wait for details: stored with their delivery, claimed by one server, then recorded."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, delete, exists, func, insert, select, update
from sqlalchemy.engine import Connection

from painchain.connectors.contract import SourceEvent
from painchain.database import clock
from painchain.database.models import Connector, PendingEvent
from painchain.database.prepared import Prepared
from painchain.database.session import Base, autocommit_connection, db, write_transaction
from painchain.database.types import EPOCH, iso
from painchain.eventlog import writer
from painchain.eventlog.writer import EventLogWriter
from painchain.ingestion import source_events
from painchain.ingestion.sanitize import safe_event_id, sanitize, storable
from painchain.ingestion.source_events import Origin

LEASE = timedelta(minutes=2)  # longer than completing takes: then another server takes over from one that died
MAX_AGE = timedelta(seconds=30)  # an event that lacks details for longer is recorded without them
MAX_POSTPONEMENT = timedelta(minutes=15)  # the longest that the rate limit of a source can hold up its events
MAX_TRIES = 6

_table = Base.metadata.tables[PendingEvent.__tablename__]
_pending = _table.c
_HAS_EVENTS = Prepared(select(exists(select(_pending.id))))


@dataclass(frozen=True)
class ClaimedEvent:
    """A pending event that this process completes, for the `tries`-th time. `origin` is its connector as it was."""

    id: int
    event: SourceEvent
    origin: Origin
    received_at: datetime
    tries: int

    def may_retry(self, now: datetime) -> bool:
        """Return whether there is time for another try."""
        return self.tries < MAX_TRIES and not self.is_overdue(now, MAX_AGE)

    def is_overdue(self, now: datetime, max_age: timedelta) -> bool:
        """Return whether the event is older than this, or from the future: the clock was set back."""
        return not timedelta() <= now - self.received_at < max_age


def add(event_log: EventLogWriter, connector: Connector, events: Sequence[SourceEvent], now: datetime) -> int:
    """Store the events that are neither recorded nor pending, in the open write transaction. Return how many."""
    if not events:
        return 0
    event_log.flush()
    origin = source_events.origin(connector)
    recorded = source_events.known_ids(event_log.connection, connector.id, events)
    safe = {safe_event_id(event.event_id): event for event in events if event.event_id not in recorded}
    pending = source_events.stored_ids(event_log.connection, _pending.event_id, list(safe))
    rows = [
        {
            "event_id": event_id,
            "connector_id": connector.id,
            "origin": {"type": origin.type, "name": origin.name, "tags": origin.tags},
            "event": _encode(sanitize(event, origin.secrets), now),
            "received_at": now,
            "due": now,
            "tries": 0,
            "taken_until": EPOCH,
        }
        for event_id, event in safe.items()
        if event_id not in pending
    ]
    if rows:
        event_log.connection.execute(insert(_table), rows)
    return len(rows)


def has_events() -> bool:
    """Return whether an event is pending."""
    with autocommit_connection() as connection:
        return _HAS_EVENTS.all(connection) != [[False]]


def claim(now: datetime, except_of: Collection[int] = ()) -> ClaimedEvent | None:
    """Lease the pending event that has waited longest to this process; None if none is due.

    Events of the connectors in `except_of` are left out.

    :raises painchain.database.session.WrongKey: when the key was replaced: this process can decrypt no token.
    """
    if not has_events():
        return None
    with autocommit_connection() as connection:
        claimable = (
            clock.reached_condition(_pending.due, now, MAX_POSTPONEMENT),
            clock.reached_condition(_pending.taken_until, now, LEASE),
            _pending.connector_id.not_in(list(except_of)),
        )
        first = connection.scalar(select(_pending.id).where(*claimable).order_by(_pending.due, _pending.id).limit(1))
    if first is None:
        return None
    writer.check_key()
    leased = update(_table).where(_pending.id == first, *claimable)
    with write_transaction() as connection:
        row = connection.execute(
            leased.values(taken_until=now + LEASE, tries=_pending.tries + 1).returning(*_pending)
        ).one_or_none()
    if row is None:
        return None
    origin = Origin(row.connector_id, **row.origin)
    return ClaimedEvent(row.id, _decode(row.event), origin, row.received_at, row.tries)


def retry_later(claimed: ClaimedEvent, now: datetime) -> None:
    """Let the event be tried again after a pause that grows with each try: 1, 2, 4, 8 … seconds."""
    due = now + timedelta(seconds=2 ** (claimed.tries - 1))
    with write_transaction() as connection:
        connection.execute(update(_table).where(_pending.id == claimed.id).values(due=due, taken_until=EPOCH))


def postpone(claimed: ClaimedEvent, until: datetime, now: datetime) -> None:
    """Let this event, and the others of its connector that are due, be tried at another time."""
    until = min(until, now + MAX_POSTPONEMENT)
    others_due = and_(_pending.connector_id == claimed.origin.id, _pending.due <= now, _pending.tries < MAX_TRIES)
    with write_transaction() as connection:
        connection.execute(update(_table).where(others_due).values(due=until))
        connection.execute(update(_table).where(_pending.id == claimed.id).values(due=until, taken_until=EPOCH))


def give_up(connector_id: int, now: datetime, max_age: timedelta) -> None:
    """Let the events of a connector that are older than this be recorded as they are, without another request."""
    is_overdue = (_pending.connector_id == connector_id, _pending.received_at <= now - max_age)
    with write_transaction() as connection:
        connection.execute(update(_table).where(*is_overdue).values(due=now, tries=MAX_TRIES))


def release(ids: Collection[int]) -> None:
    """Let another process claim these events at once."""
    with write_transaction() as connection:
        connection.execute(update(_table).where(_pending.id.in_(list(ids))).values(taken_until=EPOCH))


def is_recorded(claimed: ClaimedEvent) -> bool:
    """Return whether polling, or another delivery, has recorded the event in the meantime."""
    with autocommit_connection() as connection:
        return bool(source_events.known_ids(connection, claimed.origin.id, [claimed.event]))


def drop(claimed: ClaimedEvent) -> None:
    """Delete a pending event that is recorded already."""
    with write_transaction() as connection:
        _delete(connection, claimed)


def record(claimed: ClaimedEvent, event: SourceEvent, now: datetime) -> bool:
    """Record the event, unless it is recorded already, and delete the pending one. Return whether it was recorded."""
    with writer.writing() as event_log:
        connector = db.session.get(Connector, claimed.origin.id)
        origin = source_events.origin(connector) if connector else claimed.origin
        recorded = source_events.add_new_from(event_log, origin, [event], now)
        _delete(event_log.connection, claimed)
    return bool(recorded)


def count() -> int:
    """Return the number of pending events."""
    return db.session.scalar(select(func.count()).select_from(_table)) or 0


def _delete(connection: Connection, claimed: ClaimedEvent) -> None:
    connection.execute(delete(_table).where(_pending.id == claimed.id))


def _encode(event: SourceEvent, now: datetime) -> dict[str, Any]:
    """Return an event as JSON."""
    return {
        **asdict(event),
        "event_id": storable(event.event_id),
        "timestamp": iso(source_events.clamped(event.timestamp, now)),
        "former_ids": {storable(former_id): time and iso(time) for former_id, time in event.former_ids.items()},
    }


def _decode(stored: Mapping[str, Any]) -> SourceEvent:
    former_ids = {former_id: time and datetime.fromisoformat(time) for former_id, time in stored["former_ids"].items()}
    timestamp = datetime.fromisoformat(stored["timestamp"])
    tags = tuple(stored.get("tags", ()))  # which older versions did not store
    return SourceEvent(**{**stored, "timestamp": timestamp, "former_ids": former_ids, "tags": tags})
