"""Write many rows with one statement: values go to the driver as they are stored, JSON as text, times as integers."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

from sqlalchemy import Table
from sqlalchemy.engine import Connection

from painchain.database.prepared import driver_cursor, execute_raw

FEW_ROWS = 8  # up to which PostgreSQL takes an INSERT sooner than a COPY
UPSERTED_TOGETHER = 100  # rows of a statement on SQLite, which halves their time; six columns are 600 of 999 parameters

Rows = Sequence[Sequence[Any]]  # rows with the values of all columns of a table, in their order


class BulkInsert:
    """Inserts rows: COPY on PostgreSQL, which takes a fraction of the time of an INSERT for each row."""

    def __init__(self, table: Table):
        names = ", ".join(column.name for column in table.columns)
        self._insert = f"INSERT INTO {table.name} ({names}) VALUES ({{}})"  # noqa: S608  names of our own tables
        self._copy = f"COPY {table.name} ({names}) FROM STDIN"
        self._width = len(table.columns)

    def run(self, connection: Connection, rows: Rows) -> None:
        """Insert `rows`.

        :raises sqlalchemy.exc.DBAPIError: when the database refuses one of them.
        """
        if not rows:
            return
        if connection.dialect.name == "sqlite":
            execute_raw(connection, self._insert.format(_marks("?", self._width)), *rows)
        elif len(rows) <= FEW_ROWS:
            execute_raw(connection, self._insert.format(_marks("%s", self._width)), *rows)
        else:
            with driver_cursor(connection, self._copy) as cursor, cursor.copy(self._copy) as copy:
                for row in rows:
                    copy.write_row(row)


class BulkUpsert:
    """Inserts rows. Where the key of a row exists already, sets one column: to the new value, or to the sum of both.

    The keys of the rows must be distinct.
    """

    def __init__(self, table: Table, column: str, *, adds: bool):
        key = ", ".join(column.name for column in table.primary_key)
        names = ", ".join(column.name for column in table.columns)
        value = f"{table.name}.{column} + excluded.{column}" if adds else f"excluded.{column}"
        self._start = f"INSERT INTO {table.name} ({names}) "
        self._end = f" ON CONFLICT ({key}) DO UPDATE SET {column} = {value}"
        self._width = len(table.columns)
        self._types = [column.type for column in table.columns]

    def run(self, connection: Connection, rows: Rows) -> None:
        """Insert or change `rows`.

        :raises sqlalchemy.exc.DBAPIError: when the database refuses.
        """
        if not rows:
            return
        if connection.dialect.name == "sqlite":
            alone = len(rows) % UPSERTED_TOGETHER
            self._upsert(connection, rows[:alone], 1)
            self._upsert(connection, rows[alone:], UPSERTED_TOGETHER)
        else:
            columns = [_array(values) for values in zip(*rows, strict=True)]
            types = [column_type.compile(connection.dialect) for column_type in self._types]
            arrays = ", ".join(f"CAST(%s AS {column_type}[])" for column_type in types)
            select = f"SELECT * FROM unnest({arrays})"  # noqa: S608  types of our own tables
            execute_raw(connection, f"{self._start}{select}{self._end}", columns)

    def _upsert(self, connection: Connection, rows: Rows, together: int) -> None:
        """Insert or change `rows` on SQLite, `together` of them with each execution of the statement."""
        if rows:
            values = _marks(f"({_marks('?', self._width)})", together)
            groups = (chain.from_iterable(rows[start : start + together]) for start in range(0, len(rows), together))
            execute_raw(connection, f"{self._start}VALUES {values}{self._end}", *map(tuple, groups))


def _array(values: Sequence[Any]) -> Any:
    """Return the values of a column as a PostgreSQL array: numbers as text, because the driver converts them slowly."""
    if isinstance(values[0], int):
        return f"{{{','.join(map(str, values))}}}"
    return list(values)


def _marks(mark: str, count: int) -> str:
    return ", ".join([mark] * count)
