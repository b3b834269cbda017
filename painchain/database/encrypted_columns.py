"""The columns that hold encrypted texts: to test a key on all of them, and to encrypt them with a new key."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any

from sqlalchemy import Column, Select, Table, inspect, select, update
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


class UnreadableSecret(Exception):
    """A stored secret is not in the form in which PainChain stores it. The message says where, and what to do."""


def encrypted_texts(connection: Connection) -> Iterator[str]:
    """Return every encrypted text. An older database may lack some of the tables.

    :raises UnreadableSecret: when a value is neither an encrypted text nor a JSON object of them.
    """
    existing = inspect(connection).get_table_names()
    for table, column in _columns():
        if table.name in existing:
            for number, value in _values(connection, table, column):
                texts = [value] if column.name != "secrets" else value.values() if isinstance(value, dict) else [None]
                for text in texts:
                    if not isinstance(text, str):
                        raise _unreadable(connection, table, column, number)
                    yield text


def _values(connection: Connection, table: Table, column: Column[Any]) -> Iterable[tuple[int, Any]]:
    """Return the values of a column with the keys of their rows. A value that is no JSON is None."""
    [key] = table.primary_key
    try:
        return [tuple(row) for row in connection.execute(select(key, column))]
    except ValueError:
        return [
            (number, _value(connection, select(column).where(key == number)))
            for number in connection.scalars(select(key)).all()
        ]


def _value(connection: Connection, query: Select[Any]) -> Any:
    with suppress(ValueError):
        return connection.scalar(query)
    return None


def _unreadable(connection: Connection, table: Table, column: Column[Any], number: int) -> UnreadableSecret:
    [key] = table.primary_key
    row = f"WHERE {key.name} = {number}"
    name = connection.scalar(select(table.c.name).where(key == number)) if "name" in table.c else f"connector {number}"
    removal = "UPDATE connectors SET secrets = '{}'" if column.name == "secrets" else f"DELETE FROM {table.name}"  # noqa: S608
    return UnreadableSecret(
        f"The {column.name} of “{name}” in the table {table.name} cannot be read: someone edited the database. Restore "
        f"a backup. Or run this SQL statement, start again, and enter what is missing: {removal} {row}."
    )


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
