"""The seven events of the audit trail, exactly as specified."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest

from painchain import connectors
from painchain.audit.diff import Change
from painchain.audit.records import Subject
from painchain.audit.sentences import outside_change, pascal_case
from painchain.configuration import connector_store
from painchain.configuration.connector_edit import ConnectorEdit
from painchain.timeline import queries
from painchain.timeline.filter import Filter
from tests.audit.actions import INTERVAL, NOW, TOKEN, WORK, Act, add, audited_transaction, change, run_actions, system
from tests.audit.seven_events import SEVEN


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
