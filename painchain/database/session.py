"""The database engine: the only module that knows which database is behind it."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from flask_sqlalchemy import SQLAlchemy
from flask_sqlalchemy.session import Session
from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Integer,
    MetaData,
    Select,
    Table,
    TextClause,
    TypeDecorator,
    bindparam,
    column,
    event,
    func,
    literal,
    literal_column,
    select,
    text,
    true,
    type_coerce,
)
from sqlalchemy.engine import Connection, Dialect, Engine, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.util import ScopedRegistry

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


class JoiningSession(Session):
    """A session that takes part in the write transaction of its app context, while there is one."""

    def get_bind(self, *about: Any, **more: Any) -> Engine | Connection:
        """Return the connection of that transaction, or else the engine."""
        return _writing() if _writing.has() else super().get_bind(*about, **more)


db = SQLAlchemy(model_class=Base, disable_autonaming=True, session_options={"class_": JoiningSession})


def _no_write() -> Connection:
    raise RuntimeError("no write transaction is open")


_writing = ScopedRegistry(_no_write, db.session.registry.scopefunc)

# A row id that grows without end, on both databases.
RowId = BigInteger().with_variant(Integer, "sqlite")


class UtcMicroseconds(TypeDecorator[datetime]):
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


def iso(value: datetime) -> str:
    """Return `value` as JSON has it: ISO 8601 in UTC, to the microsecond."""
    return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


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
        writes = connection.get_execution_options().get("writes", False)
        _drive(connection, "BEGIN IMMEDIATE" if writes else "BEGIN")


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


def upsert_add(table: Table, column: str) -> TextClause:
    """Return the statement that adds to `column` in the row of a key, and makes the row where there is none."""
    return _upsert(table, column, f"{table.name}.{column} + excluded.{column}")


def upsert_set(table: Table, column: str) -> TextClause:
    """Return the statement that sets `column` in the row of a key, and makes the row where there is none."""
    return _upsert(table, column, f"excluded.{column}")


def _upsert(table: Table, column: str, value: str) -> TextClause:
    key = ", ".join(one.name for one in table.primary_key)
    names = ", ".join(one.name for one in table.columns)
    values = ", ".join(f":{one.name}" for one in table.columns)
    return text(
        f"INSERT INTO {table.name} ({names}) VALUES ({values}) "  # noqa: S608  names of our own tables
        f"ON CONFLICT ({key}) DO UPDATE SET {column} = {value}"
    )


def where_in_ranges(query: Select[Any], time: ColumnElement[int], spans: Sequence[tuple[int, int]]) -> Select[Any]:
    """Return `query` for those rows alone whose `time` lies in one of these spans, which are looked up one by one.

    No other condition of the query should lead to an index: write "column + 0".
    """
    if db.engine.dialect.name == "sqlite":
        each = func.json_each(json.dumps(spans)).table_valued("value", name="spans")
        low, high = (type_coerce(func.json_extract(each.c.value, f"$[{side}]"), BigInteger) for side in (0, 1))
        return query.join(each, (time >= low) & (time < high))
    ends = [literal([span[side] for span in spans], ARRAY(BigInteger)) for side in (0, 1)]
    each = (
        func.unnest(*ends).table_valued(column("low", BigInteger), column("high", BigInteger)).render_derived("spans")
    )
    # PostgreSQL would rather read every row; OFFSET 0 keeps it from rearranging this.
    one = query.where(time >= each.c.low, time < each.c.high).offset(literal_column("0")).lateral("one")
    return select(*one.c).select_from(each).join(one, true())


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


def single_reads() -> Connection:
    """Connect for prepared reads each of which is a transaction of its own, so that none has to be begun for them."""
    if db.engine.dialect.name == "postgresql":
        return db.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
    return db.engine.connect()


def current_sequence(connection: Connection, tables: Iterable[Table]) -> dict[str, int]:
    """Return up to which number each table has given out ids by itself, whatever became of their rows."""
    found = {}
    for one in tables:
        number = one.autoincrement_column
        if number is not None:
            highest = connection.execute(select(func.max(number))).scalar() or 0
            found[one.name] = max(highest, _sequence(connection, one.name))
    return found


def _sequence(connection: Connection, table: str) -> int:
    if connection.dialect.name == "sqlite":
        query = text("SELECT seq FROM sqlite_sequence WHERE name = :name")
        return int(connection.execute(query, {"name": table}).scalar() or 0)
    name = connection.execute(text("SELECT pg_get_serial_sequence(:name, 'id')"), {"name": table}).scalar_one()
    used = f"SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM {name}"  # noqa: S608  a name of our own
    return int(connection.execute(text(used)).scalar_one())


def advance_sequence(connection: Connection, tables: Iterable[Table], numbers: Mapping[str, int]) -> None:
    """Let each table give out ids from behind these numbers on, and from behind those that are in use."""
    in_use = current_sequence(connection, tables)
    for name, number in numbers.items():
        number = max(number, in_use[name])
        if connection.dialect.name == "postgresql":
            moved = text("SELECT setval(pg_get_serial_sequence(:name, 'id'), :number, :used)")
            connection.execute(moved, {"name": name, "number": max(number, 1), "used": number > 0})
        elif Base.metadata.tables[name].dialect_options["sqlite"]["autoincrement"]:
            connection.execute(text("DELETE FROM sqlite_sequence WHERE name = :name"), {"name": name})
            put = text("INSERT INTO sqlite_sequence (name, seq) VALUES (:name, :number)")
            connection.execute(put, {"name": name, "number": number})


def one_state() -> None:
    """Let everything that is read through the session from here on be of one state."""
    db.session.rollback()
    if db.engine.dialect.name == "postgresql":
        db.session.connection(execution_options={"isolation_level": "REPEATABLE READ"})


def is_undecodable(error: DBAPIError) -> bool:
    """Say whether a text was not handed out because it is none: SQLite stores whatever bytes it is given."""
    return isinstance(error.orig, sqlite3.OperationalError) and "Could not decode" in str(error.orig)


def indexes_that_lie(connection: Connection, table: Table) -> bool:
    """Say whether indexes have other rows than their table. PostgreSQL needs amcheck for that, which may be missing."""
    if connection.dialect.name != "sqlite":
        return False
    said = connection.execute(text(f"PRAGMA integrity_check({table.name})")).scalars().all()
    return said != ["ok"]


def code_of_its_own(connection: Connection, tables: Iterable[str]) -> Sequence[str]:
    """Return the names of views, triggers and policies that stand before tables of ours."""
    if connection.dialect.name == "sqlite":
        query = text(
            "SELECT type || ' ' || name FROM sqlite_schema WHERE type IN ('view', 'trigger') AND tbl_name IN :ours"
        )
    else:
        query = text(
            "SELECT 'trigger ' || tgname FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid "
            "WHERE NOT tgisinternal AND relname IN :ours AND pg_table_is_visible(pg_class.oid) "
            "UNION SELECT 'policy ' || polname FROM pg_policy JOIN pg_class ON pg_class.oid = polrelid "
            "WHERE relname IN :ours AND pg_table_is_visible(pg_class.oid) "
            "UNION SELECT 'view ' || relname FROM pg_class "
            "WHERE relname IN :ours AND relkind <> 'r' AND pg_table_is_visible(pg_class.oid)"
        )
    return connection.execute(query.bindparams(bindparam("ours", sorted(tables), expanding=True))).scalars().all()


def settle() -> None:
    """Let the database look at what was written in bulk, so that it plans as it does later on."""
    if db.engine.dialect.name == "postgresql":
        with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM (ANALYZE)"))


@contextmanager
def one_write_at_a_time() -> Iterator[Connection]:
    """Start the write transaction, in which the session takes part; commit it at the end, or roll it back on any error.

    On SQLite this process queues its writers and takes the write lock at the start (BEGIN IMMEDIATE). On PostgreSQL
    the caller locks a row all writers share, which queues the writers of every process.

    :raises WriteBusy: when no turn came within ``BUSY_SECONDS``.
    """
    if db.session.registry.has():
        db.session.rollback()  # end the reads, so that what is read from here on is what is written upon
    queued = db.engine.dialect.name == "sqlite"
    if queued and not _one_writer.acquire(timeout=BUSY_SECONDS):
        raise WriteBusy
    try:
        with db.engine.connect().execution_options(writes=True) as connection, connection.begin(), _joined(connection):
            yield connection
    finally:
        if queued:
            _one_writer.release()


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


class Prepared:
    """A statement of every write or every request: it is compiled once and goes straight to the driver.

    SQLAlchemy's own work for each execution takes several times as long as the database's (``make bench``). Its values
    are all named by ``bindparam``, or are the columns of an insert.
    """

    def __init__(self, statement: Any):
        self._statement = statement
        self._compiled: dict[str, _Compiled] = {}

    def run(self, connection: Connection, *rows: Mapping[str, Any]) -> None:
        """Run it once for each of `rows`: their values by name.

        :raises sqlalchemy.exc.DBAPIError: when the database refuses.
        """
        compiled = self._for(connection.dialect)
        _drive(connection, compiled.text, *(compiled.stored(row) for row in rows))

    def all(self, connection: Connection, **values: Any) -> list[list[Any]]:
        """Return the rows that it finds.

        :raises sqlalchemy.exc.DBAPIError: when the database refuses.
        """
        compiled = self._for(connection.dialect)
        return [compiled.loaded(row) for row in _drive(connection, compiled.text, compiled.stored(values))]

    def _for(self, dialect: Dialect) -> _Compiled:
        if dialect.name not in self._compiled:
            self._compiled[dialect.name] = _Compiled(self._statement, dialect)
        return self._compiled[dialect.name]


class _Compiled:
    """A statement as one kind of database takes it: its text, and its values on their way in and out."""

    def __init__(self, statement: Any, dialect: Dialect):
        compiled = statement.compile(dialect=dialect)
        self.text = compiled.string
        self._named = not compiled.positional
        self._names = compiled.positiontup or list(compiled.binds)
        self._storing = _converters(
            compiled.binds[name].type.dialect_impl(dialect).bind_processor(dialect) for name in self._names
        )
        columns = getattr(statement, "selected_columns", ())
        self._loading = _converters(
            column.type.dialect_impl(dialect).result_processor(dialect, None) for column in columns
        )

    def stored(self, row: Mapping[str, Any]) -> Any:
        """Return the values of a row as the driver takes them."""
        values = [row[name] for name in self._names]
        for place, convert in self._storing:
            values[place] = convert(values[place])
        return dict(zip(self._names, values, strict=True)) if self._named else values

    def loaded(self, row: Any) -> list[Any]:
        """Return a row that the driver found with its values as Python has them."""
        values = list(row)
        for place, convert in self._loading:
            values[place] = convert(values[place])
        return values


def _converters(converters: Iterable[Any]) -> list[tuple[int, Any]]:
    return [(place, convert) for place, convert in enumerate(converters) if convert]


def _drive(connection: Connection, statement: str, *rows: Any) -> Sequence[Any]:
    """Run a statement on the driver's own cursor, once for each of `rows`, and return what it finds.

    Its errors come as SQLAlchemy's.
    """
    errors = connection.dialect.loaded_dbapi.Error
    cursor = connection.connection.cursor()
    try:
        if len(rows) > 1:
            cursor.executemany(statement, rows)
        else:
            cursor.execute(statement, *rows)
        return cursor.fetchall() if cursor.description else []
    except errors as error:
        raise DBAPIError.instance(
            statement, None, error, errors, hide_parameters=True, dialect=connection.dialect
        ) from error
    finally:
        cursor.close()
