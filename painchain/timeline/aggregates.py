"""Count events by time and by facet: from the rollups, and from the events that the rollups do not hold yet."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    Text,
    and_,
    cast,
    func,
    not_,
    or_,
    select,
    union_all,
)

from painchain.core import runtime
from painchain.database.dialects import contains
from painchain.database.models import ChangeEvent, EventCount
from painchain.database.session import db, is_writing
from painchain.database.types import stored_json
from painchain.indexes import rollup_state, rollups
from painchain.indexes.bitmaps import SOURCE
from painchain.indexes.rollup_state import RollupState
from painchain.indexes.rollups import ALL_TIME, GRAINS
from painchain.timeline import grouped_events, rollup_sums
from painchain.timeline.aggregate_query import VALUES, AggregateQuery, Kind, between, bin_of, stamp
from painchain.timeline.rollup_sums import FAR, Sums
from painchain.timeline.time_bins import TimeBins
from painchain.timeline.time_slots import MICRO, Range, Spans, cover

MAX_LISTED = 500  # the most services, and environments, that the filter offers: a pull request can be an environment

_event = ChangeEvent.__table__.c
_count = EventCount.__table__.c
_tags: ColumnElement[str] = cast(_event.tags, Text)


def _most_frequent(facet: str) -> Select[Any]:
    counts = select(_count.value).where(_count.facet == facet, _count.grain == ALL_TIME)
    return select(counts.order_by(_count.events.desc(), _count.value).limit(MAX_LISTED).subquery().c.value)


# Queries of the values in the rollups: authors, lists of tags as JSON, and services and environments by fact.
AUTHORS: Select[Any] = select(_count.value).where(_count.facet == "author", _count.grain == ALL_TIME)
TAG_LISTS: Select[Any] = select(_count.value).where(_count.facet == "tag", _count.grain == ALL_TIME)
LISTED: Mapping[str, Select[Any]] = {fact: _most_frequent(fact) for fact in rollups.LISTED}


def by_time(query: AggregateQuery, bins: TimeBins) -> list[Counter[tuple[int, str]]]:
    """Count each selection by bin and by source."""
    fitting_grains = [grain for grain in GRAINS if all(border % grain == 0 for border in bins.borders)]
    if not fitting_grains or not any(grain <= bins.width for grain in GRAINS if grain > fitting_grains[0]):
        return _sums(query, SOURCE, [query.start, query.end], fitting_grains, bins)
    low, high = query.start or 0, FAR if query.end is None else query.end
    inner = (border * MICRO for border in bins.borders[1:-1])
    borders = [query.start, *(border for border in inner if low < border < high), query.end]
    return _sums(query, SOURCE, borders, GRAINS, bins)


def by_value(query: AggregateQuery, facet: str) -> Counter[Any]:
    """Count the first selection by the value of a facet, or by source."""
    [sums, *_] = _sums(query, facet, [query.start, query.end], GRAINS)
    return Counter({key: number for (key,), number in sums.items() if key is not None})


def by_connector_name(query: AggregateQuery) -> Counter[str]:
    """Count by the name of the connector."""
    names: Counter[str] = Counter()
    for value, number in by_value(query, "connector").items():
        _, named, name = value.partition("/")
        if named:
            names[name] += number
    return names


def connector_values(names: Sequence[str]) -> tuple[str, ...]:
    """Return the values of the facet "connector" whose id or name is in `names`."""
    ids = {str(int(name)) for name in names if name.isdecimal()}
    divided = ((value, *value.partition("/")) for value in _facet_values("connector"))
    return tuple(value for value, number, named, name in divided if number in ids or (named and name in names))


def tag_values(tags: Sequence[str]) -> tuple[str, ...] | None:
    """Return the values of the facet "tag" that contain any of `tags`: None if some lists of tags are not stored."""
    values = _facet_values("tag")
    return None if "" in values else tuple(value for value in values if not set(json.loads(value)).isdisjoint(tags))


def has_tag(tags: Sequence[str]) -> ColumnElement[bool]:
    """Return the condition that an event has one of `tags`: its list of tags in JSON contains one, after a comma."""
    listed = "," + func.substr(_tags, 2)
    return or_(*(contains(listed, f",{stored_json(tag)}") for tag in tags))


def all_tags(lists: Iterable[str]) -> set[str]:
    """Return every tag in lists. If one was too long for the rollups, read the lists of all events instead."""
    known = set(lists)
    if "" in known:
        known = set(db.session.scalars(select(_tags).distinct()))
    return set[str]().union(*map(json.loads, known))


def _facet_values(facet: str) -> Sequence[str]:
    query = select(_count.value).where(_count.facet == facet, _count.grain == ALL_TIME)
    return db.session.scalars(query.distinct()).all()


def newest_kinds() -> Collection[Kind]:
    """Return the kinds of the events that the rollups do not hold yet."""
    return grouped_events.newest(counted()).keys()


def counted() -> int:
    """Return the number of the newest event that the rollups hold, as it was first read in this transaction."""
    return rollup_state.state().counted


def _sums(
    query: AggregateQuery,
    facet: str,
    borders: Sequence[int | None],
    grains: Sequence[int],
    bins: TimeBins | None = None,
) -> list[Counter[Any]]:
    """Count each selection by the value of a facet and by bin, between `borders` of time, in slots of `grains`.

    The numbers come from the rollups of facets or, if one of them cannot be had from there, from the bitmaps. The
    others, such as those of a search, are cached for the events that the rollups hold. Newer events are counted one by
    one, and those before the first slot and after the last.
    """
    spans, uncovered = _covered(query, borders, grains)
    sums: list[Counter[Any]] = [Counter() for _ in query.counted_selections]
    state = rollup_state.state()
    if spans:
        read = rollup_sums.read if query.by_facets else _count_rolled_up
        state, in_rollups = read(query, facet, spans, bins)
        sums = [counts.copy() for counts in in_rollups]
    if not _add_from_memory(query, facet, bins, state, uncovered, sums):
        _count_rows(query, facet, bins, _uncounted(query, state if spans else None, uncovered), sums)
    return [_without_zeros(counts) for counts in sums]


def _uncounted(
    query: AggregateQuery, state: RollupState | None, uncovered: Sequence[Range]
) -> list[list[ColumnElement[bool]]]:
    """Return the conditions of the events in ranges that no slot covers and, if slots were used, of newer events."""
    row_conditions: list[list[ColumnElement[bool]]] = [between(stamp, low, high) for low, high in uncovered]
    if state is None:
        return [[*conditions, *query.lookup] for conditions in row_conditions]
    # "+ 0" keeps the databases from using the index by time.
    elsewhere = [not_(and_(True, *between(stamp + 0, low, high))) for low, high in uncovered]
    newer = [_event.id > state.counted, *between(stamp + 0, query.start, query.end), *elsewhere]
    return [*row_conditions, newer]


def _add_from_memory(
    query: AggregateQuery,
    facet: str,
    bins: TimeBins | None,
    state: RollupState,
    uncovered: Sequence[Range],
    sums: Sequence[Counter[Any]],
) -> bool:
    """Add the events that no slot of the rollups covers to the sums, from memory. Return whether that was possible."""
    if query.has_kind is None:
        return False
    in_quarters = grouped_events.of_ranges(state, uncovered)
    if in_quarters is None:
        return False
    value = Kind._fields.index(facet)
    borders = [border * MICRO for border in bins.borders] if bins else []
    newest = grouped_events.in_range(grouped_events.newest(state.counted), query.start, query.end)
    for kind, times in chain.from_iterable(groups.items() for groups in (newest, *in_quarters)):
        if not query.has_kind(kind):
            continue
        numbers = Counter(bisect_right(borders, time) - 1 for time in times) if bins else {0: len(times)}
        for of_selection, selection in zip(sums, query.counted_selections, strict=True):
            if selection.includes is None or selection.includes(kind.source, kind.event_type, kind.status):
                for number, events in numbers.items():
                    of_selection[(number, kind[value]) if bins else (kind[value],)] += events
    return True


def _covered(query: AggregateQuery, borders: Sequence[int | None], grains: Sequence[int]) -> tuple[Spans, list[Range]]:
    if query.by_facets:
        return cover(borders, grains)
    whole = (query.start, query.end)
    # What is read in a write transaction may be rolled back.
    return ({}, [whole]) if query.key is None or is_writing() else cover(whole, [min(GRAINS)])


def _count_rolled_up(
    query: AggregateQuery, facet: str, spans: Spans, bins: TimeBins | None
) -> tuple[RollupState, Sums]:
    """Return the state of the rollups, and the counts of the events that they hold in a span, one by one if not cached.

    These events stay the same as long as the rollups.
    """
    state = rollup_state.state()
    [(grain, [(first, last)])] = spans.items()
    low, high = (None if slot is None else slot * grain * MICRO for slot in (first, last))

    def count() -> Sums:
        sums: Sums = [Counter() for _ in query.counted_selections]
        # "+ 0" makes the databases use the index by time.
        in_span = [_event.id + 0 <= state.counted, *between(stamp, low, high), *query.lookup]
        _count_rows(query, facet, bins, [in_span], sums)
        return sums

    key = ("counts", state, query.key, facet, low, high, tuple(bins.runs) if bins else ())
    return state, runtime.current().cache.get_or_compute(key, count, rollup_sums.size_of) or count()


def _without_zeros(counts: Counter[Any]) -> Counter[Any]:
    return Counter({key: number for key, number in counts.items() if number})


def _count_rows(
    query: AggregateQuery,
    facet: str,
    bins: TimeBins | None,
    row_conditions: Sequence[Sequence[ColumnElement[bool]]],
    sums: Sequence[Counter[Any]],
) -> None:
    """Add the events that match a list of `row_conditions` to the sums of each selection that includes them."""
    selections = query.counted_selections
    by = (*bin_of(stamp, bins), VALUES[facet])
    kind = (_event.source, _event.event_type, _event.status) if any(each.includes for each in selections) else ()
    counts = select(*by, *kind, func.count()).select_from(ChangeEvent).group_by(*by, *kind)
    arms = [counts.where(*conditions, *query.conditions) for conditions in row_conditions]
    for *values, number in db.session.execute(arms[0] if len(arms) == 1 else union_all(*arms)) if arms else ():
        for of_selection, selection in zip(sums, selections, strict=True):
            if selection.includes is None or selection.includes(*values[len(by) :]):
                of_selection[tuple(values[: len(by)])] += number
