"""Read the rollups and bitmaps: which events they hold, and the sums of their counts, which are cached.

The rollups change only when events are added to them (``LogHead.counted`` grows) or subtracted (their total falls).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from itertools import product
from typing import Any, NamedTuple

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
from painchain.database.models import EventCount, LogHead
from painchain.database.prepared import Prepared
from painchain.database.session import db, is_writing
from painchain.database.transaction_values import of_transaction
from painchain.indexes.bitmaps import SOURCE
from painchain.indexes.rollups import ALL, ALL_TIME, DAY
from painchain.timeline import facet_counts
from painchain.timeline.aggregate_query import AggregateQuery, Number, between, bin_of
from painchain.timeline.time_bins import TimeBins
from painchain.timeline.time_slots import MICRO, Range, Spans

FAR = 2**62
SUM_BYTES = 250  # what one number with its key takes, roughly
ROW_BYTES = 400  # of a few texts
_STATE_KEY = "painchain.rollups"
_STATE_ARM = -1
_ZERO: Number = literal_column("0", BigInteger)

_count = EventCount.__table__.c
_counted_number = select(LogHead.__table__.c.counted).scalar_subquery()
_all = EventCount.__table__.alias("all_time").c
_total = (
    select(func.coalesce(func.sum(_all.events), _ZERO))
    .where(_all.facet == literal_column(f"'{ALL}'"), _all.grain == literal_column(str(ALL_TIME)))
    .scalar_subquery()
)
STATE_COLUMNS = (_counted_number, _total)
_STATE = Prepared(select(*STATE_COLUMNS))

Sums = list[Counter[Any]]


class RollupState(NamedTuple):
    """The number of the newest event in the rollups, and how many they hold. While both are the same, so are they."""

    counted: int
    total: int


def state() -> RollupState:
    """Return the state of the rollups, as it was first read in this transaction. It may be newer by now."""
    known: RollupState | None = of_transaction().get(_STATE_KEY)
    if known is None:
        [row] = _STATE.all(db.session.connection())
        known = RollupState(*map(int, row))
        remember(known)
    return known


def remember(known: RollupState) -> None:
    """Let this transaction use this state, so that it does not read it again."""
    of_transaction()[_STATE_KEY] = known


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
    cached: tuple[RollupState, Sums] | None = cache.get((state(), *sums_key))
    if cached is None:
        cached = _read(query, facet, spans, bins)
        cache.put((cached[0], *sums_key), cached, size_of(cached[1]))
    return cached


def cached_rows(statement: Prepared) -> Sequence[Sequence[Any]]:
    """Return the rows of a statement that reads only rollups. They are cached while these stay the same."""

    def read_rows() -> Sequence[Sequence[Any]]:
        return statement.all(db.session.connection())

    if is_writing():  # what is read now may be rolled back
        return read_rows()
    key = ("rollup rows", statement, state())
    rows = runtime.current().cache.get_or_compute(key, read_rows, lambda rows: ROW_BYTES * len(rows))
    return read_rows() if rows is None else rows


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
    numbers: list[ColumnElement[Any]] = [literal(_STATE_ARM)] if bins is None else [literal(_STATE_ARM), _ZERO]
    return select(*numbers, cast(_counted_number, Text), _total)


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
