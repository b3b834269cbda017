"""Fill in what a pruned log has lost of the past, from what was written later: pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from painchain.connectors.base import Kind
from painchain.history.projection import ConnectorState, Entry, Snapshot, Toggle


@dataclass
class _EarlierState:
    """What later events say of one connector as it was before them: the first old value of each field counts."""

    last: ConnectorState | None = None
    values: dict[str, Any] = field(default_factory=dict)
    without: set[str] = field(default_factory=set)
    enabled: bool | None = None
    visible: dict[Toggle, bool] = field(default_factory=dict)

    def take(self, entry: Entry) -> None:
        told = entry.description
        if entry.event_type == "ConfigChanged":
            key, old = str(told.get("field", "")), told.get("old_value")
            if key not in self.values and key not in self.without:
                if told.get("kind") == Kind.SECRET and old is None:
                    self.without.add(key)
                else:
                    self.values[key] = old
        elif entry.event_type == "FieldVisibilityChanged":
            toggle = (str(told.get("event_type", "")), str(told.get("field", "")))
            self.visible.setdefault(toggle, not told.get("visible"))
        elif entry.event_type in ("ConnectorEnabled", "ConnectorDisabled") and self.enabled is None:
            self.enabled = entry.event_type == "ConnectorDisabled"
        elif entry.event_type == "ConnectorDeleted":
            self.last = _deleted(entry)

    def standing(self, known: ConnectorState | None) -> ConnectorState | None:
        """Return the connector as it stood, if it is known at all."""
        one = self.last or known
        if one is None:
            return None
        earlier = known.values if known and self.last is None else {}
        values = {**earlier, **one.values, **self.values}
        visible = {toggle for toggle, shown in self.visible.items() if shown}
        hidden = (one.hidden | set(self.visible)) - visible
        return replace(
            one,
            values={key: value for key, value in values.items() if key not in self.without},
            enabled=one.enabled if self.enabled is None else self.enabled,
            since=known.since if known else None,
            by=known.by if known else "",
            entered=known.entered if known else {},
            hidden=frozenset(hidden),
            whole=False,
        )


def fill_in(picture: Snapshot, later: Iterable[Entry], present: Iterable[ConnectorState]) -> Snapshot:
    """Return a picture with the connectors whose creation is no longer in the log.

    What they were is read backwards: the first old value that was recorded `later`, or else what is so at `present`
    (of a deleted connector, what it was deleted with).
    """
    born: set[int] = set()
    before: dict[int, _EarlierState] = {}
    for entry in later:
        number = entry.connector_id or 0
        if entry.reported or number in born:
            continue
        if entry.event_type == "ConnectorCreated":
            born.add(number)
        else:
            before.setdefault(number, _EarlierState()).take(entry)
    for one in present:
        if one.id not in born:
            before.setdefault(one.id, _EarlierState()).last = one
    known = {one.id: one for one in picture.connectors}
    whole = {number for number, one in known.items() if one.whole}
    told = (one.standing(known.get(number)) for number, one in before.items() if number not in whole | born)
    found = {one.id: one for one in told if one}
    return replace(picture, connectors=tuple({**known, **found}.values())).sorted()


def _deleted(entry: Entry) -> ConnectorState:
    told = entry.description.get("configuration")
    values = {key: value for key, value in told.items() if key != "enabled"} if isinstance(told, dict) else {}
    enabled = told.get("enabled") if isinstance(told, dict) else None
    name = {"name": entry.connector_name}
    return ConnectorState(entry.connector_id or 0, entry.connector_type or "", {**name, **values}, enabled, None, "")
