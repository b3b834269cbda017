"""The database engine: the only module that knows which database is behind it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import BigInteger, Integer, MetaData, TypeDecorator, event, text
from sqlalchemy.engine import Connection, Dialect, Engine, make_url
from sqlalchemy.orm import DeclarativeBase

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
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


db = SQLAlchemy(model_class=Base, disable_autonaming=True)

# A row id that grows without end, on both databases.
RowId = BigInteger().with_variant(Integer, "sqlite")


class Moment(TypeDecorator[datetime]):
    """An aware UTC time, stored as whole microseconds since 1970: exact, compact and the same on every database."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        """Return the microseconds of `value`."""
        return None if value is None else microseconds(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:
        """Return the time of so many microseconds."""
        return None if value is None else moment(value)


def microseconds(value: datetime) -> int:
    """Return `value` as whole microseconds since 1970."""
    return (value - EPOCH) // timedelta(microseconds=1)


def moment(value: int) -> datetime:
    """Return the time that is `value` microseconds after 1970."""
    return EPOCH + timedelta(microseconds=value)


class WriteBusy(Exception):
    """Another write has held the database for too long; nothing was changed."""


def engine_options(url: str, threads: int) -> dict[str, Any]:
    """Return the engine options for the database at `url`, with a connection for each of `threads`."""
    options: dict[str, Any] = {
        "pool_size": threads,
        "max_overflow": 8,
        "hide_parameters": True,
        "json_serializer": lambda value: json.dumps(value, ensure_ascii=False, separators=(",", ":")),
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
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def migrating(engine: Engine) -> Iterator[Connection]:
    """Open the one transaction in which the schema is brought up to date: wholly, or not at all.

    Servers that start together take turns; the second finds nothing left to do.
    """
    with engine.connect().execution_options(writes=True) as connection, connection.begin():
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(7240917)"))
        yield connection


@contextmanager
def one_write_at_a_time() -> Iterator[None]:
    """Start the write transaction of the session; commit it at the end, or roll it back on any error.

    On SQLite this process queues its writers and takes the write lock at the start (BEGIN IMMEDIATE). On PostgreSQL
    the caller locks a row all writers share, which queues the writers of every process.

    :raises WriteBusy: when no turn came within ``BUSY_SECONDS``.
    """
    session = db.session
    session.rollback()  # end the reads, so that what is read from here on is what is written upon
    queued = session.get_bind().dialect.name == "sqlite"
    if queued and not _one_writer.acquire(timeout=BUSY_SECONDS):
        raise WriteBusy
    try:
        session.connection(execution_options={"writes": True})
        yield
        session.commit()
    except BaseException:
        session.rollback()
        raise
    finally:
        if queued:
            _one_writer.release()
