"""The API as a source: changes that scripts and pipelines report as change events, with their types and fields."""

from painchain.connectors import change_types
from painchain.connectors.base import ConnectorType, EventType, fields

FIELDS = (
    *change_types.FIELDS,
    *fields(
        cloudevent_type="CloudEvent type",
        cloudevent_source="CloudEvent source",
        cloudevent_subject="CloudEvent subject",
    ),
)
ANY = EventType("ApiChange", "Change", FIELDS)  # its fields are hidden for all types together

TYPE = ConnectorType(
    key="api",
    label="API",
    summary="Changes that scripts and pipelines report.",
    icon="live",
    colour="pink",
    addable=False,
    fields=(),
    event_types=change_types.event_types(FIELDS),
    any_type=ANY,
    statuses=change_types.STATUSES,
)
