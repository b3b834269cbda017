"""Compare checkpoints with the log: does the log still contain what it contained when each was made?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hmac import compare_digest
from typing import Any

from sqlalchemy import ColumnElement, select, type_coerce
from sqlalchemy.engine import Connection
from sqlalchemy.types import NullType

from painchain import connectors
from painchain.core import runtime
from painchain.database.models import ChangeEvent, LogHead, PrunedRun
from painchain.database.session import Base, db, snapshot
from painchain.eventlog import reader
from painchain.eventlog.chain import START
from painchain.integrity.checkpoints import Checkpoint

MATCHES, UNKNOWN, RESTORED, DIFFERS, SHORT = "fits", "unknown", "restored", "differs", "short"
SOME = 500

_event = ChangeEvent.__table__.c
_run = Base.metadata.tables[PrunedRun.__tablename__].c
_head = Base.metadata.tables[LogHead.__tablename__].c


@dataclass(frozen=True)
class Restored:
    """A backup that ended with event number `backup` was put back at `at`: what came behind it was given up.

    That is what was stored here until then, up to number `size`. Where less was stored than the backup holds, it was
    put back in another place, and the log that it was taken of went on elsewhere.
    """

    backup: int
    at: datetime
    size: int | None

    def explains(self, one: Checkpoint) -> bool:
        """Return whether a checkpoint is of events that the restore gave up."""
        given_up = self.size is None or self.size <= self.backup or one.size <= self.size
        return one.time <= self.at and one.size > self.backup and given_up


@dataclass(frozen=True)
class CheckpointMatch:
    """The result for one checkpoint. `unknown`: retention removed the events around it. `restored`: older than `at`."""

    checkpoint: Checkpoint
    kind: str
    at: datetime | None = None

    @property
    def broken(self) -> bool:
        """Whether the log does not match the checkpoint."""
        return self.kind in (DIFFERS, SHORT)

    @property
    def words(self) -> str:
        """The result as a sentence."""
        size = self.checkpoint.size
        events = f"{size:,} event{'' if size == 1 else 's'}"
        time = f"{self.checkpoint.time:%Y-%m-%d %H:%M} UTC"
        return {
            MATCHES: f"The log still has the same {events} as at {time}.",
            UNKNOWN: f"It can no longer be compared: retention removed the events around number {size:,}.",
            RESTORED: f"It is from before the restore on {self.at or self.checkpoint.time:%Y-%m-%d %H:%M} UTC.",
            DIFFERS: f"The log up to event {size:,} is not the same as at {time}: since then it was rewritten, "
            "or events were removed from it.",
            SHORT: f"The log had {events} at {time}, and has fewer now: its end is missing, "
            "or an older database was put in its place.",
        }[self.kind]


def compare(checkpoints: Sequence[Checkpoint]) -> list[CheckpointMatch]:
    """Compare each checkpoint with the current log. This trusts the stored hashes: verify the chain first."""
    with db.engine.connect() as plain:
        connection = snapshot(plain)
        last = connection.execute(select(_head.last_event)).scalar()
        last = last if isinstance(last, int) else -1  # one that is none was put there by hand
        hashes = dict(_hashes(connection, sorted({one.size for one in checkpoints})))
        found = [CheckpointMatch(one, _kind(connection, one, last, hashes)) for one in checkpoints]
        restores = list(_restores(connection)) if any(one.kind != MATCHES for one in found) else []
    never = _never()
    return [one if one.checkpoint.key_id in never else _explained(one, restores) for one in found]


def _never() -> Sequence[str]:
    """Return the names of the keys that the log says it was never written with, nor was any log it was restored over.

    A checkpoint of one of them is of a later state: somebody has put the log back to a key that was replaced.
    """
    order: Sequence[str] = runtime.current().key_order
    current = runtime.current().chain.key_id
    return order[: order.index(current)] if current in order else ()


def worst(fits: Iterable[CheckpointMatch]) -> CheckpointMatch | None:
    """Return the first checkpoint that does not match, or None."""
    return next((one for one in fits if one.broken), None)


def _hashes(connection: Connection, sizes: Sequence[int]) -> Iterator[tuple[int, bytes]]:
    """Yield the hash at each of these event numbers that is still known."""
    yield 0, START
    for some in (sizes[start : start + SOME] for start in range(0, len(sizes), SOME)):
        for number, mac in (_event.id, _event.mac), (_run.last, _run.mac):
            for row in connection.execute(select(number, type_coerce(mac, NullType)).where(number.in_(some))):
                yield row[0], row[1] if isinstance(row[1], bytes) else b""


def _kind(connection: Connection, one: Checkpoint, last: int, hashes: Mapping[int, bytes]) -> str:
    if one.size > last:
        return SHORT
    if one.size in hashes:
        return MATCHES if compare_digest(hashes[one.size], one.head) else DIFFERS
    inside = connection.execute(select(_run.last).where(_within(one.size))).first()
    return UNKNOWN if inside else DIFFERS


def _within(size: int) -> ColumnElement[bool]:
    return (_run.first <= size) & (_run.last > size)


def _restores(connection: Connection) -> Iterator[Restored]:
    ours = (_event.source == connectors.BUILTIN.key, _event.event_type == "BackupRestored")
    try:
        rows = connection.execute(select(_event.id, _event.recorded_at, _event.metadata).where(*ours)).all()
    except reader.UNREADABLE_ERRORS as error:
        reader.reraise_database_error(error)
        return  # one that cannot be read explains nothing
    for row in rows:
        backup = _number(row.metadata, "backup_size")
        size = _number(row.metadata, "abandoned_size")
        yield Restored(row.id - 1 if backup is None else backup, row.recorded_at, size)


def _number(facts: Any, name: str) -> int | None:
    number = facts.get(name) if isinstance(facts, dict) else None
    return number if isinstance(number, int) else None


def _explained(one: CheckpointMatch, restores: Sequence[Restored]) -> CheckpointMatch:
    why = next((restore for restore in restores if one.kind != MATCHES and restore.explains(one.checkpoint)), None)
    return CheckpointMatch(one.checkpoint, RESTORED, why.at) if why else one
