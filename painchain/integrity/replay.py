"""Replay the audit trail: what it tells of everything that is configured, and which event told it last."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from painchain import connectors
from painchain.audit.diff import CLEARED, SET
from painchain.connectors.base import Kind
from painchain.core.redaction import scrub
from painchain.history import snapshots
from painchain.history.projection import Entry, Projection
from painchain.integrity.current_state import (
    CONNECTOR,
    KEPT,
    PERSON,
    RETENTION,
    RULE,
    TEAM,
    TOKEN,
    ConfigItem,
    Key,
    connector_item,
    toggle_key,
)

OPEN = 2**63  # the number of the event that ends a gap which has not ended


@dataclass
class Replay:
    """The configuration while the log is read, and the number of the event that told each value last."""

    projection: Projection = field(default_factory=Projection)
    others: dict[Key, ConfigItem] = field(default_factory=dict)
    webhooks: dict[str, str | None] = field(default_factory=dict)
    last_events: dict[tuple[Key, str], int] = field(default_factory=dict)
    ends: list[int] = field(default_factory=list)
    pruned: bool = False

    @property
    def whole(self) -> bool:
        """Whether every event of PainChain's own is there, from the first on."""
        return self.projection.whole and not self.pruned

    def items(self) -> dict[Key, ConfigItem]:
        """Return everything that the log tells of."""
        standing = {(CONNECTOR, str(one.id)): one for one in self.projection.snapshot().connectors}
        found = {key: connector_item(one, self.webhooks.get(key[1])) for key, one in standing.items()}
        return {**found, **self.others}

    def apply(self, entry: Entry) -> None:
        """Read the next event."""
        gaps = self.projection.gaps
        self.projection.apply(entry)
        if self.projection.gaps is not gaps:
            self.ends[len(self.projection.gaps) - 1 :] = [OPEN if self.projection.gaps[-1].end is None else entry.id]
        if entry.reported:
            return
        for kind, begins in _ABOUT:
            if entry.event_type in begins:
                begins[entry.event_type](self, kind, entry)
                return
        if entry.connector_id is not None and (key := _told_of(entry)) is not None:
            self.last_events[(CONNECTOR, str(entry.connector_id)), key] = entry.id

    def explain(self, since: int) -> str:
        """Say whether auditing was off at some time after event number `since`."""
        gaps = [gap for gap, end in zip(self.projection.gaps, self.ends, strict=True) if end > since]
        spans = " and ".join(f"from {_time(gap.start, 'some time')} to {_time(gap.end, 'now')}" for gap in gaps)
        return f"auditing was off {spans}, when nothing was recorded" if gaps else ""

    def last_event(self, key: Key, name: str = "") -> int:
        """Return the number of the event that told a value last, or else the creation of what has it."""
        return self.last_events.get((key, name), self.last_events.get((key, ""), 0))

    def add(self, key: Key, values: Mapping[str, Any], entry: Entry) -> None:
        """Take down something new."""
        self.others[key] = ConfigItem(key[0], key[1], {"name": key[1], **values})
        self.last_events[key, ""] = entry.id

    def update(self, key: Key, values: Mapping[str, Any], entry: Entry) -> None:
        """Take down new values of something."""
        thing = self.others.setdefault(key, ConfigItem(*key, {"name": key[1]}, whole=False))
        thing.values.update(values)
        self.last_events.update({(key, name): entry.id for name in values})

    def rename(self, key: Key, name: str) -> Key:
        """Take down that something is called otherwise from now on."""
        new = (key[0], name)
        if new != key and (thing := self.others.pop(key, None)):
            thing.name = thing.values["name"] = name
            self.others[new] = thing
            self.last_events.update({(new, what): at for (of, what), at in [*self.last_events.items()] if of == key})
        return new


def _time(moment: datetime | None, unknown: str) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC" if moment else unknown


def _told_of(entry: Entry) -> str | None:
    """Return which value of a connector an event tells; "" for all of them."""
    facts = entry.description
    if entry.event_type == "ConnectorCreated":
        return ""
    if entry.event_type == "ConfigChanged":
        return str(facts.get("field", ""))
    if entry.event_type == "FieldVisibilityChanged":
        return toggle_key((str(facts.get("event_type", "")), str(facts.get("field", ""))))
    return "enabled" if entry.event_type in snapshots.SWITCHES else None


def _text(value: Any) -> str:
    return scrub(value) if isinstance(value, str) else ""


def _changes(entry: Entry) -> dict[str, Any]:
    """Return the new values that a save tells of."""
    told = entry.description.get("changes")
    found: dict[str, Any] = {}
    for one in told if isinstance(told, list) else ():
        if isinstance(one, dict) and isinstance(one.get("key"), str):
            new = one.get("new")
            found[one["key"]] = (None if new == CLEARED else SET) if one.get("kind") == Kind.SECRET else new
    return found


