"""Read events as lines of JSON, as the API and the NDJSON export have them, without an object for each value."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import LargeBinary, bindparam, case, func, literal_column, select

from painchain.core import runtime
from painchain.database.json_text import JsonLines, json_object
from painchain.database.models import ChangeEvent, PrunedRun
from painchain.database.session import Base, db
from painchain.eventlog.chain import START, VERSION
from painchain.timeline.pages import Position

_event = ChangeEvent.__table__.c
_runs = Base.metadata.tables[PrunedRun.__tablename__].c
_earlier = ChangeEvent.__table__.alias("previous").c

MEMBERS = (
    *("id", "event_id", "source", "event_type", "connector_id", "connector_name", "title", "description"),
    *("author", "timestamp", "recorded_at", "url", "status", "metadata", "tags", "request_id"),
)
# The hash before an event is that of an event or of a run of pruned events.
_previous = func.coalesce(
    select(_earlier.mac).where(_earlier.id == _event.id - literal_column("1")).scalar_subquery(),
    select(_runs.mac).where(_runs.last == _event.id - literal_column("1")).scalar_subquery(),
    case((_event.id == literal_column("1"), bindparam("start", type_=LargeBinary))),
)
_link = {"version": literal_column(str(VERSION)), "previous": _previous, "mac": _event.mac}
_members = {name: _event[name] for name in MEMBERS}
_EVENTS = JsonLines(_event.id, _members)
_LINKED_EVENTS = JsonLines(
    _event.id, {**_members, "connector_type": _event.connector_type, "chain": json_object(_link)}
)


def events(numbers: Sequence[int]) -> str:
    """Return lines with the events of these numbers, in this order, as ``export.event_json`` has them."""
    return _EVENTS.read(db.session.connection(), numbers)


def newest_events(positions: Sequence[Position]) -> str:
    """Return the lines of the events at these positions, from the cache where it has them: an event never changes.

    A restore can replace the log by another one, whose events have the same numbers, but not the same times.
    """
    cache = runtime.current().cache
    time_of = {number: time for time, number in positions}
    lines = {number: line for time, number in positions if (line := cache.get(("line", time, number)))}
    missing = [number for number in time_of if number not in lines]
    for line in filter(None, events(missing).split("\n") if missing else ()):
        number = int(line[len('{"id":') : line.index(",")])
        lines[number] = line
        cache.put(("line", time_of[number], number), line, len(line))
    return "\n".join(lines[number] for number in time_of if number in lines)


def linked_events(numbers: Sequence[int]) -> str:
    """Return lines with the events of these numbers, in this order, with their positions in the chain.

    With them and the key, ``painchain.verify_export`` verifies the events.
    """
    return _LINKED_EVENTS.read(db.session.connection(), numbers, start=START)
