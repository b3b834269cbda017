"""Count events by time and by facet: from the rollups, and from the events that the rollups do not hold yet."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    Text,
    and_,
    case,
    cast,
    func,
    literal,
    not_,
    select,
    type_coerce,
    union_all,
)

from painchain.database.dialects import where_in_ranges
from painchain.database.models import ChangeEvent, EventCount, EventTag, LogHead
from painchain.database.prepared import Prepared
from painchain.database.session import db
from painchain.indexes.bitmaps import SOURCE
from painchain.indexes.rollups import ALL, ALL_TIME, DAY, GRAINS
from painchain.timeline import facet_counts
from painchain.timeline.time_bins import Run, TimeBins
from painchain.timeline.time_slots import MICRO, Range, Spans, cover

MANY_VALUES = 40  # a database accepts a limited number of parts in one query
FAR = 2**62
Number = ColumnElement[int]

_event = ChangeEvent.__table__.c
_tag = EventTag.__table__.c
_count = EventCount.__table__.c
stamp: Number = type_coerce(_event.timestamp, BigInteger)
_now_counted = select(LogHead.__table__.c.counted).scalar_subquery()
_COUNTED_KEY = "painchain.counted"
_COUNTED = Prepared(select(LogHead.__table__.c.counted))

# The value of each facet of an event.
VALUES: dict[str, ColumnElement[Any]] = {
    SOURCE: _event.source,
    "event_type": _event.event_type,
    "connector": func.coalesce(cast(_event.connector_id, Text), "") + func.coalesce("/" + _event.connector_name, ""),
    "author": _event.author,
    "status": _event.status,
}


@dataclass(frozen=True)
class Share:
    """Events by the values that the rollups have, added to a number (`sign` 1) or subtracted from it (-1)."""

    sign: int = 1
    sources: tuple[str, ...] = ()
    facets: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def rollup(self, facet: str) -> str:
        """Return the facet whose rollup can count this share by `facet`, or ""."""
        if facet != SOURCE:
            return facet if set(self.facets) <= {facet} else ""
        return "" if len(self.facets) > 1 else next(iter(self.facets), ALL)


@dataclass(frozen=True)
class Selection:
    """Some of the events of a query: by a condition (None: all), and as shares, for counts from the rollups."""

    condition: ColumnElement[bool] | None
    shares: Sequence[Share]


@dataclass(frozen=True)
class AggregateQuery:
    """Which events to count or find, from `start` to before `end` in microseconds.

    `conditions` do not include that range. If `by_facets` is true, `sources` and `facets` are equivalent to the
    conditions, in the values that the rollups have. Numbers are counted for each of the `selections`; if there are
    none, for all events.
    """

    conditions: Sequence[ColumnElement[bool]] = ()
    start: int | None = None
    end: int | None = None
    sources: tuple[str, ...] = ()
    facets: dict[str, tuple[str, ...]] = field(default_factory=dict)
    by_facets: bool = True
    selections: tuple[Selection, ...] = ()

    @property
    def counted_selections(self) -> Sequence[Selection]:
        """The selections, or the one that contains all events."""
        return self.selections or (Selection(None, (Share(1, self.sources, self.facets),)),)

    @property
    def is_selective(self) -> bool:
        """Whether the rollups can locate the times with matching events."""
        has_few_values = sum(map(len, self.facets.values())) <= MANY_VALUES
        return self.by_facets and has_few_values and bool(self.facets or self.sources)


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


def author_queries() -> list[Select[tuple[str]]]:
    """Return the queries that together find every author of an event."""
    stored = select(_count.value).where(_count.facet == "author", _count.grain == ALL_TIME)
    return [stored, select(_event.author).where(*_not_in_rollups(_event.id))]


def tag_queries() -> list[Select[tuple[str]]]:
    """Return the queries for the tags of events that the rollups do not hold, and for the lists of tags they hold."""
    stored = select(_count.value).where(_count.facet == "tag", _count.grain == ALL_TIME)
    return [select(_tag.tag).where(_tag.event > counted()), stored]


def all_tags(new: Iterable[str], stored_lists: Iterable[str]) -> set[str]:
    """Return every tag in `new` and in `stored_lists`. If a list was too long to store, read every tag instead."""
    lists = set(stored_lists)
    if "" in lists:
        return set(db.session.scalars(select(_tag.tag).distinct()))
    return set(new).union(*map(json.loads, lists))


def _facet_values(facet: str) -> Sequence[str]:
    query = select(_count.value).where(_count.facet == facet, _count.grain == ALL_TIME)
    return db.session.scalars(query.distinct()).all()


def counted() -> int:
    """Return the id of the newest event that the rollups hold, as it was first read in this transaction.

    The rollups may hold more by now: queries that need the current number read it themselves (``_behind``).
    """
    connection = db.session.connection()
    transaction, number = db.session.info.get(_COUNTED_KEY, (None, 0))
    if transaction is not db.session().get_transaction():
        [[number]] = _COUNTED.all(connection)
        remember_counted(number)
    return int(number)


def remember_counted(number: int) -> None:
    """Let this transaction use `number` as ``LogHead.counted``, so that it does not read it again."""
    db.session.connection()
    db.session.info[_COUNTED_KEY] = (db.session().get_transaction(), number)


def _not_in_rollups(number: ColumnElement[int]) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions for events that the rollups do not hold.

    The query itself reads the newest event in the rollups, so that it sees both at the same moment. The number read
    before shows PostgreSQL that these events are few.
    """
    return number > counted(), number > _now_counted


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


