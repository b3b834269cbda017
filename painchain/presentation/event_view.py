"""Prepare events for display: the summary line and the visible fields of each."""

from __future__ import annotations

import re
from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from textwrap import shorten
from typing import Any
from zoneinfo import ZoneInfo

from painchain import connectors
from painchain.audit.diff import Change
from painchain.connectors.base import EventField, EventType, Shape
from painchain.indexes.notes import Note
from painchain.presentation import facts as presentation_facts
from painchain.presentation.facts import Fact, Link, Status
from painchain.timeline.queries import Event
from painchain.timeline.visibility import NOTE_TEXT, Toggle

# The action whose icon an event has. Events of other types have the icon of their type.
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
    "ViewSaved": "created",
    "ViewChanged": "updated",
    "ViewDeleted": "deleted",
}

# The facts in the summary line of an event, after its subject: facts of these shapes, and texts of these fields.
LINE_SHAPES = (Shape.BRANCHES, Shape.LINES, Shape.MOVES, Shape.SECONDS)
LINE_FIELDS = ("repository", "branch", "ref", "tag", "environment", "namespace", "workload")
CLAIMED = "actor"  # the fact of a change event: who made the change, according to its sender
NO_TEXT = ("text", "")
SAVE, SETTING = "ConnectorUpdated", "ConfigChanged"
NOTE_WIDTH = 200  # characters of a note on an event in its summary line
# The fields that name the subject of an audit event.
SUBJECT_FIELDS = ("team", "view", "token", "person", "connector_name")


@dataclass(frozen=True)
class Row:
    """One visible field of an event: its label, and its value or its changes."""

    key: str
    label: str
    value: Any = None
    changes: Sequence[Change] = ()
    side: str = ""
    fact: Fact = field(default_factory=lambda: Fact(Shape.TEXT, None))


@dataclass(frozen=True)
class EventView:
    """One event as the feed shows it.

    `line_rows` and `status` are in its summary line. `shows_all_fields` is False if a field is hidden, `shows_notes` if
    the text of notes is, and `shows_description` if its own text is, or repeats a hidden field.
    """

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
    line_rows: Sequence[Row] = ()
    link: Link | None = None
    shows_all_fields: bool = True
    notes: Sequence[Note] = ()
    shows_notes: bool = True
    shows_description: bool = True

    @property
    def shows_text(self) -> bool:
        """Whether the title is shown. Titles of audit events repeat their fields, so a hidden field hides them."""
        return self.shows_all_fields or self.event.source != connectors.BUILTIN.key

    @property
    def claimed(self) -> str:
        """The author that a script named, which is not verified."""
        named = next((str(row.value) for row in self.rows if row.key == CLAIMED), "")
        return named or _audit_fact(self.event, "claimed_author")

    @property
    def reason(self) -> str:
        """The reason that the author entered."""
        return _audit_fact(self.event, "reason")

    @property
    def reverts(self) -> str:
        """The ID of the event that this one reverts."""
        reverts = self.event.metadata.get("reverts") if self.event.source == connectors.BUILTIN.key else None
        return reverts if isinstance(reverts, str) else ""

    @property
    def copied_from(self) -> str:
        """The name of the connector that a new one is a copy of, unless names are hidden."""
        return _audit_fact(self.event, "copied_from") if self.shows_text else ""

    @property
    def cause(self) -> str:
        """The cause of an action by PainChain itself, unless it is one of the fields."""
        return "" if any(row.key == "cause" for row in self.rows) else _audit_fact(self.event, "cause")

    @property
    def heading(self) -> str:
        """The title if it is shown, otherwise the label of the event type."""
        return str(self.event.title) if self.shows_text else self.label


def _audit_fact(event: Event, key: str) -> str:
    is_audit_event = event.source == connectors.BUILTIN.key
    return str(event.description.get(key) or "") if is_audit_event else ""


