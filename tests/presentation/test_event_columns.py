"""A row says where something happened, what happened and how it ended, each in one column and only once."""

from __future__ import annotations

from typing import Any

import pytest

from painchain.presentation.event_columns import Columns, columns
from tests.presentation.events import CHANGED, UPDATED, event, view_of

SHA = {"before": "a1" * 20, "after": "b2" * 20}


def columns_of(event: Any, *hidden: str) -> Columns:
    return columns(view_of(event, *hidden))


def found(event_type: str, title: str, source: str = "github", status: str | None = None, **facts: Any) -> Any:
    return event(event_type, source, title=title, status=status, metadata=facts)


@pytest.mark.parametrize(
    ("event", "where", "subject", "outcome"),
    [
        (
            found(
                *("Deployment", "[Deployment] production success"),
                status="success",
                repository="acme/api",
                environment="production",
                state="success",
            ),
            ["acme/api", "production"],
            "",
            "success",
        ),
        (
            found(
                *("Deployment", "[Deployment] production in_progress"),
                repository="acme/api",
                environment="production",
                state="in_progress",
                status="in_progress",
            ),
            ["acme/api", "production"],
            "",
            "in progress",
        ),
        (
            found("WorkflowRun", "[Workflow] CI - main", repository="acme/api", branch="main", status="failure"),
            ["acme/api"],
            "CI - main",
            None,
        ),
        (found("PullRequest", "[PR] [urgent] Fix it", repository="acme/api"), ["acme/api"], "[urgent] Fix it", None),
        (
            found("PullRequest", "[PR] production is slow", repository="acme/api"),
            ["acme/api"],
            "production is slow",
            None,
        ),
        (
            found(
                *("K8sDeployment", "[Deployment Updated] web", "kubernetes"),
                cluster="default",
                namespace="shop",
                workload="Deployment/web",
            ),
            ["shop", "Deployment/web"],
            "updated",
            None,
        ),
        (
            found("K8sConfigMap", "[ConfigMap Deleted] web", "kubernetes", cluster="eu-1", namespace="shop"),
            ["eu-1", "shop"],
            "web deleted",
            None,
        ),
        (found("K8sNode", "[Node Updated] n1", "kubernetes", cluster="default"), ["default"], "n1 updated", None),
        (
            found(
                *("K8sPod", "[Pod Updated] web-6f7", "kubernetes"),
                namespace="shop",
                workload="Deployment/web",
                reason="CrashLoopBackOff",
            ),
            ["shop", "Deployment/web"],
            "web-6f7",
            "CrashLoopBackOff",
        ),
        (found("Commit", "no brackets"), ["Work"], "no brackets", None),
        (found("TeaBrewed", "[Tea Brewed] assam", "kitchen"), ["Work"], "assam", None),
        (found("TeaBrewed", "", "kitchen"), ["Work"], "", None),
        (found("TeaBrewed", "[", "kitchen"), ["Work"], "[", None),
    ],
)
def test_where_what_and_outcome_repeat_nothing(event, where, subject, outcome):
    shown = columns_of(event)
    assert (shown.where, shown.subject) == (where, subject)
    if outcome:
        assert shown.outcome is not None
        assert shown.outcome.text == outcome


def test_title_says_what_a_hidden_field_does_not():
    deployed = found(
        "Deployment", "[Deployment] production success", environment="production", state="success", status="success"
    )
    assert columns_of(deployed, "environment").where == ["Work"]
    assert columns_of(deployed, "environment").subject == "production success"


def test_fact_that_the_subject_names_is_not_repeated():
    run = found("WorkflowRun", "[Workflow] CI - main", branch="main", duration=252)
    assert [fact.key for fact in columns_of(run).facts] == ["duration"]
    run = found("WorkflowRun", "[Workflow] CI - maintenance", branch="main", duration=252)
    assert [fact.key for fact in columns_of(run).facts] == ["duration", "branch"]


def test_push_shows_its_heads_commits_and_force():
    shown = columns_of(found("Push", "[Push] main", branch="main", commits=1200, forced=True, **SHA))
    assert (shown.subject, shown.heads) == ("main", (SHA["before"], SHA["after"]))
    assert shown.words == ["1,200 commits", "forced"]
    shown = columns_of(found("Push", "[Push] main", status="created", after=SHA["after"], commits=1, forced=False))
    assert (shown.heads, shown.words) == (("", SHA["after"]), ["created", "1 commit"])
    shown = columns_of(found("Push", "[Push] main", commits="12, could not be read"))
    assert (shown.heads, shown.words) == (None, ["commits: 12, could not be read"])


def test_audit_event_happened_at_its_connector():
    assert (columns_of(CHANGED).where, columns_of(CHANGED).subject) == (["Work"], "")
    assert columns_of(CHANGED, "connector_name").where == []


def test_audit_event_that_is_a_failure_has_an_outcome():
    shown = columns_of(event("ConnectorFailing", status="failing", description={"error": "GitHub answered 401"}))
    assert shown.outcome is not None
    assert (shown.outcome.text, shown.outcome.tone) == ("failing", "bad")
    assert columns_of(CHANGED).outcome is None


def test_save_shows_its_first_changes_with_values():
    shown = columns_of(UPDATED)
    assert [(change.label, change.old, change.new) for change in shown.changes] == [
        ("Poll interval", 300, 600),
        ("Tags", [], ["a"]),
    ]
    assert (shown.more, shown.count) == (["SHA of Commit"], 3)
    assert columns_of(UPDATED, "changes").changes == []


def test_audit_event_without_connector_is_named_by_its_title():
    made = event(
        "NotifyRuleCreated",
        title="[Notify Rule Created] On call",
        description={"rule": "On call"},
        metadata={"action": "create"},
        connector_name=None,
    )
    assert columns_of(made).where == ["On call"]
    assert columns_of(made, "rule").where == []
