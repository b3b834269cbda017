"""Maintain the rollups (numbers of events by facet, value, source and time slot) and the bitmaps beside them.

They hold the events up to number `LogHead.counted`. Readers count the few newer events one by one, so that most writes
do not touch the rollups. The write that advances `counted` adds all of these events at once, in its transaction.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

import orjson
from sqlalchemy import BigInteger, Text, bindparam, case, cast, delete, literal_column, or_, select, type_coerce
from sqlalchemy.engine import Connection

from painchain.database.bulk import BulkUpsert
from painchain.database.models import ChangeEvent, EventCount
from painchain.database.prepared import Prepared
from painchain.database.session import Base
from painchain.database.types import stored_json
from painchain.indexes import bitmaps
from painchain.indexes.tokens import JOIN_KEYS

MAX_UNCOUNTED = 512  # the most events that readers count one by one
READ_BATCH = 20_000  # events read at a time
ALL_TIME, QUARTER, HOUR, DAY = 0, 900, 3600, 86400
GRAINS = (DAY, HOUR, QUARTER)
MAX_VALUE_LENGTH = 500  # characters of a value; PostgreSQL indexes accept 2,704 bytes
ALL = "all"  # the facet whose only value is ""
# Facts whose values are known, but which are not counted by time: a filter by them is a search.
LISTED = (JOIN_KEYS["service"], JOIN_KEYS["env"])
MAX_LISTED_LENGTH = 200  # characters that a filter can have
_NOT_LISTED = (None,) * len(LISTED)
_QUOTED = tuple(f'"{fact}"' for fact in LISTED)  # as in stored metadata

Count = tuple[str, int, str, int, str, int]  # a row of `EventCount`: facet, grain, value, slot, source, events
Facets = tuple[tuple[str, str], ...]  # the facets for which an event has a value, with the value
# Number, microseconds, source, type, connector's id and name, author, status, JSON of the tags, metadata
Event = Sequence[Any]
# The numbers of events with the same source and values of facets, by quarter of an hour
Groups = Mapping[tuple[str, Facets], Mapping[int, list[int]]]

_event = ChangeEvent.__table__.c
_counts = Base.metadata.tables[EventCount.__tablename__]
_KEY = [column.name for column in _counts.primary_key]

_metadata = cast(_event.metadata, Text)
# The metadata of the events that can have one of these facts: most events have none, and are not parsed.
LISTED_METADATA = case((or_(*map(_metadata.contains, _QUOTED)), _metadata))

# The columns of an event that are counted besides its metadata, in the order of `Event`.
COLUMNS = ("id", "timestamp", "source", "event_type", "connector_id", "connector_name", "author", "status", "tags")

_EVENTS = select(
    _event.id,
    type_coerce(_event.timestamp, BigInteger),
    *(_event[name] for name in COLUMNS[2:-1]),
    cast(_event.tags, Text),
    LISTED_METADATA,
)
_NEW_EVENTS = Prepared(_EVENTS.where(_event.id > bindparam("after"), _event.id <= bindparam("last")))

_ADD = BulkUpsert(_counts, "events", adds=True)
_IS_KEY = [_counts.c[name] == bindparam(name) for name in _KEY]
_SWEEP = Prepared(delete(_counts).where(*_IS_KEY, _counts.c.events == literal_column("0")))


def add(connection: Connection, after: int, last: int, appended: Iterable[Event] = ()) -> None:
    """Add the events after number `after`, up to `last`, and those `appended` after them, which are not read again."""
    events = list(appended)
    for start in range(after, last, READ_BATCH):
        events += _decoded(_NEW_EVENTS.unconverted(connection, after=start, last=min(start + READ_BATCH, last)))
        if len(events) >= READ_BATCH:
            _add(connection, events)
            events = []
    if events:
        _add(connection, events)


def subtract(connection: Connection, ids: Sequence[int], upto: int) -> None:
    """Subtract events that are about to be deleted. Events after number `upto` are not in the rollups yet."""
    old = [number for number in ids if number <= upto]
    groups = grouped(_decoded(connection.execute(_EVENTS.where(_event.id.in_(old)))))
    counts = counted(groups)
    _ADD.run(connection, [(*key, -events) for *key, events in counts])
    if counts:
        _SWEEP.run(connection, *(dict(zip(_KEY, count, strict=False)) for count in counts))
        bitmaps.remove(connection, members(groups))


def _add(connection: Connection, events: Iterable[Event]) -> None:
    groups = grouped(events)
    # Not sorted, which takes more time than it saves: the slots of a value are adjacent, and in the same page, anyway.
    _ADD.run(connection, counted(groups))
    bitmaps.add(connection, members(groups))


def listed_metadata(stored: str) -> Any:
    """Return stored metadata, or None if none of its facts is in `LISTED`.

    >>> listed_metadata('{"service":"shop","pods":Infinity}'), listed_metadata('{"pods":2}')
    ({'service': 'shop', 'pods': inf}, None)
    """
    if not any(map(stored.__contains__, _QUOTED)):
        return None
    try:
        return orjson.loads(stored)  # in a third of the time; it refuses values such as an infinite number
    except ValueError:
        return json.loads(stored)


def _decoded(rows: Iterable[Sequence[Any]]) -> Iterator[Event]:
    return ((*values, json.loads(metadata) if metadata else None) for *values, metadata in rows)


def connector_value(number: int | None, name: str | None) -> str | None:
    """Return the value of the facet "connector", such as "7/Work". The id or the name may be missing.

    >>> connector_value(7, "Work"), connector_value(None, "Work"), connector_value(7, None)
    ('7/Work', '/Work', '7')
    """
    if number is None and name is None:
        return None
    return ("" if number is None else str(number)) + ("" if name is None else f"/{name}")


@lru_cache(1024)
def tags_value(tags: str) -> str | None:
    """Return the value of the facet "tag": all tags of an event together, so that each event counts once.

    A list that is too long for an index becomes "". If any event has it, the facet cannot be used.

    >>> tags_value('["system", "audit"]'), tags_value("[]"), tags_value(f'["{199 * "long"}"]')
    ('["system","audit"]', None, '')
    """
    decoded = json.loads(tags)
    value = stored_json(decoded)
    return (value if len(value) <= MAX_VALUE_LENGTH else "") if decoded else None


def listed_values(metadata: Any) -> tuple[str | None, ...]:
    """Return the values of the facts in `LISTED` that the metadata of an event has.

    >>> listed_values({"service": "shop", "environment": 2}), listed_values(None)
    (('shop', None), (None, None))
    """
    if not isinstance(metadata, dict):
        return _NOT_LISTED
    return tuple([value if _is_listed(value := metadata.get(fact)) else None for fact in LISTED])


def _is_listed(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MAX_LISTED_LENGTH


def grouped(events: Iterable[Event]) -> Groups:
    """Group the events that are counted together."""
    groups: dict[tuple[str, Facets], dict[int, list[int]]] = {}
    by_values: dict[Any, dict[int, list[int]]] = {}  # the same: most events have values that were seen before
    for number, stamp, source, *values, metadata in events:
        key = (source, *values, *listed_values(metadata))
        by_quarter = by_values.get(key)
        if by_quarter is None:
            by_quarter = by_values[key] = groups.setdefault((source, tuple(_facets(*key[1:]))), {})
        by_quarter.setdefault(stamp // (QUARTER * 1_000_000), []).append(number)
    return groups


def _facets(
    event_type: str,
    connector_id: int | None,
    connector_name: str | None,
    author: str,
    status: str | None,
    tags: str,
    *listed: str | None,
) -> Iterator[tuple[str, str]]:
    """Yield each facet for which an event has a value, with the value."""
    yield ALL, ""
    yield "event_type", event_type
    yield "author", author
    for facet, value in (
        ("connector", connector_value(connector_id, connector_name)),
        ("status", status),
        ("tag", tags_value(tags)),
        *zip(LISTED, listed, strict=True),
    ):
        if value is not None:
            yield facet, value


def counted(groups: Groups) -> list[Count]:
    """Count events in slots of every grain, the coarse ones from the finer ones. Return each slot once."""
    quarters: dict[tuple[str, str, str], dict[int, int]] = defaultdict(dict)
    for (source, facets), numbers_by_quarter in groups.items():
        sizes = [(quarter, len(numbers)) for quarter, numbers in numbers_by_quarter.items()]
        for facet, value in facets:
            _add_up(quarters[facet, value, source], sizes)
    counts: list[Count] = []
    for (facet, value, source), slots in quarters.items():
        grain = QUARTER
        for coarser in (HOUR, DAY, ALL_TIME):
            if facet not in LISTED:
                counts += [(facet, grain, value, slot, source, events) for slot, events in slots.items()]
            finer, slots = slots, {}
            _add_up(slots, ((slot * grain // coarser if coarser else 0, events) for slot, events in finer.items()))
            grain = coarser
        counts.append((facet, ALL_TIME, value, 0, source, slots[0]))
    return counts


def _add_up(slots: dict[int, int], sizes: Iterable[tuple[int, int]]) -> None:
    for slot, events in sizes:
        slots[slot] = slots.get(slot, 0) + events


def members(groups: Groups) -> Iterator[bitmaps.Member]:
    """Yield the numbers of the events with the same facets, and of one slot, with the bitmaps that contain them."""
    by_quarter: dict[int, list[int]] = defaultdict(list)
    for (source, facets), numbers_by_quarter in groups.items():
        keys = [(facet, ALL_TIME, 0, value) for facet, value in facets if facet not in (ALL, *LISTED)]
        yield [(bitmaps.SOURCE, ALL_TIME, 0, source), *keys], [*chain.from_iterable(numbers_by_quarter.values())]
        for quarter, numbers in numbers_by_quarter.items():
            by_quarter[quarter] += numbers
    for quarter, numbers in by_quarter.items():
        yield [(ALL, grain, quarter * QUARTER // grain, "") for grain in GRAINS], numbers