def _former_name(entry: Entry) -> str | None:
    told = entry.description.get("changes")
    found = (one for one in told if isinstance(one, dict)) if isinstance(told, list) else ()
    return next((_text(one.get("old")) for one in found if one.get("key") == "name"), None)


def _team_created(replay: Replay, kind: str, entry: Entry) -> None:
    replay.add((kind, _text(entry.description.get("team"))), {"tags": entry.description.get("tags")}, entry)


def _rule_created(replay: Replay, kind: str, entry: Entry) -> None:
    told = entry.description.get("configuration")
    values = {key: value for key, value in told.items() if key != "name"} if isinstance(told, dict) else {}
    replay.add((kind, _text(entry.description.get("rule"))), values, entry)


def _saved(member: str) -> Callable[[Replay, str, Entry], None]:
    """Return what reads a save whose event has the new name."""

    def take(replay: Replay, kind: str, entry: Entry) -> None:
        name = _text(entry.description.get(member))
        former = _former_name(entry)
        key = replay.rename((kind, former if former is not None else name), name)
        replay.update(key, {**_changes(entry), "name": name}, entry)

    return take


def _gone(member: str) -> Callable[[Replay, str, Entry], None]:
    def take(replay: Replay, kind: str, entry: Entry) -> None:
        replay.others.pop((kind, _text(entry.description.get(member))), None)

    return take


def _person_added(replay: Replay, kind: str, entry: Entry) -> None:
    # Of a new account the email address is not told.
    values = {"role": entry.description.get("role"), "disabled": False, "issuer": None}
    replay.add((kind, _text(entry.description.get("person"))), values, entry)


def _person_changed(replay: Replay, kind: str, entry: Entry) -> None:
    """Read a save whose event has the former name; the account's tokens are called after it."""
    former, changes = _text(entry.description.get("person")), _changes(entry)
    name = _text(changes.get("name")) or former
    replay.update(replay.rename((kind, former), name), {**changes, "name": name}, entry)
    for thing in replay.others.values():
        if thing.kind == TOKEN and thing.values.get("person") == former:
            thing.values["person"] = name


def _person_switched(replay: Replay, kind: str, entry: Entry) -> None:
    key = (kind, _text(entry.description.get("person")))
    replay.update(key, {"disabled": entry.event_type == "PersonDisabled"}, entry)


def _person_removed(replay: Replay, kind: str, entry: Entry) -> None:
    name = _text(entry.description.get("person"))
    replay.others.pop((kind, name), None)
    for key, thing in [*replay.others.items()]:
        if thing.kind == TOKEN and thing.values.get("person") == name:
            del replay.others[key]


def _token_created(replay: Replay, kind: str, entry: Entry) -> None:
    facts = entry.description
    days = facts.get("days")
    expires = entry.timestamp + timedelta(days=days) if isinstance(days, int) else None
    values = {"role": facts.get("role"), "person": _text(facts.get("person")), "expires": expires}
    replay.add((kind, _text(facts.get("token"))), values, entry)


def _kept(replay: Replay, kind: str, entry: Entry) -> None:
    source = str(entry.description.get("field", ""))
    replay.update((kind, source), {KEPT.key: entry.description.get("new_value")}, entry)


def _pruned(replay: Replay, kind: str, entry: Entry) -> None:
    mine = entry.description.get("of_source") == connectors.BUILTIN.label
    replay.pruned = replay.pruned or (mine and bool(entry.description.get("events")))


def _webhook(replay: Replay, kind: str, entry: Entry) -> None:
    number = str(entry.connector_id)
    replay.webhooks[number] = None if entry.description.get("new_value") == "removed" else SET
    replay.last_events[(kind, number), "webhook"] = entry.id


_ABOUT: tuple[tuple[str, Mapping[str, Callable[[Replay, str, Entry], None]]], ...] = (
    (CONNECTOR, {"WebhookChanged": _webhook}),
    (TEAM, {"TeamCreated": _team_created, "TeamUpdated": _saved("team"), "TeamDeleted": _gone("team")}),
    (
        RULE,
        {
            "NotifyRuleCreated": _rule_created,
            "NotifyRuleChanged": _saved("rule"),
            "NotifyRuleDeleted": _gone("rule"),
        },
    ),
    (RETENTION, {"RetentionChanged": _kept, "EventsPruned": _pruned}),
    (
        PERSON,
        {
            "PersonAdded": _person_added,
            "PersonChanged": _person_changed,
            "PersonDisabled": _person_switched,
            "PersonEnabled": _person_switched,
            "PersonRemoved": _person_removed,
        },
    ),
    (TOKEN, {"TokenCreated": _token_created, "TokenRevoked": _gone("token")}),
)
