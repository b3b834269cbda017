"""The engine, the session, and the transactions that read and write through them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from flask_sqlalchemy import SQLAlchemy
from flask_sqlalchemy.session import Session
from sqlalchemy import (
    MetaData,
    text,
)
from sqlalchemy.engine import Connection, Engine, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import DeclarativeBase, scoped_session
from sqlalchemy.util import ScopedRegistry

from painchain.database import deadlines
from painchain.database.commit import OutcomeUnknown, is_outcome_unknown
from painchain.database.kept_connections import KeepingPool, kept_connection
from painchain.database.prepared import execute_raw
from painchain.database.types import stored_json

BUSY_SECONDS = 10
POOL_SECONDS = 5  # for which a thread waits for a connection to PostgreSQL
IDLE_CONNECTIONS = 4  # connections to SQLite that stay open, besides those that are kept

# Queues the writers of this process: SQLite's own busy back-off is many times slower.
_writer_lock = threading.Lock()


class Base(DeclarativeBase):
    """The declarative base, which names constraints so that migrations can find them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class JoiningSession(Session):
    """A session that uses the transaction of its app context, if one is open."""

    def get_bind(self, *args: Any, **kwargs: Any) -> Engine | Connection:
        """Return the connection of that transaction, or the engine."""
        if _write_connection.has():
            return _write_connection()
        return _reader().connection if _reader.has() else super().get_bind(*args, **kwargs)


class LightSession(scoped_session[Session]):
    """The session of each app context, which prepared statements on SQLite do without.

    To make a session takes ten times as long as a short statement. They read in a transaction of its own, which the
    session joins if there is one later.
    """

    def connection(self, *args: Any, **kwargs: Any) -> Connection:
        """Return the connection in whose transaction this app context reads or writes."""
        scope = self.registry.scopefunc()  # pages call this a dozen times, and each `has` would look it up again
        is_in_write = scope in _write_connection.registry
        reader: _Reader | None = _reader.registry.get(scope)
        if reader and not (is_in_write or args or kwargs):
            return reader.connection
        if args or kwargs or self.registry.has():
            return super().connection(*args, **kwargs)
        if is_in_write:
            return _write_connection()
        engine = db.engine
        if engine.dialect.name != "sqlite":
            return super().connection()
        _reader.set(_Reader(engine))
        return _reader().connection

    def commit(self) -> None:
        """Commit the transaction."""
        super().commit()
        if _reader.has():  # which a session that joins a transaction leaves open
            _reader().connection.commit()
            _end_reading()

    def rollback(self) -> None:
        """End the transaction."""
        try:
            if self.registry.has():
                super().rollback()
        finally:
            _end_reading()

    def remove(self) -> None:
        """End the transaction, and remove the session."""
        try:
            super().remove()
        finally:
            _end_reading()


class Database(SQLAlchemy):
    """Flask-SQLAlchemy with a `LightSession`."""

    def _make_scoped_session(self, options: dict[str, Any]) -> LightSession:
        made = super()._make_scoped_session(options)
        return LightSession(made.session_factory, made.registry.scopefunc)


db = Database(model_class=Base, disable_autonaming=True, session_options={"class_": JoiningSession})


@contextmanager
def _reading(engine: Engine) -> Iterator[Connection]:
    with kept_connection(engine, "reads") as connection:
        connection.begin()
        yield connection


class _Reader:
    """A transaction that reads until it is ended."""

    def __init__(self, engine: Engine) -> None:
        self._transaction = _reading(engine)
        self.connection = self._transaction.__enter__()

    def end(self) -> None:
        """Roll the transaction back."""
        self._transaction.__exit__(None, None, None)


def _end_reading() -> None:
    if _reader.has():
        reader = _reader()
        _reader.clear()
        reader.end()


def _none_open() -> Any:
    raise RuntimeError("no transaction is open")


_write_connection: ScopedRegistry[Connection] = ScopedRegistry(_none_open, db.session.registry.scopefunc)
_reader: ScopedRegistry[_Reader] = ScopedRegistry(_none_open, db.session.registry.scopefunc)


class WriteBusy(Exception):
    """Another write held the database for too long. Nothing was changed."""

    def __str__(self) -> str:
        return "the database is busy with other changes"


class WrongKey(WriteBusy):
    """The key of the log was replaced after this process read it. Nothing was changed."""

    def __str__(self) -> str:
        return "the encryption key was replaced: restart PainChain with the new key"


def engine_options(url: str, threads: int) -> dict[str, Any]:
    """Return the engine options for the database at `url`, with a connection for each of `threads`."""
    options: dict[str, Any] = {
        "pool_size": threads,
        "max_overflow": 8,
        "pool_use_lifo": True,  # the connection that wrote last has the pages of the next write in its cache
        "hide_parameters": True,
        "json_serializer": stored_json,
    }
    if is_sqlite(url):
        # The "begin" listener starts transactions; the driver must not start its own.
        options["connect_args"] = {"isolation_level": None, "timeout": BUSY_SECONDS, "cached_statements": 128}
        # Opening one takes less than a millisecond, and each keeps up to 2 MB.
        options["pool_size"] = min(threads, IDLE_CONNECTIONS)
        options["max_overflow"] += threads - options["pool_size"]
        options["poolclass"] = KeepingPool
    else:
        from painchain.database import postgresql  # the driver takes memory

        options |= {"module": postgresql.driver(), "pool_pre_ping": True, "pool_timeout": POOL_SECONDS}
    return options


