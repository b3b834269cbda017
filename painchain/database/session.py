"""The engine, the session, and the transactions that read and write through them."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flask_sqlalchemy import SQLAlchemy
from flask_sqlalchemy.session import Session
from sqlalchemy import (
    MetaData,
    event,
    text,
)
from sqlalchemy.engine import Connection, Engine, make_url
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.util import ScopedRegistry

from painchain.database.prepared import drive

BUSY_SECONDS = 10

# One write at a time within this process: SQLite's own busy back-off is many times slower than a queue.
_one_writer = threading.Lock()


class Base(DeclarativeBase):
    """The declarative base, with names for constraints so that migrations can find them again."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class JoiningSession(Session):
    """A session that takes part in the write transaction of its app context, while there is one."""

    def get_bind(self, *about: Any, **more: Any) -> Engine | Connection:
        """Return the connection of that transaction, or else the engine."""
        return _writing() if _writing.has() else super().get_bind(*about, **more)


db = SQLAlchemy(model_class=Base, disable_autonaming=True, session_options={"class_": JoiningSession})


def _no_write() -> Connection:
    raise RuntimeError("no write transaction is open")


_writing = ScopedRegistry(_no_write, db.session.registry.scopefunc)


class WriteBusy(Exception):
    """Another write has held the database for too long; nothing was changed."""

    def __str__(self) -> str:
        return "it is busy with other changes"


class WrongKey(WriteBusy):
    """The log is written with another key since; nothing was changed."""

    def __str__(self) -> str:
        return "its key was replaced in the meantime, so start PainChain again with the new one"


def engine_options(url: str, threads: int) -> dict[str, Any]:
    """Return the engine options for the database at `url`, with a connection for each of `threads`."""
    options: dict[str, Any] = {
        "pool_size": threads,
        "max_overflow": 8,
        "pool_use_lifo": True,  # the connection that wrote last knows the pages that are written next
        "hide_parameters": True,
        "json_serializer": json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode,
    }
    if is_sqlite(url):
        # The "begin" listener starts transactions; the driver must not start its own.
        options["connect_args"] = {"isolation_level": None, "timeout": BUSY_SECONDS, "cached_statements": 256}
    else:
        options |= {
            "pool_pre_ping": True,
            "connect_args": {"connect_timeout": BUSY_SECONDS, "options": f"-c lock_timeout={BUSY_SECONDS}s"},
        }
    return options


def is_sqlite(url: str) -> bool:
    """Say whether `url` names a SQLite file."""
    return make_url(url).get_backend_name() == "sqlite"


def prepare(engine: Engine) -> None:
    """Make every connection of a SQLite engine durable, checked and explicit about its transactions."""
    if engine.dialect.name != "sqlite":
        return

    @event.listens_for(engine, "connect")
    def set_pragmas(connection: Any, record: Any) -> None:
        cursor = connection.cursor()
        _use_wal(cursor)
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        if connection.get_execution_options().get("autocommits", False):
            return
        writes = connection.get_execution_options().get("writes", False)
        drive(connection, "BEGIN IMMEDIATE" if writes else "BEGIN")


def _use_wal(cursor: Any, patience: int = 100) -> None:
    """Switch to WAL. SQLite does not wait by itself while another process that starts is just doing the same."""
    for left in reversed(range(patience)):
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if not left or error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                raise
            time.sleep(0.05)


@contextmanager
def migrating(engine: Engine) -> Iterator[Connection]:
    """Open the one transaction in which the schema is brought up to date: wholly, or not at all.

    Servers that start together take turns; the second finds nothing left to do.
    """
    with engine.connect().execution_options(writes=True) as connection, connection.begin():
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(7240917)"))
        yield connection


def snapshot(connection: Connection) -> Connection:
    """Let everything that is read through `connection` be of one state: on SQLite it is so without."""
    if connection.dialect.name == "postgresql":
        return connection.execution_options(isolation_level="REPEATABLE READ")
    return connection


@contextmanager
def reading() -> Iterator[Connection]:
    """Open a transaction that sees one state of the database throughout; within the write transaction, that one."""
    if _writing.has():
        yield _writing()
        return
    with snapshot(db.engine.connect()) as connection, connection.begin():
        yield connection


def single_statements() -> Connection:
    """Connect for statements each of which is a transaction of its own, so that none has to be begun for them."""
    if db.engine.dialect.name == "postgresql":
        return db.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
    return db.engine.connect().execution_options(autocommits=True)


@contextmanager
def single_write() -> Iterator[Connection]:
    """Wait for the turn to write, as ``one_write_at_a_time`` does, for one statement that is a transaction of its own.

    :raises WriteBusy: when no turn came within ``BUSY_SECONDS``.
    """
    with _turn_to_write(), single_statements() as connection:
        yield connection


@contextmanager
def _turn_to_write() -> Iterator[None]:
    """Queue the writers of this process on SQLite."""
    is_queued = db.engine.dialect.name == "sqlite"
    if is_queued and not _one_writer.acquire(timeout=BUSY_SECONDS):
        raise WriteBusy
    try:
        yield
    finally:
        if is_queued:
            _one_writer.release()


def one_state() -> None:
    """Let everything that is read through the session from here on be of one state."""
    db.session.rollback()
    if db.engine.dialect.name == "postgresql":
        db.session.connection(execution_options={"isolation_level": "REPEATABLE READ"})


@contextmanager
def one_write_at_a_time() -> Iterator[Connection]:
    """Open the write transaction, which the session joins; commit it at the end, or roll it back on any error.

    On SQLite this process queues its writers and takes the write lock at the start (BEGIN IMMEDIATE). On PostgreSQL
    the caller locks a row all writers share, which queues the writers of every process.

    :raises WriteBusy: when another write holds the database for longer than ``BUSY_SECONDS``.
    """
    if db.session.registry.has():
        db.session.rollback()  # end the reads, so that what is read from here on is what is written upon
    with (
        _turn_to_write(),
        db.engine.connect().execution_options(writes=True) as connection,
        connection.begin(),
        _joined(connection),
    ):
        yield connection


@contextmanager
def _joined(connection: Connection) -> Iterator[None]:
    """Let the session, if it is used at all, write through `connection`."""
    _writing.set(connection)
    try:
        yield
        if db.session.registry.has():
            db.session.commit()
    except BaseException:
        if db.session.registry.has():
            db.session.rollback()
        raise
    finally:
        _writing.clear()
