"""Compare checkpoints with the log: does the log still contain what it contained when each was made?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from hmac import compare_digest
from typing import Any

from sqlalchemy import ColumnElement, select, type_coerce
from sqlalchemy.engine import Connection
from sqlalchemy.types import NullType

from painchain import connectors
from painchain.core import runtime
from painchain.database.models import ChangeEvent, LogHead, PrunedRun
from painchain.database.session import Base, db, snapshot
from painchain.database.types import EPOCH
from painchain.eventlog import reader
from painchain.eventlog.chain import START
from painchain.integrity.checkpoints import Checkpoint

MATCHES, UNKNOWN, RESTORED, DIFFERS, SHORT = "fits", "unknown", "restored", "differs", "short"
BATCH = 500

_event = ChangeEvent.__table__.c
_run = Base.metadata.tables[PrunedRun.__tablename__].c
_head = Base.metadata.tables[LogHead.__tablename__].c


@dataclass(frozen=True)
class Restore:
    """A restore at `at` of a backup whose last event has the number `backup`. It discarded the later events.

    `newest` is the time of the newest checkpoint then, if the clock had been set back since that one was made.
    `size` is the number of the last event before the restore; None if unknown. If it is lower than `backup`, the
    backup was restored over another log, such as that of a new server.
    """

    backup: int
    at: datetime
    size: int | None
    newest: datetime

    def explains(self, checkpoint: Checkpoint) -> bool:
        """Return whether the restore discarded the events of a checkpoint.

        Events after the restore have numbers above `size`. Only if that is of no use, the time decides.
        """
        if checkpoint.size <= self.backup:
            return False
        if self.size is None or self.size <= self.backup:
            return checkpoint.time <= max(self.at, self.newest)
        return checkpoint.size <= self.size


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
    def message(self) -> str:
        """The result as a sentence."""
        size = self.checkpoint.size
        events = f"{size:,} event{'' if size == 1 else 's'}"
        time = f"{self.checkpoint.time:%Y-%m-%d %H:%M} UTC"
        return {
            MATCHES: f"The log still has the same {events} as at {time}.",
            UNKNOWN: f"It can no longer be compared: retention deleted the events around number {size:,}.",
            RESTORED: f"It is from before the restore on {self.at or self.checkpoint.time:%Y-%m-%d %H:%M} UTC.",
            DIFFERS: f"The log up to event {size:,} is not the same as at {time}. Since then it was rewritten, "
            "or events were removed from it.",
            SHORT: f"The log had {events} at {time} and has fewer now. Its end is missing, "
            "or an older database replaced it.",
        }[self.kind]


def compare(checkpoints: Sequence[Checkpoint]) -> list[CheckpointMatch]:
    """Compare each checkpoint with the current log. This trusts the stored hashes: verify the chain first."""
    with db.engine.connect() as plain:
        connection = snapshot(plain)
        last = connection.execute(select(_head.last_event)).scalar()
        last = last if isinstance(last, int) else -1  # another type was written by hand
        hashes = dict(_hashes(connection, sorted({checkpoint.size for checkpoint in checkpoints})))
        kinds = [_kind(connection, checkpoint, last, hashes) for checkpoint in checkpoints]
        matches = [CheckpointMatch(*pair) for pair in zip(checkpoints, kinds, strict=True)]
        restores = list(_restores(connection)) if any(match.kind != MATCHES for match in matches) else []
    newer_keys = _newer_keys()
    return [match if match.checkpoint.key_id in newer_keys else _explained(match, restores) for match in matches]


def _newer_keys() -> Sequence[str]:
    """Return the IDs of the keys that are newer than the key of the log.

    A checkpoint signed with one of them is of a later state: someone reset the log to a key that was replaced.
    """
    order: Sequence[str] = runtime.current().key_order
    current = runtime.current().chain.key_id
    return order[: order.index(current)] if current in order else ()


def worst(matches: Iterable[CheckpointMatch]) -> CheckpointMatch | None:
    """Return the first checkpoint that does not match, or None."""
    return next((match for match in matches if match.broken), None)


def _hashes(connection: Connection, sizes: Sequence[int]) -> Iterator[tuple[int, bytes]]:
    """Yield number and hash for each of these event numbers whose hash is still stored."""
    yield 0, START
    for batch in (sizes[start : start + BATCH] for start in range(0, len(sizes), BATCH)):
        for number, mac in (_event.id, _event.mac), (_run.last, _run.mac):
            for row in connection.execute(select(number, type_coerce(mac, NullType)).where(number.in_(batch))):
                yield row[0], row[1] if isinstance(row[1], bytes) else b""


def _kind(connection: Connection, checkpoint: Checkpoint, last: int, hashes: Mapping[int, bytes]) -> str:
    size = checkpoint.size
    if size > last:
        return SHORT
    if size in hashes:
        return MATCHES if compare_digest(hashes[size], checkpoint.head) else DIFFERS
    is_pruned = connection.execute(select(_run.last).where(_within(size))).first()
    return UNKNOWN if is_pruned else DIFFERS


def _within(size: int) -> ColumnElement[bool]:
    return (_run.first <= size) & (_run.last > size)


def _restores(connection: Connection) -> Iterator[Restore]:
    is_restore = (_event.source == connectors.BUILTIN.key, _event.event_type == "BackupRestored")
    try:
        rows = connection.execute(select(_event.id, _event.recorded_at, _event.metadata).where(*is_restore)).all()
    except reader.UNREADABLE_ERRORS as error:
        reader.reraise_database_error(error)
        return  # an unreadable event explains nothing
    for row in rows:
        backup = _number(row.metadata, "backup_size")
        size = _number(row.metadata, "abandoned_size")
        yield Restore(row.id - 1 if backup is None else backup, row.recorded_at, size, _newest_then(row.metadata))


def _newest_then(facts: Any) -> datetime:
    """Return the time of the newest checkpoint at a restore, which is stored if the clock was behind it."""
    with suppress(AttributeError, KeyError, TypeError, ValueError):
        return datetime.fromisoformat(facts["newest_checkpoint"]).astimezone(UTC)
    return EPOCH


def _number(facts: Any, name: str) -> int | None:
    number = facts.get(name) if isinstance(facts, dict) else None
    return number if isinstance(number, int) else None


def _explained(match: CheckpointMatch, restores: Sequence[Restore]) -> CheckpointMatch:
    if match.kind == MATCHES:
        return match
    restore = next((restore for restore in restores if restore.explains(match.checkpoint)), None)
    return CheckpointMatch(match.checkpoint, RESTORED, restore.at) if restore else match
