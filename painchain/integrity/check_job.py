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
from painchain.database.session import Base, db, write_transaction
from painchain.database.types import EPOCH
from painchain.eventlog import writer
from painchain.integrity.verification import Break

HOUR = 3  # of the day, in UTC, at which the daily check is due
LOST = timedelta(seconds=60)  # a check without progress for this long is taken over
AGAIN = timedelta(hours=1)  # after one that failed
DAY = timedelta(days=1)
MOST_DRIFT = 100

_table = Base.metadata.tables[LogCheck.__tablename__]
_row = _table.c
_event = ChangeEvent.__table__.c


@dataclass(frozen=True)
class CheckLease:
    """The right to run a check, identified by when it `began`. `daily`: a scheduled check, for which nobody waits."""

    began: datetime
    daily: bool


@dataclass(frozen=True)
class CheckResult:
    """What a check has found: `events` as they were written, up to number `last`, whose hash is `head` in hex.

    `pruned` others were removed by retention. `broken` is the first place that is not as it was written. `complete`
    says whether the log tells how everything is configured now, None where that could not be found out; `drift` says in
    words what is configured otherwise (so many as are kept, of `drifts`), `explained` what may be because auditing was
    off, and `whole` that retention has removed nothing of it. So many `checkpoints` were compared, so many are of
    `before` a restore; `unvouched` others are of a key that is gone. `uncompared`: why none could be.
    """

    events: int
    pruned: int
    last: int
    head: str
    broken: Break | None = None
    complete: bool | None = None
    whole: bool = True
    drift: Sequence[str] = ()
    drifts: int = 0
    explained: Sequence[str] = ()
    checkpoints: int = 0
    before: int = 0
    unvouched: int = 0
    uncompared: str = ""

    def stored(self) -> dict[str, Any]:
        """Return it as JSON."""
        return asdict(self)

    @classmethod
    def loaded(cls, value: Mapping[str, Any]) -> CheckResult:
        """Return the result that is stored as this JSON."""
        broken = value["broken"]
        return cls(**{**value, "broken": Break(**broken) if broken else None})


@dataclass(frozen=True)
class Running:
    """The progress of a running check."""

    began: datetime
    reached: int
    whole: int

    @property
    def percent(self) -> int:
        """The progress in whole percent."""
        return min(99, 100 * self.reached // self.whole) if self.whole else 0


@dataclass(frozen=True)
class State:
    """The last result and its time, the running or requested check, and when the next one is due.

    `error` says why the last check failed. `told` is the broken place that is recorded in the log.
    """

    due: datetime
    asked: bool
    running: Running | None
    checked_at: datetime | None
    seconds: float
    verdict: CheckResult | None
    error: str | None
    told: str | None


def state() -> State:
    """Return the state of the log check."""
    row = db.session.execute(select(*_row)).one()
    running = Running(row.began, row.reached, row.whole) if row.began else None
    verdict = CheckResult.loaded(row.found) if row.found else None
    return State(row.due, row.asked, running, row.checked_at, row.seconds or 0.0, verdict, row.error, row.told)


def ask() -> None:
    """Request a check at once, inside a write transaction. This changes nothing while a check is running."""
    db.session.execute(update(_table).where(_row.began.is_(None)).values(asked=True))


def acquire(now: datetime) -> CheckLease | None:
    """Acquire the lease if a check is due or requested, or if the server that ran one is gone.

    :raises painchain.database.session.WrongKey: when the key was replaced: this process can no longer check anything.
    """
    wanted = or_(clock.reached_condition(_row.due, now, DAY), _row.asked, _row.began.is_not(None))
    free = and_(wanted, or_(_row.began.is_(None), clock.lost_condition(_row.beat, now, LOST)))
    row = db.session.execute(select(*_row).where(free)).one_or_none()
    db.session.rollback()
    if row is None:
        return None
    writer.check_key()
    is_due = clock.is_reached(row.due, now, DAY)
    daily = is_due or (row.began is not None and row.daily)
    following = next_due(now) if is_due else row.due
    begun = {"began": now, "beat": now, "daily": daily, "asked": False, "reached": 0, "whole": 0, "due": following}
    with write_transaction() as connection:
        taken = connection.execute(update(_table).where(free, _row.due == row.due).values(begun)).rowcount
    return CheckLease(now, daily) if taken else None


def next_due(now: datetime) -> datetime:
    """Return when the next daily check is due.

    >>> str(next_due(datetime(2026, 1, 15, 2, 59, tzinfo=UTC))), str(next_due(datetime(2026, 1, 15, 3, tzinfo=UTC)))
    ('2026-01-15 03:00:00+00:00', '2026-01-16 03:00:00+00:00')
    """
    today = datetime(now.year, now.month, now.day, HOUR, tzinfo=UTC)
    return today if now < today else today + DAY


def report_progress(lease: CheckLease, reached: int, whole: int, now: datetime) -> bool:
    """Store the progress of a check; return whether this process still holds the lease."""
    with write_transaction() as connection:
        return bool(connection.execute(_of(lease).values(beat=now, reached=reached, whole=whole)).rowcount)


def release(lease: CheckLease) -> None:
    """Give up a check, so that the next server runs it."""
    with write_transaction() as connection:
        again = {"due": EPOCH} if lease.daily else {"asked": True}
        connection.execute(_of(lease).values(began=None, **again))


def fail(lease: CheckLease, now: datetime, words: str) -> None:
    """Store why a check failed. It is retried later."""
    with write_transaction() as connection:
        connection.execute(_of(lease).values(began=None, error=words, due=now + AGAIN))


def settle(connection: Connection, lease: CheckLease, result: CheckResult, now: datetime, seconds: float) -> bool:
    """Store a result, inside a write transaction; return whether this process still held the lease."""
    done = {"began": None, "checked_at": now, "seconds": seconds, "found": result.stored(), "error": None}
    return bool(connection.execute(_of(lease).values(done)).rowcount)


def set_recorded_break(connection: Connection, place: str | None) -> None:
    """Store which broken place is recorded in the log, inside a write transaction; None for no break."""
    connection.execute(update(_table).values(told=place))


def nearest(number: int) -> int | None:
    """Return the number of the last event that exists up to this number, or None."""
    found: int | None = db.session.scalar(select(func.max(_event.id)).where(_event.id <= number))
    return found


def _of(lease: CheckLease) -> Update:
    return update(_table).where(_row.began == lease.began)
