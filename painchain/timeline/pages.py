"""Find the events of a page by the index of the feed, looking only where the rollups say that there are some."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Select, literal, literal_column, select, tuple_

from painchain.database.dialects import where_in_ranges
from painchain.database.models import ChangeEvent
from painchain.database.session import db
from painchain.timeline import aggregates
from painchain.timeline.aggregates import AggregateQuery, between, stamp

Place = tuple[int, int]  # the time of an event in microseconds, and its number

_event = ChangeEvent.__table__.c
_PLACES = select(stamp, _event.id)


def newest(wanted: AggregateQuery, before: Place | None, limit: int) -> Sequence[Place]:
    """Return the places of the newest events that are wanted, older than `before`."""
    # Several facets have no rollup together: where none is rare, walking along the index is quicker.
    guide = aggregates.rarest(wanted) if len(wanted.facets) > 1 else wanted
    if guide is None or not guide.narrow:
        return _read(_ordered(_PLACES.where(*_all_conditions(wanted, before, stamp)), limit))
    last = aggregates.counted()
    found = [place for place in _behind(wanted, last) if _is_in(place, wanted, before)]
    ends = [end for end in (wanted.end, before[0] if before else None) if end is not None]
    enough = len(found) + limit
    for batch in _batches(aggregates.places(guide, min(ends, default=None)), limit):
        # "+ 0" leaves the database no other way than from one of the spans to the next.
        query = _PLACES.where(_event.id + 0 <= last, *_all_conditions(wanted, before, stamp + 0))
        there = where_in_ranges(query, stamp, batch)
        found += _read(_ordered(there, limit))
        if len(found) >= enough:
            break
    return sorted(found, reverse=True)[:limit]


def oldest(wanted: AggregateQuery) -> int | None:
    """Return the time of the oldest event that is wanted."""
    times = [place[0] for place in _behind(wanted, aggregates.counted()) if _is_in(place, wanted, None)]
    since = max(aggregates.not_before(wanted), wanted.start or 0)
    first = select(stamp).where(*wanted.conditions, *between(stamp, since, wanted.end)).order_by(stamp).limit(1)
    return min([*db.session.scalars(first), *times], default=None)


def _ordered(query: Select[Any], limit: int) -> Select[Any]:
    return query.order_by(*(literal_column(column).desc() for column in "12")).limit(limit)


def _behind(wanted: AggregateQuery, last: int) -> list[Place]:
    """Return the few events that the rollups do not hold, of any time: by their numbers, not by the feed's index."""
    return _read(_PLACES.where(_event.id > last, *wanted.conditions))


def _read(query: Select[Any]) -> list[Place]:
    return [(time, number) for time, number in db.session.execute(query)]


def _all_conditions(
    wanted: AggregateQuery, before: Place | None, time: ColumnElement[int]
) -> list[ColumnElement[bool]]:
    conditions = [*wanted.conditions, *between(time, wanted.start, wanted.end)]
    if before:
        older = tuple_(literal(before[0], BigInteger), literal(before[1], BigInteger))
        conditions.append(tuple_(time, _event.id) < older)
    return conditions


def _is_in(place: Place, wanted: AggregateQuery, before: Place | None) -> bool:
    if before and place >= before:
        return False
    return (wanted.start or 0) <= place[0] and (wanted.end is None or place[0] < wanted.end)


def _batches(places: Iterator[aggregates.Stretch], events: int) -> Iterator[list[tuple[int, int]]]:
    """Yield stretches of time in batches that can hold so many events; neighbours become one."""
    batch: list[aggregates.Stretch] = []
    for place in places:
        batch.append(place)
        if sum(most for _, _, most in batch) >= events:
            yield aggregates.joined(batch)
            batch, events = [], 4 * events
    if batch:
        yield aggregates.joined(batch)
