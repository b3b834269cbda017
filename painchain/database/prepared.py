"""Statements that are compiled once and run on the driver's own cursor."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy.engine import Connection, Dialect
from sqlalchemy.exc import DBAPIError


class Prepared:
    """A frequent statement that is compiled once and goes straight to the driver.

    SQLAlchemy's own work for each execution takes several times as long as the database's (``make bench``). The values
    that differ between executions must be named by ``bindparam`` or be the columns of an insert.
    """

    def __init__(self, statement: Any):
        self._statement = statement
        self._compiled: dict[str, _Compiled] = {}

    def run(self, connection: Connection, *rows: Mapping[str, Any]) -> None:
        """Run the statement once for each of `rows`, which hold values by name.

        :raises sqlalchemy.exc.DBAPIError: when the database refuses.
        """
        compiled = self._for(connection.dialect)
        execute_raw(connection, compiled.text, *(compiled.stored(row) for row in rows))

    def all(self, connection: Connection, **values: Any) -> list[list[Any]]:
        """Return the rows that match.

        :raises sqlalchemy.exc.DBAPIError: when the database refuses.
        """
        return self._for(connection.dialect).loaded(self.unconverted(connection, **values))

    def unconverted(self, connection: Connection, **values: Any) -> Sequence[Sequence[Any]]:
        """Return the rows that match as the driver returns them, without any conversion of their values.

        :raises sqlalchemy.exc.DBAPIError: when the database refuses.
        """
        compiled = self._for(connection.dialect)
        return execute_raw(connection, compiled.text, compiled.stored(values))

    def _for(self, dialect: Dialect) -> _Compiled:
        if dialect.name not in self._compiled:
            self._compiled[dialect.name] = _Compiled(self._statement, dialect)
        return self._compiled[dialect.name]


class _Compiled:
    """A statement for one kind of database: its text, and the conversion of its values and rows."""

    def __init__(self, statement: Any, dialect: Dialect):
        compiled = statement.compile(dialect=dialect)
        self.text = compiled.string
        self._named = not compiled.positional
        self._names = compiled.positiontup or list(compiled.binds)
        self._storing = _converters(
            compiled.binds[name].type.dialect_impl(dialect).bind_processor(dialect) for name in self._names
        )
        self._constants = {name: bind.value for name, bind in compiled.binds.items() if not bind.required}
        columns = getattr(statement, "selected_columns", ())
        self._loading = _converters(
            column.type.dialect_impl(dialect).result_processor(dialect, None) for column in columns
        )

    def stored(self, row: Mapping[str, Any]) -> Any:
        """Convert the values of a row to what the driver takes."""
        values = [row[name] if name in row else self._constants[name] for name in self._names]
        for position, convert in self._storing:
            values[position] = convert(values[position])
        return dict(zip(self._names, values, strict=True)) if self._named else values

    def loaded(self, rows: Sequence[Any]) -> list[list[Any]]:
        """Convert rows of the driver to Python values."""
        loaded = [list(row) for row in rows]
        for position, convert in self._loading:
            for values in loaded:
                values[position] = convert(values[position])
        return loaded


def _converters(converters: Iterable[Any]) -> list[tuple[int, Any]]:
    return [(position, convert) for position, convert in enumerate(converters) if convert]


def execute_raw(connection: Connection, statement: str, *rows: Any) -> Sequence[Any]:
    """Run a statement on the driver's own cursor, once for each of `rows`, and return the rows that match.

    :raises sqlalchemy.exc.DBAPIError: when the database refuses.
    """
    # Without `driver_cursor`, whose generator would take a third of the time of a short statement.
    cursor = connection.connection.cursor()
    try:
        if len(rows) > 1:
            cursor.executemany(statement, rows)
        else:
            cursor.execute(statement, *rows)
        return cursor.fetchall() if cursor.description else []
    except connection.dialect.loaded_dbapi.Error as error:
        raise _wrapped(error, statement, connection) from error
    finally:
        cursor.close()


@contextmanager
def driver_cursor(connection: Connection, statement: str) -> Iterator[Any]:
    """Open a cursor of the driver for `statement`, and raise the driver's errors as SQLAlchemy does.

    :raises sqlalchemy.exc.DBAPIError: when the database refuses.
    """
    cursor = connection.connection.cursor()
    try:
        yield cursor
    except connection.dialect.loaded_dbapi.Error as error:
        raise _wrapped(error, statement, connection) from error
    finally:
        cursor.close()


def _wrapped(error: Any, statement: str, connection: Connection) -> Any:
    dialect = connection.dialect
    errors = dialect.loaded_dbapi.Error
    if dialect.is_disconnect(error, connection.connection.driver_connection, None):
        connection.invalidate(error)  # otherwise the pool would find out by a rollback, and log its traceback
    return DBAPIError.instance(statement, None, error, errors, hide_parameters=True, dialect=dialect)
