"""The index of words: FTS5 on SQLite, full-text search on PostgreSQL; nothing else knows which it is.

FTS5 takes its time over single events. As the rollups, it holds the events up to number ``LogHead.counted``; the words
of the few behind it are read by whoever searches, so that a search always finds all that is written.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, cast

from sqlalchemy import (
    ColumnElement,
    Integer,
    Text,
    and_,
    bindparam,
    case,
    false,
    func,
    literal_column,
    not_,
    or_,
    select,
    text,
)
from sqlalchemy.engine import Connection

from painchain.database.prepared import Prepared
from painchain.database.types import microseconds, moment
from painchain.indexes.search_query import Group, Phrase
from painchain.indexes.tokens import EVERY

# As many ids are looked up at once; a search that finds more is answered by walking through time.
NEAR = 2_000
# In a stretch with as many events at most, the index is asked for their numbers only. As many are counted at most.
BOUNDED = 20_000
# In so many places of the log events are looked at to guess how many there are.
SAMPLES = 20
# Where at least one in so many events has it, going through them is the shortest way.
DENSE = 10
# The index is asked for so many beginnings of words at most; the words of what it finds are read for the others.
BEGINNINGS = 3
MOST = 2**62

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
_BETWEEN = Prepared(
    text(
        "SELECT min(id), max(id), count(*) FROM "
        "(SELECT id FROM change_events WHERE timestamp >= :start AND timestamp < :end LIMIT :most) AS those"
    )
)
_NTH = Prepared(
    text(
        "SELECT timestamp FROM change_events WHERE timestamp >= :start AND timestamp < :end "
        "ORDER BY timestamp DESC LIMIT 1 OFFSET :most"
    )
)
_LAST = Prepared(text("SELECT last_event FROM log_head"))
_NEWEST = Prepared(
    text(
        "SELECT rowid FROM event_words WHERE event_words MATCH :asked AND rowid BETWEEN :low AND :high "
        "ORDER BY rowid DESC LIMIT :most"
    )
)
_FEW = "change_events.id IN (SELECT value FROM json_each(:near))"
# The plus signs keep SQLite from starting at these numbers: what is found often is met soon on the way through time.
_NEAR = "+change_events.id IN (SELECT value FROM json_each(:near))"
_ALL = (
    "+change_events.id IN "
    "(SELECT rowid FROM event_words WHERE event_words MATCH :asked AND rowid BETWEEN :low AND :high)"
)
_BEHIND = cast("ColumnElement[bool]", text("change_events.id > (SELECT counted FROM log_head)"))
_id = literal_column("change_events.id", Integer)
_number = literal_column("+change_events.id", Integer)
_words = literal_column("' ' || change_events.words || ' '", Text)
# Planned by itself, so that the index is asked; the query stands in the statement, so that it is planned for its words.
_TSQUERY = text(
    "WITH found AS MATERIALIZED (SELECT id FROM change_events "
    "WHERE to_tsvector('simple', words) @@ CAST(:asked AS tsquery)) SELECT id FROM found LIMIT :most"
).bindparams(bindparam("asked", type_=Text, literal_execute=True))
_THESE = "change_events.id = ANY(CAST(:near AS bigint[]))"


def add(connection: Connection, after: int, last: int) -> None:
    """Index the words of the events behind number `after`, up to `last`. PostgreSQL does so itself."""
    if _is_sqlite(connection):
        _ADD.run(connection, {"after": after, "last": last})


def forget(connection: Connection, numbers: Iterable[int]) -> None:
    """Take events out of the index that are in it, in the same transaction before their rows go."""
    if _is_sqlite(connection):
        _FORGET.run(connection, {"numbers": json.dumps(list(numbers))})


def clear(connection: Connection) -> None:
    """Forget the words of all events, which are about to be deleted."""
    if _is_sqlite(connection):
        connection.execute(text("INSERT INTO event_words (event_words) VALUES ('delete-all')"))


def has_vocabulary(connection: Connection) -> bool:
    """Say whether the index is a table of PainChain's own, which can say what is in it."""
    return _is_sqlite(connection)


def vocabulary(connection: Connection) -> Iterator[tuple[str, int]]:
    """Yield each word of the index and in how many events it is. PostgreSQL's index cannot say so."""
    if _is_sqlite(connection):
        connection.execute(
            text("CREATE VIRTUAL TABLE IF NOT EXISTS temp.vocabulary USING fts5vocab(main, event_words, row)")
        )
        rows = connection.execute(text("SELECT term, doc FROM temp.vocabulary"))
        yield from ((row.term, row.doc) for row in rows)


