"""Say what an event is about: one line and its fields, as far as they are shown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from itertools import groupby
from typing import Any
from zoneinfo import ZoneInfo

from painchain import connectors
from painchain.audit.diff import Change
from painchain.connectors.base import EventField, EventType, Shape
from painchain.presentation import facts as presentation_facts
from painchain.presentation.facts import Fact, Link, Status
from painchain.timeline.queries import Event
from painchain.timeline.visibility import Hidden, Toggle

# The glyph of each thing that can be done to a connector; other events carry the icon of their type.
VERBS = {
    "ConnectorCreated": "created",
    "ConnectorUpdated": "updated",
    "ConnectorDeleted": "deleted",
    "ConnectorEnabled": "enabled",
    "ConnectorDisabled": "disabled",
    "ConnectorFailing": "failing",
    "ConnectorRecovered": "recovered",
    "TeamCreated": "created",
    "TeamUpdated": "updated",
    "TeamDeleted": "deleted",
}


# What the line of an event says beside its subject: facts of these shapes, and short texts of these fields.
TELLING = (Shape.BRANCHES, Shape.LINES, Shape.MOVES, Shape.SECONDS)
TELLING_TEXTS = ("branch", "ref", "tag", "environment", "namespace")


# Fields that say what an event of PainChain's own is about.
SUBJECTS = ("team", "token", "person", "connector_name")


@dataclass(frozen=True)
class Row:
    """One field of an event: a label, and a value, a change or several changes."""

    key: str
    label: str
    value: Any = None
    changes: Sequence[Change] = ()
    part: str = ""
    fact: Fact = field(default_factory=lambda: Fact(Shape.TEXT, None))


@dataclass(frozen=True)
class EventView:
    """One event as the feed shows it: `told` and `status` in its line; `whole` unless a field of it is hidden."""

    event: Event
    label: str
    icon: str
    colour: str
    source_label: str
    subject: str | None
    verb: str
    change: Change | None
    sides: tuple[str, ...]
    note: str
    rows: Sequence[Row]
    local: datetime
    status: Status | None = None
    told: Sequence[Row] = ()
    link: Link | None = None
    whole: bool = True

    @property
    def telling(self) -> bool:
        """Whether title and sentence may be shown: those of PainChain's own events say what their fields say."""
        return self.whole or self.event.source != connectors.BUILTIN.key

    @property
    def claimed(self) -> str:
        """Who a script says did it, whoever sent it."""
        return self._beside("claimed_author")

    @property
    def reason(self) -> str:
        """Why somebody did it, in their words."""
        return self._beside("reason")

    @property
    def cause(self) -> str:
        """What made PainChain do it, unless one of the fields tells."""
        return "" if any(row.key == "cause" for row in self.rows) else self._beside("cause")

    def _beside(self, key: str) -> str:
        own = self.event.source == connectors.BUILTIN.key
        return str(self.event.description.get(key) or "") if own else ""

    @property
    def heading(self) -> str:
        """The title, or else what kind of event it is."""
        return str(self.event.title) if self.telling else self.label


@dataclass(frozen=True)
class Group:
    """The events of one action."""

    request_id: str
    articles: Sequence[EventView]


@dataclass(frozen=True)
class Day:
    """The groups of one day in the viewer's zone."""

    date: date
    groups: Sequence[Group]


def describe(event: Event, hidden: frozenset[Toggle], zone: ZoneInfo) -> EventView:
    """Return an event as it is shown: without the fields that are hidden."""
    source = connectors.TYPES.get(event.source)
    event_type = connectors.event_type(event.source, event.event_type)
    facts = {**event.description, **event.metadata, "labelled_changes": event.description.get("changes")}
    fields = event_type.fields if event_type else _unknown_fields(facts)
    shown = [field for field in fields if (event.event_type, field.key) not in hidden]
    keys = {field.key for field in shown}
    rows = [_row(field, facts) for field in shown if field.key in facts]
    own = event.source == connectors.BUILTIN.key
    alone = (
        _alone(rows) if own and ("team" in facts or "person" in facts) else None
    )  # no Config Changed tells it beside the save
    change = _single_change(facts) if "field" in keys else alone
    return EventView(
        event=event,
        label=event_type.label if event_type else event.event_type,
        icon=event_type.icon if event_type else "circle",
        colour=source.colour if source else "grey",
        source_label=source.label if source else event.source,
        subject=_subject(event, facts, fields, keys),
        verb=VERBS.get(event.event_type, ""),
        change=change,
        sides=_sides_shown(keys) if "field" in keys else ("old", "new"),
        note="" if alone or (event_type and not own) else _note(facts, keys),
        rows=rows,
        local=event.timestamp.astimezone(zone),
        status=None if own else _status(event, event_type, rows, keys),
        told=[] if own else [row for row in rows if _is_telling(row)],
        link=presentation_facts.link(event.url),
        whole=len(shown) == len(fields),
    )


def by_day(events: Iterable[Event], hidden: Hidden, zone: ZoneInfo) -> Iterator[Day]:
    """Group events, newest first, by the viewer's day and within it by action."""
    articles = [describe(event, hidden.of(event.source, event.connector_id), zone) for event in events]
    for day, of_day in groupby(articles, key=lambda article: article.local.date()):
        groups = [
            Group(request_id, list(of_request))
            for request_id, of_request in groupby(of_day, key=lambda article: article.event.request_id)
        ]
        yield Day(day, groups)


