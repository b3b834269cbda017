"""What differs between SQLite and PostgreSQL: ranges, sequences, integrity checks."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Self

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    ColumnElement,
    Select,
    Table,
    Text,
    TypeDecorator,
    bindparam,
    column,
    func,
    literal,
    literal_column,
    select,
    text,
    true,
    type_coerce,
)
from sqlalchemy.engine import Connection, Dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeEngine

from painchain.database.session import Base, db
from painchain.database.types import stored_json

BULK_CACHED_KIB = 16_000


def where_in_ranges(query: Select[Any], time: ColumnElement[int], spans: Sequence[tuple[int, int]]) -> Select[Any]:
    """Return `query` limited to rows whose `time` lies in one of `spans`, with one index lookup per span.

    No other condition of the query should use an index: write "column + 0".
    """
    if db.engine.dialect.name == "sqlite":
        span = func.json_each(json.dumps(spans)).table_valued("value", name="spans")
        low, high = (type_coerce(func.json_extract(span.c.value, f"$[{side}]"), BigInteger) for side in (0, 1))
        return query.join(span, (time >= low) & (time < high))
    ends = [literal([pair[side] for pair in spans], ARRAY(BigInteger)) for side in (0, 1)]
    span = (
        func.unnest(*ends).table_valued(column("low", BigInteger), column("high", BigInteger)).render_derived("spans")
    )
    # OFFSET 0 keeps PostgreSQL from reordering this into a scan of every row.
    in_span = query.where(time >= span.c.low, time < span.c.high).offset(literal_column("0")).lateral("in_span")
    return select(*in_span.c).select_from(span).join(in_span, true())


class _TextList(TypeDecorator[Sequence[str]]):
    """Many texts in one parameter: a JSON list on SQLite, an array on PostgreSQL."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return the type of the parameter."""
        return dialect.type_descriptor(Text() if dialect.name == "sqlite" else ARRAY(Text))

    def process_bind_param(self, value: Sequence[str] | None, dialect: Dialect) -> Any:
        """Return the parameter."""
        return stored_json(value) if dialect.name == "sqlite" else value


class _IsOneOf(FunctionElement[bool]):
    """The condition that a column is one of the texts of a parameter."""

    type = Boolean()
    inherit_cache = True

    def self_group(self, against: Any = None) -> Self:
        """Return the condition as it is. SQLAlchemy would add "= 1" on SQLite, which then uses no index for it."""
        return self


@compiles(_IsOneOf, "sqlite")
def _is_one_of_on_sqlite(element: _IsOneOf, compiler: Any, **options: Any) -> str:
    name, texts = (compiler.process(clause, **options) for clause in element.clauses)
    return f"{name} IN (SELECT value FROM json_each({texts}))"  # noqa: S608  a column and a parameter


@compiles(_IsOneOf, "postgresql")
def _is_one_of_on_postgresql(element: _IsOneOf, compiler: Any, **options: Any) -> str:
    name, texts = (compiler.process(clause, **options) for clause in element.clauses)
    return f"{name} = ANY({texts})"


def is_one_of(name: ColumnElement[str], values: Sequence[str] | str) -> ColumnElement[bool]:
    """Return the condition that a text is one of many `values`, or of those of the parameter with this name.

    They are one parameter, however many they are.
    """
    texts = bindparam(values, type_=_TextList()) if isinstance(values, str) else literal(values, _TextList())
    return _IsOneOf(name, texts)


def contains(value: ColumnElement[str], part: str) -> ColumnElement[bool]:
    """Return the condition that a text contains another, in the same case."""
    position = func.instr if db.engine.dialect.name == "sqlite" else func.strpos
    return position(value, part) > 0


def current_sequence(connection: Connection, tables: Iterable[Table]) -> dict[str, int]:
    """Return the last id that each table's sequence issued, even if its row was deleted."""
    last_ids = {}
    for table in tables:
        id_column = table.autoincrement_column
        if id_column is not None:
            highest = connection.execute(select(func.max(id_column))).scalar() or 0
            last_ids[table.name] = max(highest, _sequence(connection, table.name))
    return last_ids


