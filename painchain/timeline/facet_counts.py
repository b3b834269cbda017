"""Count events that match several facets, by intersecting bitmaps of their ids."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from itertools import chain
from operator import and_
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, LargeBinary, Select, Text, cast, literal_column, select, union_all

from painchain.database.models import EventSet
from painchain.database.session import db
from painchain.indexes.bitmaps import decode
from painchain.indexes.rollups import ALL, ALL_TIME, DAY

Bits = dict[int, int]  # by chunk
Parts = Mapping[str, Sequence[str]]  # the values of each facet
Days = tuple[int | None, int | None]  # the first, the last

_set = EventSet.__table__.c
slot = _set.slot
_NONE: ColumnElement[int] = literal_column("0", BigInteger)
_NO_BITS: ColumnElement[bytes] = literal_column("NULL", LargeBinary)


def slot_sets(grain: int, number: ColumnElement[int] = _NONE) -> Select[Any]:
    """Return the query for the bitmaps of all slots of a grain; `number` is the bin of a slot."""
    part, value, events = _text("time").label("part"), _text("").label("value"), _NONE.label("events")
    query = select(part, value, number.label("bin"), _set.chunk, events, _set.bits)
    return query.where(_set.facet == ALL, _set.grain == grain)


def count(
    facet: str,
    selections: Sequence[Sequence[tuple[int, Parts]]],
    times: Sequence[Select[Any]],
    days: Days | None,
    extra: tuple[ColumnElement[int], ColumnElement[int]],
) -> tuple[list[Counter[tuple[int, Any]]], tuple[int, int]]:
    """Count by `facet` the events of each selection, in one statement, which also returns two `extra` numbers.

    A selection has parts with a sign: the events that have one of the values of each facet. `times` are queries from
    ``slot_sets``; events outside them do not count. If `days` are given, there are `times`, and all of them lie in
    these days. Events are counted by bin and value; without bins, the bin is 0.
    """
    wanted: dict[str, set[str] | None] = {facet: None}
    for _, parts in chain.from_iterable(selections):
        for name, values in parts.items():
            known = wanted.setdefault(name, set())
            wanted[name] = None if known is None else known | {*values}
    value_sets = [_values(part, None if values is None else sorted(values), days) for part, values in wanted.items()]
    columns: list[ColumnElement[Any]] = [_text("extra"), _text(""), extra[0], _NONE, cast(extra[1], BigInteger)]
    sets: dict[str, dict[str, Bits]] = {part: defaultdict(lambda: defaultdict(int)) for part in wanted}
    by_bin: dict[tuple[int, int], int] = defaultdict(int)
    extra_numbers = (0, 0)
    arms: list[Select[Any]] = [*value_sets, *times, select(*columns, _NO_BITS)]
    for part, value, number, chunk, events, bits in db.session.execute(union_all(*arms)):
        if part == "extra":
            extra_numbers = number, events
        elif part == "time":
            by_bin[number, chunk] |= decode(bits)
        else:
            sets[part][value][chunk] |= decode(bits)
    counts: list[Counter[tuple[int, Any]]] = [Counter() for _ in selections]
    for sums, selection in zip(counts, selections, strict=True):
        for sign, parts in selection:
            for key, events in _counts(facet, parts, sets, by_bin if days else None).items():
                sums[key] += sign * events
    return counts, extra_numbers


def _counts(
    facet: str,
    parts: Parts,
    sets: Mapping[str, Mapping[str, Bits]],
    by_bin: Mapping[tuple[int, int], int] | None,
) -> Counter[tuple[int, Any]]:
    unions = [_union(sets[part][value] for value in values if value in sets[part]) for part, values in parts.items()]
    by_value = {value: bits for value, bits in sets[facet].items() if value in parts.get(facet, (value,))}
    matching: dict[int, list[tuple[str, int]]] = defaultdict(list)
    for value, chunks in by_value.items():
        for chunk, bits in chunks.items():
            if both := reduce(and_, (union.get(chunk, 0) for union in unions), bits):
                matching[chunk].append((value, both))
    counts: Counter[tuple[int, Any]] = Counter()
    if by_bin is None:
        for matches in matching.values():
            for value, bits in matches:
                counts[0, value] += bits.bit_count()
    else:
        for (number, chunk), time in by_bin.items():
            for value, bits in matching.get(chunk, ()):
                counts[number, value] += (bits & time).bit_count()
    return counts


def _union(sets: Iterable[Bits]) -> Bits:
    union: Bits = defaultdict(int)
    for bits_by_chunk in sets:
        for chunk, bits in bits_by_chunk.items():
            union[chunk] |= bits
    return union


def _values(facet: str, values: Sequence[str] | None, days: Days | None) -> Select[Any]:
    """Return the query for the bitmaps of a facet's values (None: all), in the chunks that the days can touch."""
    query = select(_text(facet), _set.value, _NONE, _set.chunk, _NONE, _set.bits)
    query = query.where(_set.facet == facet, _set.grain == ALL_TIME, _set.slot == 0)
    if values is not None:
        query = query.where(_set.value.in_(values))
    if days:
        first, last = days
        by_day = EventSet.__table__.alias("by_day").c
        chunks = select(by_day.chunk).where(by_day.facet == ALL, by_day.grain == DAY)
        chunks = chunks if first is None else chunks.where(by_day.slot >= first)
        query = query.where(_set.chunk.in_(chunks if last is None else chunks.where(by_day.slot <= last)))
    return query


def _text(constant: str) -> ColumnElement[str]:
    return literal_column(f"'{constant}'", Text)
