"""Keep the events of each source for so many days, or for ever: the rules, what would go, and whose turn it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, func, insert, select, update

from painchain import connectors
from painchain.audit import event_kinds
from painchain.audit import trail as audit_trail
from painchain.audit.records import RetentionChange
from painchain.audit.trail import Trail
from painchain.database.clock import is_reached, reached_condition
from painchain.database.models import ChangeEvent, PruneTurn, Pruning, Retention
from painchain.database.session import db, write_transaction

MAX_DAYS = 36_500
DAY = timedelta(days=1)
DAILY, ON_DEMAND = "retention, daily run", "on demand"

Rules = Mapping[str, int | None]

_event = ChangeEvent.__table__.c


class RetentionRefused(Exception):
    """Something that is not done: the message says why, and what to do."""


class PruneNeedsAuditing(RetentionRefused):
    """Events are not removed while that would not be recorded."""

    def __init__(self) -> None:
        super().__init__(
            "Auditing is off, and events are removed on the record only. Enable the PainChain connector first."
        )


class PruneInProgress(RetentionRefused):
    """Events are being removed already."""

    def __init__(self) -> None:
        super().__init__("Events are being removed already. Wait until that is done.")


class StaleRetention(RetentionRefused):
    """Somebody else has changed the rules in the meantime."""

    def __init__(self) -> None:
        super().__init__("Somebody else has changed for how long events are kept. Look at it as it is now.")


@dataclass(frozen=True)
class PrunableEvents:
    """What a rule removes of one source: the events from before `before`, and when the first and last of them were."""

    source: str
    days: int
    before: datetime
    events: int
    oldest: datetime | None
    newest: datetime | None


@dataclass(frozen=True)
class Progress:
    """How far the removal of one source's events has come."""

    source: str
    removed: int
    expected: int


def rules() -> dict[str, int | None]:
    """Return for how many days the events of each source are kept. None: for ever."""
    stored = {row.source: row.days for row in db.session.execute(select(Retention.source, Retention.days))}
    return {source: stored.get(source) for source in {**connectors.TYPES, **stored}}


def change(wanted: Rules, began: Rules, trail: Trail) -> list[RetentionChange]:
    """Store the rules that are wanted and record what is different. What `wanted` leaves out stays.

    :raises StaleRetention: when they are no longer what the person `began` with.
    """
    now = rules()
    if any(now.get(source) != days for source, days in began.items()):
        raise StaleRetention
    changes = [RetentionChange(source, now.get(source), days) for source, days in wanted.items()]
    changes = [one for one in changes if one.old != one.new]
    for one in changes:
        db.session.execute(delete(Retention).where(Retention.source == one.source))
        db.session.execute(insert(Retention).values(source=one.source, days=one.new))
        trail.log(event_kinds.retention_changed(one))
    return changes


def prunable(by: Rules, now: datetime) -> list[PrunableEvents]:
    """Say what goes by these rules now, source by source; of some it may be nothing."""
    return [_prunable_of(source, days, now - timedelta(days=days)) for source, days in by.items() if days is not None]


def _prunable_of(source: str, days: int, before: datetime) -> PrunableEvents:
    query = select(func.count(), func.min(_event.timestamp), func.max(_event.timestamp))
    found = db.session.execute(query.where(_event.source == source, _event.timestamp < before)).one()
    return PrunableEvents(source, days, before, *found)


def schedule_prune(asked: Iterable[PrunableEvents], cause: str, trail: Trail, beat: datetime) -> list[int]:
    """Order the removal of what was asked for, and return the numbers of the orders.

    `beat` is now for whoever goes on to carry them out, and ``db.EPOCH`` to leave them to the scheduler.

    :raises PruneNeedsAuditing: while nothing is recorded.
    :raises PruneInProgress: while others are being carried out.
    :raises StaleRetention: when a rule is no longer what was asked for.
    """
    if not audit_trail.auditing().on:
        raise PruneNeedsAuditing
    if db.session.scalar(select(func.count()).select_from(Pruning)):
        raise PruneInProgress
    by = rules()
    orders = [_order(one, by, cause, trail, beat) for one in asked if one.events]
    db.session.add_all(orders)
    db.session.flush()
    return [order.id for order in orders]


def _order(one: PrunableEvents, by: Rules, cause: str, trail: Trail, beat: datetime) -> Pruning:
    if by.get(one.source) != one.days:
        raise StaleRetention
    return Pruning(
        source=one.source,
        days=one.days,
        before=one.before,
        expected=one.events,
        removed=0,
        cause=f"{cause}, {trail.cause}" if trail.cause else cause,
        reason=trail.reason,
        author=trail.author,
        request_id=trail.request_id,
        beat=beat,
    )


def progress() -> Sequence[Progress]:
    """Return how far the removals have come that are not done yet."""
    query = select(Pruning.source, Pruning.removed, Pruning.expected).order_by(Pruning.id)
    return [Progress(*row) for row in db.session.execute(query)]


def due() -> datetime:
    """Return when the daily run is due next."""
    return db.session.execute(select(PruneTurn.due)).scalar_one()


def is_due(now: datetime) -> bool:
    """Say whether the daily run is due."""
    return is_reached(due(), now, DAY)


def acquire_daily_lease(now: datetime) -> bool:
    """Take the daily turn, if it is due and no other server has it: the next one is tomorrow at 00:00 UTC."""
    tomorrow = datetime(now.year, now.month, now.day, tzinfo=UTC) + DAY
    come = reached_condition(PruneTurn.__table__.c.due, now, DAY)
    with write_transaction() as connection:
        moved = connection.execute(update(PruneTurn).where(come).values(due=tomorrow))
        return moved.rowcount == 1
