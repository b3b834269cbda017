"""The fields, statuses and event types of change events, without the model: commands need not import Pydantic."""

from __future__ import annotations

from painchain.connectors.base import EventField, EventType, Shape, fields
from painchain.connectors.event_group import EventGroup
from painchain.connectors.outcomes import StatusWords

MAX_DATA = 64 * 1024  # bytes of JSON
CLAIMED_TIME = "claimed_time"  # the key of a time that was in the future

FIELDS = fields(
    repository="Repository",
    service="Service",
    environment="Environment",
    version="Version",
    status=("Status", Shape.STATUS),
    sha=("Commit", Shape.SHA),
    digest=("Digest", Shape.SHA),
    claimed_time="Claimed time",
    end_time="End",
    duration=("Duration", Shape.SECONDS),
    actor="Claimed author",
    text="Description",
    data="Data",
    external_id="External ID",
)
STATUSES = StatusWords(
    good="success succeeded successful ok passed complete completed done finished applied deployed upgraded "
    "published enabled healthy resolved",
    bad="failure failed error errored aborted timed_out crashed critical firing down degraded detected reported",
    running="running started in_progress queued deploying rolling_out",
    open="pending waiting scheduled approval_required",
    neutral="skipped cancelled canceled cancel inactive disabled unknown rolled_back removed",
)
_TYPES = (
    ("Deployment", "Deployment", "rocket"),
    ("Release", "Release", "tag"),
    ("Configuration", "Configuration", "sliders"),
    ("FeatureFlag", "Feature flag", "on"),
    ("Migration", "Migration", "server"),
    ("Infrastructure", "Infrastructure", "box"),
    ("Dns", "DNS", "network"),
    ("Incident", "Incident", "alert"),
    ("Other", "Other change", "circle"),
)


def event_types(of_fields: tuple[EventField, ...], group: EventGroup | None = None) -> tuple[EventType, ...]:
    """Return the event types of the kinds that PainChain knows, with these fields."""
    return tuple(EventType(name, label, of_fields, icon, group=group) for name, label, icon in _TYPES)


def type_name(kind: str) -> str:
    """Return the event type of a kind.

    >>> type_name("feature_flag"), type_name("dns")
    ('FeatureFlag', 'Dns')
    """
    return kind.title().replace("_", "")
