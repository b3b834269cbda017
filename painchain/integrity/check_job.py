"""The state of the log check, in one row: the lease, the progress and the last result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Update, and_, func, or_, select, update
from sqlalchemy.engine import Connection

from painchain.database import clock
from painchain.database.models import ChangeEvent, LogCheck
from painchain.database.prepared import Prepared
from painchain.database.session import Base, autocommit_connection, db, write_transaction
from painchain.database.types import EPOCH
from painchain.eventlog import writer
from painchain.integrity.verification import Break

HOUR = 3  # of the day, in UTC, at which the daily check is due
LEASE = timedelta(seconds=60)  # a check without progress for this long is taken over
RETRY_DELAY = timedelta(hours=1)  # after one that failed
DAY = timedelta(days=1)
MAX_DRIFT = 100

_table = Base.metadata.tables[LogCheck.__tablename__]
_row = _table.c
_event = ChangeEvent.__table__.c
_DUE = Prepared(select(_row.due, _row.asked, _row.began))
# The stored JSON has other names for these fields of a result.
_STORED_NAMES = {"is_log_complete": "whole", "before_restore": "before", "with_lost_key": "unvouched"}
_FIELD_NAMES = {stored: name for name, stored in _STORED_NAMES.items()}


@dataclass(frozen=True)
class CheckLease:
    """The right to run a check, identified by when it `began`. `daily`: a scheduled check, not a requested one."""

    began: datetime
    daily: bool


@dataclass(frozen=True)
class CheckResult:
    """The result of a check.

    The chain: `events` is the number of intact events, up to number `last`, whose hash is `head` (hex). `pruned` is the
    number of events that retention removed. `broken` is the first break, or None.

    The configuration: `complete` says whether the log matches it; None means that it was not compared. `drift` holds at
    most ``MAX_DRIFT`` of the `drifts` differences, as sentences. `explained` are differences that may have been made
    while auditing was off. `is_log_complete` is False if retention removed audit events.

    The checkpoints: `checkpoints` is the number compared, `before_restore` of them from before a restore.
    `with_lost_key` is the number signed with a lost key. `uncompared` is the reason why none could be compared.
    """

    events: int
    pruned: int
    last: int
    head: str
    broken: Break | None = None
    complete: bool | None = None
    is_log_complete: bool = True
    drift: Sequence[str] = ()
    drifts: int = 0
    explained: Sequence[str] = ()
    checkpoints: int = 0
    before_restore: int = 0
    with_lost_key: int = 0
    uncompared: str = ""

    def stored(self) -> dict[str, Any]:
        """Return the result as JSON."""
        return {_STORED_NAMES.get(name, name): value for name, value in asdict(self).items()}

    @classmethod
    def loaded(cls, value: Mapping[str, Any]) -> CheckResult:
        """Build a result from its stored JSON."""
        members = {_FIELD_NAMES.get(name, name): member for name, member in value.items()}
        broken = members["broken"]
        return cls(**{**members, "broken": Break(**broken) if broken else None})


@dataclass(frozen=True)
class Running:
    """The progress of a running check."""

    began: datetime
    reached: int
    total: int

    @property
    def percent(self) -> int:
        """The progress in whole percent."""
        return min(99, 100 * self.reached // self.total) if self.total else 0


@dataclass(frozen=True)
class State:
    """The last result and its time, the running or requested check, and when the next one is due.

    `error` says why the last check failed. `recorded_break` is the break that the log records, as kind and number.
    """

    due: datetime
    requested: bool
    running: Running | None
    checked_at: datetime | None
    seconds: float
    result: CheckResult | None
    error: str | None
    recorded_break: str | None


def state() -> State:
    """Return the state of the log check."""
    row = db.session.execute(select(*_row)).one()
    running = Running(row.began, row.reached, row.whole) if row.began else None
    result = CheckResult.loaded(row.found) if row.found else None
    return State(row.due, row.asked, running, row.checked_at, row.seconds or 0.0, result, row.error, row.told)


def due_again() -> datetime | None:
    """Return when the next check is due; None while one is requested or running, maybe by a server that is gone."""
    with autocommit_connection() as connection:
        [[due, asked, began]] = _DUE.all(connection)
    return None if asked or began else due


def request_check() -> None:
    """Request a check at once, inside a write transaction. This changes nothing while a check is running."""
    db.session.execute(update(_table).where(_row.began.is_(None)).values(asked=True))


def acquire(now: datetime) -> CheckLease | None:
    """Acquire the lease if a check is due or requested, or if the server that ran one is gone.

    :raises painchain.database.session.WrongKey: when the key was replaced: this process can no longer check anything.
    """
    is_requested = or_(clock.reached_condition(_row.due, now, DAY), _row.asked, _row.began.is_not(None))
    is_free = and_(is_requested, or_(_row.began.is_(None), clock.lost_condition(_row.beat, now, LEASE)))
    row = db.session.execute(select(*_row).where(is_free)).one_or_none()
    db.session.rollback()
    if row is None:
        return None
    writer.check_key()
    is_due = clock.is_reached(row.due, now, DAY)
    daily = is_due or (row.began is not None and row.daily)
    next_time = next_due(now) if is_due else row.due
    values = {"began": now, "beat": now, "daily": daily, "asked": False, "reached": 0, "whole": 0, "due": next_time}
    with write_transaction() as connection:
        is_acquired = connection.execute(update(_table).where(is_free, _row.due == row.due).values(values)).rowcount
    return CheckLease(now, daily) if is_acquired else None


def next_due(now: datetime) -> datetime:
    """Return when the next daily check is due.

    >>> str(next_due(datetime(2026, 1, 15, 2, 59, tzinfo=UTC))), str(next_due(datetime(2026, 1, 15, 3, tzinfo=UTC)))
    ('2026-01-15 03:00:00+00:00', '2026-01-16 03:00:00+00:00')
    """
    today = datetime(now.year, now.month, now.day, HOUR, tzinfo=UTC)
    return today if now < today else today + DAY


def report_progress(lease: CheckLease, done: int, total: int, now: datetime) -> bool:
    """Store the progress of a check; return whether this process still holds the lease."""
    with write_transaction() as connection:
        return bool(connection.execute(_of(lease).values(beat=now, reached=done, whole=total)).rowcount)


def release(lease: CheckLease) -> None:
    """Release the lease so that another server runs the check."""
    with write_transaction() as connection:
        request = {"due": EPOCH} if lease.daily else {"asked": True}
        connection.execute(_of(lease).values(began=None, **request))


def fail(lease: CheckLease, now: datetime, error: str) -> None:
    """Store why a check failed. It is retried later."""
    with write_transaction() as connection:
        connection.execute(_of(lease).values(began=None, error=error, due=now + RETRY_DELAY))


def settle(connection: Connection, lease: CheckLease, result: CheckResult, now: datetime, seconds: float) -> bool:
    """Store a result, inside a write transaction; return whether this process still held the lease."""
    values = {"began": None, "checked_at": now, "seconds": seconds, "found": result.stored(), "error": None}
    return bool(connection.execute(_of(lease).values(values)).rowcount)


def set_recorded_break(connection: Connection, position: str | None) -> None:
    """Store which break the log records, inside a write transaction; None for no break."""
    connection.execute(update(_table).values(told=position))


def nearest(number: int) -> int | None:
    """Return the number of the last event that exists up to this number, or None."""
    newest: int | None = db.session.scalar(select(func.max(_event.id)).where(_event.id <= number))
    return newest


def _of(lease: CheckLease) -> Update:
    return update(_table).where(_row.began == lease.began)
