"""Replay the audit trail: compute the configuration that it records, and the event that last set each value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from painchain import connectors
from painchain.audit.diff import CLEARED, SET
from painchain.configuration.saved_views import EVERYBODY
from painchain.connectors.base import Kind
from painchain.core.redaction import scrub
from painchain.history import snapshots
from painchain.history.projection import Entry, Projection
from painchain.integrity.current_state import (
    CONNECTOR,
    PERSON,
    RETENTION,
    RETENTION_FIELD,
    RULE,
    TEAM,
    TOKEN,
    VIEW,
    ConfigItem,
    Key,
    connector_item,
    toggle_key,
    view_name,
)

OPEN = 2**63  # the end of a gap that is still open, as an event number


@dataclass
class Replay:
    """The configuration after the events applied so far, and the number of the event that last set each value."""

    projection: Projection = field(default_factory=Projection)
    other_items: dict[Key, ConfigItem] = field(default_factory=dict)
    webhooks: dict[str, str | None] = field(default_factory=dict)
    last_events: dict[tuple[Key, str], int] = field(default_factory=dict)
    ends: list[int] = field(default_factory=list)
    pruned: bool = False

    @property
    def is_complete(self) -> bool:
        """Whether the log contains every audit event since the first."""
        return self.projection.is_complete and not self.pruned

    def items(self) -> dict[Key, ConfigItem]:
        """Return every item that the log contains."""
        states = {(CONNECTOR, str(connector.id)): connector for connector in self.projection.snapshot().connectors}
        items = {key: connector_item(connector, self.webhooks.get(key[1])) for key, connector in states.items()}
        return {**items, **self.other_items}

    def apply(self, entry: Entry) -> None:
        """Apply the next event."""
        gaps = self.projection.gaps
        self.projection.apply(entry)
        if self.projection.gaps is not gaps:
            self.ends[len(self.projection.gaps) - 1 :] = [OPEN if self.projection.gaps[-1].end is None else entry.id]
        if entry.reported:
            return
        for kind, handlers in _HANDLERS:
            if entry.event_type in handlers:
                handlers[entry.event_type](self, kind, entry)
                return
        if entry.connector_id is not None and (key := _value_key(entry)) is not None:
            self.last_events[(CONNECTOR, str(entry.connector_id)), key] = entry.id

    def explain(self, since: int) -> str:
        """Return when auditing was off after event number `since`, as text; "" if it was never off."""
        gaps = [gap for gap, end in zip(self.projection.gaps, self.ends, strict=True) if end > since]
        spans = " and ".join(f"from {_time(gap.start, 'some time')} to {_time(gap.end, 'now')}" for gap in gaps)
        return f"auditing was off {spans}, when nothing was recorded" if gaps else ""

    def last_event(self, key: Key, name: str = "") -> int:
        """Return the number of the event that last set a value, or else of the creation of the item."""
        return self.last_events.get((key, name), self.last_events.get((key, ""), 0))

    def add(self, key: Key, values: Mapping[str, Any], entry: Entry) -> None:
        """Add a new item."""
        self.other_items[key] = ConfigItem(key[0], key[1], {"name": key[1], **values})
        self.last_events[key, ""] = entry.id

    def update(self, key: Key, values: Mapping[str, Any], entry: Entry) -> None:
        """Set values of an item."""
        item = self.other_items.setdefault(key, ConfigItem(*key, {"name": key[1]}, is_complete=False))
        item.values.update(values)
        self.last_events.update({(key, name): entry.id for name in values})

    def rename(self, key: Key, name: str) -> Key:
        """Rename an item and return its new key."""
        new = (key[0], name)
        if new != key and (item := self.other_items.pop(key, None)):
            item.name = item.values["name"] = name
            self.other_items[new] = item
            self.last_events.update(
                {
                    (new, value_name): event
                    for (item_key, value_name), event in [*self.last_events.items()]
                    if item_key == key
                }
            )
        return new


def _time(moment: datetime | None, unknown: str) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC" if moment else unknown


def _value_key(entry: Entry) -> str | None:
    """Return the key of the connector value that an event sets; "" for all values, None for no value."""
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
    """Return the new values that the event of a save contains."""
    changes = entry.description.get("changes")
    new_values: dict[str, Any] = {}
    for change in changes if isinstance(changes, list) else ():
        if isinstance(change, dict) and isinstance(change.get("key"), str):
            new = change.get("new")
            new_values[change["key"]] = (None if new == CLEARED else SET) if change.get("kind") == Kind.SECRET else new
    return new_values


def _former_name(entry: Entry) -> str | None:
    changes = entry.description.get("changes")
    objects = (change for change in changes if isinstance(change, dict)) if isinstance(changes, list) else ()
    return next((_text(change.get("old")) for change in objects if change.get("key") == "name"), None)


def _team_created(replay: Replay, kind: str, entry: Entry) -> None:
    replay.add((kind, _text(entry.description.get("team"))), {"tags": entry.description.get("tags")}, entry)


def _view_saved(replay: Replay, kind: str, entry: Entry) -> None:
    audience = _text(entry.description.get("audience"))
    key = (kind, view_name(_text(entry.description.get("view")), audience))
    replay.add(key, {"filter": _text(entry.description.get("filter")), "audience": audience}, entry)


def _view_changed(replay: Replay, kind: str, entry: Entry) -> None:
    """Apply a save of a view. A new start page changes no view."""
    changes = {key: value for key, value in _changes(entry).items() if key in ("name", "filter", "shared")}
    name, former_name = _text(entry.description.get("view")), _former_name(entry)
    audiences = _audiences(entry, changes.get("shared"))
    before = [view_name(name if former_name is None else former_name, former) for former, _ in audiences]
    known = next((position for position, item in enumerate(before) if (kind, item) in replay.other_items), None)
    if not changes or known is None:
        return
    audience = audiences[known][1]
    values = {"filter": _text(changes["filter"])} if "filter" in changes else {}
    key = replay.rename((kind, before[known]), view_name(name, audience))
    replay.update(key, {**values, "audience": audience}, entry)


def _audiences(entry: Entry, shared: bool | None) -> list[tuple[str, str]]:
    """Return who saw a view before and after a save. Events of older versions do not say it: first the likeliest."""
    if audience := _text(entry.description.get("audience")):
        return [(_text(entry.description.get("former_audience")) or audience, audience)]
    if shared is not None:
        return [(entry.author, EVERYBODY) if shared else (EVERYBODY, entry.author)]
    return [(entry.author, entry.author), (EVERYBODY, EVERYBODY)]


def _view_deleted(replay: Replay, kind: str, entry: Entry) -> None:
    audience = _text(entry.description.get("audience"))
    replay.other_items.pop((kind, view_name(_text(entry.description.get("view")), audience)), None)


def _rule_created(replay: Replay, kind: str, entry: Entry) -> None:
    configuration = entry.description.get("configuration")
    values = (
        {key: value for key, value in configuration.items() if key != "name"} if isinstance(configuration, dict) else {}
    )
    replay.add((kind, _text(entry.description.get("rule"))), values, entry)


def _saved(member: str) -> Callable[[Replay, str, Entry], None]:
    """Return a handler for a save whose event contains the new name."""

    def apply(replay: Replay, kind: str, entry: Entry) -> None:
        name = _text(entry.description.get(member))
        former = _former_name(entry)
        key = replay.rename((kind, former if former is not None else name), name)
        replay.update(key, {**_changes(entry), "name": name}, entry)

    return apply


def _deleted(member: str) -> Callable[[Replay, str, Entry], None]:
    """Return a handler for a deletion."""

    def apply(replay: Replay, kind: str, entry: Entry) -> None:
        replay.other_items.pop((kind, _text(entry.description.get(member))), None)

    return apply


def _person_added(replay: Replay, kind: str, entry: Entry) -> None:
    # The event of a new account does not contain its email address.
    values = {"role": entry.description.get("role"), "disabled": False, "issuer": None}
    replay.add((kind, _text(entry.description.get("person"))), values, entry)


def _person_changed(replay: Replay, kind: str, entry: Entry) -> None:
    """Apply a save whose event contains the former name; also rename the owner of the account's tokens and views."""
    former, changes = _text(entry.description.get("person")), _changes(entry)
    name = _text(changes.get("name")) or former
    replay.update(replay.rename((kind, former), name), {**changes, "name": name}, entry)
    for key, item in [*replay.other_items.items()]:
        if item.kind == TOKEN and item.values.get("person") == former:
            item.values["person"] = name
        elif item.kind == VIEW and item.values.get("audience") == former:
            item.values["audience"] = name
            replay.rename(key, view_name(item.name.removesuffix(view_name("", former)), name))