def condition(
    connection: Connection,
    groups: Sequence[Group],
    start: datetime | None,
    end: datetime | None,
    page: bool = False,
    before: int | None = None,
) -> ColumnElement[bool]:
    """Return the condition that an event has what all `groups` ask for.

    The rest only saves work: the times that count, and whether no more is read than a `page` of the newest events, or
    of those that come `before` the event of a number.
    """
    if any(not group.phrases for group in groups):
        return false()
    stretch = _stretch(connection, start, end)
    if not _is_sqlite(connection):
        return _on_postgresql(connection, groups, stretch)
    if stretch.count <= NEAR:
        return _read(groups)
    indexed = _indexed(groups)
    exact = [] if len(indexed) == len(groups) else [_read(groups)]
    top = stretch.high if before is None else min(before, stretch.high)
    whole = _newest(connection, _closed(indexed), stretch.low, top)
    if _is_dense(whole) if page else len(whole) > NEAR and stretch.count <= BOUNDED:
        return _read(groups)
    near = _newest(connection, indexed, stretch.low, stretch.high)
    if len(near) <= NEAR:
        return and_(_condition(_FEW, bindparam("near", json.dumps(near), unique=True)), *exact)
    if page:
        below = near if top == stretch.high else _newest(connection, indexed, stretch.low, top)
        return and_(_near_or_read(below, groups, stretch.low, top), *exact)
    values = {"asked": _fts5(indexed), "low": stretch.low, "high": stretch.high}
    indexed_ones = _condition(_ALL, *(bindparam(name, value, unique=True) for name, value in values.items()))
    return and_(or_(indexed_ones, and_(_BEHIND, _read(groups))), *exact)


@dataclass(frozen=True)
class Matches:
    """The condition to count by, and from when on matches are counted where they are too many to count them all."""

    condition: ColumnElement[bool]
    since: datetime | None = None


def matches(connection: Connection, groups: Sequence[Group], start: datetime | None, end: datetime | None) -> Matches:
    """Say how what all `groups` ask for is counted in a time that does not depend on how much there is.

    What is rare is looked up where the index says that it is; or else the words of ``BOUNDED`` events at most are read,
    the newest ones.
    """
    if any(not group.phrases for group in groups):
        return Matches(false())
    read = _read(groups, "instr" if _is_sqlite(connection) else "strpos")
    low, high = microseconds(start) if start else 0, microseconds(end) if end else MOST
    beyond = _NTH.all(connection, start=low, end=high, most=BOUNDED)
    if not beyond:
        return Matches(read)
    rare = _rare(connection, groups)
    found = _found(connection, rare, BOUNDED) if rare else []
    if not rare or len(found) > BOUNDED:
        return Matches(read, moment(beyond[0][0] + 1))
    if _is_sqlite(connection):
        return Matches(and_(_condition(_FEW, bindparam("near", json.dumps(found), unique=True)), read))
    return Matches(and_(_condition(_THESE, bindparam("near", list(found), unique=True)), read))


