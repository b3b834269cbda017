"""The index of words on SQLite: an FTS5 table that the writer fills.

It holds the events up to number ``LogHead.counted``; the words of the newer ones are read. It does not hold the
positions of words, which would double its size.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import cast

from sqlalchemy import ColumnElement, Integer, and_, bindparam, case, literal_column, or_, select, text
from sqlalchemy.engine import Connection

from painchain.database.prepared import Prepared
from painchain.indexes import match_planner, rollup_state
from painchain.indexes.match_planner import EVENT_ID, MAX_NUMBER, NumberRange, sql_condition
from painchain.indexes.search_query import Group, Phrase

POSITION = "instr"
NUMBER_BYTES = 40  # what the number of an event in a list takes

_ADD = Prepared(
    text(
        "INSERT INTO event_words (rowid, words) "
        "SELECT id, words FROM change_events WHERE id > :after AND id <= :last ORDER BY id"
    )
)
_FORGET = Prepared(
    text(
        "INSERT INTO event_words (event_words, rowid, words) SELECT 'delete', id, words FROM change_events "
        "WHERE id IN (SELECT value FROM json_each(:numbers))"
    )
)
_NEWEST = Prepared(
    text(
        "SELECT rowid FROM event_words WHERE event_words MATCH :search AND rowid BETWEEN :low AND :high "
        "ORDER BY rowid DESC LIMIT :most"
    )
)
_IN_NUMBERS = "change_events.id IN (SELECT value FROM json_each(:near))"
# The plus signs keep SQLite from starting at these numbers: frequent matches are met soon on the way through time.
_CHECK_NUMBERS = "+change_events.id IN (SELECT value FROM json_each(:near))"
_CHECK_INDEX = (
    "+change_events.id IN "
    "(SELECT rowid FROM event_words WHERE event_words MATCH :search AND rowid BETWEEN :low AND :high)"
)
_NOT_INDEXED = cast("ColumnElement[bool]", text("change_events.id > (SELECT counted FROM log_head)"))
_UNINDEXED_ID = literal_column("+change_events.id", Integer)


def add(connection: Connection, after: int, last: int) -> None:
    """Index the words of the events after number `after`, up to `last`."""
    _ADD.run(connection, {"after": after, "last": last})


def forget(connection: Connection, numbers: Iterable[int]) -> None:
    """Remove indexed events from the index. Call this before their rows are deleted."""
    _FORGET.run(connection, {"numbers": json.dumps(list(numbers))})


def clear(connection: Connection) -> None:
    """Empty the index."""
    connection.execute(text("INSERT INTO event_words (event_words) VALUES ('delete-all')"))


def vocabulary(connection: Connection) -> Iterator[tuple[str, int]]:
    """Yield each word of the index and the number of events that contain it."""
    connection.execute(
        text("CREATE VIRTUAL TABLE IF NOT EXISTS temp.vocabulary USING fts5vocab(main, event_words, row)")
    )
    rows = connection.execute(text("SELECT term, doc FROM temp.vocabulary"))
    yield from ((row.term, row.doc) for row in rows)


def condition(
    connection: Connection, groups: Sequence[Group], interval: NumberRange, page: bool, before: int | None
) -> ColumnElement[bool]:
    """Return the condition that an event of the interval matches all `groups`; see ``fulltext.condition``."""
    limit = match_planner.LOOKUP_LIMIT
    read = match_planner.read_words(groups, POSITION)
    if interval.count <= limit:
        return read
    indexed = match_planner.groups_for_index(groups)
    is_exact = len(indexed) == len(groups) and not any(map(match_planner.has_phrase, groups))
    exact = [] if is_exact else [read]
    top = interval.high if before is None else min(before, interval.high)
    sample = _newest(connection, match_planner.whole_words(indexed), interval.low, top, limit)
    if match_planner.is_dense(sample) if page else len(sample) > limit and interval.count <= match_planner.READ_LIMIT:
        return read
    newest = _newest(connection, indexed, interval.low, interval.high, limit)
    if len(newest) <= limit:
        return and_(in_numbers(newest), *exact)
    if page:
        below = newest if top == interval.high else _newest(connection, indexed, interval.low, top, limit)
        return and_(_look_up_or_read(below, read, interval.low, top), *exact)
    values = {"search": _fts5(indexed), "low": interval.low, "high": interval.high}
    in_index = sql_condition(_CHECK_INDEX, *(bindparam(name, value, unique=True) for name, value in values.items()))
    return and_(or_(in_index, and_(_NOT_INDEXED, read)), *exact)


def matching_numbers(connection: Connection, groups: Sequence[Group], limit: int) -> list[int]:
    """Return the numbers of the newest matches, at most `limit` and one more."""
    return _newest(connection, match_planner.groups_for_index(groups), 0, MAX_NUMBER, limit)


def in_numbers(numbers: Sequence[int]) -> ColumnElement[bool]:
    """Return the condition that an event has one of these numbers."""
    return sql_condition(_IN_NUMBERS, bindparam("near", json.dumps(list(numbers)), unique=True))


def _newest(connection: Connection, groups: Sequence[Group], low: int, high: int, limit: int) -> list[int]:
    read = match_planner.read_words(groups, POSITION)
    counted = rollup_state.state().counted
    newer = select(EVENT_ID).select_from(text("change_events"))
    newer = newer.where(counted < EVENT_ID, _UNINDEXED_ID.between(low, high), read).order_by(EVENT_ID.desc())
    values = {"search": _fts5(groups), "low": low, "high": min(high, counted), "most": limit + 1}

    def indexed() -> list[int]:
        return [number for (number,) in _NEWEST.unconverted(connection, **values)]

    in_index = rollup_state.cached(("matches", *values.values()), indexed, lambda found: NUMBER_BYTES * len(found))
    return [*connection.scalars(newer), *in_index][: limit + 1]


def _look_up_or_read(numbers: list[int], read: ColumnElement[bool], low: int, top: int) -> ColumnElement[bool]:
    """Return the condition that looks up the numbers where they are known, and reads the words of other events."""
    is_looked_up = _UNINDEXED_ID.between(numbers[-1] if len(numbers) > match_planner.LOOKUP_LIMIT else low, top)
    check = sql_condition(_CHECK_NUMBERS, bindparam("near", json.dumps(numbers), unique=True))
    return case((is_looked_up, check), else_=read)


def _fts5(groups: Sequence[Group]) -> str:
    def all_words(phrase: Phrase) -> str:
        quoted = " AND ".join(f'"{word}"' for word in phrase.words)
        return f"({quoted}{' *' if phrase.open else ''})"

    return match_planner.index_query(groups, all_words, " AND ", " OR ", " NOT ")
