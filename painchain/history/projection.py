"""Fold the audit trail into the configuration that it tells of: pure, one event after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from painchain import connectors
from painchain.audit.diff import CLEARED, EMPTY, SET, Change
from painchain.connectors.base import Field, Kind

Toggle = tuple[str, str]  # event type, field key

# Of other event types (exports, retention, teams) no connector is expected.
ABOUT_CONNECTORS = (
    *("ConnectorCreated", "ConnectorUpdated", "ConnectorDeleted", "ConnectorEnabled", "ConnectorDisabled"),
    *("ConfigChanged", "FieldVisibilityChanged"),
)


@dataclass(frozen=True)
class Entry:
    """One event of the audit trail, as far as the fold reads it. `id` is its place in the order of commits."""

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
        """Whether a script has said so, rather than PainChain itself having done it."""
        unknown = self.connector_id is None and self.event_type in ABOUT_CONNECTORS
        return unknown or bool(self.description.get("reported"))


@dataclass(frozen=True)
class Gap:
    """A time in which nothing was recorded. `start` None: the log does not know since when; `end` None: still so."""

    start: datetime | None
    end: datetime | None = None


@dataclass(frozen=True)
class ConnectorState:
    """One connector as it stood: of a secret only that it is set, and when it was entered after the creation.

    `enabled` and `since` None, fields missing from `values`: the log does not know. `whole`: it knows the creation.
    """

    id: int
    type: str
    values: Mapping[str, Any]
    enabled: bool | None
    since: datetime | None
    by: str
    whole: bool = True
    entered: Mapping[str, datetime] = field(default_factory=dict)
    hidden: frozenset[Toggle] = frozenset()

    @property
    def name(self) -> str:
        """What it was called."""
        return str(self.values.get("name") or "")

    @property
    def fields(self) -> list[Field]:
        """The definition of each field that is known of it, in the order of its form; name and tags first."""
        known = connectors.TYPES.get(self.type)
        defined = [one for one in known.all_fields if one.key in self.values] if known else []
        others = [key for key in self.values if key not in {one.key for one in defined}]
        return [*defined, *(Field(key, key.replace("_", " ").capitalize(), Kind.TEXT) for key in others)]


@dataclass(frozen=True)
class Snapshot:
    """The whole configuration at a moment, as the log tells it, and what the log cannot tell.

    `begins` is the time of the oldest event that was read; `whole` says that nothing was pruned before it.
    """

    connectors: Sequence[ConnectorState] = ()
    gaps: Sequence[Gap] = ()
    reported: int = 0
    begins: datetime | None = None
    whole: bool = True

    def sorted(self) -> Snapshot:
        """Return it with the connectors in the order of the settings page."""
        places = {key: place for place, key in enumerate(connectors.TYPES)}

        def place(one: ConnectorState) -> tuple[int, str, int]:
            return places.get(one.type, len(places)), one.name.lower(), one.id

        return replace(self, connectors=sorted(self.connectors, key=place))


@dataclass(frozen=True)
class Difference:
    """What became of one connector between two pictures: added, removed or changed, and each change."""

    kind: str
    connector: ConnectorState
    changes: Sequence[Change] = ()


@dataclass
class Projection:
    """The configuration while the log is read, in the order of event numbers."""

    connectors: dict[int, ConnectorState] = field(default_factory=dict)
    gaps: list[Gap] = field(default_factory=list)
    reported: int = 0
    begins: datetime | None = None
    whole: bool = True

    def snapshot(self) -> Snapshot:
        """Return what is known so far."""
        found = tuple(self.connectors.values())
        return Snapshot(found, tuple(self.gaps), self.reported, self.begins, self.whole).sorted()

    def apply(self, entry: Entry) -> None:
        """Read the next event."""
        if self.begins is None:
            self.begins, self.whole = entry.timestamp, _is_first_start(entry)
        if entry.reported:
            self.reported += 1
        elif entry.event_type == "ConnectorDeleted":
            self.connectors.pop(entry.connector_id or 0, None)
        elif entry.event_type in _TAKEN:
            one = self._known(entry)
            told = _TAKEN[entry.event_type](one, entry)
            self.connectors[one.id] = replace(told, since=entry.timestamp, by=entry.author)
            self.gaps = gaps_after(self.gaps, entry)

    def _known(self, entry: Entry) -> ConnectorState:
        number = entry.connector_id or 0
        name = {"name": entry.connector_name} if entry.connector_name else {}
        start = ConnectorState(
            number, entry.connector_type or "", name, None, entry.timestamp, entry.author, whole=False
        )
        return self.connectors.get(number, start)


def gaps_after(gaps: list[Gap], entry: Entry) -> list[Gap]:
    """Return the gaps, as an event leaves them that may switch auditing off or on."""
    if entry.connector_type != connectors.BUILTIN.key or entry.reported:
        return gaps
    is_open = bool(gaps) and gaps[-1].end is None
    if entry.event_type == "ConnectorDisabled" and not is_open:
        return [*gaps, Gap(entry.timestamp)]
    if entry.event_type == "ConnectorEnabled":
        kept, begun = (gaps[:-1], gaps[-1].start) if is_open else (gaps, None)
        return [*kept, Gap(begun, entry.timestamp)]
    return gaps


def _is_first_start(entry: Entry) -> bool:
    return entry.event_type == "ConnectorCreated" and entry.connector_type == connectors.BUILTIN.key


def _created(one: ConnectorState, entry: Entry) -> ConnectorState:
    told = entry.description.get("configuration")
    if not isinstance(told, dict):
        return one
    values = {key: value for key, value in told.items() if key != "enabled"}
    enabled = told.get("enabled")
    return replace(one, values=values, enabled=enabled if isinstance(enabled, bool) else None, whole=True)


def _changed(one: ConnectorState, entry: Entry) -> ConnectorState:
    key, new = str(entry.description.get("field", "")), entry.description.get("new_value")
    if entry.description.get("kind") != Kind.SECRET:
        return replace(one, values={**one.values, key: new})
    others = {name: value for name, value in one.values.items() if name != key}
    kept = {name: when for name, when in one.entered.items() if name != key}
    if new == CLEARED:
        return replace(one, values=others, entered=kept)
    return replace(one, values={**others, key: SET}, entered={**kept, key: entry.timestamp})


def _toggled(one: ConnectorState, entry: Entry) -> ConnectorState:
    toggle = (str(entry.description.get("event_type", "")), str(entry.description.get("field", "")))
    visible = bool(entry.description.get("visible"))
    return replace(one, hidden=one.hidden - {toggle} if visible else one.hidden | {toggle})


# A save's Connector Updated says again what its Config Changed and Field Visibility Changed have said: it is left out.
_TAKEN: dict[str, Callable[[ConnectorState, Entry], ConnectorState]] = {
    "ConnectorCreated": _created,
    "ConfigChanged": _changed,
    "FieldVisibilityChanged": _toggled,
    "ConnectorEnabled": lambda one, entry: replace(one, enabled=True),
    "ConnectorDisabled": lambda one, entry: replace(one, enabled=False),
}


def differences(before: Snapshot, after: Snapshot) -> Iterator[Difference]:
    """Yield what turned one picture into the other: additions, then changes, then removals."""
    old = {one.id: one for one in before.connectors}
    new = {one.id: one for one in after.connectors}
    yield from (Difference("added", one) for one in after.connectors if one.id not in old)
    for one in after.connectors:
        if one.id in old and (changes := list(_between(old[one.id], one))):
            yield Difference("changed", one, changes)
    yield from (Difference("removed", one) for one in before.connectors if one.id not in new)


def _between(old: ConnectorState, new: ConnectorState) -> Iterator[Change]:
    """Yield the changes of one connector; what one of the two pictures does not know is no change."""
    for one in _fields_of((old, new)):
        before, after = old.values.get(one.key), new.values.get(one.key)
        if one.kind is Kind.SECRET:
            yield from _secret_changes(one, old, new)
        elif one.key in old.values and one.key in new.values and not is_same_value(one, before, after):
            yield Change(one.key, one.label, one.kind.value, before, after)
    if None not in (old.enabled, new.enabled) and old.enabled != new.enabled:
        yield Change("enabled", "Enabled", Kind.CHECKBOX.value, old.enabled, new.enabled)
    for toggle in sorted(old.hidden ^ new.hidden):
        shown = toggle in old.hidden
        yield Change(
            f"field_visibility.{'.'.join(toggle)}", toggle_label(new.type, toggle), "visible", not shown, shown
        )


def _fields_of(both: Iterable[ConnectorState]) -> list[Field]:
    return list({one.key: one for standing in both for one in standing.fields}.values())


def _secret_changes(one: Field, old: ConnectorState, new: ConnectorState) -> Iterator[Change]:
    before, after = old.values.get(one.key), new.values.get(one.key)
    known = None not in (before, after) or (old.whole and new.whole)
    if known and (before != after or new.entered.get(one.key) != old.entered.get(one.key)):
        yield Change(one.key, one.label, one.kind.value, before, after).recorded()


def is_same_value(one: Field, old: Any, new: Any) -> bool:
    """Say whether two recorded values of a field are equal, even such as its definition would not take today."""
    if old in EMPTY and new in EMPTY:
        return True
    if one.kind is Kind.TAGS and _are_texts(old) and _are_texts(new):
        return set(old) == set(new)
    return bool(old == new) and isinstance(old, bool) == isinstance(new, bool)


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def toggle_change(label: str, toggle: Toggle, visible: bool) -> Change:
    """Return the change of a field of an event type that is shown or hidden from now on."""
    key = f"field_visibility.{'.'.join(toggle)}"
    return Change(key, label, "visible", not visible, visible)


def toggle_label(connector_type: str, toggle: Toggle) -> str:
    """Return the words for one field of an event type: "Comments of PullRequest"."""
    known = connectors.TYPES.get(connector_type)
    event_type = known.event_type(toggle[0]) if known else None
    labels = (one.label for one in event_type.fields if one.key == toggle[1]) if event_type else ()
    return f"{next(iter(labels), toggle[1])} of {toggle[0]}"
