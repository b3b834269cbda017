"""The registry: one line per connector type."""

from painchain.connectors import github, gitlab, kubernetes, painchain
from painchain.connectors.base import ConnectorType, EventType, Field

TYPES: dict[str, ConnectorType] = {module.TYPE.key: module.TYPE for module in (painchain, github, gitlab, kubernetes)}
BUILTIN = next(connector_type for connector_type in TYPES.values() if connector_type.builtin)
ADDABLE = {key: connector_type for key, connector_type in TYPES.items() if not connector_type.builtin}


def event_type(source: str, name: str) -> EventType | None:
    """Return the event type of a source by its name, or None if it no longer exists."""
    connector_type = TYPES.get(source)
    return connector_type.event_type(name) if connector_type else None


def field(connector_type: str | None, key: str) -> Field | None:
    """Return the definition of a configuration field.

    Without a known type, return the first definition of any type, secret ones first: a field that is secret in one
    type is never recorded in plain text because its type is unknown.
    """
    if connector_type in TYPES:
        return TYPES[connector_type].field(key)
    candidates = [field for each_type in TYPES.values() if (field := each_type.field(key))]
    return next((field for field in candidates if field.kind == "secret"), candidates[0] if candidates else None)
