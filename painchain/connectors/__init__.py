"""The registry: one line per connector type."""

from painchain.connectors import api, github, gitlab, kubernetes, painchain, webhook
from painchain.connectors.base import ConnectorType, EventType, Field
from painchain.connectors.outcomes import Outcome

TYPES: dict[str, ConnectorType] = {
    module.TYPE.key: module.TYPE for module in (painchain, github, gitlab, kubernetes, webhook, api)
}
BUILTIN = next(connector_type for connector_type in TYPES.values() if connector_type.builtin)
ACCESS_TYPES = tuple(event_type.name for event_type in BUILTIN.event_types if event_type.is_access)
# The sources whose events say in their status how they ended.
EXTERNAL = {key: connector_type for key, connector_type in TYPES.items() if not connector_type.builtin}
ADDABLE = {key: connector_type for key, connector_type in EXTERNAL.items() if connector_type.addable}


def event_type(source: str, name: str) -> EventType | None:
    """Return the event type of a source by its name, or None if it no longer exists."""
    connector_type = TYPES.get(source)
    return connector_type.event_type(name) or connector_type.any_type if connector_type else None


def configurable_types(connector_type: ConnectorType) -> tuple[EventType, ...]:
    """Return the event types whose fields can be hidden at a connector.

    At the built-in connector these are also the types of the sources that have no connector.
    """
    if not connector_type.builtin:
        if connector_type.any_type and connector_type.addable:
            return (connector_type.any_type,)  # its fields are hidden for all types together
        return connector_type.event_types
    without_connector = (each.any_type for each in EXTERNAL.values() if not each.addable)
    return (*connector_type.event_types, *filter(None, without_connector))


def configurable_type(connector_type: ConnectorType, name: str) -> EventType | None:
    """Return the event type with this name whose fields can be hidden at a connector, or None."""
    return next((each for each in configurable_types(connector_type) if each.name == name), None)


def outcome(source: str, event_type: str, status: str | None) -> Outcome:
    """Return the outcome of an event by the table of its source. Events of an unknown source are neutral."""
    if source == BUILTIN.key:
        known_type = BUILTIN.event_type(event_type)
        return known_type.outcome if known_type else Outcome.NEUTRAL
    return TYPES[source].statuses.outcome(status) if source in TYPES else Outcome.NEUTRAL


def field(connector_type: str | None, key: str) -> Field | None:
    """Return the definition of a configuration field.

    Without a known type, return the first definition of any type, secret ones first: a field that is secret in one
    type is never recorded in plain text because its type is unknown.
    """
    if connector_type in TYPES:
        return TYPES[connector_type].field(key)
    candidates = [field for each_type in TYPES.values() if (field := each_type.field(key))]
    return next((field for field in candidates if field.kind == "secret"), candidates[0] if candidates else None)
