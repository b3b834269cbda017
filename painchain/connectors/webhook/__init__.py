"""The Webhook connector: whatever can post JSON. A preset, or the connector itself, says how to read it."""

from painchain.connectors import change_types
from painchain.connectors.base import ConnectorType, EventType
from painchain.connectors.event_group import EventGroup, GroupRole
from painchain.connectors.webhook import deliveries, settings

# The ids of events that belong together start with the source, the connector, and what they have in common.
STATES = EventGroup("state", GroupRole.PEER, id_parts=deliveries.GROUP_PARTS)

TYPE = ConnectorType(
    key="webhook",
    label="Webhook",
    summary="Alerts, deployments, feature flags, registries: whatever can post JSON.",
    icon="link",
    colour="olive",
    fields=settings.FIELDS,
    event_types=change_types.event_types(change_types.FIELDS, STATES),
    any_type=EventType("WebhookChange", "Change", change_types.FIELDS, group=STATES),
    webhook=deliveries.HANDLER,
    statuses=change_types.STATUSES,
)
