"""List everything that is configured, as items with values, in the form in which the audit trail records it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import false, func, select, true

from painchain import connectors
from painchain.audit.diff import SET
from painchain.audit.sentences import kept_for, source_label
from painchain.configuration import connector_store
from painchain.configuration.saved_views import EVERYBODY
from painchain.connectors.base import Field, Kind
from painchain.core.redaction import MASK, scrub, scrub_value
from painchain.database.models import ApiToken, Connector, NotifyRule, Person, SavedView, Team, Webhook
from painchain.database.session import db
from painchain.history.projection import ConnectorState, toggle_label
from painchain.retention import rules as retention_rules
from painchain.timeline import visibility

CONNECTOR, TEAM, VIEW, RULE, RETENTION, PERSON, TOKEN = (
    *("connector", "team", "view", "notify rule", "the events of", "account", "API token"),
)
WEBHOOK = Field("webhook", "Webhook secret", Kind.SECRET)
TYPE = Field("type", "Type", Kind.TEXT)
ENABLED = Field("enabled", "Enabled", Kind.CHECKBOX)
RETENTION_FIELD = Field("kept", "Retention", Kind.TEXT, default=kept_for(None))
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
    "filter": "Filter",
}
_KINDS = {"tags": Kind.TAGS, "enabled": Kind.CHECKBOX, "disabled": Kind.CHECKBOX, "url": Kind.SECRET}

Key = tuple[str, str]  # the kind of an item, and its identifier: a number, a name or a source


@dataclass
class ConfigItem:
    """One configured item with its values, or what the log contains of it.

    `is_complete` is False if the log no longer contains its creation.
    """

    kind: str
    name: str
    values: dict[str, Any]
    is_complete: bool = True
    fields: Mapping[str, Field] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """The kind and the name, as text."""
        return f"{self.kind} “{self.name}”"

    def field(self, key: str) -> Field:
        """Return the definition of one value."""
        definition = self.fields.get(key)
        return definition or Field(key, _LABELS.get(key, key), _KINDS.get(key, Kind.TEXT))


def current_items() -> dict[Key, ConfigItem]:
    """Return everything that is configured now, in the form in which the log records it.

    :raises ValueError: when the database contains a value that PainChain does not write; also other errors.
    """
    items: dict[Key, ConfigItem] = {}
    for items_of_kind in (_connectors(), _teams(), _views(), _rules(), _retention(), _people(), _tokens()):
        for (kind, name), item in items_of_kind:
            # Names are unique, so a second item of a name was added by hand. Names with masked secrets may be equal.
            is_duplicate = (kind, name) in items and MASK not in name
            items[kind, f"{name} (again)" if is_duplicate else name] = item
    return items


def connector_item(connector: ConnectorState, webhook: Any) -> ConfigItem:
    """Return a connector as an item. Of a secret it contains only whether it is set."""
    fields = connector_fields(connector)
    values = {
        **connector.values,
        "type": connector.type,
        "enabled": connector.enabled,
        **({"webhook": webhook} if webhook or connector.is_complete else {}),
    }
    values |= {toggle_key(toggle): False for toggle in connector.hidden}
    return ConfigItem(CONNECTOR, connector.name, values, connector.is_complete, fields)


def connector_fields(connector: ConnectorState) -> dict[str, Field]:
    """Return the definition of each value that a connector can have."""
    connector_type = connectors.TYPES.get(connector.type)
    defined = {definition.key: definition for definition in connector_type.all_fields} if connector_type else {}
    toggles = {*(visibility.toggles(connector_type) if connector_type else ()), *connector.hidden}
    visible = {
        toggle_key(toggle): Field(
            toggle_key(toggle), f"Showing {toggle_label(connector.type, toggle)}", Kind.CHECKBOX, default=True
        )
        for toggle in toggles
    }
    return {"type": TYPE, **defined, "enabled": ENABLED, "webhook": WEBHOOK, **visible}


def toggle_key(toggle: tuple[str, str]) -> str:
    """Return the key of a visibility toggle among the values of a connector."""
    return f"field_visibility.{'.'.join(toggle)}"


def _refuse_non_boolean(column: Any) -> None:
    """Refuse a column with values other than true and false. SQLite stores any number there.

    :raises ValueError: when there is such a value.
    """
    if db.session.scalar(select(func.count()).where(column.is_not(true()), column.is_not(false()))):
        raise ValueError(f"{column} is neither true nor false")


def _connectors() -> Iterator[tuple[Key, ConfigItem]]:
    _refuse_non_boolean(Connector.enabled)
    hooks = set(db.session.scalars(select(Webhook.connector_id)))
    for connector in db.session.scalars(select(Connector)):
        if connector.type not in connectors.TYPES:
            continue
        values = connector_store.configuration(connector)
        enabled = values.pop("enabled")
        hidden = visibility.hidden(connector.id)
        state = ConnectorState(connector.id, connector.type, values, enabled, None, "", hidden=hidden)
        yield (CONNECTOR, str(connector.id)), connector_item(state, SET if connector.id in hooks else None)


def _teams() -> Iterator[tuple[Key, ConfigItem]]:
    for team in db.session.scalars(select(Team)):
        yield _item(TEAM, team.name, tags=scrub_value(team.tags))


def _views() -> Iterator[tuple[Key, ConfigItem]]:
    for view, owner in db.session.execute(select(SavedView, Person.name).outerjoin(Person)):
        audience = scrub(owner) if view.owner_id is not None else EVERYBODY
        yield _item(VIEW, view_name(scrub(view.name), audience), filter=scrub(view.filter), audience=audience)


def view_name(name: str, audience: str) -> str:
    """Return the name of a view with who sees it, because two people can have views of one name."""
    return f"{name} (for {audience})"


def _rules() -> Iterator[tuple[Key, ConfigItem]]:
    _refuse_non_boolean(NotifyRule.enabled)
    for rule in db.session.scalars(select(NotifyRule)):
        yield _item(RULE, rule.name, kinds=rule.kinds, enabled=rule.enabled, url=SET)


def _retention() -> Iterator[tuple[Key, ConfigItem]]:
    for source, days in retention_rules.rules().items():
        fields = {RETENTION_FIELD.key: RETENTION_FIELD}
        yield (
            (RETENTION, source),
            ConfigItem(RETENTION, source_label(source), {RETENTION_FIELD.key: kept_for(days)}, fields=fields),
        )


def _people() -> Iterator[tuple[Key, ConfigItem]]:
    for person in db.session.scalars(select(Person)):
        values = {
            "role": person.role,
            "disabled": person.disabled_at is not None,
            "email": person.email,
            "issuer": person.issuer,
        }
        yield _item(PERSON, person.name, **values)


def _tokens() -> Iterator[tuple[Key, ConfigItem]]:
    query = select(ApiToken, Person.name).join(Person, Person.id == ApiToken.person_id)
    for token, owner in db.session.execute(query):
        yield _item(TOKEN, token.name, role=token.role, person=scrub(owner), expires=token.expires)


def _item(kind: str, name: str, **values: Any) -> tuple[Key, ConfigItem]:
    name = scrub(name)
    return (kind, name), ConfigItem(kind, name, {"name": name, **values})
