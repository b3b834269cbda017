"""Set up connections to SQLite."""

from __future__ import annotations

import sqlite3
import time
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine

from painchain.database.prepared import execute_raw

# Of a new database; an older one keeps the pages it has. With SQLite's 4 KiB, an event takes 5 % more bytes.
PAGE_BYTES = 8192
WAL_BYTES = 4 * 1024 * 1024  # after which SQLite moves the write-ahead log into the database
CACHED_KIB = 1_000  # of the database in the memory of each


def configure_sqlite(engine: Engine) -> None:
    """Set up the connections of a SQLite engine: WAL, durable commits, foreign keys, explicit transactions."""
    if engine.dialect.name != "sqlite":
        return

    @event.listens_for(engine, "connect")
    def set_pragmas(connection: Any, record: Any) -> None:
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        _use_wal(cursor)
        ((page_bytes,),) = cursor.execute("PRAGMA page_size").fetchall()
        cursor.execute(f"PRAGMA wal_autocheckpoint = {WAL_BYTES // page_bytes}")
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.execute(f"PRAGMA cache_size = -{CACHED_KIB}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        if connection.get_execution_options().get("autocommits", False):
            return
        writes = connection.get_execution_options().get("writes", False)
        execute_raw(connection, "BEGIN IMMEDIATE" if writes else "BEGIN")


def _use_wal(cursor: Any, tries: int = 100) -> None:
    """Switch to WAL; retry while another process does the same, because SQLite does not wait for that itself."""
    for tries_left in reversed(range(tries)):
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if not tries_left or error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                raise
            time.sleep(0.05)
