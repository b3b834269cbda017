"""Undo the settings of an event: restore their old values unless they were changed since."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from painchain import connectors
from painchain.audit.diff import Change, is_same
from painchain.audit.trail import Trail
from painchain.configuration import connector_store
from painchain.configuration.connector_edit import ConnectorEdit, Saved
from painchain.configuration.connector_store import type_of
from painchain.configuration.errors import ChangeRefused
from painchain.connectors.base import Field, FieldError, Kind
from painchain.core.redaction import MASK
from painchain.core.text import format_value
from painchain.database.models import Connector
from painchain.timeline import visibility
from painchain.timeline.queries import Event
from painchain.timeline.visibility import Toggle

VISIBLE = "visible"
_TOGGLED = "field_visibility"


class NothingToUndo(ChangeRefused):
    """The event changed no setting of a connector."""

    def __init__(self) -> None:
        super().__init__("This event changed no setting of a connector, so there is nothing to revert.")


class UndoRefused(ChangeRefused):
    """Settings cannot be reverted: `errors` by key. `moved` means that later changes are the only reason."""

    def __init__(self, errors: Mapping[str, str], moved: bool = False):
        super().__init__("Nothing was changed: " + " ".join(errors.values()))
        self.errors, self.moved = errors, moved


@dataclass(frozen=True)
class Obstacle:
    """Why a setting cannot be reverted. `moved` means that a later change is the reason."""

    text: str
    moved: bool = False


@dataclass(frozen=True)
class Part:
    """One setting that an event changed: the recorded change, and the obstacle to reverting it, if any."""

    change: Change
    toggle: Toggle | None = None
    obstacle: Obstacle | None = None

    @property
    def reverse(self) -> Change:
        """The change that reverts it."""
        return replace(self.change, old=self.change.new, new=self.change.old)


@dataclass(frozen=True)
class Plan:
    """What reverting an event would change. `connector` is None if it was deleted."""

    event: Event
    connector: Connector | None
    parts: Sequence[Part]

    @property
    def possible(self) -> list[Part]:
        """The parts that can be reverted."""
        return [part for part in self.parts if not part.obstacle]


def can_undo(event: Event) -> bool:
    """Return whether an event changed a setting that can be reverted if no later change prevents it."""
    return bool(event.connector_id) and any(part.change.kind != Kind.SECRET for part in _recorded(event))


def plan(event: Event) -> Plan:
    """Return which settings of an event can be reverted now.

    :raises NothingToUndo: when the event changed no setting of a connector.
    """
    parts = _recorded(event)
    if not parts or not event.connector_id:
        raise NothingToUndo
    connector = connector_store.get(event.connector_id)
    return Plan(event, connector, [replace(part, obstacle=_obstacle(part, connector)) for part in parts])


def undo(event: Event, keys: Sequence[str] | None, trail: Trail) -> Saved:
    """Revert the settings with these `keys`, all or none of them. None means every setting except secrets.

    The change is recorded like any edit, with the ID of the event that it reverts.

    :raises NothingToUndo: when the event changed no setting of a connector.
    :raises UndoRefused: when one of them cannot be reverted.
    :raises painchain.configuration.errors.InvalidValues: when the connector rejects the values.
    """
    proposed = plan(event)
    chosen = _chosen(proposed, keys)
    refused = {part.change.key: part.obstacle for part in chosen if part.obstacle}
    if refused:
        moved = all(obstacle.moved for obstacle in refused.values())
        raise UndoRefused({key: obstacle.text for key, obstacle in refused.items()}, moved)
    assert proposed.connector is not None  # noqa: S101  without one every part has an obstacle
    values = {part.change.key: part.change.old for part in chosen if not part.toggle}
    shown = {part.toggle: bool(part.change.old) for part in chosen if part.toggle}
    return connector_store.update(
        proposed.connector, ConnectorEdit(values, shown), replace(trail, reverts=event.event_id)
    )


def _chosen(proposed: Plan, keys: Sequence[str] | None) -> list[Part]:
    by_key = {part.change.key: part for part in proposed.parts}
    if keys is None:
        chosen = [part for part in proposed.parts if part.change.kind != Kind.SECRET] or list(proposed.parts)
    else:
        unknown = [key for key in keys if key not in by_key]
        if unknown or not keys:
            text = f"Choose only settings that this event changed: {', '.join(by_key)}."
            raise UndoRefused(dict.fromkeys(unknown[:20] or ["fields"], text))
        chosen = [by_key[key] for key in dict.fromkeys(keys)]
    return chosen


def _recorded(event: Event) -> list[Part]:
    """Return the settings that an event changed; nothing for events of another kind or shape."""
    facts = event.description
    if event.source != connectors.BUILTIN.key or not isinstance(facts, dict):
        return []
    if event.event_type == "ConfigChanged":
        return [_setting(facts.get("field"), facts, facts.get("old_value"), facts.get("new_value"))]
    if event.event_type == "FieldVisibilityChanged":
        return [_toggled(facts)]
    if event.event_type == "ConnectorUpdated":
        settings = [
            _setting(change.get("key"), change, change.get("old"), change.get("new"))
            for change in _dicts(facts, "changes")
        ]
        return [*settings, *(_toggled(toggle) for toggle in _dicts(facts, _TOGGLED))]
    return []


def _dicts(facts: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    listed = facts.get(key)
    return [item for item in listed if isinstance(item, dict)] if isinstance(listed, list) else []


def _setting(key: Any, facts: Mapping[str, Any], old: Any, new: Any) -> Part:
    return Part(Change(str(key), str(facts.get("label", key)), str(facts.get("kind", "")), old, new))


def _toggled(facts: Mapping[str, Any]) -> Part:
    event_type, field, visible = str(facts.get("event_type")), str(facts.get("field")), bool(facts.get(VISIBLE))
    label = f"{facts.get('label', field)} of {event_type}"
    change = Change(f"{_TOGGLED}.{event_type}.{field}", label, VISIBLE, not visible, visible)
    return Part(change, (event_type, field))


def _obstacle(part: Part, connector: Connector | None) -> Obstacle | None:
    """Return why a setting cannot be reverted, or None."""
    if part.change.kind == Kind.SECRET:
        return _secret(part.change.label)
    if connector is None:
        return Obstacle("The connector was deleted.", moved=True)
    if part.toggle:
        return _obstacle_of_toggle(part.change, part.toggle, connector)
    field = type_of(connector).field(part.change.key)
    if field is None:
        return Obstacle(f"A {type_of(connector).label} connector no longer has {part.change.label}.", moved=True)
    if field.kind is Kind.SECRET:
        return _secret(field.label)
    return _obstacle_of_setting(part.change, field, connector)


def _secret(label: str) -> Obstacle:
    return Obstacle(f"{label} is a secret: its old value is not recorded. Enter it again in the connector's form.")


def _obstacle_of_toggle(change: Change, toggle: Toggle, connector: Connector) -> Obstacle | None:
    if toggle not in visibility.toggles(type_of(connector)):
        return Obstacle(f"{change.label} no longer exists.", moved=True)
    visible = toggle not in visibility.hidden(connector.id)
    state = "shown" if visible else "hidden"
    return Obstacle(f"{change.label} is already {state}.", moved=True) if visible != change.new else None


def _obstacle_of_setting(change: Change, field: Field, connector: Connector) -> Obstacle | None:
    now = connector_store.values(connector)[field.key]
    if not _has(field, now, change.new):
        if _has(field, now, change.old):
            return Obstacle(f"{field.label} is already {format_value(now)}.", moved=True)
        return Obstacle(f"{field.label} was changed again later. It is now {format_value(now)}.", moved=True)
    if MASK in str(change.old):
        return Obstacle(f"The old value of {field.label} is not fully recorded.")
    try:
        old = field.clean(change.old)
    except FieldError as error:
        return Obstacle(f"The old value is no longer valid: {error}")
    if _has(field, now, old):
        return Obstacle(f"{field.label} is already {format_value(now)}.", moved=True)
    if field.key == "name" and connector_store.is_name_taken(old, connector):
        return Obstacle(f"A connector named “{old}” already exists.", moved=True)
    if connector.secrets and type_of(connector).changes_origin(connector_store.values(connector), {field.key: old}):
        text = f"The old {field.label} points to another server. Enter it in the form, with a token for that server."
        return Obstacle(text)
    return None


def _has(field: Field, now: Any, recorded: Any) -> bool:
    try:
        return is_same(field, now, field.normalize(recorded))
    except FieldError:
        return False