def _person_switched(replay: Replay, kind: str, entry: Entry) -> None:
    key = (kind, _text(entry.description.get("person")))
    replay.update(key, {"disabled": entry.event_type == "PersonDisabled"}, entry)


def _person_removed(replay: Replay, kind: str, entry: Entry) -> None:
    name = _text(entry.description.get("person"))
    replay.other_items.pop((kind, name), None)
    for key, item in [*replay.other_items.items()]:
        if (item.kind, name) in ((TOKEN, item.values.get("person")), (VIEW, item.values.get("audience"))):
            del replay.other_items[key]


def _token_created(replay: Replay, kind: str, entry: Entry) -> None:
    facts = entry.description
    days = facts.get("days")
    expires = entry.timestamp + timedelta(days=days) if isinstance(days, int) else None
    values = {"role": facts.get("role"), "person": _text(facts.get("person")), "expires": expires}
    replay.add((kind, _text(facts.get("token"))), values, entry)


def _retention_changed(replay: Replay, kind: str, entry: Entry) -> None:
    source = str(entry.description.get("field", ""))
    replay.update((kind, source), {RETENTION_FIELD.key: entry.description.get("new_value")}, entry)


def _pruned(replay: Replay, kind: str, entry: Entry) -> None:
    is_audit_log = entry.description.get("of_source") == connectors.BUILTIN.label
    replay.pruned = replay.pruned or (is_audit_log and bool(entry.description.get("events")))


def _webhook(replay: Replay, kind: str, entry: Entry) -> None:
    number = str(entry.connector_id)
    replay.webhooks[number] = None if entry.description.get("new_value") == "removed" else SET
    replay.last_events[(kind, number), "webhook"] = entry.id


_HANDLERS: tuple[tuple[str, Mapping[str, Callable[[Replay, str, Entry], None]]], ...] = (
    (CONNECTOR, {"WebhookChanged": _webhook}),
    (VIEW, {"ViewSaved": _view_saved, "ViewChanged": _view_changed, "ViewDeleted": _view_deleted}),
    (TEAM, {"TeamCreated": _team_created, "TeamUpdated": _saved("team"), "TeamDeleted": _deleted("team")}),
    (
        RULE,
        {
            "NotifyRuleCreated": _rule_created,
            "NotifyRuleChanged": _saved("rule"),
            "NotifyRuleDeleted": _deleted("rule"),
        },
    ),
    (RETENTION, {"RetentionChanged": _retention_changed, "EventsPruned": _pruned}),
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
    (TOKEN, {"TokenCreated": _token_created, "TokenRevoked": _deleted("token")}),
)