def is_sqlite(url: str) -> bool:
    """Return whether `url` names a SQLite file."""
    return make_url(url).get_backend_name() == "sqlite"


@contextmanager
def migration_transaction(engine: Engine) -> Iterator[Connection]:
    """Open the transaction that migrates the schema, completely or not at all.

    Servers that start at the same time migrate one after the other; the second has nothing to do.
    """
    with engine.connect().execution_options(writes=True) as connection, connection.begin():
        if engine.dialect.name == "postgresql":
            _limit_locks(connection)
            connection.execute(text("SELECT pg_advisory_xact_lock(7240917)"))
        yield connection


def snapshot(connection: Connection) -> Connection:
    """Make every read through `connection` see the same snapshot. SQLite always does."""
    if connection.dialect.name == "postgresql":
        return connection.execution_options(isolation_level="REPEATABLE READ")
    return connection


@contextmanager
def read_transaction() -> Iterator[Connection]:
    """Open a transaction whose reads all see one snapshot. Inside a write transaction, use that one."""
    if _write_connection.has():
        yield _write_connection()
        return
    with snapshot(db.engine.connect()) as connection, connection.begin():
        yield connection


def autocommit_connection(engine: Engine | None = None) -> AbstractContextManager[Connection]:
    """Lend a connection on which each statement is its own transaction. With `engine`, it needs no app context."""
    engine = engine or db.engine
    if engine.dialect.name == "postgresql":
        return engine.connect().execution_options(isolation_level="AUTOCOMMIT")
    return kept_connection(engine, "autocommits")


@contextmanager
def autocommit_write() -> Iterator[Connection]:
    """Return a connection for one write that is its own transaction; it waits like ``write_transaction``.

    :raises WriteBusy: when another write holds the database for longer than ``BUSY_SECONDS``.
    """
    engine = db.engine
    with _write_lock(engine), autocommit_connection(engine) as connection:
        yield connection


@contextmanager
def _write_lock(engine: Engine) -> Iterator[None]:
    """Hold the lock that queues the writers of this process on SQLite."""
    needs_lock = engine.dialect.name == "sqlite"
    if needs_lock and not _writer_lock.acquire(timeout=BUSY_SECONDS):
        raise WriteBusy
    try:
        yield
    finally:
        if needs_lock:
            _writer_lock.release()


def is_writing() -> bool:
    """Return whether a write transaction is open, whose changes may be rolled back."""
    return _write_connection.has()


def begin_snapshot() -> None:
    """Start a new transaction of the session, whose reads all see one snapshot."""
    db.session.rollback()
    if db.engine.dialect.name == "postgresql":
        db.session.connection(execution_options={"isolation_level": "REPEATABLE READ"})


@contextmanager
def write_transaction() -> Iterator[Connection]:
    """Open the write transaction, which the session joins. Commit it at the end, or roll it back on any error.

    On SQLite this process queues its writers and takes the write lock at the start (BEGIN IMMEDIATE). On PostgreSQL
    the caller locks a row that all writers share, which queues the writers of every process.

    :raises WriteBusy: when another write holds the database for longer than ``BUSY_SECONDS``.
    :raises painchain.database.commit.OutcomeUnknown: when the answer to the COMMIT was lost.
    """
    db.session.rollback()  # end the read transaction: what is read from now on must be current
    engine = db.engine
    with (
        _write_lock(engine),
        _writing_connection(engine) as connection,
        _committed(connection),
        session_joined(connection),
    ):
        yield connection


def _writing_connection(engine: Engine) -> AbstractContextManager[Connection]:
    if engine.dialect.name == "postgresql":
        return engine.connect().execution_options(writes=True)
    return kept_connection(engine, "writes")


def _limit_locks(connection: Connection) -> None:
    """Limit how long a transaction waits for locks, if a pooler ignores the settings of the session."""
    if getattr(connection.connection.driver_connection, "is_pooled", False):
        execute_raw(connection, f"SET LOCAL lock_timeout = '{deadlines.LOCK_SECONDS}s'")


@contextmanager
def _committed(connection: Connection) -> Iterator[None]:
    """Begin a transaction, and commit it at the end."""
    is_committing = False
    try:
        with connection.begin():
            _limit_locks(connection)
            yield
            is_committing = True
            deadlines.begin_commit()
    except DBAPIError as error:
        if is_committing and is_outcome_unknown(error):
            raise OutcomeUnknown from error
        raise
    finally:
        if is_committing:
            deadlines.end_commit()


@contextmanager
def session_joined(connection: Connection) -> Iterator[None]:
    """Make the session, if one exists, write through `connection`."""
    _write_connection.set(connection)
    try:
        yield
        if db.session.registry.has():
            db.session.commit()
    except BaseException:
        if db.session.registry.has():
            db.session.rollback()
        raise
    finally:
        _write_connection.clear()
