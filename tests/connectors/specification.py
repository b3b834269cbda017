"""The fields and event types of the built-in connector types, as specified."""

from __future__ import annotations

from pathlib import Path

from painchain.connectors import TYPES
from painchain.connectors.base import Field

ROOT = Path(__file__).parents[2]

# The members of a change event that a mapping fills, with the labels of their expressions.
MAPPED = [
    *(("news", "News"), ("split", "Split"), ("title", "Title"), ("kind", "Kind"), ("time", "Time")),
    *(("end_time", "End time"), ("service", "Service"), ("environment", "Environment"), ("version", "Version")),
    *(("sha", "Commit"), ("digest", "Digest"), ("repository", "Repository"), ("status", "Status")),
    *(("actor", "Actor"), ("url", "Link"), ("description", "Description"), ("tags", "Tags"), ("data", "Data")),
    *(("external_id", "External ID"), ("group", "Group")),
]
# type, key, caption, kind, default, required, range
FIELDS = [
    ("github", "base_url", "API URL", "url", "https://api.github.com", True, None),
    ("github", "token", "Token", "secret", None, True, None),
    ("github", "poll_interval", "Poll interval (seconds)", "number", 300, True, (60, 3600)),
    ("github", "repos", "Repositories", "list", [], False, None),
    ("github", "branches", "Branches", "list", [], False, None),
    ("gitlab", "base_url", "GitLab URL", "url", "https://gitlab.com", True, None),
    ("gitlab", "token", "Token", "secret", None, True, None),
    ("gitlab", "poll_interval", "Poll interval (seconds)", "number", 300, True, (60, 3600)),
    ("gitlab", "projects", "Projects", "list", [], False, None),
    ("gitlab", "branches", "Branches", "list", [], False, None),
    ("kubernetes", "api_server", "API server URL", "url", None, False, None),
    ("kubernetes", "token", "Service account token", "secret", None, False, None),
    ("kubernetes", "ca_certificate", "CA certificate (PEM)", "certificate", None, False, None),
    ("kubernetes", "verify_ssl", "Verify TLS certificate", "checkbox", True, True, None),
    ("kubernetes", "cluster_name", "Cluster name", "text", "default", True, None),
    ("kubernetes", "poll_interval", "Poll interval (seconds)", "number", 300, True, (10, 3600)),
    ("kubernetes", "namespaces", "Namespaces", "list", [], False, None),
    ("kubernetes", "leave_out", "Leave out", "list", [], False, None),
    ("webhook", "preset", "Preset", "choice", "generic", True, None),
    ("webhook", "service", "Default service", "text", None, False, None),
    ("webhook", "environment", "Default environment", "text", None, False, None),
    ("webhook", "signing", "Signature", "choice", None, False, None),
    ("webhook", "header", "Header", "text", None, False, None),
    *(("webhook", f"map_{member}", label, "text", None, False, None) for member, label in MAPPED),
]
PLACE = "cluster namespace workload"
ANNOTATIONS = "annotations_added annotations_removed annotations_modified"
CODE_HOST_EVENT_FIELDS = {
    "Push": "repository branch before after commits pusher forced",
    "Release": "repository tag prerelease draft assets",
    "Commit": "repository branch sha committed_at push changes files_changed files_total",
    "Deployment": "repository environment ref sha state creator",
    "Image": "repository registry image digest tags size package",
}
PULL_FACTS = "branches changes reviewers approvals changes_requested comments merged files_changed files_total"
KINDS_OF_CHANGE = (
    *("Deployment", "Release", "Configuration", "FeatureFlag", "Migration", "Infrastructure", "Dns", "Incident"),
    "Other",
)
CHANGE_FACTS = (
    "repository service environment version status sha digest claimed_time end_time duration actor text data "
    "external_id"
)
EVENT_FIELDS = {
    "github": {
        "PullRequest": f"repository {PULL_FACTS}",
        "WorkflowRun": "repository status duration branch commit trigger run_number failed_jobs logs_url",
        **CODE_HOST_EVENT_FIELDS,
    },
    "gitlab": {
        "MergeRequest": "repository branches approved_by approvals comments votes merged files_changed files_total",
        "Pipeline": "repository status duration ref commit source pipeline_id failed_jobs logs_url",
        **CODE_HOST_EVENT_FIELDS,
    },
    "kubernetes": {
        "K8sDeployment": f"{PLACE} replicas strategy images {ANNOTATIONS}",
        "K8sStatefulSet": f"{PLACE} replicas images {ANNOTATIONS}",
        "K8sDaemonSet": f"{PLACE} images strategy {ANNOTATIONS}",
        "K8sService": f"{PLACE} service_type cluster_ip ports {ANNOTATIONS}",
        "K8sConfigMap": f"{PLACE} keys_added keys_removed keys_modified {ANNOTATIONS}",
        "K8sSecret": f"{PLACE} keys_added keys_removed keys_modified {ANNOTATIONS}",
        "K8sIngress": f"{PLACE} ingress_class hosts {ANNOTATIONS}",
        "K8sJob": f"{PLACE} status duration images {ANNOTATIONS}",
        "K8sCronJob": f"{PLACE} schedule suspended images {ANNOTATIONS}",
        "K8sNode": f"{PLACE} conditions unschedulable taints {ANNOTATIONS}",
        "K8sPod": f"{PLACE} reason container restarts",
        "K8sRole": f"{PLACE} rules {ANNOTATIONS}",
        "K8sRoleBinding": f"{PLACE} role subjects {ANNOTATIONS}",
        "HelmRelease": f"{PLACE} release revision status chart",
    },
    "webhook": dict.fromkeys(KINDS_OF_CHANGE, CHANGE_FACTS),
    "api": dict.fromkeys(KINDS_OF_CHANGE, f"{CHANGE_FACTS} cloudevent_type cloudevent_source cloudevent_subject"),
    "painchain": {
        "ConnectorCreated": "connector_name connector_type action",
        "ConnectorUpdated": "connector_name connector_type changes action",
        "ConnectorDeleted": "connector_name connector_type action",
        "ConnectorEnabled": "connector_name connector_type action",
        "ConnectorDisabled": "connector_name connector_type action",
        "ConnectorFailing": "connector_name connector_type error action",
        "ConnectorRecovered": "connector_name connector_type failures since action",
        "ConfigChanged": "connector_name field old_value new_value action",
        "FieldVisibilityChanged": "event_type field visible action",
        "NotifyRuleCreated": "rule configuration action",
        "NotifyRuleChanged": "rule changes action",
        "NotifyRuleDeleted": "rule configuration action",
        "WebhookChanged": "connector_name field new_value action",
        "EventsExported": "format events filter action",
        "TeamCreated": "team tags action",
        "TeamUpdated": "team changes action",
        "TeamDeleted": "team tags action",
        "ViewSaved": "view filter audience action",
        "ViewChanged": "view changes action",
        "ViewDeleted": "view filter audience action",
        "NoteAdded": "connector_name text event event_id action",
        "RetentionChanged": "field old_value new_value action",
        "EventsPruned": "of_source events before oldest newest rule cause action",
        "BackupRestored": "backup_time events backup_size abandoned_size abandoned_head old_key action",
        "KeyRotated": "old_key new_key sealed action",
        "KeyReplaced": "old_key new_key unverified dropped action",
        "KeyCopyConfirmed": "key action",
        "SetupListHidden": "remaining action",
        "CheckpointMade": "events head action",
        "ChainBegun": "events action",
        "ChainBroken": "why of_event how action",
        "ChainMended": "was action",
        "PersonAdded": "person role action",
        "PersonChanged": "person changes action",
        "PersonDisabled": "person action",
        "PersonEnabled": "person action",
        "PersonRemoved": "person role tokens views action",
        "PasswordSet": "person action",
        "PasswordLinkMade": "person action",
        "SignedIn": "person way address browser action",
        "SignedOut": "person action",
        "SignInFailed": "person why way address action",
        "TokenCreated": "token role person days action",
        "TokenRevoked": "token person action",
    },
}
TITLES_OF_FIELDS = {
    "connector_name": "Connector Name",
    "connector_type": "Connector Type",
    "changes": "Changes",
    "action": "Action",
    "field": "Field",
    "old_value": "Old Value",
    "new_value": "New Value",
    "event_type": "Event Type",
    "visible": "Visible",
}


def field_of(address: str) -> Field:
    """Return a field by "type.key"."""
    type_key, key = address.split(".")
    result = TYPES[type_key].field(key)
    assert result is not None
    return result
