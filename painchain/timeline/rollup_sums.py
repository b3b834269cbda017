"""Read the rollups and bitmaps: the sums of their counts, which are cached while their state stays the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from itertools import product
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    Text,
    cast,
    func,
    literal,
    literal_column,
    select,
    union_all,
)

from painchain.core import runtime
from painchain.database.dialects import where_in_ranges
from painchain.database.models import EventCount
from painchain.database.prepared import Prepared
from painchain.database.session import db, is_writing
from painchain.indexes import rollup_state
from painchain.indexes.bitmaps import SOURCE
from painchain.indexes.rollup_state import STATE_COLUMNS, RollupState
from painchain.indexes.rollups import ALL, ALL_TIME, DAY
from painchain.timeline import facet_counts
from painchain.timeline.aggregate_query import AggregateQuery, Number, between, bin_of
from painchain.timeline.time_bins import TimeBins
from painchain.timeline.time_slots import MICRO, Range, Spans

FAR = 2**62
SUM_BYTES = 250  # what one number with its key takes, roughly
ROW_BYTES = 400  # of a few texts
_STATE_ARM = -1
_ZERO: Number = literal_column("0", BigInteger)

_count = EventCount.__table__.c
Sums = list[Counter[Any]]


def rollup_rows(
    facet: str, grain: int, values: Sequence[str] | None, sources: Sequence[str]
) -> list[ColumnElement[bool]]:
    """Return the conditions that select rows of the rollups, with all values if `values` is None."""
    totals = EventCount.__table__.alias("totals").c
    known = select(totals.value).where(totals.facet == facet, totals.grain == ALL_TIME)
    conditions = [_count.facet == facet, _count.grain == grain]
    if values is None:
        conditions.append(_count.value.in_(known))
    else:
        conditions.append(_count.value == values[0] if len(values) == 1 else _count.value.in_(values))
    return [*conditions, _count.source.in_(sources)] if sources else conditions


def read(query: AggregateQuery, facet: str, spans: Spans, bins: TimeBins | None) -> tuple[RollupState, Sums]:
    """Return the state of the rollups, and the sums of each selection by bin and value of a facet in these slots.

    The sums of an earlier transaction are used if the rollups have not changed. Events that the rollups do not hold
    are newer than `counted` of the state.
    """
    if is_writing():  # what is read now may be rolled back
        return _read(query, facet, spans, bins)
    cache = runtime.current().cache
    sums_key = ("rollup sums", facet, _frozen(spans), tuple(bins.runs) if bins else (), _shares(query))
    cached: tuple[RollupState, Sums] | None = cache.get((rollup_state.state(), *sums_key))
    if cached is None:
        cached = _read(query, facet, spans, bins)
        cache.put((cached[0], *sums_key), cached, size_of(cached[1]))
    return cached


def cached_rows(statement: Prepared) -> Sequence[Sequence[Any]]:
    """Return the rows of a statement that reads only rollups. They are cached while these stay the same."""
    return rollup_state.cached(
        ("rollup rows", statement),
        lambda: statement.all(db.session.connection()),
        lambda rows: ROW_BYTES * len(rows),
    )


def size_of(sums: Sums) -> int:
    """Return the bytes that sums take in memory, roughly."""
    return SUM_BYTES * sum(map(len, sums))


def _frozen(spans: Spans) -> Hashable:
    return tuple((grain, tuple(ranges)) for grain, ranges in spans.items())


def _shares(query: AggregateQuery) -> Hashable:
    return tuple(
        tuple((share.sign, share.sources, tuple(sorted(share.facets.items()))) for share in selection.shares)
        for selection in query.counted_selections
    )


def _read(query: AggregateQuery, facet: str, spans: Spans, bins: TimeBins | None) -> tuple[RollupState, Sums]:
    shares = [share for selection in query.counted_selections for share in selection.shares]
    if all(share.rollup(facet) for share in shares):
        return _read_rollups(query, facet, spans, bins)
    return _read_bitmaps(query, facet, spans, bins)


def _read_rollups(query: AggregateQuery, facet: str, spans: Spans, bins: TimeBins | None) -> tuple[RollupState, Sums]:
    """Sum the rollups in one statement. Shares that several selections have in common are read once."""
    uses: dict[tuple[str, tuple[str, ...] | None, tuple[str, ...]], list[tuple[int, int]]] = {}
    for position, selection in enumerate(query.counted_selections):
        for share in selection.shares:
            rolled = share.rollup(facet)
            values = share.facets.get(rolled, ("",) if rolled == ALL else None)
            uses.setdefault((rolled, values, share.sources), []).append((position, share.sign))
    arms = [_state_arm(bins)]
    for (number, (rolled, values, sources)), (grain, ranges) in product(enumerate(uses), spans.items()):
        time = _count.slot * literal(grain * MICRO, BigInteger)
        key = (*bin_of(time, bins), _count.source if facet == SOURCE else _count.value)
        sums = select(literal(number), *key, func.sum(_count.events)).group_by(*key)
        arms.append(_in_slots(sums.where(*rollup_rows(rolled, grain, values, sources)), _count.slot, ranges))
    result: Sums = [Counter() for _ in query.counted_selections]
    selections = list(uses.values())
    known = RollupState(0, 0)
    for number, *by, events in db.session.execute(union_all(*arms)):
        if number == _STATE_ARM:
            known = RollupState(int(by[-1]), int(events))
            continue
        for position, sign in selections[number]:
            result[position][tuple(by)] += sign * int(events or 0)
    return known, result


def _state_arm(bins: TimeBins | None) -> Select[Any]:
    """Return the arm for the state of the rollups, which the same statement reads at the same moment."""
    counted_number, total = STATE_COLUMNS
    numbers: list[ColumnElement[Any]] = [literal(_STATE_ARM)] if bins is None else [literal(_STATE_ARM), _ZERO]
    return select(*numbers, cast(counted_number, Text), total)


def _read_bitmaps(query: AggregateQuery, facet: str, spans: Spans, bins: TimeBins | None) -> tuple[RollupState, Sums]:
    """Count events with values of several facets by their bitmaps."""
    times = [
        _in_slots(
            facet_counts.slot_sets(grain, *bin_of(facet_counts.slot * literal(grain * MICRO, BigInteger), bins)),
            facet_counts.slot,
            ranges,
        )
        for grain, ranges in spans.items()
        if grain != ALL_TIME
    ]
    first, last = (None if edge is None else edge // (DAY * MICRO) for edge in (query.start, query.end))
    selections = [
        [
            (share.sign, {**share.facets, **({SOURCE: share.sources} if share.sources else {})})
            for share in selection.shares
        ]
        for selection in query.counted_selections
    ]
    counts, known = facet_counts.count(facet, selections, times, (first, last) if times else None, STATE_COLUMNS)
    return RollupState(*known), [sums if bins else _unnumbered(sums) for sums in counts]


def _unnumbered(counts: Counter[tuple[int, Any]]) -> Counter[Any]:
    return Counter({(value,): events for (_, value), events in counts.items()})


def _in_slots(rows: Select[Any], slot: Number, spans: Sequence[Range]) -> Select[Any]:
    """Return `rows` limited to these slots."""
    if len(spans) == 1:
        return rows.where(*between(slot, *spans[0]))
    return where_in_ranges(rows, slot, [(low or 0, FAR if high is None else high) for low, high in spans])
