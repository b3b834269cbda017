"""Project the audit trail onto the configuration: pure, one event at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from painchain import connectors
from painchain.audit.diff import CLEARED, EMPTY, SET, Change
from painchain.connectors.base import Field, Kind

Toggle = tuple[str, str]  # event type, field key

# Events of other types (exports, retention, teams) have no connector.
ABOUT_CONNECTORS = (
    *("ConnectorCreated", "ConnectorUpdated", "ConnectorDeleted", "ConnectorEnabled", "ConnectorDisabled"),
    *("ConfigChanged", "FieldVisibilityChanged"),
)


@dataclass(frozen=True)
class Entry:
    """The part of an audit event that the projection reads. `id` is its position in commit order."""

    id: int
    event_type: str
    connector_id: int | None
    connector_name: str | None
    connector_type: str | None
    description: Mapping[str, Any]
    author: str
    timestamp: datetime
    request_id: str

    @property
    def reported(self) -> bool:
        """Whether a script reported the event. Otherwise PainChain made the change itself."""
        has_no_connector = self.connector_id is None and self.event_type in ABOUT_CONNECTORS
        return has_no_connector or bool(self.description.get("reported"))


@dataclass(frozen=True)
class Gap:
    """A period without auditing. `start` is None if the log does not contain it; `end` is None while the gap lasts."""

    start: datetime | None
    end: datetime | None = None


@dataclass(frozen=True)
class ConnectorState:
    """The state of one connector. Of a secret it holds whether it is set, and in `entered` when it was last changed.

    What the log does not contain is None (`enabled`, `since`) or missing from `values`. `is_complete` means that the
    log contains the creation. `by` is the author of the last change, at `since`.
    """

    id: int
    type: str
    values: Mapping[str, Any]
    enabled: bool | None
    since: datetime | None
    by: str
    is_complete: bool = True
    entered: Mapping[str, datetime] = field(default_factory=dict)
    hidden: frozenset[Toggle] = frozenset()

    @property
    def name(self) -> str:
        """The name of the connector, or an empty string."""
        return str(self.values.get("name") or "")

    @property
    def fields(self) -> list[Field]:
        """The definitions of the fields in `values`, in form order, with name and tags first."""
        connector_type = connectors.TYPES.get(self.type)
        definitions = connector_type.all_fields if connector_type else ()
        defined = [definition for definition in definitions if definition.key in self.values]
        other_keys = [key for key in self.values if key not in {definition.key for definition in defined}]
        return [*defined, *(Field(key, key.replace("_", " ").capitalize(), Kind.TEXT) for key in other_keys)]


@dataclass(frozen=True)
class Snapshot:
    """The configuration at one time, as recorded in the log, and what the log does not contain.

    `begins` is the time of the oldest event that was read. `is_complete` means that no earlier event was pruned.
    `reported` is the number of events that scripts reported.
    """

    connectors: Sequence[ConnectorState] = ()
    gaps: Sequence[Gap] = ()
    reported: int = 0
    begins: datetime | None = None
    is_complete: bool = True

    def sorted(self) -> Snapshot:
        """Return this snapshot with its connectors in the order of the settings page."""
        positions = {key: position for position, key in enumerate(connectors.TYPES)}

        def sort_key(connector: ConnectorState) -> tuple[int, str, int]:
            return positions.get(connector.type, len(positions)), connector.name.lower(), connector.id

        return replace(self, connectors=sorted(self.connectors, key=sort_key))


@dataclass(frozen=True)
class Difference:
    """The difference of one connector between two snapshots. `kind` is added, removed or changed."""

    kind: str
    connector: ConnectorState
    changes: Sequence[Change] = ()


@dataclass
class Projection:
    """The configuration after the events applied so far, in the order of their numbers."""

    connectors: dict[int, ConnectorState] = field(default_factory=dict)
    gaps: list[Gap] = field(default_factory=list)
    reported: int = 0
    begins: datetime | None = None
    is_complete: bool = True

    def snapshot(self) -> Snapshot:
        """Return the configuration so far."""
        states = tuple(self.connectors.values())
        return Snapshot(states, tuple(self.gaps), self.reported, self.begins, self.is_complete).sorted()

    def apply(self, entry: Entry) -> None:
        """Apply the next event."""
        if self.begins is None:
            self.begins, self.is_complete = entry.timestamp, _is_first_start(entry)
        if entry.reported:
            self.reported += 1
        elif entry.event_type == "ConnectorDeleted":
            self.connectors.pop(entry.connector_id or 0, None)
        elif entry.event_type in _HANDLERS:
            connector = _HANDLERS[entry.event_type](self._state_before(entry), entry)
            self.connectors[connector.id] = replace(connector, since=entry.timestamp, by=entry.author)
            self.gaps = gaps_after(self.gaps, entry)

    def _state_before(self, entry: Entry) -> ConnectorState:
        number = entry.connector_id or 0
        name = {"name": entry.connector_name} if entry.connector_name else {}
        unknown = ConnectorState(
            number, entry.connector_type or "", name, None, entry.timestamp, entry.author, is_complete=False
        )
        return self.connectors.get(number, unknown)


def gaps_after(gaps: list[Gap], entry: Entry) -> list[Gap]:
    """Return the gaps after an event, which may switch auditing off or on."""
    if entry.connector_type != connectors.BUILTIN.key or entry.reported:
        return gaps
    is_open = bool(gaps) and gaps[-1].end is None
    if entry.event_type == "ConnectorDisabled" and not is_open:
        return [*gaps, Gap(entry.timestamp)]
    if entry.event_type == "ConnectorEnabled":
        earlier, start = (gaps[:-1], gaps[-1].start) if is_open else (gaps, None)
        return [*earlier, Gap(start, entry.timestamp)]
    return gaps


def _is_first_start(entry: Entry) -> bool:
    return entry.event_type == "ConnectorCreated" and entry.connector_type == connectors.BUILTIN.key


def _created(connector: ConnectorState, entry: Entry) -> ConnectorState:
    configuration = entry.description.get("configuration")
    if not isinstance(configuration, dict):
        return connector
    values = {key: value for key, value in configuration.items() if key != "enabled"}
    enabled = configuration.get("enabled")
    return replace(connector, values=values, enabled=enabled if isinstance(enabled, bool) else None, is_complete=True)


def _changed(connector: ConnectorState, entry: Entry) -> ConnectorState:
    key, new = str(entry.description.get("field", "")), entry.description.get("new_value")
    if entry.description.get("kind") != Kind.SECRET:
        return replace(connector, values={**connector.values, key: new})
    others = {name: value for name, value in connector.values.items() if name != key}
    entered = {name: when for name, when in connector.entered.items() if name != key}
    if new == CLEARED:
        return replace(connector, values=others, entered=entered)
    return replace(connector, values={**others, key: SET}, entered={**entered, key: entry.timestamp})


def _toggled(connector: ConnectorState, entry: Entry) -> ConnectorState:
    toggle = (str(entry.description.get("event_type", "")), str(entry.description.get("field", "")))
    visible = bool(entry.description.get("visible"))
    return replace(connector, hidden=connector.hidden - {toggle} if visible else connector.hidden | {toggle})


# ConnectorUpdated is not here: it repeats the ConfigChanged and FieldVisibilityChanged events of the same save.
_HANDLERS: dict[str, Callable[[ConnectorState, Entry], ConnectorState]] = {
    "ConnectorCreated": _created,
    "ConfigChanged": _changed,
    "FieldVisibilityChanged": _toggled,
    "ConnectorEnabled": lambda connector, entry: replace(connector, enabled=True),
    "ConnectorDisabled": lambda connector, entry: replace(connector, enabled=False),
}


def differences(before: Snapshot, after: Snapshot) -> Iterator[Difference]:
    """Yield the differences between two snapshots: additions, then changes, then removals."""
    old = {connector.id: connector for connector in before.connectors}
    new = {connector.id: connector for connector in after.connectors}
    yield from (Difference("added", connector) for connector in after.connectors if connector.id not in old)
    for connector in after.connectors:
        if connector.id in old and (changes := list(_changes(old[connector.id], connector))):
            yield Difference("changed", connector, changes)
    yield from (Difference("removed", connector) for connector in before.connectors if connector.id not in new)


def _changes(old: ConnectorState, new: ConnectorState) -> Iterator[Change]:
    """Yield the changes of one connector. A value that only one snapshot knows is not a change."""
    for definition in _fields_of((old, new)):
        before, after = old.values.get(definition.key), new.values.get(definition.key)
        is_in_both = definition.key in old.values and definition.key in new.values
        if definition.kind is Kind.SECRET:
            yield from _secret_changes(definition, old, new)
        elif is_in_both and not is_same_value(definition, before, after):
            yield Change(definition.key, definition.label, definition.kind.value, before, after)
    if None not in (old.enabled, new.enabled) and old.enabled != new.enabled:
        yield Change("enabled", "Enabled", Kind.CHECKBOX.value, old.enabled, new.enabled)
    for toggle in sorted(old.hidden ^ new.hidden):
        shown = toggle in old.hidden
        yield Change(
            f"field_visibility.{'.'.join(toggle)}", toggle_label(new.type, toggle), "visible", not shown, shown
        )


def _fields_of(both: Iterable[ConnectorState]) -> list[Field]:
    return list({definition.key: definition for state in both for definition in state.fields}.values())


def _secret_changes(field: Field, old: ConnectorState, new: ConnectorState) -> Iterator[Change]:
    before, after = old.values.get(field.key), new.values.get(field.key)
    is_known = None not in (before, after) or (old.is_complete and new.is_complete)
    if is_known and (before != after or new.entered.get(field.key) != old.entered.get(field.key)):
        yield Change(field.key, field.label, field.kind.value, before, after).recorded()


def is_same_value(field: Field, old: Any, new: Any) -> bool:
    """Return whether two recorded values of a field are equal, even if its definition would reject them today."""
    if old in EMPTY and new in EMPTY:
        return True
    if field.kind is Kind.TAGS and _are_texts(old) and _are_texts(new):
        return set(old) == set(new)
    return bool(old == new) and isinstance(old, bool) == isinstance(new, bool)


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def toggle_change(label: str, toggle: Toggle, visible: bool) -> Change:
    """Return the change that shows or hides a field of an event type."""
    key = f"field_visibility.{'.'.join(toggle)}"
    return Change(key, label, "visible", not visible, visible)


def toggle_label(connector_type: str, toggle: Toggle) -> str:
    """Return the label for one field of an event type: "Comments of PullRequest"."""
    definition = connectors.TYPES.get(connector_type)
    event_type = connectors.configurable_type(definition, toggle[0]) if definition else None
    labels = {event_field.key: event_field.label for event_field in event_type.fields} if event_type else {}
    return f"{labels.get(toggle[1], toggle[1])} of {toggle[0]}"
