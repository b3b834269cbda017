"""The Webhook connector: whatever can post JSON. A preset, or the connector itself, says how to read it."""

from painchain.connectors import change_event
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
    event_types=change_event.event_types(change_event.FIELDS, STATES),
    any_type=EventType("WebhookChange", "Change", change_event.FIELDS, group=STATES),
    webhook=deliveries.HANDLER,
    statuses=change_event.STATUSES,
)
