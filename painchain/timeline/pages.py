"""Find the events of a page by the index of the feed, in the spans of time that the rollups point to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    and_,
    bindparam,
    func,
    literal,
    literal_column,
    not_,
    or_,
    select,
    tuple_,
)

from painchain.database import json_text
from painchain.database.dialects import where_in_ranges
from painchain.database.models import ChangeEvent
from painchain.database.prepared import Prepared
from painchain.database.session import db
from painchain.timeline import aggregates, event_classes, event_spans
from painchain.timeline.aggregate_query import MAX_INTEGER, MIN_INTEGER, AggregateQuery, between, stamp

Position = tuple[int, int]  # the time of an event in microseconds, and its id

_event = ChangeEvent.__table__.c
_POSITIONS = select(stamp, _event.id)
_NEWEST_FIRST: tuple[ColumnElement[Any], ...] = tuple(literal_column(column).desc() for column in "12")


def _of_all(*conditions: ColumnElement[bool]) -> Select[Any]:
    start, time, number = (bindparam(name, type_=BigInteger) for name in ("start", "time", "number"))
    query = _POSITIONS.where(stamp >= start, tuple_(stamp, _event.id) < tuple_(time, number), *conditions)
    return query.order_by(*_NEWEST_FIRST).limit(bindparam("most"))


# Each value is a parameter of its own: a list of them could not be compiled once.
_IS_ACCESS = and_(
    or_(*(_event.source == source for source in event_classes.ACCESS.sources)),
    or_(*(_event.event_type == name for name in event_classes.ACCESS.values)),
)
_OF_ALL = {False: json_text.PreparedPairs(_of_all()), True: json_text.PreparedPairs(_of_all(not_(_IS_ACCESS)))}

_OLDEST = Prepared(select(func.min(stamp)).where(stamp >= bindparam("start"), stamp < bindparam("end")))


def newest(query: AggregateQuery, before: Position | None, limit: int) -> Sequence[Position]:
    """Return the positions of the newest events of `query`, older than `before`."""
    # No rollup counts several facets together. If none of them is rare, a walk along the index is faster.
    guide = event_spans.rarest_facet(query) if len(query.facets) > 1 else query
    if guide is None or not guide.is_selective:
        return _read(_ordered(_POSITIONS.where(*_conditions(query, before, stamp)), limit))
    last = aggregates.counted()
    positions = [position for position in _not_in_rollups(query, last) if _is_in(position, query, before)]
    ends = [end for end in (query.end, before[0] if before else None) if end is not None]
    enough = len(positions) + limit
    for spans in _batches(event_spans.newest_first(guide, min(ends, default=None)), limit):
        # "+ 0" makes the database go from span to span: no other index can be used.
        in_rollups = _POSITIONS.where(_event.id + 0 <= last, *_conditions(query, before, stamp + 0))
        positions += _read(_ordered(where_in_ranges(in_rollups, stamp, spans), limit))
        if len(positions) >= enough:
            break
    return sorted(positions, reverse=True)[:limit]


def newest_of_all(
    start: int | None, end: int | None, before: Position | None, limit: int, without_access: bool
) -> Sequence[Position]:
    """Return what `newest` does for a query of all events, or of all but those of the class Access."""
    all_times = (MAX_INTEGER, MAX_INTEGER)
    time, number = min(before or all_times, all_times if end is None else (end, 0))
    values = {"start": MIN_INTEGER if start is None else start, "time": time, "number": number, "most": limit}
    return _OF_ALL[without_access].all(db.session.connection(), **values)


def oldest(query: AggregateQuery) -> int | None:
    """Return the time of the oldest event of `query`, in microseconds."""
    if not query.conditions:
        end = MAX_INTEGER if query.end is None else query.end
        [[time]] = _OLDEST.all(db.session.connection(), start=query.start or 0, end=end)
        return None if time is None else int(time)
    earliest = event_spans.earliest_time(query)
    times: list[int] = []
    if earliest:  # events that the rollups do not hold can be older
        positions = _not_in_rollups(query, aggregates.counted())
        times = [position[0] for position in positions if _is_in(position, query, None)]
    since = max(earliest, query.start or 0)
    first = select(stamp).where(*query.conditions, *between(stamp, since, query.end)).order_by(stamp).limit(1)
    return min([*db.session.scalars(first), *times], default=None)


def _ordered(statement: Select[Any], limit: int) -> Select[Any]:
    return statement.order_by(*_NEWEST_FIRST).limit(limit)


def _not_in_rollups(query: AggregateQuery, last: int) -> list[Position]:
    """Return the few events that the rollups do not hold, of any time: by their ids, not by the feed's index."""
    return _read(_POSITIONS.where(_event.id > last, *query.conditions))


def _read(statement: Select[Any]) -> list[Position]:
    return json_text.pairs(db.session.connection(), statement)


def _conditions(query: AggregateQuery, before: Position | None, time: ColumnElement[int]) -> list[ColumnElement[bool]]:
    conditions = [*query.conditions, *between(time, query.start, query.end)]
    if before:
        older = tuple_(literal(before[0], BigInteger), literal(before[1], BigInteger))
        conditions.append(tuple_(time, _event.id) < older)
    return conditions


def _is_in(position: Position, query: AggregateQuery, before: Position | None) -> bool:
    if before and position >= before:
        return False
    return (query.start or 0) <= position[0] and (query.end is None or position[0] < query.end)


def _batches(spans: Iterator[event_spans.EventSpan], events: int) -> Iterator[list[event_spans.Span]]:
    """Yield `spans` in batches that can hold `events` events, then four times as many each; neighbours are merged."""
    batch: list[event_spans.EventSpan] = []
    for span in spans:
        batch.append(span)
        if sum(most for _, _, most in batch) >= events:
            yield event_spans.merged(batch)
            batch, events = [], 4 * events
    if batch:
        yield event_spans.merged(batch)