def _sums(
    query: AggregateQuery,
    facet: str,
    borders: Sequence[int | None],
    grains: Sequence[int],
    bins: TimeBins | None = None,
) -> list[Counter[Any]]:
    """Count each selection by the value of a facet and by bin, between `borders` of time, in slots of `grains`.

    This is one query, at one moment. The numbers come from the rollups of facets or, if one of them cannot be had
    from there, from the bitmaps.
    """
    spans, uncovered = cover(borders, grains) if query.by_facets else ({}, [(query.start, query.end)])
    row_conditions: list[list[ColumnElement[bool]]] = [between(stamp, low, high) for low, high in uncovered]
    if spans:
        # "+ 0" keeps the databases from using the index by time.
        elsewhere = [not_(and_(True, *between(stamp + 0, low, high))) for low, high in uncovered]
        row_conditions.append([*_not_in_rollups(_event.id), *between(stamp + 0, query.start, query.end), *elsewhere])
    selections = query.counted_selections
    if spans and not all(share.rollup(facet) for selection in selections for share in selection.shares):
        return _bitmap_sums(query, facet, spans, bins, row_conditions)
    by = (*_bin(stamp, bins), VALUES[facet])
    columns = [*by, *(_number_of(selection) for selection in selections)]
    arms = [_count_rows(columns, by, query, conditions) for conditions in row_conditions]
    for position, selection in enumerate(selections):
        for share, (grain, ranges) in product(selection.shares, spans.items()):
            arms.append(_rollup_sums(share, facet, grain, ranges, bins, (position, len(selections))))
    sums: list[Counter[Any]] = [Counter() for _ in selections]
    for row in db.session.execute(arms[0] if len(arms) == 1 else union_all(*arms)) if arms else ():
        for counts, number in zip(sums, row[len(by) :], strict=True):
            counts[tuple(row[: len(by)])] += int(number or 0)
    return [_without_zeros(counts) for counts in sums]


def _number_of(selection: Selection) -> ColumnElement[int]:
    if selection.condition is None:
        return func.count()
    return func.sum(case((selection.condition, literal(1, BigInteger)), else_=literal(0, BigInteger)))


def _without_zeros(counts: Counter[Any]) -> Counter[Any]:
    return Counter({key: number for key, number in counts.items() if number})


def _rollup_sums(
    share: Share, facet: str, grain: int, spans: Sequence[Range], bins: TimeBins | None, column: tuple[int, int]
) -> Select[Any]:
    """Return the statement that reads a share of a rollup in these slots, as one `column` of several."""
    rolled = share.rollup(facet)
    values = share.facets.get(rolled, ("",) if rolled == ALL else None)
    time = _count.slot * literal(grain * MICRO, BigInteger)
    by = (*_bin(time, bins), _count.source if facet == SOURCE else _count.value)
    events = func.sum(_count.events) if share.sign > 0 else -func.sum(_count.events)
    numbers = [events if place == column[0] else literal(0, BigInteger) for place in range(column[1])]
    rows = select(*by, *numbers).where(*rollup_rows(rolled, grain, values, share.sources)).group_by(*by)
    return _in_slots(rows, _count.slot, spans)


def _bitmap_sums(
    query: AggregateQuery,
    facet: str,
    spans: Spans,
    bins: TimeBins | None,
    row_conditions: Sequence[Sequence[ColumnElement[bool]]],
) -> list[Counter[Any]]:
    """Count events with values of several facets by their bitmaps; count rows that match `row_conditions` singly."""
    by = (*_bin(stamp, bins), VALUES[facet])
    row_counts = [
        _count_rows(facet_counts.row_count_columns(by, func.count(), position), by, query, [*conditions, *own])
        for position, selection in enumerate(query.counted_selections)
        for own in [[] if selection.condition is None else [selection.condition]]
        for conditions in row_conditions
    ]
    times = [
        _in_slots(
            facet_counts.slot_sets(grain, *_bin(facet_counts.slot * literal(grain * MICRO, BigInteger), bins)),
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
    sums = facet_counts.count(facet, selections, times, (first, last) if times else None, row_counts)
    return [_without_zeros(counts if bins else _unnumbered(counts)) for counts in sums]


def _unnumbered(counts: Counter[tuple[int, Any]]) -> Counter[Any]:
    return Counter({(value,): events for (_, value), events in counts.items()})


def _in_slots(rows: Select[Any], slot: Number, spans: Sequence[Range]) -> Select[Any]:
    """Return `rows` limited to these slots."""
    if len(spans) == 1:
        return rows.where(*between(slot, *spans[0]))
    return where_in_ranges(rows, slot, [(low or 0, FAR if high is None else high) for low, high in spans])


def _bin(time: Number, bins: TimeBins | None) -> tuple[Number, ...]:
    """Return the expression for the number of a time's bin, if there are bins."""
    if bins is None:
        return ()
    *earlier, last = [(run, _in_run(time, run)) for run in bins.runs]
    if not earlier:
        return (last[1],)
    return (case(*((time < literal(run.end * MICRO, BigInteger), number) for run, number in earlier), else_=last[1]),)


def _in_run(time: Number, run: Run) -> Number:
    number: Number = (time - run.start * MICRO).self_group().op("/")(run.width * MICRO)
    return number + run.index if run.index else number


def _count_rows(
    columns: Sequence[Any], by: Sequence[Any], query: AggregateQuery, conditions: Sequence[ColumnElement[bool]]
) -> Select[Any]:
    return select(*columns).select_from(ChangeEvent).where(*conditions, *query.conditions).group_by(*by)


def between(column: Any, low: int | None, high: int | None) -> list[ColumnElement[bool]]:
    """Return the conditions for a column from `low` to before `high`."""
    ends = [] if low is None else [column >= literal(low, BigInteger)]
    return ends if high is None else [*ends, column < literal(high, BigInteger)]
