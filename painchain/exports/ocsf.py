"""Convert events to the Open Cybersecurity Schema Framework (OCSF), class 3004: Entity Management."""

from __future__ import annotations

from typing import Any

from painchain import __version__, connectors
from painchain.database.types import iso, microseconds
from painchain.timeline.queries import Event

# https://schema.ocsf.io/1.8.0/classes/entity_management. Enable and Disable exist since 1.3.
VERSION = "1.8.0"
CATEGORY, CLASS = 3, 3004
CREATE, READ, UPDATE, DELETE, ENABLE, DISABLE, OTHER = 1, 2, 3, 4, 8, 9, 99
NAMES = {CREATE: "Create", READ: "Read", UPDATE: "Update", DELETE: "Delete", ENABLE: "Enable", DISABLE: "Disable"}

# The activity of each built-in event type. Everything else, and every event of other sources, is Other.
ACTIVITIES = {
    "ConnectorCreated": CREATE,
    "ConnectorUpdated": UPDATE,
    "ConnectorDeleted": DELETE,
    "ConnectorEnabled": ENABLE,
    "ConnectorDisabled": DISABLE,
    "ConnectorFailing": OTHER,
    "ConnectorRecovered": OTHER,
    "ConfigChanged": UPDATE,
    "FieldVisibilityChanged": UPDATE,
    "WebhookChanged": UPDATE,
    "NotifyRuleCreated": CREATE,
    "NotifyRuleChanged": UPDATE,
    "NotifyRuleDeleted": DELETE,
    "RetentionChanged": UPDATE,
    "TeamCreated": CREATE,
    "TeamUpdated": UPDATE,
    "TeamDeleted": DELETE,
    "ViewSaved": CREATE,
    "ViewChanged": UPDATE,
    "ViewDeleted": DELETE,
    "NoteAdded": CREATE,
    "EventsExported": READ,
    "EventsPruned": DELETE,
    "BackupRestored": OTHER,
    "KeyRotated": OTHER,
    "KeyReplaced": OTHER,
    "KeyCopyConfirmed": OTHER,
    "SetupListHidden": OTHER,
    "ChainBegun": OTHER,
    "CheckpointMade": OTHER,
    "ChainBroken": OTHER,
    "ChainMended": OTHER,
    "PersonAdded": CREATE,
    "PersonChanged": UPDATE,
    "PersonDisabled": DISABLE,
    "PersonEnabled": ENABLE,
    "PersonRemoved": DELETE,
    "PasswordSet": UPDATE,
    "TokenCreated": CREATE,
    "TokenRevoked": DELETE,
    "PasswordLinkMade": OTHER,
    "SignedIn": OTHER,
    "SignedOut": OTHER,
    "SignInFailed": OTHER,
}


def entity_management(event: Event) -> dict[str, Any]:
    """Convert an event to an Entity Management event. Members without an OCSF attribute go under `unmapped`."""
    activity = activity_of(event)
    event_type = connectors.event_type(event.source, event.event_type)
    label = event_type.label if event_type else event.event_type
    return {
        "activity_id": activity,
        "activity_name": NAMES.get(activity, label),
        "category_uid": CATEGORY,
        "category_name": "Identity & Access Management",
        "class_uid": CLASS,
        "class_name": "Entity Management",
        "type_uid": CLASS * 100 + activity,
        "type_name": f"Entity Management: {NAMES.get(activity, 'Other')}",
        "severity_id": 1,
        "severity": "Informational",
        "time": microseconds(event.timestamp) // 1000,
        "timezone_offset": 0,
        **_status(event),
        "message": str(event.description.get("text") or event.title),
        "actor": {"user": {"name": event.author}},
        "entity": _entity(event),
        "metadata": _metadata(event),
        "unmapped": {
            "source": event.source,
            "description": event.description,
            "metadata": event.metadata,
            **({"url": event.url} if event.url else {}),
        },
    }


def activity_of(event: Event) -> int:
    """Return the OCSF activity ID of an event."""
    return ACTIVITIES.get(event.event_type, OTHER) if event.source == connectors.BUILTIN.key else OTHER


def _status(event: Event) -> dict[str, Any]:
    """Return the status attributes: success or failure for built-in events, the source's own status for others."""
    if event.source == connectors.BUILTIN.key:
        outcome = (
            {"status_id": 2, "status": "Failure"} if event.status == "failed" else {"status_id": 1, "status": "Success"}
        )
        return {**outcome, **({"status_code": event.status} if event.status else {})}
    return {"status_id": 99, "status": event.status} if event.status else {"status_id": 0, "status": "Unknown"}


def _entity(event: Event) -> dict[str, Any]:
    connector_type = connectors.TYPES.get(event.connector_type or "")
    for key, kind in (("token", "API token"), ("person", "Account")):
        if event.source == connectors.BUILTIN.key and isinstance(event.metadata.get(key), str):
            return {"name": event.metadata[key], "type_id": 99, "type": kind}
    if event.connector_name is None and event.connector_id is None:
        return {"name": event.title, "type_id": 99, "type": "Configuration"}
    return {
        "name": event.connector_name or f"Connector {event.connector_id}",
        **({"uid": str(event.connector_id)} if event.connector_id is not None else {}),
        "type_id": 99,
        "type": f"{connector_type.label} connector" if connector_type else "Connector",
    }


def _metadata(event: Event) -> dict[str, Any]:
    return {
        "version": VERSION,
        "product": {"name": "PainChain", "vendor_name": "PainChain", "version": __version__},
        "uid": event.event_id,
        "original_event_uid": event.event_id,
        "event_code": event.event_type,
        "log_name": "PainChain timeline",
        "sequence": event.id,
        "correlation_uid": event.request_id,
        "labels": event.tags,
        "original_time": iso(event.timestamp),
        "logged_time": microseconds(event.recorded_at) // 1000,
    }
