"""Find stored JSON that PainChain does not write. Only someone who edits the database by hand can cause it.

The places that read JSON take for granted what PainChain has written. Whoever handles an unexpected error asks here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from typing import Any

from sqlalchemy import JSON, Column, Table, Text, cast, select, text
from sqlalchemy.engine import Connection
from sqlalchemy.exc import SQLAlchemyError

from painchain.core import runtime
from painchain.database.models import ChangeEvent, LogCheck
from painchain.database.session import Base, db

LISTS = {
    ("connectors", "tags"),
    ("teams", "tags"),
    ("teams", "former_names"),
    ("notify_rules", "kinds"),
    ("change_events", "tags"),
}
# Members without which an object cannot be read.
MEMBERS = {(LogCheck.__tablename__, "found"): {"events", "pruned", "last", "head", "broken"}}
EVENTS = Base.metadata.tables[ChangeEvent.__tablename__]
EVENTS_SECONDS = 60.0  # for which the result of a search through all events is used again
# The database itself searches the events, of which there may be millions.
_IS_OBJECT = {
    "sqlite": "CASE WHEN json_valid({0}) THEN json_type({0}) = 'object' ELSE 0 END",
    "postgresql": "json_typeof({0}) = 'object'",
}
_IS_LIST_OF_TEXTS = {
    "sqlite": "CASE WHEN json_valid({0}) THEN json_type({0}) = 'array' AND NOT EXISTS "
    "(SELECT 1 FROM json_each({0}) WHERE type <> 'text') ELSE 0 END",
    "postgresql": "CASE WHEN json_typeof({0}) = 'array' THEN NOT EXISTS "
    "(SELECT 1 FROM json_array_elements({0}) AS item WHERE json_typeof(item) <> 'string') ELSE false END",
}


@dataclass(frozen=True)
class EditedValue:
    """A value of one row that cannot be read."""

    table: str
    column: str
    key: str
    row: Any
    name: str = ""

    @property
    def place(self) -> str:
        """The name of the value: the column, and the name of its row."""
        return f"the {self.column} of “{self.name}”" if self.name else f"the {self.column}"

    def __str__(self) -> str:
        found = f"T{self.place[1:]} in the table {self.table} ({self.key} {self.row}) cannot be read"
        advice = "Restore a backup, or correct the value in the database"
        if self.table == EVENTS.name:
            advice = "Restore a backup. painchain verify names the first event that was edited"
        return f"{found}: someone edited the database by hand. {advice}."


def first() -> EditedValue | None:
    """Return one value that cannot be read, or None. It never fails: if it cannot look, it finds none."""
    with suppress(SQLAlchemyError, RuntimeError), db.engine.connect() as connection:
        return next(find(connection), None) or _event_found_lately(connection)
    return None


def find(connection: Connection) -> Iterator[EditedValue]:
    """Yield the values that cannot be read, in all tables except that of the events."""
    for table in Base.metadata.sorted_tables:
        columns = [] if table is EVENTS else json_columns(table)
        if not columns:
            continue
        [key] = table.primary_key
        name = [cast(table.c.name, Text)] if "name" in table.c else []
        for row, *values in connection.execute(select(key, *(cast(column, Text) for column in columns), *name)):
            for column, value in zip(columns, values, strict=False):
                if not _is_readable(column, value):
                    yield EditedValue(table.name, column.name, key.name, row, values[-1] if name else "")


def json_columns(table: Table) -> list[Column[Any]]:
    """Return the columns of a table that hold JSON."""
    return [column for column in table.c if isinstance(column.type, JSON)]


def _is_readable(column: Column[Any], stored: str | None) -> bool:
    if stored is None:
        return bool(column.nullable)
    try:
        value = json.loads(stored)
    except (ValueError, RecursionError):
        return False
    place = (column.table.name, column.name)
    if place in LISTS:
        return isinstance(value, list) and all(isinstance(item, str) for item in value)
    return isinstance(value, dict) and value.keys() >= MEMBERS.get(place, set())


def _event_found_lately(connection: Connection) -> EditedValue | None:
    shared, now = runtime.current(), monotonic()
    if shared.edited_event is None or now > shared.edited_event[0] + EVENTS_SECONDS:
        shared.edited_event = now, _find_event(connection)
    found: EditedValue | None = shared.edited_event[1]
    return found


def _find_event(connection: Connection) -> EditedValue | None:
    dialect = connection.dialect.name
    for column in json_columns(EVENTS):
        readable = _IS_LIST_OF_TEXTS if (EVENTS.name, column.name) in LISTS else _IS_OBJECT
        condition = readable[dialect].format(column.name)
        query = text(f"SELECT id FROM {EVENTS.name} WHERE NOT ({condition}) ORDER BY id LIMIT 1")  # noqa: S608
        number = connection.scalar(query)
        if number is not None:
            return EditedValue(EVENTS.name, column.name, "event", number)
    return None
