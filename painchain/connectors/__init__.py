"""The registry: one line per connector type."""

from painchain.connectors import github, gitlab, kubernetes, painchain
from painchain.connectors.base import ConnectorType, EventType, Field
from painchain.connectors.outcomes import Outcome

TYPES: dict[str, ConnectorType] = {module.TYPE.key: module.TYPE for module in (painchain, github, gitlab, kubernetes)}
BUILTIN = next(connector_type for connector_type in TYPES.values() if connector_type.builtin)
ACCESS_TYPES = tuple(event_type.name for event_type in BUILTIN.event_types if event_type.is_access)
ADDABLE = {key: connector_type for key, connector_type in TYPES.items() if not connector_type.builtin}


def event_type(source: str, name: str) -> EventType | None:
    """Return the event type of a source by its name, or None if it no longer exists."""
    connector_type = TYPES.get(source)
    return connector_type.event_type(name) if connector_type else None


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
