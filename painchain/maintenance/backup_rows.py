"""Rows of a backup: tables with their stored types, and bytes as base64."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import BigInteger, LargeBinary, Row, column, table

from painchain.database.types import UtcMicroseconds


def raw_table(model_table: Any) -> Any:
    """Return a table with its stored types: times are integers in microseconds."""
    columns = (
        (item.name, BigInteger() if isinstance(item.type, UtcMicroseconds) else item.type)
        for item in model_table.columns
    )
    return table(model_table.name, *(column(name, kind) for name, kind in columns))


def binary_indexes(model_table: Any) -> list[int]:
    """Return the indexes of the columns that contain bytes."""
    return [
        index for index, table_column in enumerate(model_table.columns) if isinstance(table_column.type, LargeBinary)
    ]


def encode_rows(batch: Iterable[Row[Any]], binary: Sequence[int]) -> Iterable[Sequence[Any]]:
    """Return rows with their bytes in base64."""
    if not binary:
        return [tuple(row) for row in batch]
    rows = [list(row) for row in batch]
    for row in rows:
        for index in binary:
            row[index] = None if row[index] is None else b64encode(row[index]).decode()
    return rows


def decode_row(row: list[Any], binary: Sequence[int]) -> list[Any]:
    """Return a row with its bytes decoded."""
    for index in binary:
        row[index] = None if row[index] is None else b64decode(row[index])
    return row
