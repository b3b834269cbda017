"""Maintain the rollups (numbers of events by facet, value, source and time slot) and the bitmaps beside them.

They hold the events up to number `LogHead.counted`. Readers count the few newer events one by one, so that most writes
do not touch the rollups. The write that advances `counted` adds all of these events at once, in its transaction.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import BigInteger, bindparam, delete, literal_column, select, type_coerce
from sqlalchemy.engine import Connection

from painchain.database.dialects import upsert_add
from painchain.database.models import ChangeEvent, EventCount
from painchain.database.prepared import Prepared
from painchain.database.session import Base
from painchain.indexes import bitmaps

MAX_UNCOUNTED = 512  # the most events that readers count one by one
READ_BATCH = 20_000  # events read at a time
ALL_TIME, QUARTER, HOUR, DAY = 0, 900, 3600, 86400
GRAINS = (DAY, HOUR, QUARTER)
MAX_VALUE_LENGTH = 500  # characters of a value; PostgreSQL indexes accept 2,704 bytes
ALL = "all"  # the facet whose only value is ""

Row = tuple[str, int, str, int, str]

_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode

_event = ChangeEvent.__table__.c
_counts = Base.metadata.tables[EventCount.__tablename__]
_KEY = [column.name for column in _counts.primary_key]

_EVENTS = select(
    _event.id,
    type_coerce(_event.timestamp, BigInteger),
    *(_event[name] for name in ("source", "event_type", "connector_id", "connector_name", "author", "status", "tags")),
)
_NEW_EVENTS = Prepared(_EVENTS.where(_event.id > bindparam("after"), _event.id <= bindparam("last")))

_ADD = Prepared(upsert_add(_counts, "events"))
_IS_KEY = [_counts.c[name] == bindparam(name) for name in _KEY]
_SWEEP = Prepared(delete(_counts).where(*_IS_KEY, _counts.c.events == literal_column("0")))


def add(connection: Connection, after: int, last: int) -> None:
    """Add the events after number `after`, up to `last`."""
    for events in _read(connection, after, last):
        _write(connection, counted(events))
        bitmaps.add(connection, members(events))


def subtract(connection: Connection, ids: Sequence[int], upto: int) -> None:
    """Subtract events that are about to be deleted. Events after number `upto` are not in the rollups yet."""
    old = [number for number in ids if number <= upto]
    events = connection.execute(_EVENTS.where(_event.id.in_(old))).all()
    counts = counted(events)
    _write(connection, Counter({row: -number for row, number in counts.items()}))
    if counts:
        _SWEEP.run(connection, *(dict(zip(_KEY, row, strict=True)) for row in counts))
        bitmaps.remove(connection, members(events))


def _read(connection: Connection, after: int, last: int) -> Iterator[list[list[Any]]]:
    for start in range(after, last, READ_BATCH):
        yield _NEW_EVENTS.all(connection, after=start, last=min(start + READ_BATCH, last))


def connector_value(number: int | None, name: str | None) -> str | None:
    """Return the value of the facet "connector", such as "7/Work". The id or the name may be missing.

    >>> connector_value(7, "Work"), connector_value(None, "Work"), connector_value(7, None)
    ('7/Work', '/Work', '7')
    """
    if number is None and name is None:
        return None
    return ("" if number is None else str(number)) + ("" if name is None else f"/{name}")


def tags_value(tags: list[str]) -> str | None:
    """Return the value of the facet "tag": all tags of an event together, so that each event counts once.

    A list that is too long for an index becomes "". If any event has it, the facet cannot be used.

    >>> tags_value(["system", "audit"]), tags_value([]), tags_value(["long"] * 99)
    ('["system","audit"]', None, '')
    """
    value = _json(tags)
    return (value if len(value) <= MAX_VALUE_LENGTH else "") if tags else None


def _facets(event: Any) -> Iterator[tuple[str, str]]:
    """Yield each facet for which an event has a value, with the value."""
    _, _, _, event_type, connector_id, connector_name, author, status, tags = event
    yield ALL, ""
    yield "event_type", event_type
    yield "author", author
    for facet, value in (
        ("connector", connector_value(connector_id, connector_name)),
        ("status", status),
        ("tag", tags_value(tags)),
    ):
        if value is not None:
            yield facet, value


def counted(events: Iterable[Any]) -> Counter[Row]:
    """Count events in slots of every grain, starting from quarters of an hour."""
    fine: Counter[tuple[str, str, int, str]] = Counter()
    for event in events:
        _, stamp, source, *_ = event
        slot = stamp // (QUARTER * 1_000_000)
        for facet, value in _facets(event):
            fine[facet, value, slot, source] += 1
    counts: Counter[Row] = Counter()
    for (facet, value, slot, source), number in fine.items():
        for grain in GRAINS:
            counts[facet, grain, value, slot * QUARTER // grain, source] += number
        counts[facet, ALL_TIME, value, 0, source] += number
    return counts


def members(events: Iterable[Any]) -> Iterator[bitmaps.Member]:
    """Yield each event's number with the bitmaps that contain it."""
    for event in events:
        number, stamp, source, *_ = event
        yield (bitmaps.SOURCE, ALL_TIME, 0, source), number
        for facet, value in _facets(event):
            if facet != ALL:
                yield (facet, ALL_TIME, 0, value), number
        for grain in GRAINS:
            yield (ALL, grain, stamp // (grain * 1_000_000), ""), number


def _write(connection: Connection, rows: Counter[Row]) -> None:
    if rows:
        ordered = sorted(rows.items())  # so that adjacent rows are in the same page
        _ADD.run(connection, *({**dict(zip(_KEY, row, strict=True)), "events": events} for row, events in ordered))