def _sequence(connection: Connection, table: str) -> int:
    if connection.dialect.name == "sqlite":
        query = text("SELECT seq FROM sqlite_sequence WHERE name = :name")
        return int(connection.execute(query, {"name": table}).scalar() or 0)
    name = connection.execute(text("SELECT pg_get_serial_sequence(:name, 'id')"), {"name": table}).scalar_one()
    used = f"SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM {name}"  # noqa: S608  a name of our own
    return int(connection.execute(text(used)).scalar_one())


def advance_sequence(connection: Connection, tables: Iterable[Table], numbers: Mapping[str, int]) -> None:
    """Make each table's next id greater than its number in `numbers` and than every id in use."""
    in_use = current_sequence(connection, tables)
    for name, number in numbers.items():
        number = max(number, in_use[name])
        if connection.dialect.name == "postgresql":
            set_sequence = text("SELECT setval(pg_get_serial_sequence(:name, 'id'), :number, :used)")
            connection.execute(set_sequence, {"name": name, "number": max(number, 1), "used": number > 0})
        elif Base.metadata.tables[name].dialect_options["sqlite"]["autoincrement"]:
            connection.execute(text("DELETE FROM sqlite_sequence WHERE name = :name"), {"name": name})
            insert = text("INSERT INTO sqlite_sequence (name, seq) VALUES (:name, :number)")
            connection.execute(insert, {"name": name, "number": number})


@contextmanager
def without_indexes(connection: Connection, table: Table) -> Iterator[None]:
    """Load a table without its indexes and make them again at the end, which is faster.

    On PostgreSQL they stay, because nobody could read the table while it has none.
    """
    indexes = sorted(table.indexes, key=str) if connection.dialect.name == "sqlite" else []
    for index in indexes:
        index.drop(connection)
    yield
    for index in indexes:
        index.create(connection)


def cache_more(connection: Connection) -> None:
    """Let SQLite keep more of the database in memory until the connection is closed, for a bulk write.

    With the usual cache, loading 100,000 events read pages 150,000 times, and wrote them 100,000 times.
    """
    if connection.dialect.name == "sqlite":
        connection.execute(text(f"PRAGMA cache_size = -{BULK_CACHED_KIB}"))


def is_undecodable(error: DBAPIError) -> bool:
    """Return whether a text column holds bytes that are not UTF-8, which SQLite stores unchecked."""
    return isinstance(error.orig, sqlite3.OperationalError) and "Could not decode" in str(error.orig)


def has_corrupt_indexes(connection: Connection, table: Table) -> bool:
    """Return whether the indexes of `table` differ from its rows. Not checked on PostgreSQL, which needs amcheck."""
    if connection.dialect.name != "sqlite":
        return False
    messages = connection.execute(text(f"PRAGMA integrity_check({table.name})")).scalars().all()
    return messages != ["ok"]


def foreign_database_code(connection: Connection, tables: Iterable[str]) -> Sequence[str]:
    """Return the names of views, triggers and policies on `tables` that PainChain did not create."""
    if connection.dialect.name == "sqlite":
        query = text(
            "SELECT type || ' ' || name FROM sqlite_schema WHERE type IN ('view', 'trigger') AND tbl_name IN :tables"
        )
    else:
        query = text(
            "SELECT 'trigger ' || tgname FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid "
            "WHERE NOT tgisinternal AND relname IN :tables AND pg_table_is_visible(pg_class.oid) "
            "UNION SELECT 'policy ' || polname FROM pg_policy JOIN pg_class ON pg_class.oid = polrelid "
            "WHERE relname IN :tables AND pg_table_is_visible(pg_class.oid) "
            "UNION SELECT 'view ' || relname FROM pg_class "
            "WHERE relname IN :tables AND relkind <> 'r' AND pg_table_is_visible(pg_class.oid)"
        )
    return connection.execute(query.bindparams(bindparam("tables", sorted(tables), expanding=True))).scalars().all()


def analyze() -> None:
    """Update the planner's statistics after a bulk write."""
    if db.engine.dialect.name == "postgresql":
        with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM (ANALYZE)"))
