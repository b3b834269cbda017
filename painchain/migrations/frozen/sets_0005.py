"""The sets of event numbers, as migration 0005 stores them: which events have a value, or lie in a slot of time."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

CHUNK = 15_000  # numbers in one row
QUARTER, HOUR, DAY = 900, 3600, 86400  # seconds
LONGEST = 500  # characters of a value

Key = tuple[str, int, int, str]  # facet, grain, slot, value

_FIELDS = ("id", "timestamp", "source", "event_type", "connector_id", "connector_name", "author", "status")
_events = sa.table("change_events", *(sa.column(name) for name in _FIELDS), sa.column("tags", sa.JSON))
_COLUMNS = ("facet", "grain", "slot", "value", "chunk")
_sets = sa.table("event_sets", *(sa.column(name) for name in _COLUMNS), sa.column("bits", sa.LargeBinary))
_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def fill(connection: Connection) -> None:
    """Make the sets of all events that are counted already."""
    counted = connection.execute(sa.text("SELECT counted FROM log_head")).scalar_one()
    for chunk in range(counted // CHUNK + 1):
        first = chunk * CHUNK
        in_chunk = _events.c.id.between(first, min(first + CHUNK - 1, counted))
        bits: dict[Key, int] = defaultdict(int)
        for event in connection.execute(sa.select(_events).where(in_chunk)):
            for key in _keys(event):
                bits[key] |= 1 << event.id % CHUNK
        rows = [dict(zip(_COLUMNS, (*key, chunk), strict=True)) | {"bits": _encode(bits[key])} for key in sorted(bits)]
        if rows:
            connection.execute(sa.insert(_sets), rows)


def _keys(event: Row[Any]) -> Iterator[Key]:
    """Yield the key of each set that an event is in."""
    yield "source", 0, 0, event.source
    for facet, value in (
        ("event_type", event.event_type),
        ("author", event.author),
        ("connector", _connector(event.connector_id, event.connector_name)),
        ("status", event.status),
        ("tag", _tags(event.tags)),
    ):
        if value is not None:
            yield facet, 0, 0, value
    for grain in (DAY, HOUR, QUARTER):
        yield "all", grain, event.timestamp // (grain * 1_000_000), ""


def _connector(number: int | None, name: str | None) -> str | None:
    if number is None and name is None:
        return None
    return ("" if number is None else str(number)) + ("" if name is None else f"/{name}")


def _tags(tags: list[str]) -> str | None:
    value = _json(tags)
    return (value if len(value) <= LONGEST else "") if tags else None


def _encode(bits: int) -> bytes:
    """Return bits as they are stored: how many empty bytes lead, in two bytes, and the others."""
    empty = ((bits & -bits).bit_length() - 1) // 8
    return empty.to_bytes(2, "big") + (bits >> 8 * empty).to_bytes((bits.bit_length() + 7) // 8 - empty, "little")
