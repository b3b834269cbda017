"""Whose turn it is to be polled: a turn is a lease on a connector's row, so that two processes never poll the same."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Update, and_, or_, select, update

from painchain import connectors
from painchain.database import clock
from painchain.database.models import Connector, PollState
from painchain.database.session import Base, db, one_write_at_a_time
from painchain.database.types import EPOCH
from painchain.eventlog import writer

LEASE = timedelta(minutes=5)  # the turn of a process that died is free again after so long
SEEN = 16  # turns that are tried before the rest is left to the next look

_connector = Connector.__table__.c
_table = Base.metadata.tables[PollState.__tablename__]
_state = _table.c


@dataclass(frozen=True)
class PollLease:
    """A turn that this process has until `until`; no other turn of the connector ends at that very moment."""

    connector_id: int
    until: datetime

    @property
    def began(self) -> datetime:
        """When it was taken."""
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
    """Take the turn away from whoever polls a connector: what is found is not stored any more.

    Whether it fails is open until the next poll; since when, is kept for the Recovered event.
    """
    db.session.execute(_of(connector.id).values(taken_until=EPOCH, trouble=None))


def acquire(now: datetime) -> PollLease | None:
    """Take the turn that has waited longest, if there is one: it is pushed forward first, and polled then.

    :raises WrongKey: when the key was replaced, so that this process opens no token any more.
    """
    waiting = _waiting(now)
    if waiting:
        writer.check_key()
    for number, has_state in waiting:
        if not has_state:
            _give_state(number, now)
        until = now + LEASE
        free = _of(number).where(_is_due(now))
        with one_write_at_a_time() as connection:
            taken = connection.execute(free.values(due=until, taken_until=until)).rowcount
        if taken:
            return PollLease(number, until)
    return None


def release(turn: PollLease, now: datetime) -> None:
    """Leave a turn that came to nothing to whoever looks next."""
    with one_write_at_a_time() as connection:
        ours = _of(turn.connector_id).where(_state.taken_until == turn.until)
        connection.execute(ours.values(taken_until=EPOCH, due=now))


def _of(number: int) -> Update:
    return update(_table).where(_state.connector_id == number)


def _waiting(now: datetime) -> list[tuple[int, bool]]:
    """Return the connectors whose turn it is, and whether they have a row yet; who has waited longest comes first."""
    pollable = [one.key for one in connectors.TYPES.values() if one.poll]
    query = (
        select(_connector.id, _state.connector_id.is_not(None))
        .outerjoin(_table, _state.connector_id == _connector.id)
        .where(_connector.enabled, _connector.type.in_(pollable), or_(_state.connector_id.is_(None), _is_due(now)))
        .order_by(_state.due, _connector.id)
        .limit(SEEN)
    )
    found = [(number, bool(has_state)) for number, has_state in db.session.execute(query)]
    db.session.rollback()
    return found


def _is_due(now: datetime) -> ColumnElement[bool]:
    """Say whether a connector is due and nobody polls it.

    A poll that lies ahead, or a first one that is waited for too long, is from before the clock was put back. Whoever
    has the turn has put the next poll to its end: once the turn is free, that waits for nothing.
    """
    never = and_(_state.last_poll.is_(None), clock.reached(_state.due, now, LEASE))
    left = _state.due == _state.taken_until
    come = or_(_state.due <= now, _state.last_poll > now + clock.APART, never, left)
    return and_(come, clock.reached(_state.taken_until, now, LEASE))


def _give_state(number: int, now: datetime) -> None:
    with writer.writing():
        connector = db.session.get(Connector, number)
        if connector:
            make_due(connector, now)
