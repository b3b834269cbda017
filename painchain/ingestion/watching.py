"""Whose watch it is, and what a watch has heard: a lease on a connector's row, and one commit of events with cursor."""

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

RELIST = timedelta(seconds=5)  # a watch that asks for a poll again and again gets no more than one in this time
LEASE = timedelta(minutes=1)  # the watch of a process that died is free again after so long

_connector = Connector.__table__.c
_table = Base.metadata.tables[PollState.__tablename__]
_state = _table.c


@dataclass(frozen=True)
class Wanted:
    """A connector that is to be watched, as people last saved it, and when it was last polled with success."""

    connector_id: int
    version: int
    polled: datetime


class Outcome(Enum):
    """What became of something heard: it is stored, a poll has its turn and it has to wait, or the watch is lost."""

    STORED = "stored"
    WAIT = "wait"
    LOST = "lost"


def wanted() -> dict[int, Wanted]:
    """Return the connectors that are to be watched, by id. One that was never polled has no place to begin at."""
    watched = [connector_type.key for connector_type in connectors.TYPES.values() if connector_type.watch]
    query = (
        select(_connector.id, _connector.version, _state.last_success)
        .join(_table, _state.connector_id == _connector.id)
        .where(_connector.enabled, _connector.type.in_(watched), _state.last_success.is_not(None))
    )
    found = {row[0]: Wanted(*row) for row in db.session.execute(query)}
    db.session.rollback()
    return found


def take(connector_id: int, now: datetime) -> datetime | None:
    """Take the watch of a connector if it is free; return until when.

    :raises painchain.database.session.WrongKey: when the key was replaced, and this process can store nothing.
    """
    writer.check_key()
    return _move(_of(connector_id).where(clock.reached_condition(_state.watched_until, now, LEASE)), now + LEASE)


def renew(connector_id: int, until: datetime, now: datetime) -> datetime | None:
    """Keep the watch that this process has `until` then; None if it has lost it.

    :raises painchain.database.session.WrongKey: when the key was replaced: another process takes over.
    """
    writer.check_key()
    return _move(_of(connector_id).where(_state.watched_until == until), now + LEASE)


def release(connector_id: int, until: datetime) -> None:
    """Give the watch back."""
    _move(_of(connector_id).where(_state.watched_until == until), EPOCH)


def turn(connector_id: int, now: datetime) -> PollContext | None:
    """Return what a watch begins with; None if the connector is gone.

    :raises painchain.core.crypto.KeyUnusable: when the key does not open its secrets.
    """
    try:
        connector, state = db.session.get(Connector, connector_id), db.session.get(PollState, connector_id)
        return PollContext(settings_of(connector), state.cursor, now) if connector and state else None
    finally:
        db.session.rollback()


def put(connector_id: int, until: datetime, heard: CursorUpdate, now: datetime) -> Outcome:
    """Put what was heard upon the stored cursor, and store events and cursor together.

    While a poll has its turn it has to wait: the poll's cursor is made of the one that it began with. What tells
    nothing does not move the log on, so that open pages stay as they are.
    """
    row = _read(connector_id)
    tells = row is not None and _tells(heard(row.cursor))
    db.session.rollback()
    if not tells:
        with write_transaction():
            return _put(connector_id, until, heard, now, None)
    with writer.writing() as event_log:
        return _put(connector_id, until, heard, now, event_log)


def _put(
    connector_id: int, until: datetime, heard: CursorUpdate, now: datetime, event_log: writer.EventLogWriter | None
) -> Outcome:
    row = _read(connector_id, kept=True)
    connector = db.session.get(Connector, connector_id, populate_existing=True)
    if row is None or connector is None or not connector.enabled or row.watched_until != until:
        return Outcome.LOST
    if not clock.is_reached(row.taken_until, now, poll_leases.LEASE):
        return Outcome.WAIT
    polled = heard(row.cursor)
    if event_log:
        _tell(event_log, connector, polled, now)
    elif _tells(polled):
        return Outcome.WAIT  # a poll has come in between, and with it something to tell
    soonest = min(row.due, max(now, row.last_success + RELIST)) if polled.has_more else row.due
    values: dict[str, Any] = {"cursor": polled.cursor, "due": soonest}
    db.session.execute(_of(connector_id).values(**values))
    return Outcome.STORED


def _tells(polled: PollResult) -> bool:
    return bool(polled.events or polled.gap)


def _tell(event_log: writer.EventLogWriter, connector: Connector, polled: PollResult, now: datetime) -> None:
    add_new(event_log, connector, polled.events, now)
    if polled.gap:
        coverage.add_gap(connector, coverage.GAP, polled.gap.start, polled.gap.end, polled.gap.reason)


def _read(connector_id: int, kept: bool = False) -> Any:
    """Read the row of a connector; `kept` as it is until the end of the transaction, also where many write at once."""
    query = select(_table).where(_state.connector_id == connector_id)
    return db.session.execute(query.with_for_update() if kept else query).one_or_none()


def _of(connector_id: int) -> Update:
    return update(_table).where(_state.connector_id == connector_id)


def _move(lease: Update, until: datetime) -> datetime | None:
    with write_transaction() as connection:
        return until if connection.execute(lease.values(watched_until=until)).rowcount else None
