"""The index of words on PostgreSQL: a full-text index that the database itself keeps."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Text, and_, bindparam, text
from sqlalchemy.engine import Connection

from painchain.indexes import match_planner
from painchain.indexes.match_planner import NumberRange, sql_condition
from painchain.indexes.search_query import Group, Phrase

POSITION = "strpos"

# The expression that is indexed. Terms are separated by spaces, so PostgreSQL need not parse them as text.
_TERMS = "array_to_tsvector(array_remove(string_to_array(words, ' '), ''))"
# The CTE is planned by itself, so that the index is used; the query is a literal, so that its words are planned for.
_MATCHING = text(
    "WITH found AS MATERIALIZED (SELECT id FROM change_events "  # noqa: S608  no values
    f"WHERE {_TERMS} @@ CAST(:search AS tsquery)) SELECT id FROM found LIMIT :most"
).bindparams(bindparam("search", type_=Text, literal_execute=True))
_IN_NUMBERS = "change_events.id = ANY(CAST(:near AS bigint[]))"


def condition(connection: Connection, groups: Sequence[Group], interval: NumberRange) -> ColumnElement[bool]:
    """Return the condition that an event matches all `groups`: the numbers where they are few, or reading words.

    To check a match of its index, PostgreSQL splits the text into words again. That takes longer than reading.
    """
    read = match_planner.read_words(groups, POSITION)
    required = [group for group in groups if not group.negated]
    if interval.count <= match_planner.READ_LIMIT or not required:
        return read
    numbers = matching_numbers(connection, required, match_planner.LOOKUP_LIMIT)
    if len(numbers) > match_planner.LOOKUP_LIMIT:
        return read
    return and_(in_numbers(numbers), read)


def matching_numbers(connection: Connection, groups: Sequence[Group], limit: int) -> Sequence[int]:
    """Return the numbers of events that the index matches, at most `limit` and one more."""
    return connection.execute(_MATCHING, {"search": _tsquery(groups), "most": limit + 1}).scalars().all()


def in_numbers(numbers: Sequence[int]) -> ColumnElement[bool]:
    """Return the condition that an event has one of these numbers."""
    return sql_condition(_IN_NUMBERS, bindparam("near", list(numbers), unique=True))


def _tsquery(groups: Sequence[Group]) -> str:
    def all_words(phrase: Phrase) -> str:
        # The index does not hold the positions of words, so their order is checked by reading.
        return f"({' & '.join(phrase.words)}{':*' if phrase.open else ''})"

    return match_planner.index_query(groups, all_words, " & ", " | ", " & !")
