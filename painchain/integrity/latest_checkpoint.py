"""Make the newest checkpoint of the log: append it to the file, record it as an event, post it to an address."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import exists, select, update

from painchain.audit.trail import Trail
from painchain.core import runtime
from painchain.core.backoff import delay_after, delay_before
from painchain.core.config import Settings
from painchain.database import clock as db_clock
from painchain.database.models import LastCheckpoint
from painchain.database.session import Base, db, write_transaction
from painchain.integrity import checkpoint_comparison, checkpoint_delivery, checkpoints
from painchain.integrity.checkpoint_comparison import CheckpointMatch
from painchain.integrity.checkpoint_delivery import DeliveryFailed
from painchain.integrity.checkpoints import BadCheckpoint, Checkpoint

LEASE = timedelta(minutes=2)

_table = Base.metadata.tables[LastCheckpoint.__tablename__]
_row = _table.c
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LatestCheckpoint:
    """The newest checkpoint as JSON, the last problem with making one, and the state of its delivery."""

    made: Mapping[str, Any] | None
    problem: str | None
    problem_at: datetime | None
    waiting: bool
    due: datetime
    posted_at: datetime | None
    error: str | None
    failed_at: datetime | None


def last() -> LatestCheckpoint:
    """Return the state of the newest checkpoint."""
    row = db.session.execute(select(*_row)).one()
    return LatestCheckpoint(
        *(row.made, row.problem, row.problem_at, row.posting is not None),
        *(row.due, row.posted_at, row.error, row.failed_at),
    )


def file() -> Path:
    """Return the path of the checkpoint file."""
    return _settings().checkpoint_file


def mismatch(path: Path | None = None) -> CheckpointMatch | None:
    """Compare the log with the newest checkpoint of a file (by default the configured one); return a mismatch, or None.

    :raises BadCheckpoint: when the file cannot be read.
    """
    newest = checkpoints.newest(path or file())
    return checkpoint_comparison.worst(checkpoint_comparison.compare([newest])) if newest else None


def make(trail: Trail, clock: Callable[[], datetime], recorded: bool, into: Path | None = None) -> Checkpoint:
    """Make a checkpoint of the committed log, append it to the file, and schedule its delivery.

    Call it inside a write transaction. `recorded` adds an event; the daily checkpoint adds none, so that an idle log
    does not grow. `into` replaces the configured file.

    :raises BadCheckpoint: when no checkpoint can be made; see ``failed``.
    """
    path = into or file()
    newest_mismatch = mismatch(path)
    if newest_mismatch:
        raise BadCheckpoint(
            f"The newest checkpoint in {path} does not match the log. {newest_mismatch.message} "
            "No checkpoint was added. Examine the log first. To start a new file, move this one away."
        )
    new_checkpoint = checkpoints.make(clock)
    checkpoints.append(path, new_checkpoint)
    members = checkpoints.as_json(new_checkpoint)
    post = {"posting": members, "tries": 0, "due": trail.now} if _settings().checkpoint_url else {"posting": None}
    trail.event_log.connection.execute(
        update(_table).values(made=members, problem=None, problem_at=None, error=None, failed_at=None, **post)
    )
    if recorded:
        _record(new_checkpoint, trail)
    return new_checkpoint


def failed(problem: BadCheckpoint, now: datetime) -> None:
    """Log why no checkpoint was made, and store it for the pages."""
    log.error("No checkpoint was created. %s", problem)
    with write_transaction() as connection:
        connection.execute(update(_table).values(problem=str(problem), problem_at=now))


def is_waiting() -> bool:
    """Return whether the newest checkpoint is still to be posted."""
    has_posting = select(exists(select(_row.id).where(_row.posting.is_not(None))))
    is_waiting = bool(_settings().checkpoint_url) and db.session.scalar(has_posting)
    db.session.rollback()
    return bool(is_waiting)


def post_due(clock: Callable[[], datetime]) -> None:
    """Post the newest checkpoint if it is due. A failed delivery is retried until there is a newer checkpoint."""
    url, now = _settings().checkpoint_url, clock()
    query = select(_row.posting, _row.tries, _row.due).where(_row.posting.is_not(None))
    row = db.session.execute(query).one_or_none() if url else None
    db.session.rollback()
    if row is None or not db_clock.is_reached(row.due, now, max(delay_before(row.tries), LEASE)):
        return
    lease_end = now + LEASE
    with write_transaction() as connection:
        if not connection.execute(
            update(_table).where(_row.posting.is_not(None), _row.due == row.due).values(due=lease_end)
        ).rowcount:
            return
    error = _posted(url, row.posting)
    now = clock()
    success = {"posting": None, "posted_at": now, "error": None, "failed_at": None}
    retry = {"tries": row.tries + 1, "due": now + delay_after(row.tries), "error": error, "failed_at": now}
    with write_transaction() as connection:
        connection.execute(update(_table).where(_row.due == lease_end).values(retry if error else success))


def _posted(url: str, value: Mapping[str, Any]) -> str | None:
    """Post a checkpoint; return an error message, or None."""
    try:
        checkpoint_delivery.post(url, dict(value))
    except DeliveryFailed as problem:
        log.warning("The checkpoint was not posted. %s", problem)
        return str(problem)
    return None


def _record(made: Checkpoint, trail: Trail) -> None:
    facts = {"events": made.size, "head": made.head.hex()}
    title = format_value(made)
    trail.record("checkpoint_made", title, "made", f"Made a checkpoint of the log: {title}", facts)


def format_value(made: Checkpoint) -> str:
    """Return the length of the log as text."""
    return f"{made.size:,} event{'' if made.size == 1 else 's'}"


def _settings() -> Settings:
    settings: Settings = runtime.current().settings
    return settings