def _rare(connection: Connection, groups: Sequence[Group]) -> list[Group]:
    """Return what to ask the index for: nothing that one in ``DENSE`` of the events has that are looked at for it."""
    position = "instr" if _is_sqlite(connection) else "strpos"
    [[last]] = _LAST.all(connection)
    starts = [int(last * (place + 0.37) / SAMPLES) for place in range(SAMPLES)]
    those = or_(*(_id.between(start + 1, start + NEAR // SAMPLES) for start in starts))
    asked = [group for group in groups if not group.negated]
    having = [func.coalesce(func.sum(case((_read([group], position), 1), else_=0)), 0) for group in asked]
    if not asked:
        return []
    number, *numbers = connection.execute(
        select(func.count(), *having).select_from(text("change_events")).where(those)
    ).one()
    return [group for group, events in zip(asked, numbers, strict=True) if events * DENSE <= number]


def _found(connection: Connection, groups: Sequence[Group], most: int) -> Sequence[int]:
    """Return the numbers that the index has for these groups, one more than `most` of them at most."""
    if _is_sqlite(connection):
        return _newest(connection, _indexed(groups), 0, MOST, most)
    return connection.execute(_TSQUERY, {"asked": _tsquery(groups), "most": most + 1}).scalars().all()


def _on_postgresql(connection: Connection, groups: Sequence[Group], stretch: _Stretch) -> ColumnElement[bool]:
    """Return the condition for PostgreSQL: the numbers where they are few; otherwise the words of events are read.

    Taking words apart anew, as PostgreSQL does to check what its index says, takes many times as long as reading.
    """
    read = _read(groups, "strpos")
    asked = [group for group in groups if not group.negated]
    if stretch.count <= BOUNDED or not asked:
        return read
    found = _found(connection, asked, NEAR)
    if len(found) > NEAR:
        return read
    return and_(_condition(_THESE, bindparam("near", list(found), unique=True)), read)


def _indexed(groups: Sequence[Group]) -> list[Group]:
    """Return the groups to ask the index for; it takes its time over each beginning of a word."""

    def letters(group: Group) -> int:
        return min(len(" ".join(one.words)) for one in group.phrases)

    begun = [group for group in groups if any(one.open for one in group.phrases)]
    ask = sorted(begun, key=lambda group: (group.negated, -letters(group)))[:BEGINNINGS]
    return [group for group in groups if group not in begun or group in ask]


def _near_or_read(near: list[int], groups: Sequence[Group], low: int, top: int) -> ColumnElement[bool]:
    """Return the condition that looks the numbers up where they are known, and reads the words of other events."""
    known = _number.between(near[-1] if len(near) > NEAR else low, top)
    return case((known, _condition(_NEAR, bindparam("near", json.dumps(near), unique=True))), else_=_read(groups))


def _newest(connection: Connection, groups: Sequence[Group], low: int, high: int, most: int | None = None) -> list[int]:
    most = NEAR if most is None else most
    behind = select(_id).select_from(text("change_events")).where(_BEHIND, _number.between(low, high), _read(groups))
    few = connection.scalars(behind.order_by(_id.desc())).all()
    found = _NEWEST.all(connection, asked=_fts5(groups), low=low, high=high, most=most + 1)
    return [*few, *(number for (number,) in found)][: most + 1]


def _is_dense(numbers: list[int]) -> bool:
    """Say whether so many of the events have it that going through them one by one is the shortest way."""
    return len(numbers) > NEAR and numbers[0] - numbers[-1] < DENSE * NEAR


def _closed(groups: Sequence[Group]) -> list[Group]:
    """Return the groups with whole words for beginnings, which are found at once: nearly as many, quickly counted."""
    return [replace(group, phrases=tuple(replace(one, open=False) for one in group.phrases)) for group in groups]


def _read(groups: Sequence[Group], position: str = "instr") -> ColumnElement[bool]:
    """Return the condition that reads the words of each event: the same in the end as asking the index."""
    conditions = []
    for group in groups:
        said = (f" {' '.join(one.words)}{'' if one.open else ' '}" for one in group.phrases)
        found = or_(*(getattr(func, position)(_words, words) > 0 for words in said))
        conditions.append(not_(found) if group.negated else found)
    return and_(*conditions)


@dataclass(frozen=True)
class _Stretch:
    """Between which numbers the events of some time lie, and how many there are, if that is quickly said."""

    low: int = 0
    high: int = MOST
    count: int = MOST


def _stretch(connection: Connection, start: datetime | None, end: datetime | None) -> _Stretch:
    if start is None:
        return _Stretch()
    until = microseconds(end) if end else MOST
    [(low, high, count)] = _BETWEEN.all(connection, start=microseconds(start), end=until, most=BOUNDED + 1)
    return _Stretch(low or 0, high or 0, count) if count <= BOUNDED else _Stretch()


def _condition(words: str, *values: Any) -> ColumnElement[bool]:
    return cast("ColumnElement[bool]", text(words).bindparams(*values))


def _fts5(groups: Sequence[Group]) -> str:
    def phrase(one: Phrase) -> str:
        return f'"{" ".join(one.words)}"{" *" if one.open else ""}'

    return _asked(groups, phrase, " AND ", " OR ", " NOT ")


def _tsquery(groups: Sequence[Group]) -> str:
    def phrase(one: Phrase) -> str:
        # That the words follow each other is read: the index of PostgreSQL does not know where they are.
        return f"({' & '.join(one.words)}{':*' if one.open else ''})"

    return _asked(groups, phrase, " & ", " | ", " & !")


def _asked(groups: Sequence[Group], phrase: Callable[[Phrase], str], both: str, either: str, but_not: str) -> str:
    """Return the question in the database's own language. Words are letters and digits: nothing in them acts."""
    said = [(f"({either.join(map(phrase, group.phrases))})", group.negated) for group in groups]
    wanted = [words for words, negated in said if not negated] or [phrase(Phrase((EVERY,)))]
    return "".join([both.join(wanted), *(but_not + words for words, negated in said if negated)])


def _is_sqlite(connection: Connection) -> bool:
    return connection.dialect.name == "sqlite"
