"""The index of words: FTS5 on SQLite, full-text search on PostgreSQL; nothing else knows which it is."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, cast

from sqlalchemy import ColumnElement, bindparam, false, text
from sqlalchemy.engine import Connection

from painchain.db import Prepared, microseconds
from painchain.search import Group, Phrase
from painchain.words import EVERY

# As many ids are looked up at once; a search that finds more is answered by walking through time.
NEAR = 2_000
# In a stretch with as many events at most, the index is asked for their numbers only.
BOUNDED = 50_000
MOST = 2**62

_SQLITE = (
    "CREATE VIRTUAL TABLE event_words USING fts5("
    "words, content='change_events', content_rowid='id', columnsize=0, tokenize='ascii')",
    "INSERT INTO event_words (event_words) VALUES ('rebuild')",
)
_POSTGRESQL = (
    "CREATE INDEX ix_change_events_words ON change_events USING gin (to_tsvector('simple', words)) "
    "WITH (fastupdate = off)",
)
_ADD = Prepared(text("INSERT INTO event_words (rowid, words) VALUES (:number, :words)"))
_FORGET = Prepared(
    text(
        "INSERT INTO event_words (event_words, rowid, words) SELECT 'delete', id, words FROM change_events "
        "WHERE id IN (SELECT value FROM json_each(:numbers))"
    )
)
_BETWEEN = Prepared(
    text(
        "SELECT min(id), max(id), count(*) FROM "
        "(SELECT id FROM change_events WHERE timestamp >= :start AND timestamp < :end LIMIT :most)"
    )
)
_NEWEST = Prepared(
    text(
        "SELECT rowid FROM event_words WHERE event_words MATCH :asked AND rowid BETWEEN :low AND :high "
        "ORDER BY rowid DESC LIMIT :most"
    )
)
# The plus signs keep SQLite from starting at the ids: what is found often is met soon on the way through time.
_FEW = "change_events.id IN (SELECT value FROM json_each(:near))"
_MANY = (
    "(+change_events.id IN (SELECT value FROM json_each(:near)) OR (+change_events.id < :last AND +change_events.id IN "
    "(SELECT rowid FROM event_words WHERE event_words MATCH :asked AND rowid BETWEEN :low AND :last - 1)))"
)
_TSQUERY = "to_tsvector('simple', change_events.words) @@ CAST(:asked AS tsquery)"


def create(connection: Connection) -> None:
    """Make the index over the words that events have."""
    for statement in _SQLITE if _is_sqlite(connection) else _POSTGRESQL:
        connection.execute(text(statement))


def drop(connection: Connection) -> None:
    """Remove the index."""
    connection.execute(
        text("DROP TABLE event_words" if _is_sqlite(connection) else "DROP INDEX ix_change_events_words")
    )


def rebuild(connection: Connection) -> None:
    """Index all words anew, after rows were written in bulk."""
    if _is_sqlite(connection):
        connection.execute(text(_SQLITE[-1]))


def add(connection: Connection, number: int, words: str) -> None:
    """Index the words of an event that has just been written. PostgreSQL does so itself."""
    if _is_sqlite(connection):
        _ADD.run(connection, {"number": number, "words": words})


def forget(connection: Connection, numbers: Iterable[int]) -> None:
    """Take events out of the index, which must happen in the same transaction before their rows go."""
    if _is_sqlite(connection):
        _FORGET.run(connection, {"numbers": json.dumps(list(numbers))})


def condition(
    connection: Connection, groups: Sequence[Group], start: datetime | None, end: datetime | None
) -> ColumnElement[bool]:
    """Return the condition that an event has what all `groups` ask for. The times only save work."""
    if any(not group.phrases for group in groups):
        return false()
    if not _is_sqlite(connection):
        # The query stands in the statement itself, so that PostgreSQL plans for these very words.
        return _condition(_TSQUERY, bindparam("asked", _tsquery(groups), literal_execute=True))
    return _on_sqlite(connection, _fts5(groups), start, end)


def _on_sqlite(connection: Connection, asked: str, start: datetime | None, end: datetime | None) -> ColumnElement[bool]:
    low, high = _bounds(connection, start, end)
    near = [number for (number,) in _NEWEST.all(connection, asked=asked, low=low, high=high, most=NEAR + 1)]
    ids: Any = bindparam("near", json.dumps(near), unique=True)
    if len(near) <= NEAR:
        return _condition(_FEW, ids)
    values = {"asked": asked, "low": low, "last": near[-1]}
    return _condition(_MANY, ids, *(bindparam(name, value, unique=True) for name, value in values.items()))


def _bounds(connection: Connection, start: datetime | None, end: datetime | None) -> tuple[int, int]:
    """Return between which numbers the events of a stretch of time lie, as far as that is quickly said."""
    if start is None:
        return 0, MOST
    until = microseconds(end) if end else MOST
    [(low, high, count)] = _BETWEEN.all(connection, start=microseconds(start), end=until, most=BOUNDED + 1)
    return (low or 0, high or 0) if count <= BOUNDED else (0, MOST)


def _condition(words: str, *values: Any) -> ColumnElement[bool]:
    return cast("ColumnElement[bool]", text(words).bindparams(*values))


def _fts5(groups: Sequence[Group]) -> str:
    def phrase(one: Phrase) -> str:
        return f'"{" ".join(one.words)}"{" *" if one.open else ""}'

    return _asked(groups, phrase, " AND ", " OR ", " NOT ")


def _tsquery(groups: Sequence[Group]) -> str:
    def phrase(one: Phrase) -> str:
        return f"({' <-> '.join(one.words)}{':*' if one.open else ''})"

    return _asked(groups, phrase, " & ", " | ", " & !")


def _asked(groups: Sequence[Group], phrase: Callable[[Phrase], str], both: str, either: str, but_not: str) -> str:
    """Return the question in the database's own language. Words are letters and digits: nothing in them acts."""
    said = [(f"({either.join(map(phrase, group.phrases))})", group.negated) for group in groups]
    wanted = [words for words, negated in said if not negated] or [phrase(Phrase((EVERY,)))]
    return "".join([both.join(wanted), *(but_not + words for words, negated in said if negated)])


def _is_sqlite(connection: Connection) -> bool:
    return connection.dialect.name == "sqlite"
