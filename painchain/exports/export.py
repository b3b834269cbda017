"""Export the events of a filter, newest first, in constant memory. Every export is recorded."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from painchain.audit import event_kinds
from painchain.audit.records import Export
from painchain.audit.trail import Trail
from painchain.core import csv_file
from painchain.database.session import begin_snapshot, db
from painchain.database.types import iso
from painchain.exports import event_lines, ocsf
from painchain.timeline import histogram, queries
from painchain.timeline.cursor import Cursor
from painchain.timeline.filter import Filter
from painchain.timeline.queries import Event

SLICE = 1000
OCSF_BETWEEN = ",\n"

_encode = json.JSONEncoder(separators=(",", ":")).encode


class ExportNeedsAuditing(Exception):
    """Exports are refused while auditing is off."""

    def __init__(self) -> None:
        super().__init__("Auditing is off, but every export must be recorded. Enable the PainChain connector first.")


@dataclass(frozen=True)
class Format:
    """An export format: `text` reads and formats the events with some numbers, newest first.

    `start`, `between` and `end` surround these texts. `text` has no `between` at its end.

    `byte_order_mark` can come before all of them; "" for a format that has none.
    """

    key: str
    label: str
    help: str
    mimetype: str
    suffix: str
    text: Callable[[Sequence[int]], str]
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


@dataclass(frozen=True)
class Slice:
    """The text of some events of an export, and their number."""

    text: str
    events: int


def slices(selection: Selection, format: Format, size: int = SLICE) -> Iterator[Slice]:
    """Yield the texts of the events, each read in a snapshot. No transaction stays open while the client reads."""
    before: Cursor | None = None
    while True:
        begin_snapshot()
        found, before = queries.page_numbers(selection.event_filter, before, size)
        numbers = [number for number in found if number <= selection.until]
        text = format.text(numbers) if numbers else ""
        db.session.rollback()
        if text:
            yield Slice(text, len(numbers))
        if before is None:
            return


def render(format: Format, slices: Iterable[Slice], with_byte_order_mark: bool = False) -> Iterator[str]:
    """Yield the text of an export in pieces. CSV can begin with a byte order mark, other formats have none."""
    if with_byte_order_mark and format.byte_order_mark:
        yield format.byte_order_mark
    separator = format.start
    for events in slices:
        yield separator + events.text
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


def _csv(numbers: Sequence[int]) -> str:
    return "".join(map(_csv_event, queries.events_by_number(numbers)))


def _csv_event(event: Event) -> str:
    values = {**event_json(event), "text": event.description.get("text")}
    return csv_line(values[column] for column in COLUMNS)


def _ndjson(numbers: Sequence[int]) -> str:
    return event_lines.linked_events(numbers) + "\n"


def _ocsf(numbers: Sequence[int]) -> str:
    return OCSF_BETWEEN.join(_encode(ocsf.entity_management(event)) for event in queries.events_by_number(numbers))


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
            OCSF_BETWEEN,
            "\n]\n",
        ),
    )
}
