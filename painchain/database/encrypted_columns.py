"""The sealed texts: which columns hold them, so that a key can be tried on all of them and a new one seal them anew."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from sqlalchemy import Column, Table, inspect, select, update
from sqlalchemy.engine import Connection

from painchain.core.crypto import Box, open_sealed, seal
from painchain.database.models import Connector, NotifyRule, Webhook
from painchain.database.session import Base

# Each holds one sealed text, or some by name. A test looks into every other column for sealed texts.
COLUMNS = (
    (Connector.__tablename__, "secrets"),
    (Webhook.__tablename__, "secret"),
    (NotifyRule.__tablename__, "url"),
)


def encrypted_texts(connection: Connection) -> Iterator[str]:
    """Return every sealed text. An older database may lack some of the tables."""
    there = inspect(connection).get_table_names()
    for table, column in _columns():
        if table.name in there:
            for value in connection.scalars(select(column)):
                yield from value.values() if isinstance(value, dict) else [value]


def reseal(connection: Connection, old: Box, new: Box) -> int:
    """Seal every text anew and return how many there are.

    :raises painchain.core.crypto.KeyUnusable: when the old key does not open one.
    """

    def anew(text: str) -> str:
        return seal(new, open_sealed(old, text))

    count = 0
    for table, column in _columns():
        [key] = table.primary_key
        for number, value in connection.execute(select(key, column)).all():
            connection.execute(update(table).where(key == number).values({column: _each(value, anew)}))
            count += len(value) if isinstance(value, dict) else 1
    return count


def _each(value: Any, do: Callable[[str], str]) -> Any:
    return {name: do(text) for name, text in value.items()} if isinstance(value, dict) else do(value)


def _columns() -> Iterator[tuple[Table, Column[Any]]]:
    for table, column in COLUMNS:
        yield Base.metadata.tables[table], Base.metadata.tables[table].c[column]