@dataclass(frozen=True)
class ShownEvent:
    """An event as readers in one zone see it, without the hidden fields. It is described only when it is needed."""

    event: Event
    hidden: frozenset[Toggle]
    zone: ZoneInfo

    @cached_property
    def view(self) -> EventView:
        """The description of the event."""
        return describe(self.event, self.hidden, self.zone)

    @cached_property
    def local(self) -> datetime:
        """The time of the event in the zone of the readers."""
        local: datetime = self.event.timestamp.astimezone(self.zone)
        return local

    @property
    def reason(self) -> str:
        """The reason that the author entered."""
        return _audit_fact(self.event, "reason")

    @property
    def identity(self) -> Hashable:
        """What the description depends on. The hash of an event in the chain stands for all of its values."""
        return self.event.id, self.event.mac, self.hidden, len(self.event.notes)


def describe(event: Event, hidden: frozenset[Toggle], zone: ZoneInfo) -> EventView:
    """Return an event as it is shown, without the hidden fields."""
    source = connectors.TYPES.get(event.source)
    event_type = connectors.event_type(event.source, event.event_type)
    facts = {**event.description, **event.metadata, "labelled_changes": event.description.get("changes")}
    fields = event_type.fields if event_type else _unknown_fields(facts)
    type_name = _toggled_type(event)
    visible_fields = [field for field in fields if (type_name, field.key) not in hidden]
    keys = {field.key for field in visible_fields}
    shown_facts = [field for field in visible_fields if field.key in facts and (field.key, facts[field.key]) != NO_TEXT]
    rows = [_row(field, facts, event.source) for field in shown_facts]
    is_audit_event = event.source == connectors.BUILTIN.key
    # The save of a team, a view or an account has no Config Changed event beside it, so its line shows a single change.
    has_only_save = is_audit_event and any(name in facts for name in ("team", "view", "person"))
    only_change = _only_change(rows) if has_only_save else None
    change = _single_change(facts) if "field" in keys else only_change
    return EventView(
        event=event,
        label=_label(event.event_type, event_type),
        icon=event_type.icon if event_type else "circle",
        colour=source.colour if source else "grey",
        source_label=source.label if source else event.source,
        subject=_subject(event, facts, fields, keys),
        verb=VERBS.get(event.event_type, ""),
        change=change,
        sides=_sides_shown(event, keys, hidden),
        note="" if only_change or (event_type and not is_audit_event) else _note(facts, keys),
        rows=rows,
        local=event.timestamp.astimezone(zone),
        status=None if is_audit_event else _status(event, event_type, rows, keys),
        line_rows=[] if is_audit_event else [row for row in rows if _is_shown_in_line(row)],
        link=presentation_facts.link(event.url),
        shows_all_fields=len(visible_fields) == len(fields),
        notes=getattr(event, "notes", ()),
        shows_notes=NOTE_TEXT not in hidden,
        shows_description=len(visible_fields) == len(fields) or not (is_audit_event or (type_name, "text") in hidden),
    )


def is_hidden(event: Event, key: str, hidden: Collection[Toggle]) -> bool:
    """Return whether a field of an event is hidden."""
    return (_toggled_type(event), key) in hidden


def _toggled_type(event: Event) -> str:
    """Return the event type at which fields of an event are hidden: a source that has any type has one for all."""
    source = connectors.TYPES.get(event.source)
    return source.any_type.name if source and source.any_type else str(event.event_type)


def _label(name: str, event_type: EventType | None) -> str:
    """Return the label of an event type. The name of a type that a sender chose becomes words: CanaryBake."""
    if event_type is None or event_type.name == name:
        return event_type.label if event_type else name
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).capitalize()


def _unknown_fields(facts: Mapping[str, Any]) -> tuple[EventField, ...]:
    """Return a field for each fact of an event whose type is unknown."""
    return tuple(
        EventField(key, key.replace("_", " ").capitalize()) for key in facts if key not in ("text", "labelled_changes")
    )


