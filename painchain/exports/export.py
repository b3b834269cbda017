"""Export the events of a filter, newest first, in constant memory. Every export is recorded."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, NamedTuple

from painchain.audit import event_kinds
from painchain.audit.records import Export
from painchain.audit.trail import Trail
from painchain.core import csv_file
from painchain.database.session import begin_snapshot, db
from painchain.database.types import iso
from painchain.eventlog import reader
from painchain.eventlog.chain import VERSION
from painchain.exports import ocsf
from painchain.timeline import histogram, queries
from painchain.timeline.cursor import Cursor
from painchain.timeline.filter import Filter
from painchain.timeline.queries import Event

CHUNK = 500

_encode = json.JSONEncoder(separators=(",", ":")).encode


class ExportNeedsAuditing(Exception):
    """Exports are refused while auditing is off."""

    def __init__(self) -> None:
        super().__init__("Auditing is off, but every export must be recorded. Enable the PainChain connector first.")


class ExportedEvent(NamedTuple):
    """An exported event, and the hash of the event before it in the chain."""

    event: Event
    previous: bytes | None


@dataclass(frozen=True)
class Format:
    """An export format: `line` formats one event; `start`, `between` and `end` surround the lines.

    `byte_order_mark` can come before all of them; "" for a format that has none.
    """

    key: str
    label: str
    help: str
    mimetype: str
    suffix: str
    line: Callable[[ExportedEvent], str]
    start: str = ""
    between: str = ""
    end: str = ""
    byte_order_mark: str = ""


@dataclass(frozen=True)
class Selection:
    """The events to export: those of a filter up to number `until`, at most `events` of them."""

    event_filter: Filter
    until: int
    events: int


def select(event_filter: Filter) -> Selection:
    """Return the selection that an export would contain now."""
    return Selection(event_filter, queries.head().last_event, histogram.count(event_filter))


def record_export(selection: Selection, format: Format, trail: Trail) -> str:
    """Record an export and return the id of its event. Later events are not part of the export.

    :raises ExportNeedsAuditing: when auditing is off.
    """
    event_id = trail.log(
        event_kinds.events_exported(Export(format.label, filter_json(selection.event_filter), selection.events))
    )
    if event_id is None:
        raise ExportNeedsAuditing
    return event_id


def chunks(selection: Selection, size: int = CHUNK) -> Iterator[Sequence[ExportedEvent]]:
    """Yield the events in chunks. No transaction stays open while the client reads."""
    before: Cursor | None = None
    while True:
        begin_snapshot()
        page = queries.page(selection.event_filter, before, size)
        events = [event for event in page.events if event.id <= selection.until]
        previous = reader.previous_macs(db.session.connection(), {event.id: event.mac for event in events})
        db.session.rollback()
        if events:
            yield [ExportedEvent(event, previous.get(event.id)) for event in events]
        before = page.older
        if before is None:
            return


def render(
    format: Format, chunks: Iterable[Sequence[ExportedEvent]], with_byte_order_mark: bool = False
) -> Iterator[str]:
    """Yield the text of an export in pieces. CSV can begin with a byte order mark, other formats have none."""
    if with_byte_order_mark and format.byte_order_mark:
        yield format.byte_order_mark
    separator = format.start
    for events in chunks:
        yield separator + format.between.join(map(format.line, events))
        separator = format.between
    yield (separator if separator == format.start else "") + format.end


def filter_json(event_filter: Filter) -> dict[str, Any]:
    """Return the parts of a filter that are set, as JSON."""
    parts = {field.name: getattr(event_filter, field.name) for field in fields(event_filter)}
    return {name: _json_value(value) for name, value in parts.items() if value and name != "teams"}


def _json_value(value: Any) -> Any:
    if isinstance(value, datetime):
        return iso(value)
    return [_json_value(item) for item in value] if isinstance(value, list | tuple) else str(value)


def event_json(event: Event) -> dict[str, Any]:
    """Return an event as the API's JSON."""
    return {
        "id": event.id,
        "event_id": event.event_id,
        "source": event.source,
        "event_type": event.event_type,
        "connector_id": event.connector_id,
        "connector_name": event.connector_name,
        "title": event.title,
        "description": event.description,
        "author": event.author,
        "timestamp": iso(event.timestamp),
        "recorded_at": iso(event.recorded_at),
        "url": event.url,
        "status": event.status,
        "metadata": event.metadata,
        "tags": event.tags,
        "request_id": event.request_id,
    }


COLUMNS = (
    *("id", "event_id", "timestamp", "recorded_at", "source", "event_type", "title", "text", "author", "status"),
    *("connector_id", "connector_name", "url", "tags", "request_id", "description", "metadata"),
)


def csv_line(values: Iterable[Any]) -> str:
    """Return a line of CSV (RFC 4180). A text that looks like a formula gets an apostrophe in front.

    >>> csv_line(["=1+1", "a, b", None, 7])
    '\\'=1+1,"a, b",,7\\r\\n'
    """
    return csv_file.line(map(_cell, values))


def _cell(value: Any) -> str:
    if value is None or isinstance(value, int):
        return "" if value is None else str(value)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return csv_file.guard(text)


def _csv(exported: ExportedEvent) -> str:
    values = {**event_json(exported.event), "text": exported.event.description.get("text")}
    return csv_line(values[column] for column in COLUMNS)


def _ndjson(exported: ExportedEvent) -> str:
    members = {**event_json(exported.event), "connector_type": exported.event.connector_type, "chain": _link(exported)}
    return _encode(members) + "\n"


def _link(exported: ExportedEvent) -> dict[str, Any]:
    """Return the data with which ``painchain.verify_export`` verifies the event and its position, given the key."""
    mac = exported.event.mac
    return {
        "version": VERSION,
        "previous": exported.previous.hex() if exported.previous else None,
        "mac": mac.hex() if mac else None,
    }


def _ocsf(exported: ExportedEvent) -> str:
    return _encode(ocsf.entity_management(exported.event))


FORMATS = {
    format.key: format
    for format in (
        Format(
            "csv",
            "CSV",
            "For spreadsheets: RFC 4180, one line per event, the details as JSON. No cell can act as a formula.",
            "text/csv",
            "csv",
            _csv,
            csv_line(COLUMNS),
            byte_order_mark=csv_file.BYTE_ORDER_MARK,
        ),
        Format(
            "ndjson",
            "NDJSON",
            "For programs: one JSON object per line, exactly as the API returns it, with its position in the chain.",
            "application/x-ndjson",
            "ndjson",
            _ndjson,
        ),
        Format(
            "ocsf",
            "OCSF",
            f"For a SIEM: a JSON array of Entity Management events (class 3004) of OCSF {ocsf.VERSION}.",
            "application/json",
            "ocsf.json",
            _ocsf,
            "[\n",
            ",\n",
            "\n]\n",
        ),
    )
}
