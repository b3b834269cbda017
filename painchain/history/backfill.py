"""Fill in past configuration that a pruned log lost, from later events: pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from painchain.connectors.base import Kind
from painchain.history.projection import ConnectorState, Entry, Snapshot, Toggle


@dataclass
class _EarlierState:
    """The earlier state of one connector, read from later events. The first old value of each field counts."""

    last: ConnectorState | None = None
    values: dict[str, Any] = field(default_factory=dict)
    unset: set[str] = field(default_factory=set)
    enabled: bool | None = None
    visible: dict[Toggle, bool] = field(default_factory=dict)

    def apply(self, entry: Entry) -> None:
        facts = entry.description
        if entry.event_type == "ConfigChanged":
            key, old = str(facts.get("field", "")), facts.get("old_value")
            if key not in self.values and key not in self.unset:
                if facts.get("kind") == Kind.SECRET and old is None:
                    self.unset.add(key)
                else:
                    self.values[key] = old
        elif entry.event_type == "FieldVisibilityChanged":
            toggle = (str(facts.get("event_type", "")), str(facts.get("field", "")))
            self.visible.setdefault(toggle, not facts.get("visible"))
        elif entry.event_type in ("ConnectorEnabled", "ConnectorDisabled") and self.enabled is None:
            self.enabled = entry.event_type == "ConnectorDisabled"
        elif entry.event_type == "ConnectorDeleted":
            self.last = _deleted(entry)

    def connector(self, present: ConnectorState | None) -> ConnectorState | None:
        """Return the earlier state of the connector, or None if the log contains nothing about it."""
        base = self.last or present
        if base is None:
            return None
        earlier = present.values if present and self.last is None else {}
        values = {**earlier, **base.values, **self.values}
        visible = {toggle for toggle, is_visible in self.visible.items() if is_visible}
        hidden = (base.hidden | set(self.visible)) - visible
        return replace(
            base,
            values={key: value for key, value in values.items() if key not in self.unset},
            enabled=base.enabled if self.enabled is None else self.enabled,
            since=present.since if present else None,
            by=present.by if present else "",
            entered=present.entered if present else {},
            hidden=frozenset(hidden),
            is_complete=False,
        )


def fill_in(snapshot: Snapshot, later: Iterable[Entry], present: Iterable[ConnectorState]) -> Snapshot:
    """Add the connectors whose creation is no longer in the log to a snapshot.

    Each value is the first old value in a `later` event. Without one, it is the value at `present`, or the value that a
    deleted connector had when it was deleted.
    """
    created_later: set[int] = set()
    earlier: dict[int, _EarlierState] = {}
    for entry in later:
        number = entry.connector_id or 0
        if entry.reported or number in created_later:
            continue
        if entry.event_type == "ConnectorCreated":
            created_later.add(number)
        else:
            earlier.setdefault(number, _EarlierState()).apply(entry)
    for connector in present:
        if connector.id not in created_later:
            earlier.setdefault(connector.id, _EarlierState()).last = connector
    logged = {connector.id: connector for connector in snapshot.connectors}
    complete = created_later | {number for number, connector in logged.items() if connector.is_complete}
    states = (state.connector(logged.get(number)) for number, state in earlier.items() if number not in complete)
    filled_in = {connector.id: connector for connector in states if connector}
    return replace(snapshot, connectors=tuple({**logged, **filled_in}.values())).sorted()


def _deleted(entry: Entry) -> ConnectorState:
    recorded = entry.description.get("configuration")
    configuration = recorded if isinstance(recorded, dict) else {}
    values = {key: value for key, value in configuration.items() if key != "enabled"}
    enabled = configuration.get("enabled")
    name = {"name": entry.connector_name}
    return ConnectorState(entry.connector_id or 0, entry.connector_type or "", {**name, **values}, enabled, None, "")
