"""Say what an event is about: one line and its fields, as far as they are shown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import groupby
from typing import Any
from zoneinfo import ZoneInfo

from painchain import connectors
from painchain.changes import Change
from painchain.connectors.base import EventField
from painchain.timeline import Event
from painchain.visibility import Hidden, Toggle

# The glyph of each thing that can be done to a connector; other events carry the icon of their type.
VERBS = {
    "ConnectorCreated": "created",
    "ConnectorUpdated": "updated",
    "ConnectorDeleted": "deleted",
    "ConnectorEnabled": "enabled",
    "ConnectorDisabled": "disabled",
    "ConnectorFailing": "failing",
    "ConnectorRecovered": "recovered",
}


@dataclass(frozen=True)
class Row:
    """One field of an event: a label, and a value, a change or several changes."""

    key: str
    label: str
    value: Any = None
    changes: Sequence[Change] = ()
    part: str = ""


@dataclass(frozen=True)
class Article:
    """One event as the feed shows it."""

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


@dataclass(frozen=True)
class Group:
    """The events of one action."""

    request_id: str
    articles: Sequence[Article]


@dataclass(frozen=True)
class Day:
    """The groups of one day in the viewer's zone."""

    date: date
    groups: Sequence[Group]


def article(event: Event, hidden: frozenset[Toggle], zone: ZoneInfo) -> Article:
    """Return an event as it is shown: without the fields that are hidden."""
    source = connectors.TYPES.get(event.source)
    event_type = connectors.event_type(event.source, event.event_type)
    facts = {**event.description, **event.metadata, "labelled_changes": event.description.get("changes")}
    fields = event_type.fields if event_type else _unknown_fields(facts)
    shown = [field for field in fields if (event.event_type, field.key) not in hidden]
    keys = {field.key for field in shown}
    return Article(
        event=event,
        label=event_type.label if event_type else event.event_type,
        icon=event_type.icon if event_type else "circle",
        colour=source.colour if source else "grey",
        source_label=source.label if source else event.source,
        subject=_subject(event, facts, keys),
        verb=VERBS.get(event.event_type, ""),
        change=_single_change(facts) if "field" in keys else None,
        sides=tuple(side for side in ("old", "new") if f"{side}_value" in keys),
        note=_note(event, facts, keys),
        rows=[_row(field, facts) for field in shown if field.key in facts],
        local=event.timestamp.astimezone(zone),
    )


def by_day(events: Iterable[Event], hidden: Hidden, zone: ZoneInfo) -> Iterator[Day]:
    """Group events, newest first, by the viewer's day and within it by action."""
    articles = [article(event, hidden.of(event.source, event.connector_id), zone) for event in events]
    for day, of_day in groupby(articles, key=lambda one: one.local.date()):
        groups = [
            Group(request_id, list(of_request))
            for request_id, of_request in groupby(of_day, key=lambda one: one.event.request_id)
        ]
        yield Day(day, groups)


def _unknown_fields(facts: Mapping[str, Any]) -> tuple[EventField, ...]:
    """Return the fields of an event whose type is no longer known: whatever it holds."""
    return tuple(
        EventField(key, key.replace("_", " ").capitalize()) for key in facts if key not in ("text", "labelled_changes")
    )


def _subject(event: Event, facts: Mapping[str, Any], keys: set[str]) -> str | None:
    if event.source != connectors.BUILTIN.key:
        return str(event.title)
    for key in ("token", "person"):
        if isinstance(facts.get(key), str):
            return str(facts[key]) if key in keys else None
    name: str | None = event.connector_name
    return name if "connector_name" in keys or event.event_type not in _NAMED else None


_NAMED = {*VERBS, "ConfigChanged"}


def _single_change(facts: Mapping[str, Any]) -> Change | None:
    if "old_value" not in facts and "new_value" not in facts:
        return None
    key = facts.get("field", "")
    return Change(key, facts.get("label", key), facts.get("kind", ""), facts.get("old_value"), facts.get("new_value"))


def _note(event: Event, facts: Mapping[str, Any], keys: set[str]) -> str:
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
    labelled = {one.get("key"): one for one in _dicts(facts["labelled_changes"])}
    for one in _dicts(facts.get("field_visibility")):
        event_type, field = one.get("event_type"), one.get("field")
        label = f"{one.get('label', field)} of {event_type}"
        labelled[f"field_visibility.{event_type}.{field}"] = {"label": label, "kind": "visible"}
    return [
        Change(key, labelled.get(key, {}).get("label", key), labelled.get(key, {}).get("kind", ""), *_sides(sides))
        for key, sides in facts["changes"].items()
    ]


def _dicts(value: Any) -> list[dict[str, Any]]:
    """Return the objects in a recorded list; an older or foreign event may hold something else there."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _sides(sides: Any) -> tuple[Any, Any]:
    return (sides.get("old"), sides.get("new")) if isinstance(sides, dict) else (None, sides)


def _row(field: EventField, facts: Mapping[str, Any]) -> Row:
    value = facts[field.key]
    if field.key == "changes" and isinstance(value, dict):
        return Row(field.key, field.label, changes=_changes(facts))
    if field.key in ("old_value", "new_value"):
        change = _single_change(facts)
        return Row(field.key, field.label, value, [change] if change else [], field.key.removesuffix("_value"))
    if field.key == "field" and facts.get("label"):
        return Row(field.key, field.label, f"{facts['label']} ({value})" if facts["label"] != value else value)
    return Row(field.key, field.label, value)