def _unknown_fields(facts: Mapping[str, Any]) -> tuple[EventField, ...]:
    """Return the fields of an event whose type is no longer known: whatever it holds."""
    return tuple(
        EventField(key, key.replace("_", " ").capitalize()) for key in facts if key not in ("text", "labelled_changes")
    )


def _subject(event: Event, facts: Mapping[str, Any], fields: Sequence[EventField], keys: set[str]) -> str | None:
    """Return what an event is about. Hiding the field that says so hides it in the line as well."""
    if event.source != connectors.BUILTIN.key:
        return str(event.title)
    named_by = next((field.key for field in fields if field.key in SUBJECTS), "")
    if named_by and named_by not in keys:
        return None
    name: str | None = event.connector_name if named_by in ("", "connector_name") else facts.get(named_by)
    return name


def _alone(rows: Sequence[Row]) -> Change | None:
    """Return the change of a save that changed one thing."""
    changes = [change for row in rows if row.key == "changes" for change in row.changes]
    return changes[0] if len(changes) == 1 else None


def _sides_shown(keys: set[str]) -> tuple[str, ...]:
    return tuple(side for side in ("old", "new") if f"{side}_value" in keys)


def _is_telling(row: Row) -> bool:
    if row.fact.shape is Shape.TEXT:
        return row.key in TELLING_TEXTS and isinstance(row.value, str) and bool(row.value)
    return row.fact.shape in TELLING


def _status(event: Event, event_type: EventType | None, rows: Sequence[Row], keys: set[str]) -> Status | None:
    """Return the outcome that an event's line shows: of its field, if it has one; else the event's own, if it tells.

    A pull request that was merged says so by its outcome and by its field; hiding the field hides both.
    """
    fields = event_type.fields if event_type else ()
    of_field = next((field.key for field in fields if field.shape is Shape.STATUS), "")
    if of_field:
        return next((row.fact.value for row in rows if row.key == of_field and row.fact.shape is Shape.STATUS), None)
    own = presentation_facts.status(event.status)
    if own is None or not own.known or any(field.key == event.status and field.key not in keys for field in fields):
        return None
    return own


def _single_change(facts: Mapping[str, Any]) -> Change | None:
    if "old_value" not in facts and "new_value" not in facts:
        return None
    key = facts.get("field", "")
    return Change(key, facts.get("label", key), facts.get("kind", ""), facts.get("old_value"), facts.get("new_value"))


def _note(facts: Mapping[str, Any], keys: set[str]) -> str:
    """Return what else the line says: what a save changed, what is shown from now on, how many events it is about."""
    if "changes" in keys and isinstance(facts.get("changes"), dict):
        labels = [change.label for change in _changes(facts)]
        return f"{len(labels)} setting{'s' if len(labels) != 1 else ''}: {', '.join(labels)}" if labels else ""
    if isinstance(facts.get("visible"), bool):
        words = [str(facts.get("label", facts.get("field", ""))) if "field" in keys else "A field"]
        words += [f"of {facts.get('event_type')}"] if "event_type" in keys else []
        words += ["shown" if facts["visible"] else "hidden"] if "visible" in keys else []
        return " ".join(words)
    if isinstance(facts.get("events"), int):
        parts = [str(facts[key]) for key in ("format", "of_source") if key in keys and key in facts]
        parts += [f"{facts['events']:,} event{'' if facts['events'] == 1 else 's'}"] if "events" in keys else []
        return " · ".join(parts)
    return " · ".join(str(facts[key]) for key in ("role", "why") if key in keys and facts.get(key))


def _changes(facts: Mapping[str, Any]) -> list[Change]:
    """Return the changes of a save: labelled as they were recorded, by their keys where no label was."""
    labelled = {each.get("key"): each for each in _dicts(facts["labelled_changes"])}
    for each in _dicts(facts.get("field_visibility")):
        event_type, field = each.get("event_type"), each.get("field")
        label = f"{each.get('label', field)} of {event_type}"
        labelled[f"field_visibility.{event_type}.{field}"] = {"label": label, "kind": "visible"}
    return [
        Change(key, labelled.get(key, {}).get("label", key), labelled.get(key, {}).get("kind", ""), *_sides(sides))
        for key, sides in facts["changes"].items()
    ]


def _dicts(value: Any) -> list[dict[str, Any]]:
    """Return the objects in a recorded list; an older or foreign event may hold something else there."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _sides(sides: Any) -> tuple[Any, Any]:
    return (sides.get("old"), sides.get("new")) if isinstance(sides, dict) else (None, sides)


def _row(field: EventField, facts: Mapping[str, Any]) -> Row:
    value = facts[field.key]
    if field.shape is not Shape.TEXT:
        return Row(field.key, field.label, value, fact=presentation_facts.fact(field.shape, value))
    if field.key == "changes" and isinstance(value, dict):
        return Row(field.key, field.label, changes=_changes(facts))
    if field.key in ("old_value", "new_value"):
        change = _single_change(facts)
        return Row(field.key, field.label, value, [change] if change else [], field.key.removesuffix("_value"))
    if field.key == "field" and facts.get("label"):
        value = f"{facts['label']} ({value})" if facts["label"] != value else value
    return Row(field.key, field.label, value, fact=Fact(Shape.TEXT, value))
