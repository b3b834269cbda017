"""The seven events of the audit trail, as the specification has them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from painchain.audit import event_kinds
from tests.audit.actions import COMMENTS, INTERVAL, REVIEWERS, TAGS, TOKEN, WORK, Act


@dataclass(frozen=True)
class ExpectedEvent:
    """The expected members of an event."""

    kind: str
    title: str
    status: str
    metadata: dict[str, Any]
    description: dict[str, Any]
    about: tuple[int | None, str | None, str | None] = field(default=(41, "Work GitHub", "github"))


NAMED = {"connector_type": "github", "connector_name": "Work GitHub"}
SEVEN: list[tuple[Act, ExpectedEvent]] = [
    (
        lambda trail: trail.log_connector_created(WORK, {"name": "Work GitHub", "token": "set"}),
        ExpectedEvent(
            "connector_created",
            "[Connector Created] Work GitHub",
            "created",
            {"action": "create", **NAMED},
            {
                "text": "Created the GitHub connector “Work GitHub”",
                **NAMED,
                "configuration": {"name": "Work GitHub", "token": "set"},
            },
        ),
    ),
    (
        lambda trail: trail.log_connector_updated(WORK, [INTERVAL, TOKEN, TAGS], [REVIEWERS]),
        ExpectedEvent(
            "connector_updated",
            "[Connector Updated] Work GitHub",
            "updated",
            {
                "action": "update",
                **NAMED,
                "changes": {
                    "poll_interval": {"old": 300, "new": 3600},
                    "token": {"old": "set", "new": "replaced"},
                    "tags": {"old": ["a"], "new": ["a", "b"]},
                    "field_visibility.PullRequest.reviewers": {"old": True, "new": False},
                },
            },
            {
                "text": "Updated “Work GitHub”: Poll interval changed from 300 to 3600; Token replaced; "
                "Tags changed from “a” to “a”, “b”; Reviewers of PullRequest events hidden",
                **NAMED,
                "changes": [
                    {"key": "poll_interval", "label": "Poll interval", "kind": "number", "old": 300, "new": 3600},
                    {"key": "token", "label": "Token", "kind": "secret", "old": "set", "new": "replaced"},
                    {"key": "tags", "label": "Tags", "kind": "tags", "old": ["a"], "new": ["a", "b"]},
                ],
                "field_visibility": [
                    {"event_type": "PullRequest", "field": "reviewers", "label": "Reviewers", "visible": False}
                ],
            },
        ),
    ),
    (
        lambda trail: trail.log_connector_deleted(WORK, {"name": "Work GitHub", "enabled": True}),
        ExpectedEvent(
            "connector_deleted",
            "[Connector Deleted] Work GitHub",
            "deleted",
            {"action": "delete", **NAMED},
            {
                "text": "Deleted the GitHub connector “Work GitHub”",
                **NAMED,
                "configuration": {"name": "Work GitHub", "enabled": True},
            },
        ),
    ),
    (
        lambda trail: trail.log_connector_enabled(WORK),
        ExpectedEvent(
            "connector_enabled",
            "[Connector Enabled] Work GitHub",
            "enabled",
            {"action": "enable", **NAMED},
            {"text": "Enabled “Work GitHub”", **NAMED},
        ),
    ),
    (
        lambda trail: trail.log_connector_disabled(WORK),
        ExpectedEvent(
            "connector_disabled",
            "[Connector Disabled] Work GitHub",
            "disabled",
            {"action": "disable", **NAMED},
            {"text": "Disabled “Work GitHub”", **NAMED},
        ),
    ),
    (
        lambda trail: trail.log(event_kinds.connector_failing(WORK, "git.example rejected the token (401).")),
        ExpectedEvent(
            "connector_failing",
            "[Connector Failing] Work GitHub",
            "failing",
            {"action": "fail", **NAMED},
            {
                "text": "“Work GitHub” is failing: git.example rejected the token (401).",
                **NAMED,
                "error": "git.example rejected the token (401).",
            },
        ),
    ),
    (
        lambda trail: trail.log(event_kinds.connector_recovered(WORK, 1, datetime(2026, 1, 2, 3, 4, tzinfo=UTC))),
        ExpectedEvent(
            "connector_recovered",
            "[Connector Recovered] Work GitHub",
            "recovered",
            {"action": "recover", **NAMED},
            {
                "text": "“Work GitHub” has recovered, after 1 poll that failed since 2026-01-02 03:04 UTC",
                **NAMED,
                "failures": 1,
                "since": "2026-01-02T03:04:00.000000Z",
            },
        ),
    ),
    (
        lambda trail: trail.log_config_changed(WORK, INTERVAL),
        ExpectedEvent(
            "config_changed",
            "[Config Changed] Work GitHub - poll_interval",
            "changed",
            {"action": "config_change", "field": "poll_interval"},
            {
                "text": "Poll interval changed from 300 to 3600 in “Work GitHub”",
                "connector_name": "Work GitHub",
                "field": "poll_interval",
                "label": "Poll interval",
                "kind": "number",
                "old_value": 300,
                "new_value": 3600,
            },
        ),
    ),
    (
        lambda trail: trail.log_config_changed(WORK, TOKEN),
        ExpectedEvent(
            "config_changed",
            "[Config Changed] Work GitHub - token",
            "changed",
            {"action": "config_change", "field": "token"},
            {
                "text": "Token replaced in “Work GitHub”",
                "connector_name": "Work GitHub",
                "field": "token",
                "label": "Token",
                "kind": "secret",
                "old_value": "set",
                "new_value": "replaced",
            },
        ),
    ),
    (
        lambda trail: trail.log_field_visibility_changed(REVIEWERS, WORK),
        ExpectedEvent(
            "field_visibility_changed",
            "[Field Visibility Changed] PullRequest",
            "hidden",
            {"action": "field_visibility_change", "event_type": "PullRequest", "field": "reviewers", "visible": False},
            {
                "text": "Reviewers of PullRequest events hidden",
                "event_type": "PullRequest",
                "field": "reviewers",
                "label": "Reviewers",
                "visible": False,
                "connector_name": "Work GitHub",
            },
        ),
    ),
    (
        lambda trail: trail.log_field_visibility_changed(COMMENTS),
        ExpectedEvent(
            "field_visibility_changed",
            "[Field Visibility Changed] PullRequest",
            "shown",
            {"action": "field_visibility_change", "event_type": "PullRequest", "field": "comments", "visible": True},
            {
                "text": "Comments of PullRequest events shown",
                "event_type": "PullRequest",
                "field": "comments",
                "label": "Comments",
                "visible": True,
            },
            (None, None, None),
        ),
    ),
]
