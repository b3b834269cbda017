"""Find the spans of time that can hold a query's events, so that reading a page does not scan all events."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace

from sqlalchemy import func, literal, select, union_all

from painchain.database.models import EventCount
from painchain.database.session import db
from painchain.indexes.rollups import ALL, ALL_TIME, DAY, QUARTER
from painchain.timeline.aggregate_query import AggregateQuery
from painchain.timeline.rollup_sums import rollup_rows
from painchain.timeline.time_slots import MICRO

MAX_RARE = 2_000  # the most events of a value that are looked up by span; above it the feed's index is walked
FIRST_SLOTS = 64  # slots of each value that are read at first; each further read takes four times as many

Span = tuple[int, int]  # from, to before: in microseconds
EventSpan = tuple[int, int, int]  # from, to before, the most events that it can hold

_count = EventCount.__table__.c


def rarest_facet(query: AggregateQuery) -> AggregateQuery | None:
    """Return `query` limited to its rarest facet: None if that is frequent or the rollups do not know."""
    if not query.is_selective:
        return None
    totals = {
        facet: db.session.scalar(
            select(func.sum(_count.events)).where(*rollup_rows(facet, ALL_TIME, values, query.sources))
        )
        for facet, values in query.facets.items()
    }
    rarest = min(totals, key=lambda facet: totals[facet] or 0)
    return replace(query, facets={rarest: query.facets[rarest]}) if (totals[rarest] or 0) <= MAX_RARE else None


def earliest_time(query: AggregateQuery) -> int:
    """Return a time, in microseconds, before which the rollups hold no event of `query`."""
    earliest = 0
    for facet, values in query.facets.items() if query.by_facets else ():
        for grain in (DAY, QUARTER):
            first_slot = select(func.min(_count.slot)).where(*rollup_rows(facet, grain, values, query.sources))
            if grain == QUARTER:  # within that day
                first_slot = first_slot.where(_count.slot >= earliest // (QUARTER * MICRO))
                first_slot = first_slot.where(_count.slot < (earliest // MICRO + 2 * DAY) // QUARTER)
            earliest = max(earliest, (db.session.scalar(first_slot) or 0) * grain * MICRO)
    return earliest


def newest_first(query: AggregateQuery, newest: int | None) -> Iterator[EventSpan]:
    """Yield the quarters of an hour that can hold events of `query`, of those in the rollups, newest first.

    None of them begins after `newest`, a time in microseconds.
    """
    facets = query.facets or {ALL: ("",)}
    below = None if newest is None else newest // (QUARTER * MICRO) + 1
    lowest = (query.start or 0) // (QUARTER * MICRO)
    limit = FIRST_SLOTS
    while below is None or below > lowest:
        by_facet, below = _newest_slots(query, facets, lowest, below, limit)
        if not all(by_facet):
            return
        for slot in sorted(set.intersection(*(set(slots) for slots in by_facet)), reverse=True):
            yield slot * QUARTER * MICRO, (slot + 1) * QUARTER * MICRO, min(slots[slot] for slots in by_facet)
        limit *= 4


def _newest_slots(
    query: AggregateQuery, facets: dict[str, tuple[str, ...]], lowest: int, below: int | None, limit: int
) -> tuple[list[dict[int, int]], int]:
    """Return the number of events by slot for each facet, and the slot below which they are not complete."""
    arms = []
    for position, (facet, values) in enumerate(facets.items()):
        for value in values:
            arm = select(literal(position).label("part"), literal(value).label("value"), _count.slot, _count.events)
            arm = arm.where(*rollup_rows(facet, QUARTER, (value,), query.sources), _count.slot >= lowest)
            arm = arm if below is None else arm.where(_count.slot < below)
            arms.append(select(arm.order_by(_count.slot.desc()).limit(limit).subquery()))
    complete = lowest
    by_facet: list[dict[int, int]] = [defaultdict(int) for _ in facets]
    slots_read: dict[tuple[int, str], list[int]] = defaultdict(list)
    for position, value, slot, events in db.session.execute(union_all(*arms)) if arms else ():
        by_facet[position][slot] += events
        slots_read[position, value].append(slot)
    for read in slots_read.values():
        if len(read) == limit:  # there may be more, even of the last slot
            complete = max(complete, min(read) + 1)
    return [{slot: events for slot, events in slots.items() if slot >= complete} for slots in by_facet], complete


def merged(spans: Iterable[EventSpan]) -> list[Span]:
    """Return `spans`, which are given newest first, with adjacent ones merged."""
    result: list[Span] = []
    for low, high, _ in spans:
        if result and result[-1][0] == high:
            result[-1] = (low, result[-1][1])
        else:
            result.append((low, high))
    return result
