"""Rows of a backup: values as they are stored, so that nothing is parsed; bytes as base64."""

from __future__ import annotations

from base64 import b64encode
from binascii import a2b_base64
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

from sqlalchemy import JSON, BigInteger, ColumnElement, LargeBinary, Row, Table, Text, cast, func, select, type_coerce
from sqlalchemy.engine import Connection

from painchain.database.models import ChangeEvent
from painchain.database.types import UtcMicroseconds
from painchain.maintenance.backup_format import encode


def _as_stored(column: ColumnElement[Any]) -> ColumnElement[Any]:
    if isinstance(column.type, JSON):
        return cast(column, Text)
    return type_coerce(column, BigInteger) if isinstance(column.type, UtcMicroseconds) else column


def binary_indexes(table: Table) -> list[int]:
    """Return the indexes of the columns that contain bytes."""
    return [index for index, column in enumerate(table.columns) if isinstance(column.type, LargeBinary)]


def lines_of(connection: Connection, table: Table, size: int) -> Iterator[list[str]]:
    """Yield the rows of a table as JSON arrays, at most `size` of them at a time, in the order of their keys.

    The times in them are microseconds, their JSON is text, and their bytes are in base64. For events, the database
    writes all of the array but the hash, which takes half of the time.
    """
    columns = list(map(_as_stored, table.columns))
    to_line: Callable[[Any], str] = partial(_line, binary_indexes(table))
    if table.name == ChangeEvent.__tablename__:
        array = func.json_array if connection.dialect.name == "sqlite" else func.json_build_array
        columns = [cast(array(*columns[:-1]), Text), columns[-1]]
        to_line = _event_line
    query = select(*columns).order_by(*table.primary_key.columns)
    with connection.execute(query, execution_options={"yield_per": size}) as result:
        for batch in result.partitions():
            yield [to_line(row) for row in batch]


def _line(binary: Sequence[int], row: Row[Any]) -> str:
    values = list(row)
    for index in binary:
        values[index] = _in_base64(values[index])
    return encode(values)


def _event_line(row: tuple[str, bytes]) -> str:
    columns, mac = row
    return f"{columns[:-1]},{encode(_in_base64(mac))}]"


def _in_base64(value: bytes | None) -> str | None:
    return None if value is None else b64encode(value).decode()


def decode_rows(rows: Iterable[list[Any]], binary: Sequence[int]) -> None:
    """Decode the bytes of rows in place. ``b64decode`` is the same, but takes longer than the decoding itself."""
    for row in rows:
        for index in binary:
            row[index] = None if row[index] is None else a2b_base64(row[index])
