"""Remove events that are kept no longer: in steps so small that they hold up no writer, and on the record.

What is to be removed of a source is a row of `prunings`. Each step removes some events and counts them there in one
transaction; the last one writes the Events Pruned event and takes the row away. So whatever becomes of a process, what
is gone is either on the record or counted in a row that some server takes over.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, literal, select, tuple_, update

from painchain.audit import event_kinds
from painchain.audit import trail as audit_trail
from painchain.audit.records import Pruned
from painchain.audit.trail import Trail
from painchain.database import clock as db_clock
from painchain.database.models import ChangeEvent, Pruning
from painchain.database.session import Base, db, write_transaction
from painchain.eventlog import writer
from painchain.eventlog.writer import EventLogWriter
from painchain.retention import rules as retention_rules

STEP_SECONDS = 0.025
FIRST_STEP, SMALLEST_STEP, LARGEST_STEP = 50, 10, 500
LOST = timedelta(seconds=60)

EventPosition = tuple[datetime, int]  # of an event in the order of time

_event = ChangeEvent.__table__.c
_row = Base.metadata.tables[Pruning.__tablename__]


@dataclass(frozen=True)
class Step:
    """What one step did: how many events it removed, for how many seconds it held up writers, whether more follow."""

    events: int
    seconds: float
    more: bool


def acquire(now: datetime) -> int | None:
    """Take over a removal that nobody works on, and return its number. It is ours as long as our beat stands there.

    :raises painchain.database.session.WrongKey: when the key was replaced, so that this process can remove nothing.
    """
    waiting: Sequence[int] = db.session.scalars(
        select(_row.c.id).where(db_clock.lost_condition(_row.c.beat, now, LOST)).order_by(_row.c.id)
    ).all()
    db.session.rollback()
    if waiting:
        writer.check_key()
    for number in waiting:
        free = update(_row).where(_row.c.id == number, db_clock.lost_condition(_row.c.beat, now, LOST))
        with write_transaction() as connection:
            taken = connection.execute(free.values(beat=now)).rowcount
        if taken:
            return number
    return None


def run(number: int, beat: datetime, clock: Callable[[], datetime]) -> Iterator[Step]:
    """Remove what an order says, step by step; whoever iterates sets the pace and may stop after any step.

    `beat` is when the order was given or taken. It ends early where another process has taken over since, or the rule
    has changed.

    :raises painchain.retention.rules.PruneNeedsAuditing: while auditing is off. The order stays and can be resumed.
    """
    size = FIRST_STEP
    after: EventPosition | None = None
    more = True
    while more:
        found = _oldest(number, after, size)
        now = clock()
        with writer.writing() as event_log:
            began = time.perf_counter()  # from here on other writers wait
            removed, more = _step(event_log, number, beat, found, now)
        seconds = time.perf_counter() - began
        yield Step(removed, seconds, more)
        beat, after = now, found[-1] if found else None
        size = next_size(size, seconds)


def next_size(size: int, seconds: float) -> int:
    """Return how many events the next step removes so that it takes about ``STEP_SECONDS``.

    >>> next_size(100, 0.3), next_size(100, 0.001)
    (10, 150)
    """
    wanted = size * STEP_SECONDS / max(seconds, 0.001)
    return int(max(SMALLEST_STEP, min(wanted, size * 1.5, LARGEST_STEP)))


def _oldest(number: int, after: EventPosition | None, limit: int) -> Sequence[Any]:
    """Find the next events to remove, with no write lock: what an event is and when it was never changes."""
    order = db.session.execute(select(_row).where(_row.c.id == number)).one_or_none()
    if order is None:
        return []
    query = select(_event.timestamp, _event.id).where(_event.source == order.source, _event.timestamp < order.before)
    if after:
        query = query.where(
            tuple_(_event.timestamp, _event.id) > tuple_(literal(after[0], _event.timestamp.type), after[1])
        )
    found = db.session.execute(query.order_by(_event.timestamp, _event.id).limit(limit)).all()
    db.session.rollback()
    return found


def _step(
    event_log: EventLogWriter, number: int, beat: datetime, found: Sequence[Any], now: datetime
) -> tuple[int, bool]:
    """Remove these events, or close the order if there are none; return how many went and whether there is more."""
    if not event_log.connection.execute(
        update(_row).where(_row.c.id == number, _row.c.beat == beat).values(beat=now)
    ).rowcount:
        return 0, False
    if not audit_trail.auditing().on:
        raise retention_rules.PruneNeedsAuditing
    order = event_log.connection.execute(select(_row).where(_row.c.id == number)).one()
    if not found or retention_rules.rules().get(order.source) != order.days:
        _close(event_log, order, now)
        return 0, False
    boundary = event_log.remove([event.id for event in found])
    event_log.connection.execute(
        update(_row)
        .where(_row.c.id == number)
        .values(
            removed=order.removed + len(found),
            oldest=order.oldest or found[0].timestamp,
            newest=found[-1].timestamp,
            boundary=boundary.hex() if boundary else order.boundary,
        )
    )
    return len(found), True


def _close(event_log: EventLogWriter, order: Any, now: datetime) -> None:
    """Put on the record what was removed, and take the order away."""
    if order.removed:
        trail = Trail(event_log, order.author, order.request_id, now, reason=order.reason or "")
        trail.log(
            event_kinds.events_pruned(
                Pruned(
                    *(order.source, order.days, order.before, order.removed, order.oldest, order.newest),
                    *(order.boundary, order.cause),
                )
            )
        )
    event_log.connection.execute(delete(_row).where(_row.c.id == order.id))
