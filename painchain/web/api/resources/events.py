"""Events and what is counted of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from html import escape
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema
from pydantic.json_schema import SkipJsonSchema

from painchain import connectors
from painchain.audit.external_events import REQUIRED
from painchain.connectors.outcomes import Outcome
from painchain.exports import ocsf
from painchain.exports.export import event_json
from painchain.indexes.notes import Note
from painchain.presentation.event_columns import WHERE_FIELDS
from painchain.timeline import queries, silent_connectors
from painchain.timeline.coverage import KINDS, CoverageGap
from painchain.web.api.resources.base import Resource, Time

CountedSince = Annotated[
    Time | None,
    Field(
        description="If a search has too many matches, only events after this time are counted. Null: all are counted."
    ),
]
Counts = Mapping[str, int]
# Grafana shows both as HTML. It removes scripts, but no links and images.
AS_HTML = "As HTML without tags: `<`, `>` and `&` are escaped."


class EventDescription(BaseModel):
    """What happened: the text, and what else the source reported."""

    model_config = ConfigDict(extra="allow")

    text: str


class Event(Resource):
    """An event, as `exports.export.event_json` writes it."""

    id: int
    event_id: str
    source: str
    event_type: str
    connector_id: int | None
    connector_name: str | None
    title: str
    description: EventDescription
    author: str
    timestamp: Time
    recorded_at: Time
    url: str | None
    status: str | None
    metadata: dict[str, Any]
    tags: list[str]
    request_id: str


class RecordedEvent(Resource):
    """A change event that is in the log. `created` is false if it was recorded before."""

    id: int
    event_id: str
    created: bool


class Annotation(Resource):
    """An event on a graph. Times are in milliseconds since 1970; `timeEnd` is `time` if the event has no length."""

    time: int
    timeEnd: int
    title: str = Field(description=AS_HTML)
    text: str = Field(description=AS_HTML)
    tags: list[str]

    @classmethod
    def of(cls, event: queries.Event) -> Annotation:
        """Return the annotation of an event: its text says who made the change, and where and how it ended."""
        outcome = connectors.outcome(event.source, event.event_type, event.status)
        where = [event.metadata.get(key) for key in WHERE_FIELDS]
        parts = [*where, event.status, f"by {event.author}", event.description.get("text")]
        own = (event.source, event.event_type, *(() if outcome is Outcome.NEUTRAL else (outcome.value,)))
        return cls(
            time=_milliseconds(event.timestamp),
            timeEnd=_milliseconds(_end(event)),
            title=escape(event.title, quote=False),
            text=escape(" · ".join(part for part in parts if isinstance(part, str) and part), quote=False),
            tags=[*own, *event.tags],
        )


def _end(event: queries.Event) -> datetime:
    """Return when an event ended: the end of a change event, else its time."""
    start: datetime = event.timestamp
    try:
        end = datetime.fromisoformat(str(event.metadata.get("end_time")))
    except ValueError:
        return start
    return max(end, start) if end.tzinfo else start


def _milliseconds(time: datetime) -> int:
    return int(time.timestamp() * 1000)


class EventNote(Resource):
    """A note on an event: `id` is the number of its own event, Note Added."""

    id: int
    author: str
    timestamp: Time
    text: str

    @classmethod
    def of(cls, note: Note) -> EventNote:
        """Return the resource of a note."""
        return cls(id=note.id, author=note.author, timestamp=note.time, text=note.text)


Events = Annotated[
    list[dict[str, Any]], WithJsonSchema({"type": "array", "items": {"$ref": "#/components/schemas/Event"}})
]


class Logged(Resource):
    """An event that was recorded for a script."""

    success: Literal[True]
    message: str
    event_type: Annotated[str, Field(json_schema_extra={"enum": list(REQUIRED)})]
    event_id: str


class Lapse(Resource):
    """A data gap: a period without data from a connector. `until` is null while it lasts."""

    connector_id: int
    connector_name: str
    connector_type: str
    kind: Annotated[str, Field(json_schema_extra={"enum": list(KINDS)})]
    since: Time
    until: Time | None
    words: str

    @classmethod
    def of(cls, gap: CoverageGap) -> Lapse:
        """Return the resource of a coverage gap."""
        return cls(
            connector_id=gap.connector_id,
            connector_name=gap.connector_name,
            connector_type=gap.connector_type,
            kind=gap.kind,
            since=gap.since,
            until=gap.until,
            words=gap.words,
        )


class Silence(Resource):
    """A connector that has had no events for an unusually long time, and its last configuration changes before that."""

    connector_id: int
    connector_name: str
    connector_type: str
    last_event: Time
    usual_gap_seconds: float
    changes: Events

    @classmethod
    def of(cls, silence: silent_connectors.Silence) -> Silence:
        """Return the resource of a silent connector."""
        return cls(
            connector_id=silence.connector_id,
            connector_name=silence.name,
            connector_type=silence.type,
            last_event=silence.last,
            usual_gap_seconds=silence.usual.total_seconds(),
            changes=[event_json(event) for event in silence.changes],
        )


class TimelineBin(Resource):
    """The events of one bin of the timeline, by source."""

    start: Time
    end: Time
    total: int
    failures: int
    counts: Counts


class Timeline(Resource):
    """Events by time and source, and the times without data."""

    start: Time
    end: Time
    bin_seconds: int
    total: int
    failures: int
    counted_since: CountedSince
    bins: list[TimelineBin]
    lapses: list[Lapse]
    silences: list[Silence]


class Stats(Resource):
    """Numbers of events by source, event type, connector, author and status."""

    total: int
    counted_since: CountedSince
    by_source: Counts
    by_event_type: Counts
    by_connector_name: Counts
    by_author: Counts
    by_status: Counts


def _remove_default(schema: dict[str, Any]) -> None:
    schema.pop("default")


# A member that is left out where there is no value, and never null.
MAY_BE_MISSING = Field(default=None, json_schema_extra=_remove_default)


class OcsfEvent(BaseModel):
    """An event as the OCSF export has it. `exports.ocsf` writes it; the members that are not required vary by event."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={"description": f"An Entity Management event (class {ocsf.CLASS}) of OCSF {ocsf.VERSION}."},
    )

    activity_id: int
    category_uid: Annotated[int, Field(json_schema_extra={"const": ocsf.CATEGORY})]
    class_uid: Annotated[int, Field(json_schema_extra={"const": ocsf.CLASS})]
    type_uid: int
    severity_id: int
    time: int
    metadata: dict[str, Any]
    entity: dict[str, Any]
    status_id: Annotated[int | SkipJsonSchema[None], MAY_BE_MISSING]
    actor: Annotated[dict[str, Any] | SkipJsonSchema[None], MAY_BE_MISSING]
    unmapped: Annotated[dict[str, Any] | SkipJsonSchema[None], MAY_BE_MISSING]
    message: Annotated[str | SkipJsonSchema[None], MAY_BE_MISSING]
