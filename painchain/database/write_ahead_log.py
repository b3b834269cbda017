"""Keep the write-ahead log of a SQLite database small, also while readers overlap all the time."""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing
from pathlib import Path

from sqlalchemy import Engine

USUAL_BYTES = 5 * 1024 * 1024  # SQLite itself starts over after 4 MiB, if a write comes while nobody reads it
WAIT_SECONDS = 0.05  # for readers of the moment; writes wait as long

log = logging.getLogger(__name__)


def shorten(engine: Engine) -> None:
    """Empty the write-ahead log if it has grown beyond its usual size. If somebody still reads it, the next call may.

    Without this it grows under a long load, and keeps its largest size while PainChain is idle.
    """
    database = engine.url.database
    if engine.dialect.name != "sqlite" or not database or _size(Path(f"{database}-wal")) <= USUAL_BYTES:
        return
    try:
        with closing(sqlite3.connect(database, timeout=WAIT_SECONDS, isolation_level=None)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.Error as error:  # a full disk, for example; the next write says so to its person
        log.debug("The write-ahead log was not emptied: %s", error)


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0
