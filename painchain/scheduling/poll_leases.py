"""Leases on polls: a process that holds a connector's lease polls it, and no other process polls it meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, Update, and_, exists, or_, select, update

from painchain import connectors
from painchain.database import clock
from painchain.database.models import Connector, LogHead, PollState
from painchain.database.session import Base, autocommit_connection, autocommit_write, db, write_transaction
from painchain.database.types import EPOCH
from painchain.eventlog import writer

LEASE = timedelta(minutes=5)  # the lease of a process that died is free again after so long
CANDIDATES = 16  # connectors that are tried before the rest is left to the next look

_connectors = Connector.__table__
_connector = _connectors.c
_table = Base.metadata.tables[PollState.__tablename__]
_state = _table.c
_KEY_ID = select(LogHead.key_id).scalar_subquery()


@dataclass(frozen=True)
class PolledConnector:
    """A connector as it was when its poll began.

    `connector` belongs to no session. `is_fine` says that its last poll went well, or that it was never polled.
    """

    connector: Connector
    cursor: dict[str, Any]
    is_fine: bool


@dataclass(frozen=True)
class PollLease:
    """A lease that this process holds until `until`; no other lease of the connector ends at that very moment."""

    connector_id: int
    until: datetime
    polled: PolledConnector = field(compare=False, repr=False)

    @property
    def began(self) -> datetime:
        """When it was acquired."""
        return self.until - LEASE


def make_due(connector: Connector, now: datetime) -> None:
    """Let a connector be polled at once, inside a write transaction. Its cursor stays where it is."""
    if connectors.TYPES[connector.type].poll is None:
        return
    state = db.session.get(PollState, connector.id)  # which the transaction mostly has read already
    if state is None:
        db.session.add(PollState(connector_id=connector.id, due=now, taken_until=EPOCH))
    else:
        state.due = now


def revoke(connector: Connector) -> None:
    """End the lease of a connector, whichever process holds it: what its poll finds is not stored.

    Whether the connector fails is open until the next poll; `failing_since` stays, for the Recovered event.
    """
    db.session.execute(_of(connector.id).values(taken_until=EPOCH, trouble=None))


def acquire(now: datetime) -> PollLease | None:
    """Acquire the lease of the connector that has waited longest, if one is due. Its next poll is put off first.

    :raises painchain.database.session.WrongKey: when the key was replaced: this process can no longer decrypt tokens.
    """
    candidates = _candidates(now)
    if candidates:
        writer.check_key(candidates[0].key_id)
    for row in candidates:
        if not row.has_state:
            _add_state(row.id, now)
        lease = _lease(Connector(**{column.name: getattr(row, column.name) for column in _connector}), now)
        if lease:
            return lease
    return None


def next_due(now: datetime) -> datetime | None:
    """Return when a connector is due, or the lease of one ends, if nothing is stored until then; None if never."""
    query = (
        select(_state.due, _state.taken_until)
        .select_from(_connectors.outerjoin(_table, _state.connector_id == _connector.id))
        .where(_is_polled())
    )
    with autocommit_connection() as connection:
        states = connection.execute(query).all()
    later = [[moment for moment in state if moment and moment > now] for state in states]
    return min((min(moments, default=now) for moments in later), default=None)


def _lease(connector: Connector, now: datetime) -> PollLease | None:
    """Acquire the lease of a connector, if it is still due and the same as when it was read."""
    until = now + LEASE
    is_same = exists().where(_connector.id == connector.id, _connector.enabled, _connector.version == connector.version)
    free = _of(connector.id).where(_is_due(now), is_same).values(due=until, taken_until=until)
    with autocommit_write() as connection:
        states = connection.execute(free.returning(_state.cursor, _state.trouble, _state.failing_since)).all()
    for state in states:
        is_fine = state.trouble is None and state.failing_since is None
        return PollLease(connector.id, until, PolledConnector(connector, state.cursor, is_fine))
    return None


def release(lease: PollLease, now: datetime) -> None:
    """Release a lease whose poll came to nothing, so that the connector is polled again at once."""
    with write_transaction() as connection:
        held = _of(lease.connector_id).where(_state.taken_until == lease.until)
        connection.execute(held.values(taken_until=EPOCH, due=now))


def _of(connector_id: int) -> Update:
    return update(_table).where(_state.connector_id == connector_id)


def _candidates(now: datetime) -> Sequence[Row[Any]]:
    """Return the connectors that are due, the longest wait first: their rows, `has_state`, and the log's `key_id`."""
    query = (
        select(_connectors, _state.connector_id.is_not(None).label("has_state"), _KEY_ID.label("key_id"))
        .outerjoin(_table, _state.connector_id == _connector.id)
        .where(_is_polled(), or_(_state.connector_id.is_(None), _is_due(now)))
        .order_by(_state.due, _connector.id)
        .limit(CANDIDATES)
    )
    with autocommit_connection() as connection:
        return connection.execute(query).all()


def _is_polled() -> ColumnElement[bool]:
    """Return the condition for a connector that is enabled and of a type that is polled."""
    polled_types = [connector_type.key for connector_type in connectors.TYPES.values() if connector_type.poll]
    return and_(_connector.enabled, _connector.type.in_(polled_types))


def _is_due(now: datetime) -> ColumnElement[bool]:
    """Return whether a connector is due and no process polls it.

    A last poll that lies ahead, or a first one that is waited for too long, is from before the clock was put back.
    A lease puts the next poll off to its own end: once it is free, that is due at once.
    """
    never_polled = and_(_state.last_poll.is_(None), clock.reached_condition(_state.due, now, LEASE))
    was_leased = _state.due == _state.taken_until
    is_reached = or_(_state.due <= now, _state.last_poll > now + clock.MAX_CLOCK_SKEW, never_polled, was_leased)
    return and_(is_reached, clock.reached_condition(_state.taken_until, now, LEASE))


def _add_state(connector_id: int, now: datetime) -> None:
    with writer.writing():
        connector = db.session.get(Connector, connector_id)
        if connector:
            make_due(connector, now)
