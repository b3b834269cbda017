"""Rows of a backup: values as they are stored, so that nothing is parsed; bytes as base64."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import JSON, BigInteger, ColumnElement, LargeBinary, Row, Select, Table, Text, cast, select, type_coerce

from painchain.database.types import UtcMicroseconds


def rows_of(table: Table) -> Select[Any]:
    """Return the query for the rows of a table in the order of their keys: times in microseconds, JSON as text."""
    return select(*map(_as_stored, table.columns)).order_by(*table.primary_key.columns)


def _as_stored(column: ColumnElement[Any]) -> ColumnElement[Any]:
    if isinstance(column.type, JSON):
        return cast(column, Text)
    return type_coerce(column, BigInteger) if isinstance(column.type, UtcMicroseconds) else column


def binary_indexes(table: Table) -> list[int]:
    """Return the indexes of the columns that contain bytes."""
    return [index for index, column in enumerate(table.columns) if isinstance(column.type, LargeBinary)]


def encode_rows(batch: Iterable[Row[Any]], binary: Sequence[int]) -> Iterable[Sequence[Any]]:
    """Return rows with their bytes in base64."""
    if not binary:
        return [tuple(row) for row in batch]
    rows = [list(row) for row in batch]
    for row in rows:
        for index in binary:
            row[index] = None if row[index] is None else b64encode(row[index]).decode()
    return rows


def decode_rows(rows: Iterable[list[Any]], binary: Sequence[int]) -> None:
    """Decode the bytes of rows in place."""
    for row in rows:
        for index in binary:
            row[index] = None if row[index] is None else b64decode(row[index])
