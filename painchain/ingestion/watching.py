"""Lease the watch of a connector to one process, and store what it receives: events and cursor in one commit."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from sqlalchemy import Update, select, update

from painchain import connectors
from painchain.connectors.contract import CursorUpdate, PollContext, PollResult
from painchain.database import clock
from painchain.database.models import Connector, PollState
from painchain.database.session import Base, db, write_transaction
from painchain.database.types import EPOCH
from painchain.eventlog import writer
from painchain.ingestion.source_events import add_new, settings_of
from painchain.scheduling import poll_leases
from painchain.timeline import coverage

MIN_POLL_INTERVAL = timedelta(seconds=5)  # at least this long between polls that a watch requests
LEASE = timedelta(minutes=1)  # another process takes over from one that died after this time

_connector = Connector.__table__.c
_table = Base.metadata.tables[PollState.__tablename__]
_state = _table.c


@dataclass(frozen=True)
class WatchedConnector:
    """A connector to watch: its version, and when it was last polled successfully."""

    connector_id: int
    version: int
    last_success: datetime


class Outcome(Enum):
    """The result of `store`: stored; wait, because a poll is running; or lost, because the lease is gone."""

    STORED = "stored"
    WAIT = "wait"
    LOST = "lost"


def watched_connectors() -> dict[int, WatchedConnector]:
    """Return the connectors to watch, by id: enabled, and polled at least once, so that they have a cursor."""
    watchable_types = [connector_type.key for connector_type in connectors.TYPES.values() if connector_type.watch]
    query = (
        select(_connector.id, _connector.version, _state.last_success)
        .join(_table, _state.connector_id == _connector.id)
        .where(_connector.enabled, _connector.type.in_(watchable_types), _state.last_success.is_not(None))
    )
    by_id = {row[0]: WatchedConnector(*row) for row in db.session.execute(query)}
    db.session.rollback()
    return by_id


def acquire(connector_id: int, now: datetime) -> datetime | None:
    """Acquire the watch of a connector if it is free. Return when the lease ends; None if another process holds it.

    :raises painchain.database.session.WrongKey: when the key was replaced: this process can write no events.
    """
    writer.check_key()
    is_free = clock.reached_condition(_state.watched_until, now, LEASE)
    return _set_lease(_update_state(connector_id).where(is_free), now + LEASE)


def renew(connector_id: int, until: datetime, now: datetime) -> datetime | None:
    """Renew the lease that ends at `until`. Return its new end; None if this process has lost it.

    :raises painchain.database.session.WrongKey: when the key was replaced: another process takes over.
    """
    writer.check_key()
    return _set_lease(_update_state(connector_id).where(_state.watched_until == until), now + LEASE)


def release(connector_id: int, until: datetime) -> None:
    """Release the watch."""
    _set_lease(_update_state(connector_id).where(_state.watched_until == until), EPOCH)


def poll_context(connector_id: int, now: datetime) -> PollContext | None:
    """Return what a watch starts with: settings, cursor and time. None if the connector is gone.

    :raises painchain.core.crypto.KeyUnusable: when the key does not decrypt its secrets.
    """
    try:
        connector, state = db.session.get(Connector, connector_id), db.session.get(PollState, connector_id)
        if connector is None or state is None:
            return None
        return PollContext(settings_of(connector), state.cursor, now, connector_id=connector_id)
    finally:
        db.session.rollback()


def store(connector_id: int, until: datetime, update_cursor: CursorUpdate, now: datetime) -> Outcome:
    """Apply an update to the stored cursor, and commit its events and the new cursor together.

    An update waits while a poll runs, because the poll will overwrite the cursor. An update without events does not
    write to the log, so that open pages do not refresh.
    """
    state = _read_state(connector_id)
    adds_to_log = state is not None and _adds_to_log(update_cursor(state.cursor))
    db.session.rollback()
    if not adds_to_log:
        with write_transaction():
            return _store(connector_id, until, update_cursor, now, None)
    with writer.writing() as event_log:
        return _store(connector_id, until, update_cursor, now, event_log)


def _store(
    connector_id: int,
    until: datetime,
    update_cursor: CursorUpdate,
    now: datetime,
    event_log: writer.EventLogWriter | None,
) -> Outcome:
    state = _read_state(connector_id, for_update=True)
    connector = db.session.get(Connector, connector_id, populate_existing=True)
    if state is None or connector is None or not connector.enabled or state.watched_until != until:
        return Outcome.LOST
    if not clock.is_reached(state.taken_until, now, poll_leases.LEASE):
        return Outcome.WAIT
    result = update_cursor(state.cursor)
    if event_log:
        _append_to_log(event_log, connector, result, now)
    elif _adds_to_log(result):
        return Outcome.WAIT  # a poll has moved the cursor since, and now there are events to append
    due = min(state.due, max(now, state.last_success + MIN_POLL_INTERVAL)) if result.has_more else state.due
    values: dict[str, Any] = {"cursor": result.cursor, "due": due}
    db.session.execute(_update_state(connector_id).values(**values))
    return Outcome.STORED


def _adds_to_log(result: PollResult) -> bool:
    return bool(result.events or result.gap)


def _append_to_log(event_log: writer.EventLogWriter, connector: Connector, result: PollResult, now: datetime) -> None:
    add_new(event_log, connector, result.events, now)
    if result.gap:
        coverage.add_gap(connector, coverage.GAP, result.gap.start, result.gap.end, result.gap.reason)


def _read_state(connector_id: int, for_update: bool = False) -> Any:
    """Read the poll state of a connector; `for_update` locks the row until the transaction ends."""
    query = select(_table).where(_state.connector_id == connector_id)
    return db.session.execute(query.with_for_update() if for_update else query).one_or_none()


def _update_state(connector_id: int) -> Update:
    return update(_table).where(_state.connector_id == connector_id)


def _set_lease(lease: Update, until: datetime) -> datetime | None:
    with write_transaction() as connection:
        return until if connection.execute(lease.values(watched_until=until)).rowcount else None
