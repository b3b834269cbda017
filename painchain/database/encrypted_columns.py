"""The columns that hold encrypted texts: to test a key on all of them, and to encrypt them with a new key."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from sqlalchemy import Column, Table, inspect, select, update
from sqlalchemy.engine import Connection

from painchain.core.crypto import Box, open_sealed, seal
from painchain.database.models import Connector, NotifyRule, Webhook
from painchain.database.session import Base

# Each holds one encrypted text, or several by name. A test searches every other column for encrypted texts.
COLUMNS = (
    (Connector.__tablename__, "secrets"),
    (Webhook.__tablename__, "secret"),
    (NotifyRule.__tablename__, "url"),
)


def encrypted_texts(connection: Connection) -> Iterator[str]:
    """Return every encrypted text. An older database may lack some of the tables."""
    existing = inspect(connection).get_table_names()
    for table, column in _columns():
        if table.name in existing:
            for value in connection.scalars(select(column)):
                yield from value.values() if isinstance(value, dict) else [value]


def reseal(connection: Connection, old: Box, new: Box) -> int:
    """Encrypt every text with the new key and return how many there are.

    :raises painchain.core.crypto.KeyUnusable: when the old key does not decrypt one.
    """

    def reencrypt(text: str) -> str:
        return seal(new, open_sealed(old, text))

    count = 0
    for table, column in _columns():
        [key] = table.primary_key
        for number, value in connection.execute(select(key, column)).all():
            connection.execute(update(table).where(key == number).values({column: _map_texts(value, reencrypt)}))
            count += len(value) if isinstance(value, dict) else 1
    return count


def _map_texts(value: Any, change: Callable[[str], str]) -> Any:
    return {name: change(text) for name, text in value.items()} if isinstance(value, dict) else change(value)


def _columns() -> Iterator[tuple[Table, Column[Any]]]:
    for table, column in COLUMNS:
        yield Base.metadata.tables[table], Base.metadata.tables[table].c[column]
