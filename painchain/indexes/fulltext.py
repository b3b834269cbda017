"""The index of words: FTS5 on SQLite, full-text search on PostgreSQL. Callers need not know which database it is.

Adding single events to FTS5 is slow. Like the rollups, the index holds the events up to number ``LogHead.counted``; a
search reads the words of the newer ones, so it always finds every event.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, false
from sqlalchemy.engine import Connection

from painchain.indexes import fulltext_postgresql, fulltext_sqlite, match_planner, rollup_state
from painchain.indexes.search_query import Group


def add(connection: Connection, after: int, last: int) -> None:
    """Index the words of the events after number `after`, up to `last`. PostgreSQL updates its index itself."""
    if _is_sqlite(connection):
        fulltext_sqlite.add(connection, after, last)


def forget(connection: Connection, numbers: Iterable[int]) -> None:
    """Remove indexed events from the index, in the same transaction and before their rows are deleted."""
    if _is_sqlite(connection):
        fulltext_sqlite.forget(connection, numbers)


def clear(connection: Connection) -> None:
    """Empty the index before all events are deleted."""
    if _is_sqlite(connection):
        fulltext_sqlite.clear(connection)


def has_vocabulary(connection: Connection) -> bool:
    """Return whether the index can list its words."""
    return _is_sqlite(connection)


def vocabulary(connection: Connection) -> Iterator[tuple[str, int]]:
    """Yield each word of the index and the number of events that contain it; nothing on PostgreSQL."""
    if _is_sqlite(connection):
        yield from fulltext_sqlite.vocabulary(connection)


def condition(
    connection: Connection,
    groups: Sequence[Group],
    start: datetime | None,
    end: datetime | None,
    page: bool = False,
    before: int | None = None,
) -> ColumnElement[bool]:
    """Return the condition that an event matches all `groups`.

    The other parameters only save work: the interval of time that counts, and whether only a `page` of the newest
    events is read, or of those `before` the event with a number.
    """
    if any(not group.phrases for group in groups):
        return false()
    interval = match_planner.number_range(connection, start, end)
    if _is_sqlite(connection):
        return fulltext_sqlite.condition(connection, groups, interval, page, before)
    return fulltext_postgresql.condition(connection, groups, interval)


@dataclass(frozen=True)
class Matches:
    """The condition to count by. `since` is where the count starts if there is too much to count everything.

    `lookup` is another condition of all matches, by which many events are found faster.
    """

    condition: ColumnElement[bool]
    since: datetime | None = None
    lookup: ColumnElement[bool] | None = None


def matches(connection: Connection, groups: Sequence[Group], start: datetime | None, end: datetime | None) -> Matches:
    """Return how to count the events that match all `groups`, in a time that does not grow with the log.

    Rare matches are looked up in the index. Otherwise the words of the newest ``READ_LIMIT`` events are read.
    """
    if any(not group.phrases for group in groups):
        return Matches(false())
    database = fulltext_sqlite if _is_sqlite(connection) else fulltext_postgresql
    limit = match_planner.READ_LIMIT
    read = match_planner.read_words(groups, database.POSITION)
    since = match_planner.limit_of_reading(connection, start, end)
    if since is None:
        return Matches(read)
    rare = rollup_state.cached(
        ("rare groups", *groups), lambda: match_planner.rare_groups(connection, groups, database.POSITION), len
    )
    numbers = database.matching_numbers(connection, rare, limit) if rare else []
    if not rare or len(numbers) > limit:
        return Matches(read, since)
    return Matches(read, lookup=database.in_numbers(numbers))


def _is_sqlite(connection: Connection) -> bool:
    return connection.dialect.name == "sqlite"
