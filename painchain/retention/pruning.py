"""Delete expired events in small steps that do not block other writers, and record each prune.

A row of `prunings` is the order to prune one source. Each step deletes some events and counts them in that row, in one
transaction. The last step writes the Events Pruned event and deletes the row. If a process dies, the deleted events
are either recorded or counted in a row that another server takes over.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, exists, literal, select, tuple_, update

from painchain.audit import event_kinds
from painchain.audit import trail as audit_trail
from painchain.audit.records import Pruned
from painchain.audit.trail import Trail
from painchain.database import clock as db_clock
from painchain.database.models import ChangeEvent, Connector, KeptDelivery, Pruning
from painchain.database.prepared import Prepared
from painchain.database.session import Base, autocommit_connection, db, write_transaction
from painchain.eventlog import writer
from painchain.eventlog.writer import EventLogWriter
from painchain.retention import rules as retention_rules

STEP_SECONDS = 0.025
FIRST_STEP, SMALLEST_STEP, LARGEST_STEP = 50, 10, 500
HEARTBEAT_TIMEOUT = timedelta(seconds=60)

EventPosition = tuple[datetime, int]  # of an event in the order of time

_event = ChangeEvent.__table__.c
_row, _kept = (Base.metadata.tables[model.__tablename__] for model in (Pruning, KeptDelivery))
_HAS_ORDERS = Prepared(select(exists(select(_row.c.id))))


@dataclass(frozen=True)
class Step:
    """What one step did: events deleted, seconds for which it held the write lock, and whether more steps follow."""

    events: int
    seconds: float
    has_more: bool


def has_orders() -> bool:
    """Return whether a prune is scheduled or running."""
    with autocommit_connection() as connection:
        return _HAS_ORDERS.all(connection) != [[False]]


def acquire(now: datetime) -> int | None:
    """Acquire a prune that no process is working on, and return its ID. The lease is lost when its `beat` changes.

    :raises painchain.database.session.WrongKey: when the key was replaced, so this process cannot write.
    """
    if not has_orders():
        return None
    order_ids: Sequence[int] = db.session.scalars(
        select(_row.c.id).where(db_clock.lost_condition(_row.c.beat, now, HEARTBEAT_TIMEOUT)).order_by(_row.c.id)
    ).all()
    db.session.rollback()
    if order_ids:
        writer.check_key()
    for order_id in order_ids:
        free = update(_row).where(_row.c.id == order_id, db_clock.lost_condition(_row.c.beat, now, HEARTBEAT_TIMEOUT))
        with write_transaction() as connection:
            acquired = connection.execute(free.values(beat=now)).rowcount
        if acquired:
            return order_id
    return None


def run(order_id: int, beat: datetime, clock: Callable[[], datetime]) -> Iterator[Step]:
    """Run a prune step by step. The caller sets the pace and may stop after any step.

    `beat` is when the order was scheduled or acquired. The iteration ends early if another process has taken over, or
    the rule has changed.

    :raises painchain.retention.rules.PruneNeedsAuditing: when auditing is off. The order waits until it is on again.
    """
    size = FIRST_STEP
    after: EventPosition | None = None
    has_more = True
    while has_more:
        expired = _oldest(order_id, after, size)
        now = clock()
        with writer.writing() as event_log:
            started = time.perf_counter()  # from here on other writers wait
            removed, has_more = _step(event_log, order_id, beat, expired, now)
        seconds = time.perf_counter() - started
        yield Step(removed, seconds, has_more)
        beat, after = now, expired[-1] if expired else None
        size = next_size(size, seconds)


def next_size(size: int, seconds: float) -> int:
    """Return how many events the next step deletes so that it takes about ``STEP_SECONDS``.

    >>> next_size(100, 0.3), next_size(100, 0.001)
    (10, 150)
    """
    ideal = size * STEP_SECONDS / max(seconds, 0.001)
    return int(max(SMALLEST_STEP, min(ideal, size * 1.5, LARGEST_STEP)))


def _oldest(order_id: int, after: EventPosition | None, limit: int) -> Sequence[Any]:
    """Find the next events to delete. This needs no write lock, because stored events never change."""
    order = db.session.execute(select(_row).where(_row.c.id == order_id)).one_or_none()
    if order is None:
        return []
    query = select(_event.timestamp, _event.id).where(_event.source == order.source, _event.timestamp < order.before)
    if after:
        query = query.where(
            tuple_(_event.timestamp, _event.id) > tuple_(literal(after[0], _event.timestamp.type), after[1])
        )
    expired = db.session.execute(query.order_by(_event.timestamp, _event.id).limit(limit)).all()
    db.session.rollback()
    return expired


def _step(
    event_log: EventLogWriter, order_id: int, beat: datetime, expired: Sequence[Any], now: datetime
) -> tuple[int, bool]:
    """Delete these events, or close the order if there are none. Return how many, and whether more follow."""
    if not event_log.connection.execute(
        update(_row).where(_row.c.id == order_id, _row.c.beat == beat).values(beat=now)
    ).rowcount:
        return 0, False
    if not audit_trail.auditing().on:
        raise retention_rules.PruneNeedsAuditing
    order = event_log.connection.execute(select(_row).where(_row.c.id == order_id)).one()
    if not expired or retention_rules.rules().get(order.source) != order.days:
        _close(event_log, order, now)
        return 0, False
    boundary = event_log.remove([event.id for event in expired])
    event_log.connection.execute(
        update(_row)
        .where(_row.c.id == order_id)
        .values(
            removed=order.removed + len(expired),
            oldest=order.oldest or expired[0].timestamp,
            newest=expired[-1].timestamp,
            boundary=boundary.hex() if boundary else order.boundary,
        )
    )
    return len(expired), True


def _close(event_log: EventLogWriter, order: Any, now: datetime) -> None:
    """Record what was deleted, and delete the order, and kept deliveries that are as old."""
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
    of_source = _kept.c.connector_id.in_(select(Connector.id).where(Connector.type == order.source))
    event_log.connection.execute(delete(_kept).where(_kept.c.received_at < order.before, of_source))
