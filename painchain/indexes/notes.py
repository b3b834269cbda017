"""Find the notes on events: a table of which event is a note on which, derived from the log."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    Text,
    TypeDecorator,
    cast,
    delete,
    func,
    literal_column,
    select,
    type_coerce,
)
from sqlalchemy.engine import Connection, Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import FunctionElement

from painchain import connectors
from painchain.database.bulk import BulkInsert
from painchain.database.models import ChangeEvent, EventNote
from painchain.database.session import Base
from painchain.database.types import moment

SOURCE, EVENT_TYPE = connectors.BUILTIN.key, "NoteAdded"
MAX_NUMBER = 2**63 - 1

_notes = Base.metadata.tables[EventNote.__tablename__]
_INSERT = BulkInsert(_notes)
# The number of the newest note, as a column of any statement.
NEWEST = select(func.max(_notes.c.note)).scalar_subquery()


@dataclass(frozen=True)
class Note:
    """A note on an event: the number of the note's own event, who wrote it, when, and its text."""

    id: int
    author: str
    time: datetime
    text: str


def derived_from(events: Iterable[tuple[int, str, str, Any]]) -> list[tuple[int, int]]:
    """Return the rows of the table for events, given as number, source, event type and metadata."""
    return [
        (metadata["event"], number)
        for number, source, event_type, metadata in events
        if event_type == EVENT_TYPE
        and source == SOURCE
        and isinstance(metadata, dict)
        and type(metadata.get("event")) is int
        and 0 < metadata["event"] <= MAX_NUMBER
    ]


def add(connection: Connection, rows: Sequence[tuple[int, int]]) -> None:
    """Insert rows: the number of an event, and the number of a note on it."""
    _INSERT.run(connection, rows)


def forget(connection: Connection, numbers: Sequence[int]) -> None:
    """Remove the rows of notes that are deleted. Notes on deleted events keep theirs: they stay events."""
    connection.execute(delete(_notes).where(_notes.c.note.in_(numbers)))


def noted_since(after: int) -> Select[tuple[int]]:
    """Return the query of the numbers of events that have a note whose number is above `after`."""
    return select(_notes.c.event).where(_notes.c.note > after)


class _JsonLists(FunctionElement[str]):
    """A JSON list with one list for each row: the values of some columns. NULL or an empty list without rows."""

    type = Text()
    inherit_cache = True


@compiles(_JsonLists, "sqlite")
def _json_lists_on_sqlite(element: _JsonLists, compiler: Any, **options: Any) -> str:
    return f"json_group_array(json_array({compiler.process(element.clauses, **options)}))"


@compiles(_JsonLists, "postgresql")
def _json_lists_on_postgresql(element: _JsonLists, compiler: Any, **options: Any) -> str:
    return f"CAST(json_agg(json_build_array({compiler.process(element.clauses, **options)})) AS TEXT)"


class _Notes(TypeDecorator[Sequence[Note]]):
    """The notes of an event, oldest first."""

    impl = Text
    cache_ok = True

    def process_result_value(self, value: str | None, dialect: Dialect) -> Sequence[Note]:
        """Return the notes that the database lists. The chain covers their metadata, but not the table."""
        if not value or value == "[]":
            return ()
        rows = sorted((*row[:4], json.loads(row[4])) for row in json.loads(value))
        return tuple(
            Note(number, author, moment(time), str(metadata.get("text", "")))
            for event, number, author, time, metadata in rows
            if derived_from([(number, SOURCE, EVENT_TYPE, metadata)]) == [(event, number)]
        )


def column() -> ColumnElement[Sequence[Note]]:
    """Return a column of an event's notes, for a query of events: its value is a sequence of `Note`."""
    event, note = ChangeEvent.__table__.c, ChangeEvent.__table__.alias("noted").c
    values = (_notes.c.event, note.id, note.author, type_coerce(note.timestamp, Text), cast(note["metadata"], Text))
    lists = (
        select(_JsonLists(*values))
        .select_from(_notes.join(note.id.table, note.id == _notes.c.note))
        # SQLite compares bound values with the conditions of partial indexes, and so compiles the statement each time.
        .where(
            _notes.c.event == event.id,
            note.source == literal_column(f"'{SOURCE}'"),
            note.event_type == literal_column(f"'{EVENT_TYPE}'"),
        )
        .correlate(ChangeEvent.__table__)
        .scalar_subquery()
    )
    return type_coerce(lists, _Notes).label("notes")
