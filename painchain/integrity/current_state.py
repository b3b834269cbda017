"""What is configured, thing by thing and value by value: as the audit trail tells it, and as it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import false, func, select, true

from painchain import connectors
from painchain.audit.diff import SET
from painchain.audit.sentences import kept_for, source_label
from painchain.configuration import connector_store
from painchain.connectors.base import Field, Kind
from painchain.core.redaction import MASK, scrub, scrub_value
from painchain.database.models import ApiToken, Connector, NotifyRule, Person, Team, Webhook
from painchain.database.session import db
from painchain.history.projection import ConnectorState, toggle_label
from painchain.retention import rules as retention_rules
from painchain.timeline import visibility

CONNECTOR, TEAM, RULE, RETENTION, PERSON, TOKEN = (
    *("connector", "team", "notify rule", "the events of", "account", "API token"),
)
WEBHOOK = Field("webhook", "Webhook secret", Kind.SECRET)
TYPE = Field("type", "Type", Kind.TEXT)
ENABLED = Field("enabled", "Enabled", Kind.CHECKBOX)
KEPT = Field("kept", "Retention", Kind.TEXT, default=kept_for(None))
_LABELS = {
    "name": "Name",
    "tags": "Tags",
    "kinds": "Kinds of events",
    "enabled": "Enabled",
    "url": "Apprise URL",
    "role": "Role",
    "email": "Email",
    "disabled": "Disabled",
    "issuer": "Signs in through",
    "person": "Owner",
    "expires": "Ends",
}
_KINDS = {"tags": Kind.TAGS, "enabled": Kind.CHECKBOX, "disabled": Kind.CHECKBOX, "url": Kind.SECRET}

Key = tuple[str, str]  # kind, and what it is known by


@dataclass
class ConfigItem:
    """One thing that is configured, or what the log knows of it: `whole` unless its creation is no longer there."""

    kind: str
    name: str
    values: dict[str, Any]
    whole: bool = True
    fields: Mapping[str, Field] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """How it is called."""
        return f"{self.kind} “{self.name}”"

    def field(self, key: str) -> Field:
        """Return the definition of one of its values."""
        known = self.fields.get(key)
        return known or Field(key, _LABELS.get(key, key), _KINDS.get(key, Kind.TEXT))


def current_items() -> dict[Key, ConfigItem]:
    """Return everything that is configured now, as the log would tell it.

    :raises ValueError: or the like, where something stands that PainChain does not write.
    """
    found: dict[Key, ConfigItem] = {}
    for some in (_connectors(), _teams(), _rules(), _retention(), _people(), _tokens()):
        for (kind, name), thing in some:
            # Of two that have the same name, one was added by hand; names without what was secret in them may be alike.
            second = (kind, name) in found and MASK not in name
            found[kind, f"{name} (again)" if second else name] = thing
    return found


def connector_item(one: ConnectorState, webhook: Any) -> ConfigItem:
    """Return a connector, of whose secrets it is known only whether they are set."""
    fields = connector_fields(one)
    values = {
        **one.values,
        "type": one.type,
        "enabled": one.enabled,
        **({"webhook": webhook} if webhook or one.whole else {}),
    }
    values |= {toggle_key(toggle): False for toggle in one.hidden}
    return ConfigItem(CONNECTOR, one.name, values, one.whole, fields)


def connector_fields(one: ConnectorState) -> dict[str, Field]:
    """Return the definition of each value that a connector can have."""
    known = connectors.TYPES.get(one.type)
    defined = {each.key: each for each in known.all_fields} if known else {}
    toggles = {*(visibility.toggles(known) if known else ()), *one.hidden}
    shown = {
        toggle_key(each): Field(
            toggle_key(each), f"Showing {toggle_label(one.type, each)}", Kind.CHECKBOX, default=True
        )
        for each in toggles
    }
    return {"type": TYPE, **defined, "enabled": ENABLED, "webhook": WEBHOOK, **shown}


def toggle_key(toggle: tuple[str, str]) -> str:
    """Return what stands for one field of an event type among the values of a connector."""
    return f"field_visibility.{'.'.join(toggle)}"


def _refuse_odd(switch: Any) -> None:
    """Refuse what is neither on nor off: SQLite takes any number, and not everywhere it counts as the same."""
    if db.session.scalar(select(func.count()).where(switch.is_not(true()), switch.is_not(false()))):
        raise ValueError(f"{switch} is neither true nor false")


def _connectors() -> Iterator[tuple[Key, ConfigItem]]:
    _refuse_odd(Connector.enabled)
    hooks = set(db.session.scalars(select(Webhook.connector_id)))
    for one in db.session.scalars(select(Connector)):
        if one.type not in connectors.TYPES:
            continue
        values = connector_store.configuration(one)
        enabled = values.pop("enabled")
        hidden = visibility.hidden(one.id)
        standing = ConnectorState(one.id, one.type, values, enabled, None, "", hidden=hidden)
        yield (CONNECTOR, str(one.id)), connector_item(standing, SET if one.id in hooks else None)


def _teams() -> Iterator[tuple[Key, ConfigItem]]:
    for one in db.session.scalars(select(Team)):
        yield _thing(TEAM, one.name, tags=scrub_value(one.tags))


def _rules() -> Iterator[tuple[Key, ConfigItem]]:
    _refuse_odd(NotifyRule.enabled)
    for one in db.session.scalars(select(NotifyRule)):
        yield _thing(RULE, one.name, kinds=one.kinds, enabled=one.enabled, url=SET)


def _retention() -> Iterator[tuple[Key, ConfigItem]]:
    for source, days in retention_rules.rules().items():
        fields = {KEPT.key: KEPT}
        yield (
            (RETENTION, source),
            ConfigItem(RETENTION, source_label(source), {KEPT.key: kept_for(days)}, fields=fields),
        )


def _people() -> Iterator[tuple[Key, ConfigItem]]:
    for one in db.session.scalars(select(Person)):
        told = {"role": one.role, "disabled": one.disabled_at is not None, "email": one.email, "issuer": one.issuer}
        yield _thing(PERSON, one.name, **told)


def _tokens() -> Iterator[tuple[Key, ConfigItem]]:
    query = select(ApiToken, Person.name).join(Person, Person.id == ApiToken.person_id)
    for one, owner in db.session.execute(query):
        yield _thing(TOKEN, one.name, role=one.role, person=scrub(owner), expires=one.expires)


def _thing(kind: str, name: str, **values: Any) -> tuple[Key, ConfigItem]:
    name = scrub(name)
    return (kind, name), ConfigItem(kind, name, {"name": name, **values})
