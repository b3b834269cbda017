"""The seven events of the audit trail, exactly as specified."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from painchain import connectors
from painchain.audit import event_kinds
from painchain.audit.diff import Change
from painchain.audit.records import Subject, VisibilityChange
from painchain.audit.sentences import outside_change, pascal_case
from painchain.audit.trail import Trail, auditing
from painchain.configuration import connector_store
from painchain.configuration.connector_edit import ConnectorEdit
from painchain.eventlog import writer
from painchain.timeline import queries
from painchain.timeline.filter import Filter
from painchain.timeline.queries import Event

NOW = datetime(2026, 3, 1, 12, 0, 0, 891234, tzinfo=UTC)
WORK = Subject("Work GitHub", "github", 41)
INTERVAL = Change("poll_interval", "Poll interval", "number", 300, 3600)
TOKEN = Change("token", "Token", "secret", "planted-old", "planted-new")
TAGS = Change("tags", "Tags", "tags", ["a"], ["a", "b"])
REVIEWERS = VisibilityChange("PullRequest", "reviewers", "Reviewers", visible=False)
COMMENTS = VisibilityChange("PullRequest", "comments", "Comments", visible=True)


@dataclass(frozen=True)
class ExpectedEvent:
    """The expected members of an event."""

    kind: str
    title: str
    status: str
    metadata: dict[str, Any]
    description: dict[str, Any]
    about: tuple[int | None, str | None, str | None] = field(default=(41, "Work GitHub", "github"))


Act = Callable[[Trail], str | None]
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


@contextmanager
def audited_transaction(
    app: Flask, author: str = "operator", now: datetime = NOW, request_id: str = "r1"
) -> Iterator[Trail]:
    """Open an audited transaction."""
    with app.app_context(), writer.writing() as event_log:
        yield Trail(event_log, author, request_id, now)


def run_actions(app: Flask, *acts: Act, **how: Any) -> list[Event]:
    """Run actions and return their events in commit order."""
    with app.app_context():
        before = queries.head().last_event
    with audited_transaction(app, **how) as trail:
        for act in acts:
            act(trail)
    with app.app_context():
        return list(queries.written_after(Filter(), before))


def system(app: Flask) -> Any:
    """The built-in connector."""
    return connector_store.list_all(connector_type=connectors.BUILTIN.key)[0]


def turn_auditing(app: Flask, on: bool, **how: Any) -> list[Event]:
    """Enable or disable the built-in connector and return the events."""
    return run_actions(app, lambda trail: connector_store.set_enabled(system(app), on, trail), **how)


@pytest.mark.both_databases
@pytest.mark.parametrize(
    ("act", "expected"), SEVEN, ids=[expected.title + " " + expected.status for _, expected in SEVEN]
)
def test_event_matches_the_specification(app, act, expected):
    [event] = run_actions(app, act)
    assert event.title == expected.title
    assert event.metadata == expected.metadata
    assert event.description == expected.description
    assert event.status == expected.status
    assert event.event_type == expected.kind.title().replace("_", "")
    assert re.fullmatch(rf"painchain-{expected.kind}-[0-9]{{10}}\.[0-9]{{6}}", event.event_id)
    assert (event.connector_id, event.connector_name, event.connector_type) == expected.about
    assert (event.source, event.author, event.tags, event.url) == ("painchain", "operator", ["system", "audit"], None)
    assert (event.request_id, event.recorded_at) == ("r1", NOW)


@pytest.mark.parametrize(
    ("act", "expected"), SEVEN, ids=[expected.title + " " + expected.status for _, expected in SEVEN]
)
def test_log_returns_the_event_id(app, act, expected):
    with audited_transaction(app) as trail:
        event_id = act(trail)
    with app.app_context():
        assert queries.event_by_event_id(str(event_id)).title == expected.title


@pytest.mark.parametrize(
    ("act", "expected"), SEVEN, ids=[expected.title + " " + expected.status for _, expected in SEVEN]
)
def test_dashboard_has_every_field_of_an_event(app, act, expected):
    [event] = run_actions(app, act)
    fields = connectors.event_type(event.source, event.event_type).fields
    recorded = {**event.description, **event.metadata}
    assert [field.key for field in fields if field.key not in recorded] == []


def test_event_id_contains_seconds_and_microseconds(app):
    later = datetime(2100, 1, 1, microsecond=5, tzinfo=UTC)
    [event] = run_actions(app, lambda trail: trail.log_connector_enabled(WORK), now=later)
    assert event.event_id == "painchain-connector_enabled-4102444800.000005"
    assert event.timestamp == later


def test_events_of_an_action_share_request_id_and_author(app):
    events = run_actions(app, *(act for act, _ in SEVEN), author="connector:Work", request_id="r2")
    assert {(event.request_id, event.author) for event in events} == {("r2", "connector:Work")}
    assert len(events) == len({event.event_id for event in events}) == len(SEVEN)


def test_names_of_event_types_are_in_pascal_case():
    assert pascal_case("field_visibility_changed") == "FieldVisibilityChanged"


def test_events_contain_no_secret(app):
    acts: list[Act] = [
        lambda trail: trail.log_config_changed(WORK, TOKEN),
        lambda trail: trail.log_connector_updated(WORK, [TOKEN, INTERVAL]),
    ]
    assert "planted" not in str(run_actions(app, *acts))


def test_credentials_inside_other_values_are_masked(app):
    urls = Change(
        "base_url", "API URL", "url", "https://me:planted@a.example", "https://a.example/?token=planted&page=2"
    )
    nested = Change("extra", "Extra", "json", {"api_key": "planted", "page": 2}, ["https://planted@a.example"])
    [changed, extra, updated] = run_actions(
        app,
        lambda trail: trail.log_config_changed(WORK, urls),
        lambda trail: trail.log_config_changed(WORK, nested),
        lambda trail: trail.log_connector_updated(WORK, [urls, nested]),
    )
    assert changed.description["old_value"] == "https://***@a.example"
    assert changed.description["new_value"] == "https://a.example/?token=***&page=2"
    assert extra.description["old_value"] == {"api_key": "***", "page": 2}
    assert "planted" not in str([changed, extra, updated])


def test_recorded_label_outlives_the_field(app):
    change = Change("removed_field", "Label of old", "text", "a", "b")
    changed, updated = run_actions(
        app,
        lambda trail: trail.log_config_changed(Subject("Old", "no-longer-a-type"), change),
        lambda trail: trail.log_connector_updated(Subject("Old", "no-longer-a-type"), [change]),
    )
    assert changed.description["label"] == "Label of old"
    assert updated.description["changes"][0]["label"] == "Label of old"
    assert updated.connector_type == "no-longer-a-type"


def test_a_connector_known_by_name_is_looked_up(app, client):
    number = add(client, "Work GitHub")
    [linked, unlinked] = run_actions(
        app,
        lambda trail: trail.log_connector_enabled(Subject("Work GitHub", "github")),
        lambda trail: trail.log_connector_enabled(Subject("Another", "github")),
    )
    assert (linked.connector_id, unlinked.connector_id) == (number, None)
    assert unlinked.connector_name == "Another"


def test_events_have_the_current_tags_of_the_painchain_connector(app):
    with audited_transaction(app) as trail:
        connector_store.update(system(app), ConnectorEdit({"tags": "audit, quarterly"}), trail)
    [event] = run_actions(app, lambda trail: trail.log_connector_enabled(WORK))
    assert event.tags == ["audit", "quarterly"]
    with app.app_context():
        assert event.id in [found_event.id for found_event in queries.page(Filter(tag=("quarterly",))).events]
        assert event.id not in [found_event.id for found_event in queries.page(Filter(tag=("system",))).events]


def test_first_start_is_recorded_by_system(app):
    with app.app_context():
        [event] = queries.written_after(Filter(), 0)
    assert (event.title, event.author) == ("[Connector Created] PainChain System", "system")
    assert event.metadata == {
        "action": "create",
        "connector_type": "painchain",
        "connector_name": "PainChain System",
    }
    assert event.description["configuration"] == {
        "name": "PainChain System",
        "tags": ["system", "audit"],
        "enabled": True,
    }


def test_nothing_is_recorded_while_auditing_is_off(app):
    turn_auditing(app, on=False)
    with audited_transaction(app) as trail:
        assert [act(trail) for act, _ in SEVEN] == [None] * len(SEVEN)
    assert run_actions(app, *(act for act, _ in SEVEN)) == []


def test_switching_auditing_is_recorded_with_author_and_time(app):
    [off] = turn_auditing(app, on=False, author="night shift", now=NOW)
    with app.app_context():
        assert (auditing().on, auditing().by, auditing().since) == (False, "night shift", NOW)
    [on] = turn_auditing(app, on=True, author="day shift", now=NOW + timedelta(hours=8))
    with app.app_context():
        assert (auditing().on, auditing().by, auditing().since) == (True, "day shift", NOW + timedelta(hours=8))
    assert [(event.title, event.author) for event in (off, on)] == [
        ("[Connector Disabled] PainChain System", "night shift"),
        ("[Connector Enabled] PainChain System", "day shift"),
    ]


def test_switching_auditing_applies_within_its_transaction(app):
    events = run_actions(
        app,
        lambda trail: trail.log_connector_enabled(WORK),
        lambda trail: connector_store.set_enabled(system(app), False, trail),
        lambda trail: trail.log_connector_disabled(WORK),
        lambda trail: connector_store.set_enabled(system(app), True, trail),
        lambda trail: trail.log_connector_enabled(WORK),
    )
    assert [event.event_type for event in events] == [
        "ConnectorEnabled",
        "ConnectorDisabled",
        "ConnectorEnabled",
        "ConnectorEnabled",
    ]


def test_changes_while_auditing_is_off_stay_unrecorded(app, client, events):
    number = add(client, "Work GitHub")
    turn_auditing(app, on=False)
    before = len(events())
    with audited_transaction(app) as trail:
        connector_store.update(connector_store.get(number), ConnectorEdit({"poll_interval": 900}), trail)
        connector_store.set_enabled(connector_store.get(number), True, trail)
    assert client.get(f"/api/connectors/{number}").json["config"]["poll_interval"] == 900
    assert len(events()) == before


def test_renaming_the_painchain_connector_is_not_recorded_while_auditing_is_off(app):
    turn_auditing(app, on=False)
    renamed = run_actions(
        app, lambda trail: connector_store.update(system(app), ConnectorEdit({"name": "Trail"}), trail)
    )
    assert renamed == []
    assert [event.title for event in turn_auditing(app, on=True)] == ["[Connector Enabled] Trail"]


@pytest.mark.parametrize("kind", ["connector_enabled", "connector_disabled"])
def test_a_script_cannot_report_a_switch_of_auditing_while_it_is_off(app, client, events, kind):
    turn_auditing(app, on=False)
    before = len(events())
    body = {"event_type": kind, "connector_name": "PainChain System", "connector_type": "painchain"}
    assert client.post("/api/painchain/log", json=body).status_code == 409
    assert len(events()) == before


def test_creation_and_deletion_record_the_configuration_without_secrets(client, events):
    number = add(client, "Work GitHub", tags="work", config={"token": "planted-token", "repos": ["a/b"]})
    first = {
        "name": "Work GitHub",
        "tags": ["work"],
        "base_url": "https://api.github.com",
        "poll_interval": 300,
        "repos": ["a/b"],
        "branches": [],
        "token": "set",
        "enabled": False,
    }
    change(client, number, config={"poll_interval": 600, "repos": []}, tags=["work", "ci"])
    assert client.post(f"/api/connectors/{number}/enable").status_code == 200
    assert client.delete(f"/api/connectors/{number}").status_code == 204
    [created] = events(event_type="ConnectorCreated", connector="Work GitHub")
    [deleted] = events(event_type="ConnectorDeleted", connector="Work GitHub")
    assert created["description"]["configuration"] == first
    assert deleted["description"]["configuration"] == {
        **first,
        "poll_interval": 600,
        "repos": [],
        "tags": ["work", "ci"],
        "enabled": True,
    }
    assert "planted" not in str(events())


def test_events_keep_name_and_type_of_a_deleted_connector(client, events):
    number = add(client, "Work GitHub")
    client.delete(f"/api/connectors/{number}")
    subjects = [(event["connector_id"], event["connector_name"]) for event in events(connector=str(number))]
    assert subjects == [(number, "Work GitHub")] * 2


def test_rename_has_the_new_name_in_titles_and_both_in_the_diff(client, events):
    number = add(client, "Old name")
    change(client, number, name="New name")
    changed, updated = events()[-2:]
    assert changed["title"] == "[Config Changed] New name - name"
    assert (changed["description"]["old_value"], changed["description"]["new_value"]) == ("Old name", "New name")
    assert updated["title"] == "[Connector Updated] New name"
    assert updated["metadata"] == {
        "action": "update",
        "connector_type": "github",
        "connector_name": "New name",
        "changes": {"name": {"old": "Old name", "new": "New name"}},
    }
    assert changed["request_id"] == updated["request_id"]


def test_reported_change_uses_the_field_definition():
    assert outside_change("github", "poll_interval", 300, 60) == Change(
        "poll_interval", "Poll interval", "number", 300, 60
    )
    assert outside_change(None, "token", "a", "b").kind == "secret"
    assert outside_change("github", "signing_secret", "a", "b").kind == "secret"
    assert outside_change("github", "retry_count", 1, 2) == Change("retry_count", "Retry count", "json", 1, 2)


@pytest.mark.parametrize("nothing", [None, "", []], ids=repr)
def test_reported_cleared_secret_is_recorded_as_cleared(app, nothing):
    cleared = outside_change("github", "token", "planted", nothing)
    [event] = run_actions(app, lambda trail: trail.log_config_changed(WORK, cleared))
    assert (event.description["old_value"], event.description["new_value"]) == ("set", "cleared")


def add(client: FlaskClient, name: str, **more: Any) -> int:
    """Add a GitHub connector and return its number."""
    new = {"name": name, "type": "github", "config": {"token": "made-up"}, **more}
    response = client.post("/api/connectors", json=new)
    assert response.status_code == 201, response.json
    return int(response.json["id"])


def change(client: FlaskClient, number: int, **values: Any) -> None:
    """Change values of a connector."""
    address = f"/api/connectors/{number}"
    etag = client.get(address).headers["ETag"]
    response = client.patch(address, json=values, headers={"If-Match": etag})
    assert response.status_code == 200, response.json
