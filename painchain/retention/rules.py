"""Retention rules: how long events of each source are kept, which have expired, and when the next prune is due."""

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
from painchain.database.prepared import Prepared
from painchain.database.session import autocommit_connection, db, write_transaction

MAX_DAYS = 36_500
DAY = timedelta(days=1)
DAILY, ON_DEMAND = "retention, daily run", "on demand"

Rules = Mapping[str, int | None]

_event = ChangeEvent.__table__.c
_DUE = Prepared(select(PruneTurn.due))


class RetentionRefused(Exception):
    """A refused change or prune. The message says why and what to do."""


class PruneNeedsAuditing(RetentionRefused):
    """Events cannot be pruned while auditing is off."""

    def __init__(self) -> None:
        super().__init__("Auditing is off, but every deletion must be recorded. Enable the PainChain connector first.")


class PruneInProgress(RetentionRefused):
    """Another prune is running."""

    def __init__(self) -> None:
        super().__init__("Events are already being deleted. Wait until that deletion is finished.")


class StaleRetention(RetentionRefused):
    """Another user has changed the rules since they were read."""

    def __init__(self) -> None:
        super().__init__("Another user has changed the retention rules. Reload them and try again.")


@dataclass(frozen=True)
class PrunableEvents:
    """The expired events of one source: how many are older than `before`, and the times of the first and last one."""

    source: str
    days: int
    before: datetime
    events: int
    oldest: datetime | None
    newest: datetime | None


@dataclass(frozen=True)
class Progress:
    """How many of the expired events of one source are deleted."""

    source: str
    removed: int
    expected: int


def rules() -> dict[str, int | None]:
    """Return for how many days the events of each source are kept. None means forever."""
    stored = {row.source: row.days for row in db.session.execute(select(Retention.source, Retention.days))}
    return {source: stored.get(source) for source in {**connectors.TYPES, **stored}}


def change(new_rules: Rules, rules_before: Rules, trail: Trail) -> list[RetentionChange]:
    """Store `new_rules` and record the changes. Other sources keep their rules.

    :raises StaleRetention: when the stored rules no longer match `rules_before`, which the form showed.
    """
    stored = rules()
    if any(stored.get(source) != days for source, days in rules_before.items()):
        raise StaleRetention
    rule_changes = [RetentionChange(source, stored.get(source), days) for source, days in new_rules.items()]
    rule_changes = [rule_change for rule_change in rule_changes if rule_change.old != rule_change.new]
    for rule_change in rule_changes:
        db.session.execute(delete(Retention).where(Retention.source == rule_change.source))
        db.session.execute(insert(Retention).values(source=rule_change.source, days=rule_change.new))
        trail.log(event_kinds.retention_changed(rule_change))
    return rule_changes


def prunable(by: Rules, now: datetime) -> list[PrunableEvents]:
    """Return the events of each source that have expired under these rules. The number may be 0."""
    return [_prunable_of(source, days, now - timedelta(days=days)) for source, days in by.items() if days is not None]


def _prunable_of(source: str, days: int, before: datetime) -> PrunableEvents:
    query = select(func.count(), func.min(_event.timestamp), func.max(_event.timestamp))
    counts = db.session.execute(query.where(_event.source == source, _event.timestamp < before)).one()
    return PrunableEvents(source, days, before, *counts)


def schedule_prune(requested: Iterable[PrunableEvents], cause: str, trail: Trail, beat: datetime) -> list[int]:
    """Schedule the deletion of expired events, and return the IDs of the prunes.

    `beat` is the current time if the caller carries them out, and ``EPOCH`` to leave them to the scheduler.

    :raises PruneNeedsAuditing: when auditing is off.
    :raises PruneInProgress: while another prune is running.
    :raises StaleRetention: when a rule has changed.
    """
    if not audit_trail.auditing().on:
        raise PruneNeedsAuditing
    if db.session.scalar(select(func.count()).select_from(Pruning)):
        raise PruneInProgress
    current_rules = rules()
    orders = [_order(expired, current_rules, cause, trail, beat) for expired in requested if expired.events]
    db.session.add_all(orders)
    db.session.flush()
    return [order.id for order in orders]


def _order(expired: PrunableEvents, current_rules: Rules, cause: str, trail: Trail, beat: datetime) -> Pruning:
    if current_rules.get(expired.source) != expired.days:
        raise StaleRetention
    return Pruning(
        source=expired.source,
        days=expired.days,
        before=expired.before,
        expected=expired.events,
        removed=0,
        cause=f"{cause}, {trail.cause}" if trail.cause else cause,
        reason=trail.reason,
        author=trail.author,
        request_id=trail.request_id,
        beat=beat,
    )


def progress() -> Sequence[Progress]:
    """Return the progress of the prunes that are not finished."""
    query = select(Pruning.source, Pruning.removed, Pruning.expected).order_by(Pruning.id)
    return [Progress(*row) for row in db.session.execute(query)]


def due() -> datetime:
    """Return when the daily run is due next."""
    with autocommit_connection() as connection:
        [[due]] = _DUE.all(connection)
    moment: datetime = due
    return moment


def is_due(now: datetime) -> bool:
    """Return whether the daily run is due."""
    return is_reached(due(), now, DAY)


def acquire_daily_lease(now: datetime) -> bool:
    """Acquire the daily run if it is due and no other server has it. The next one is tomorrow at 00:00 UTC."""
    tomorrow = datetime(now.year, now.month, now.day, tzinfo=UTC) + DAY
    is_reached_now = reached_condition(PruneTurn.__table__.c.due, now, DAY)
    with write_transaction() as connection:
        updated = connection.execute(update(PruneTurn).where(is_reached_now).values(due=tomorrow))
        return updated.rowcount == 1
