"""Keep events in memory, grouped by the values that filters and menus use: those that are counted one by one.

These are the newest events, which the rollups do not hold, and the events of quarter hours that a range cuts.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from sqlalchemy import BigInteger, Text, bindparam, cast, func, literal_column, null, select, union_all

from painchain.core import runtime
from painchain.database.models import ChangeEvent
from painchain.database.prepared import Prepared
from painchain.database.session import db, is_writing
from painchain.database.transaction_values import of_transaction
from painchain.indexes import rollups
from painchain.indexes.rollup_state import RollupState
from painchain.indexes.rollups import QUARTER
from painchain.timeline.aggregate_query import MAX_INTEGER, MIN_INTEGER, VALUES, Kind, stamp
from painchain.timeline.time_slots import MICRO, Range

MAX_QUARTERS = 6  # an hour has parts of five
MAX_IN_QUARTER = 2_000  # more events of a quarter of an hour are not kept
EVENT_BYTES, KIND_BYTES = 40, 1_000  # what an event and a group take in memory, roughly
_KEY = "painchain.newest_events"
_LENGTH = QUARTER * MICRO

Groups = Mapping[Kind, Sequence[int]]  # the times of the events of each kind, in microseconds

_event = ChangeEvent.__table__.c
_OF_KIND = (
    *(_event.source, _event.event_type, _event.status, _event.author),
    *(VALUES["connector"], _event.connector_id, _event.connector_name, cast(_event.tags, Text)),
)
_COUNTED, _LAST = bindparam("counted", type_=BigInteger), bindparam("last", type_=BigInteger)


# The newest of the known events and how many they are, and then the newer events.
_NEWER = Prepared(
    union_all(
        select(
            *(func.coalesce(func.max(_event.id), _COUNTED), func.count()),
            *(cast(null(), column.type) for column in (*_OF_KIND, rollups.LISTED_METADATA)),
        ).where(_event.id > _COUNTED, _event.id <= _LAST),
        select(_event.id, stamp, *_OF_KIND, rollups.LISTED_METADATA).where(_event.id > _LAST),
    )
)
_IN_QUARTER = Prepared(
    select(stamp, *_OF_KIND)
    # "+ 0" makes the databases use the index by time.
    .where(_event.id + 0 <= _COUNTED, stamp >= bindparam("low"), stamp < bindparam("high"))
    .limit(literal_column(str(MAX_IN_QUARTER + 1)))
)


class _Newest(NamedTuple):
    """The events after number `counted` up to number `last`, and how many they are."""

    counted: int
    last: int
    number: int
    groups: Groups


def newest(counted: int) -> Groups:
    """Return the events after number `counted`, as they were first read in this transaction.

    Only those are read that are newer than the ones in the cache. These are the same in the database as long as it has
    as many, and their newest: numbers grow in the order of commits, so none can be added, only deleted.
    """
    if is_writing():  # what is read now may be rolled back
        return _extended(_nothing(counted)).groups
    values = of_transaction()
    read: _Newest | None = values.get(_KEY)
    if read is None or read.counted != counted:
        cache = runtime.current().cache
        cached: _Newest | None = cache.get(_KEY)
        read = _extended(cached if cached and cached.counted == counted else _nothing(counted))
        if read is not cached:
            cache.put(_KEY, read, _size_of(read.groups))
        values[_KEY] = read
    return read.groups


def _nothing(counted: int) -> _Newest:
    return _Newest(counted, counted, 0, {})


def _extended(known: _Newest) -> _Newest:
    """Return the known events with the newer ones, or all of them if some of the known ones are not in the database."""
    (last, number, *_), *rows = _NEWER.unconverted(db.session.connection(), counted=known.counted, last=known.last)
    if (last, number) != (known.last, known.number):
        return _extended(_nothing(known.counted))
    if not rows:
        return known
    times = ((time, Kind._make([*of_kind, _listed(metadata)])) for _, time, *of_kind, metadata in rows)
    groups = _grouped(times, known.groups)
    return _Newest(known.counted, max(row[0] for row in rows), known.number + len(rows), groups)


def _listed(metadata: str | None) -> tuple[str | None, ...]:
    return rollups.listed_values(json.loads(metadata) if metadata else None)


def of_ranges(state: RollupState, ranges: Sequence[Range]) -> list[Groups] | None:
    """Return the events in these ranges of time that the rollups hold; None if they are too long, or too many events.

    Whole quarter hours are read and cached. They stay the same as long as the rollups.
    """
    quarters: list[Groups] = []
    for low, high in ranges:
        if low is None or high is None or len(covering := _quarters(low, high)) > MAX_QUARTERS or is_writing():
            return None
        for quarter in covering:
            events = _of_quarter(state, quarter)
            if events is None:
                return None
            is_cut = quarter * _LENGTH < low or (quarter + 1) * _LENGTH > high
            quarters.append(in_range(events, low, high) if is_cut else events)
    return quarters


def _quarters(low: int, high: int) -> range:
    return range(low // _LENGTH, -(-high // _LENGTH))


def _of_quarter(state: RollupState, quarter: int) -> Groups | None:
    cache = runtime.current().cache
    key = ("quarter", state, quarter)
    cached: tuple[Groups | None] | None = cache.get(key)
    if cached is None:
        low = quarter * _LENGTH
        rows = _IN_QUARTER.unconverted(db.session.connection(), counted=state.counted, low=low, high=low + _LENGTH)
        is_full = len(rows) > MAX_IN_QUARTER
        cached = (None if is_full else _grouped((time, Kind(*of_kind)) for time, *of_kind in rows),)
        cache.put(key, cached, _size_of(cached[0] or {}))
    return cached[0]


def matcher(
    lists: Mapping[str, Sequence[str]], connectors: Sequence[str], tag_lists: Sequence[Sequence[str]]
) -> Callable[[Kind], bool]:
    """Return whether events of a kind have one value of each list that is not empty, as a function.

    `lists` are by the name of a column; `connectors` are names and ids.
    """
    wanted = [(Kind._fields.index(name), values) for name, values in lists.items() if values]
    ids = numeric_ids(connectors)
    tags = [set(tags) for tags in tag_lists if tags]

    def has_kind(kind: Kind) -> bool:
        if any(kind[position] not in values for position, values in wanted):
            return False
        if connectors and kind.connector_id not in ids and kind.connector_name not in connectors:
            return False
        return not tags or all(map({*json.loads(kind.tags)}.intersection, tags))

    return has_kind


def numeric_ids(values: Sequence[str]) -> list[int]:
    """Return the ids of connectors among names and ids."""
    return [int(value) for value in values if value.isdecimal() and len(value) < 18]


def in_range(groups: Groups, low: int | None, high: int | None) -> Groups:
    """Return the events from `low` to before `high`."""
    first, last = MIN_INTEGER if low is None else low, MAX_INTEGER + 1 if high is None else high
    inside = {kind: [time for time in times if first <= time < last] for kind, times in groups.items()}
    return {kind: times for kind, times in inside.items() if times}


def _grouped(times: Iterable[tuple[int, Kind]], known: Groups = MappingProxyType({})) -> Groups:
    """Return these events together with the `known` ones, which stay as they are."""
    added: dict[Kind, list[int]] = {}
    for time, kind in times:
        added.setdefault(kind, []).append(time)
    return {**known, **{kind: [*known.get(kind, ()), *times] for kind, times in added.items()}}


def _size_of(groups: Groups) -> int:
    return KIND_BYTES * len(groups) + EVENT_BYTES * sum(map(len, groups.values()))
