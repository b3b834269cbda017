"""Plan how to find the matches of a search: which terms to look up in the index, and when reading words is cheaper."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, cast

from sqlalchemy import ColumnElement, Integer, Text, and_, case, func, literal_column, not_, or_, select, text, true
from sqlalchemy.engine import Connection

from painchain.database.prepared import Prepared
from painchain.database.types import microseconds, moment
from painchain.indexes import rollup_state
from painchain.indexes.search_query import Group, Phrase
from painchain.indexes.tokens import EVERY_EVENT

# The most ids that are looked up at once. A search with more matches is answered by walking through time.
LOOKUP_LIMIT = 2_000
# The most events whose words are counted by reading. An interval with this many or fewer has known number bounds.
READ_LIMIT = 20_000
# The number of positions in the log at which events are sampled to estimate how many match.
SAMPLES = 20
# If at least one event in this many matches, reading the events one by one is fastest.
DENSE_RATIO = 10
# The most word prefixes that the index looks up. Other prefixes are checked by reading the words of the matches.
PREFIX_LIMIT = 3
MAX_NUMBER = 2**62

EVENT_ID = literal_column("change_events.id", Integer)
_WORDS = literal_column("' ' || change_events.words || ' '", Text)
_LAST = Prepared(text("SELECT last_event FROM log_head"))
_INTERVAL = Prepared(
    text(
        "SELECT min(id), max(id), count(*) FROM "
        "(SELECT id FROM change_events WHERE timestamp >= :start AND timestamp < :end LIMIT :most) AS those"
    )
)
_NTH = Prepared(
    text("SELECT timestamp FROM change_events WHERE timestamp < :end ORDER BY timestamp DESC LIMIT 1 OFFSET :most")
)


@dataclass(frozen=True)
class NumberRange:
    """The numbers between which the events of an interval lie, and their count; unbounded where there are too many."""

    low: int = 0
    high: int = MAX_NUMBER
    count: int = MAX_NUMBER


def number_range(connection: Connection, start: datetime | None, end: datetime | None) -> NumberRange:
    """Return the range of event numbers in an interval of time."""
    if start is None:
        return NumberRange()
    if limit_of_reading(connection, start, end):
        return NumberRange()
    until = microseconds(end) if end else MAX_NUMBER
    [(low, high, count)] = _INTERVAL.all(connection, start=microseconds(start), end=until, most=READ_LIMIT + 1)
    return NumberRange(low or 0, high or 0, count) if count <= READ_LIMIT else NumberRange()


def limit_of_reading(connection: Connection, start: datetime | None, end: datetime | None) -> datetime | None:
    """Return the time after which an interval has ``READ_LIMIT`` events; None if it has no more.

    It stays the same while the rollups do, so that what is counted from there on can be cached. Until then, there can
    be a few hundred more.
    """
    values = {"end": microseconds(end) if end else MAX_NUMBER, "most": READ_LIMIT}
    key = ("limit of reading", *values.values())
    for (time,) in rollup_state.cached(key, lambda: _NTH.unconverted(connection, **values), len):
        if start is None or time >= microseconds(start):
            return moment(time + 1)
    return None


def read_words(groups: Sequence[Group], position: str) -> ColumnElement[bool]:
    """Return the condition that reads the words of each event; it matches the same events as the index.

    `position` is the SQL function that finds a text in another.
    """
    conditions = []
    for group in groups:
        phrases = (f" {' '.join(phrase.words)}{'' if phrase.open else ' '}" for phrase in group.phrases)
        matches = or_(*(getattr(func, position)(_WORDS, phrase) > 0 for phrase in phrases))
        conditions.append(not_(matches) if group.negated else matches)
    return and_(true(), *conditions)


def sql_condition(sql: str, *parameters: Any) -> ColumnElement[bool]:
    """Return a condition written in SQL, with its bound parameters."""
    return cast("ColumnElement[bool]", text(sql).bindparams(*parameters))


def rare_groups(connection: Connection, groups: Sequence[Group], position: str) -> list[Group]:
    """Return the groups that fewer than one in ``DENSE_RATIO`` of the sampled events match."""
    [[last]] = _LAST.all(connection)
    starts = [int(last * (sample + 0.37) / SAMPLES) for sample in range(SAMPLES)]
    sampled = or_(*(EVENT_ID.between(start + 1, start + LOOKUP_LIMIT // SAMPLES) for start in starts))
    required = [group for group in groups if not group.negated]
    if not required:
        return []
    matching = [func.coalesce(func.sum(case((read_words([group], position), 1), else_=0)), 0) for group in required]
    total, *counts = connection.execute(
        select(func.count(), *matching).select_from(text("change_events")).where(sampled)
    ).one()
    return [group for group, count in zip(required, counts, strict=True) if count * DENSE_RATIO <= total]


def groups_for_index(groups: Sequence[Group]) -> list[Group]:
    """Return the groups to ask the index for.

    Each prefix is slow to look up, so only the longest ones stay. The index does not hold the positions of words: it
    finds the events that have all words of a phrase, which must not be excluded.
    """
    groups = [group for group in groups if not (group.negated and has_phrase(group))]

    def letters(group: Group) -> int:
        return min(len(" ".join(phrase.words)) for phrase in group.phrases)

    prefixes = [group for group in groups if any(phrase.open for phrase in group.phrases)]
    indexed = sorted(prefixes, key=lambda group: (group.negated, -letters(group)))[:PREFIX_LIMIT]
    return [group for group in groups if group not in prefixes or group in indexed]


def has_phrase(group: Group) -> bool:
    """Return whether a group has a phrase of several words, whose order is checked by reading."""
    return any(len(phrase.words) > 1 for phrase in group.phrases)


def whole_words(groups: Sequence[Group]) -> list[Group]:
    """Return the groups with whole words instead of prefixes: nearly as many matches, and quick to look up."""
    return [replace(group, phrases=tuple(replace(phrase, open=False) for phrase in group.phrases)) for group in groups]


def is_dense(numbers: Sequence[int]) -> bool:
    """Return whether matches, newest first, are so dense that reading the events one by one is fastest."""
    return len(numbers) > LOOKUP_LIMIT and numbers[0] - numbers[-1] < DENSE_RATIO * LOOKUP_LIMIT


def index_query(
    groups: Sequence[Group], phrase: Callable[[Phrase], str], and_sign: str, or_sign: str, not_sign: str
) -> str:
    """Return the query in the index's own language. Words are letters and digits, so nothing in them is an operator."""
    clauses = [(f"({or_sign.join(map(phrase, group.phrases))})", group.negated) for group in groups]
    required = [clause for clause, negated in clauses if not negated] or [phrase(Phrase((EVERY_EVENT,)))]
    return "".join([and_sign.join(required), *(not_sign + clause for clause, negated in clauses if negated)])