def _subject(event: Event, facts: Mapping[str, Any], fields: Sequence[EventField], keys: set[str]) -> str | None:
    """Return the subject of an event, or None if the field that names it is hidden."""
    if event.source != connectors.BUILTIN.key:
        return str(event.title)
    subject_key = next((field.key for field in fields if field.key in SUBJECT_FIELDS), "")
    if subject_key and subject_key not in keys:
        return None
    name: str | None = event.connector_name if subject_key in ("", "connector_name") else facts.get(subject_key)
    return name


def _only_change(rows: Sequence[Row]) -> Change | None:
    """Return the change of a save, if it has exactly one."""
    changes = [change for row in rows if row.key == "changes" for change in row.changes]
    return changes[0] if len(changes) == 1 else None


def _sides_shown(event: Event, keys: set[str], hidden: frozenset[Toggle]) -> tuple[str, ...]:
    if event.event_type == SAVE and event.source == connectors.BUILTIN.key:  # as in the events of its settings
        return tuple(side for side in ("old", "new") if (SETTING, f"{side}_value") not in hidden)
    return tuple(side for side in ("old", "new") if "field" not in keys or f"{side}_value" in keys)


def _is_shown_in_line(row: Row) -> bool:
    if row.fact.shape is Shape.TEXT:
        return row.key in LINE_FIELDS and isinstance(row.value, str) and bool(row.value)
    return row.fact.shape in LINE_SHAPES


def _status(event: Event, event_type: EventType | None, rows: Sequence[Row], keys: set[str]) -> Status | None:
    """Return the status in the line of an event: the value of its status field, or the status of the event itself.

    The status of an event may repeat a field, such as “merged” of a pull request. Hiding the field hides the status.
    """
    fields = event_type.fields if event_type else ()
    status_key = next((field.key for field in fields if field.shape is Shape.STATUS), "")
    if status_key:
        return next((row.fact.value for row in rows if row.key == status_key and row.fact.shape is Shape.STATUS), None)
    status = presentation_facts.status(event.status, event.source)
    if (
        status is None
        or not status.is_known
        or any(field.key == event.status and field.key not in keys for field in fields)
    ):
        return None
    return status


def _single_change(facts: Mapping[str, Any]) -> Change | None:
    if "old_value" not in facts and "new_value" not in facts:
        return None
    key = facts.get("field", "")
    return Change(key, facts.get("label", key), facts.get("kind", ""), facts.get("old_value"), facts.get("new_value"))


def _note(facts: Mapping[str, Any], keys: set[str]) -> str:
    """Return the note in the line: the changed settings, a changed visibility, or the number of affected events."""
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
    if "text" in keys:  # of a note on another event
        return shorten(str(facts.get("text", "")), NOTE_WIDTH, placeholder=" …")
    return " · ".join(str(facts[key]) for key in ("role", "why", "error") if key in keys and facts.get(key))


def _changes(facts: Mapping[str, Any]) -> list[Change]:
    """Return the changes of a save with their recorded labels. Without a label, the key is used."""
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
    """Return the objects in a recorded list, and nothing for any other value."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _sides(sides: Any) -> tuple[Any, Any]:
    return (sides.get("old"), sides.get("new")) if isinstance(sides, dict) else (None, sides)


def _row(field: EventField, facts: Mapping[str, Any], source: str) -> Row:
    value = facts[field.key]
    if field.shape is not Shape.TEXT:
        return Row(field.key, field.label, value, fact=presentation_facts.fact(field.shape, value, source))
    if field.key == "changes" and isinstance(value, dict):
        return Row(field.key, field.label, changes=_changes(facts))
    if field.key in ("old_value", "new_value"):
        change = _single_change(facts)
        return Row(field.key, field.label, value, [change] if change else [], field.key.removesuffix("_value"))
    if field.key == "field" and facts.get("label"):
        value = f"{facts['label']} ({value})" if facts["label"] != value else value
    return Row(field.key, field.label, value, fact=Fact(Shape.TEXT, value))
