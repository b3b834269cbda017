"""The newest checkpoint of the log: made, kept in the file, put on the record, and posted to an address."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select, update

from painchain.audit.trail import Trail
from painchain.core import runtime
from painchain.core.backoff import delay_after, delay_before
from painchain.core.config import Settings
from painchain.database import clock as db_clock
from painchain.database.models import LastCheckpoint
from painchain.database.session import Base, db, write_transaction
from painchain.integrity import checkpoint_comparison, checkpoint_delivery, checkpoints
from painchain.integrity.checkpoint_comparison import CheckpointMatch
from painchain.integrity.checkpoint_delivery import NotPosted
from painchain.integrity.checkpoints import BadCheckpoint, Checkpoint

LEASE = timedelta(minutes=2)

_table = Base.metadata.tables[LastCheckpoint.__tablename__]
_row = _table.c
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LatestCheckpoint:
    """The newest checkpoint as it stands in the file, what was wrong with the last one, and how posting it goes."""

    made: Mapping[str, Any] | None
    problem: str | None
    problem_at: datetime | None
    waiting: bool
    due: datetime
    posted_at: datetime | None
    error: str | None
    failed_at: datetime | None


def last() -> LatestCheckpoint:
    """Return what is known of the newest checkpoint."""
    row = db.session.execute(select(*_row)).one()
    return LatestCheckpoint(
        *(row.made, row.problem, row.problem_at, row.posting is not None),
        *(row.due, row.posted_at, row.error, row.failed_at),
    )


def file() -> Path:
    """Return the file of checkpoints."""
    return _settings().checkpoint_file


def mismatch(where: Path | None = None) -> CheckpointMatch | None:
    """Say whether the newest checkpoint in the file, or another one, does not fit the log any more: it is read quickly.

    :raises BadCheckpoint: when the file cannot be read.
    """
    newest = checkpoints.newest(where or file())
    return checkpoint_comparison.worst(checkpoint_comparison.compare([newest])) if newest else None


def make(trail: Trail, clock: Callable[[], datetime], recorded: bool, into: Path | None = None) -> Checkpoint:
    """Make a checkpoint of what is committed, append it to the file, and let it be posted; `recorded` as an event.

    It goes inside a write transaction. The daily one is not recorded: it would make the log grow by itself. `into`
    is another file than the one that is set.

    :raises BadCheckpoint: when there is none; see ``failed``.
    """
    where = into or file()
    fit = mismatch(where)
    if fit:
        raise BadCheckpoint(
            f"The newest checkpoint in {where} does not fit the log. {fit.words} No other is put behind it: look at "
            "the log first, and move the file away to begin anew."
        )
    made = checkpoints.make(clock)
    checkpoints.append(where, made)
    told = checkpoints.as_json(made)
    post = {"posting": told, "tries": 0, "due": trail.now} if _settings().checkpoint_url else {"posting": None}
    trail.event_log.connection.execute(
        update(_table).values(made=told, problem=None, problem_at=None, error=None, failed_at=None, **post)
    )
    if recorded:
        _record(made, trail)
    return made


def failed(problem: BadCheckpoint, now: datetime) -> None:
    """Say, where everybody sees it, why no checkpoint could be made."""
    log.error("No checkpoint was made. %s", problem)
    with write_transaction() as connection:
        connection.execute(update(_table).values(problem=str(problem), problem_at=now))


def post_due(clock: Callable[[], datetime]) -> None:
    """Post the newest checkpoint if that is due. What fails is tried again later, until there is a newer one."""
    url, now = _settings().checkpoint_url, clock()
    query = select(_row.posting, _row.tries, _row.due).where(_row.posting.is_not(None))
    row = db.session.execute(query).one_or_none() if url else None
    db.session.rollback()
    if row is None or not db_clock.is_reached(row.due, now, max(delay_before(row.tries), LEASE)):
        return
    until = now + LEASE
    with write_transaction() as connection:
        if not connection.execute(
            update(_table).where(_row.posting.is_not(None), _row.due == row.due).values(due=until)
        ).rowcount:
            return
    error = _posted(url, row.posting)
    now = clock()
    done = {"posting": None, "posted_at": now, "error": None, "failed_at": None}
    again = {"tries": row.tries + 1, "due": now + delay_after(row.tries), "error": error, "failed_at": now}
    with write_transaction() as connection:
        connection.execute(update(_table).where(_row.due == until).values(again if error else done))


def _posted(url: str, value: Mapping[str, Any]) -> str | None:
    """Post a checkpoint and return what went wrong, in words."""
    try:
        checkpoint_delivery.post(url, dict(value))
    except NotPosted as problem:
        log.warning("The checkpoint was not posted. %s", problem)
        return str(problem)
    return None


def _record(made: Checkpoint, trail: Trail) -> None:
    facts = {"events": made.size, "head": made.head.hex()}
    title = format_value(made)
    trail.record("checkpoint_made", title, "made", f"Made a checkpoint of the log: {title}", facts)


def format_value(made: Checkpoint) -> str:
    """Return how long the log was, in words."""
    return f"{made.size:,} event{'' if made.size == 1 else 's'}"


def _settings() -> Settings:
    found: Settings = runtime.current().settings
    return found
