"""The API as a source: changes that scripts and pipelines report as change events, with their types and fields."""

from painchain.connectors.base import ConnectorType, EventType, Shape, fields
from painchain.connectors.outcomes import StatusWords

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
    cloudevent_type="CloudEvent type",
    cloudevent_source="CloudEvent source",
    cloudevent_subject="CloudEvent subject",
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
    event_types=(
        EventType("Deployment", "Deployment", FIELDS, "rocket"),
        EventType("Release", "Release", FIELDS, "tag"),
        EventType("Configuration", "Configuration", FIELDS, "sliders"),
        EventType("FeatureFlag", "Feature flag", FIELDS, "on"),
        EventType("Migration", "Migration", FIELDS, "server"),
        EventType("Infrastructure", "Infrastructure", FIELDS, "box"),
        EventType("Dns", "DNS", FIELDS, "network"),
        EventType("Incident", "Incident", FIELDS, "alert"),
        EventType("Other", "Other change", FIELDS),
    ),
    any_type=ANY,
    statuses=StatusWords(
        good="success succeeded successful ok passed complete completed done finished applied deployed upgraded "
        "published enabled healthy resolved",
        bad="failure failed error errored aborted timed_out crashed critical firing down degraded detected reported",
        running="running started in_progress queued deploying rolling_out",
        open="pending waiting scheduled approval_required",
        neutral="skipped cancelled canceled cancel inactive disabled unknown rolled_back removed",
    ),
)
