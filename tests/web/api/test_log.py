"""POST /api/painchain/log."""

from __future__ import annotations

import re
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.support.api import (
    ABOUT,
    KUBERNETES,
    SEVEN,
    SEVEN_IDS,
    SYSTEM,
    Events,
    fields_at_fault,
    log,
    problem,
    refuse,
    rename,
)


@pytest.mark.both_databases
@pytest.mark.parametrize(("body", "expected", "facts"), SEVEN, ids=SEVEN_IDS)
def test_each_of_the_seven_events_is_logged_as_specified(
    client: FlaskClient, body: dict[str, Any], expected: tuple[str, str, dict[str, Any]], facts: list[str]
) -> None:
    response = log(client, **body)
    answer, kind = response.get_json(), body["event_type"]
    assert response.status_code == 201
    assert list(answer) == ["success", "message", "event_type", "event_id"]
    assert (answer["success"], answer["event_type"]) == (True, kind)
    assert re.fullmatch(rf"painchain-{kind}-\d{{10}}\.\d{{6}}", answer["event_id"])
    event = client.get(f"/api/changes/{answer['event_id']}").get_json()
    assert (event["event_type"], event["title"], event["metadata"]) == expected
    assert sorted(event["description"]) == sorted([*facts, "reported", "cause"])
    assert (event["event_id"], event["source"], event["author"]) == (answer["event_id"], "painchain", "system")
    assert event["tags"] == ["system", "audit"]


def test_a_logged_change_has_a_sentence_with_old_and_new_value(client: FlaskClient, events: Events) -> None:
    log(client, **SEVEN[5][0])
    description = events()[-1]["description"]
    assert description["text"] == "Poll interval changed from 300 to 3600 in “Prod”"
    assert (description["field"], description["old_value"], description["new_value"]) == ("poll_interval", 300, 3600)


def test_a_logged_update_lists_every_change(client: FlaskClient, events: Events) -> None:
    changes = {"name": {"old": "Prod", "new": "Production"}, "tags": {"old": ["a"], "new": ["a", "b"]}}
    log(client, event_type="connector_updated", **ABOUT, changes=changes)
    event = events()[-1]
    assert event["metadata"]["changes"] == changes
    assert [change["label"] for change in event["description"]["changes"]] == ["Connection Name", "Tags"]


def test_a_logged_toggle_uses_the_field_label_of_the_event_type(client: FlaskClient, events: Events) -> None:
    log(client, **SEVEN[6][0], connector_name="Prod")
    event = events()[-1]
    assert event["description"]["text"] == "Branches of PullRequest events hidden"
    assert event["connector_name"] == event["description"]["connector_name"] == "Prod"


def test_an_author_sent_by_a_script_is_stored_only_as_claimed_author(client: FlaskClient, events: Events) -> None:
    log(client, **rename("Prod"), author="deploy script")
    [event] = events(q="deploy script")
    assert (event["author"], event["description"]["claimed_author"]) == ("system", "deploy script")
    assert events(author="deploy script") == events(q='author:"deploy script"') == []
    log(client, **rename("Prod"), author=None)
    assert "claimed_author" not in events()[-1]["description"]


def test_an_event_about_a_known_connector_is_linked_to_it(client: FlaskClient, github: str, events: Events) -> None:
    log(client, **rename("Work GitHub"))
    log(client, **rename("Elsewhere"))
    linked, unlinked = events(event_type="ConfigChanged")
    assert (f"/api/connectors/{linked['connector_id']}", unlinked["connector_id"]) == (github, None)


ANY_JSON = [None, True, 0, -1.5, "", "text", [], [1, [2]], {}, {"a": {"b": [None]}}, 10**30, "\u2028\U0001f600"]


def test_any_json_value_can_be_old_or_new(client: FlaskClient, events: Events) -> None:
    for value in ANY_JSON:
        log(client, event_type="config_changed", connector_name="Prod", field="x", old_value=value, new_value=[value])
    recorded = [event["description"] for event in events(event_type="ConfigChanged")]
    assert [change["old_value"] for change in recorded] == ANY_JSON
    assert [change["new_value"] for change in recorded] == [[value] for value in ANY_JSON]


NOT_TO_BE_LOGGED = [
    ({}, ["event_type"]),
    ({"event_type": "coffee_made"}, ["event_type"]),
    ({"event_type": "ConnectorCreated", **ABOUT}, ["event_type"]),
    ({"event_type": "connector_created"}, [""]),
    ({"event_type": "connector_created", "connector_name": "Prod", "connector_type": "jenkins"}, [""]),
    ({"event_type": "connector_updated", **ABOUT, "changes": {}}, [""]),
    ({"event_type": "connector_updated", **ABOUT, "changes": {"x": [1, 2]}}, ["changes.x"]),
    ({"event_type": "config_changed", "connector_name": "Prod"}, [""]),
    ({"event_type": "config_changed", "connector_name": "", "field": "x"}, ["connector_name"]),
    ({"event_type": "config_changed", "connector_name": "P" * 201, "field": "x"}, ["connector_name"]),
    ({"event_type": "config_changed", "connector_name": 7, "field": "x"}, ["connector_name"]),
    ({**SEVEN[6][0], "visible": "false"}, ["visible"]),
    ({**SEVEN[6][0], "visible": None}, [""]),
    ({**SEVEN[5][0], "author": ""}, ["author"]),
    ({**SEVEN[5][0], "surprise": 1}, ["surprise"]),
    ({**SEVEN[5][0], "new_value": "a\0b"}, ["new_value"]),
    ({**SEVEN[5][0], "new_value": {"a\0b": [1]}}, ["new_value"]),
    ({**SEVEN[5][0], "connector_name": "a\0b"}, ["connector_name"]),
]


def test_an_invalid_event_is_refused_with_the_field_named(client: FlaskClient, events: Events) -> None:
    before = events()
    for body, at_fault in NOT_TO_BE_LOGGED:
        assert fields_at_fault(log(client, **body)) == at_fault, body
    assert events() == before


VALUE = b'{"event_type":"config_changed","connector_name":"Prod","field":"x","new_value":%s}'
NOT_JSON = [
    b"",
    b"{",
    b"null",
    b"[]",
    b"\xef\xbb\xbf{}",
    VALUE % b'"\xff"',
    VALUE % b'"\xed\xa0\x80"',
    VALUE % b'"\\ud800"',
    VALUE % b"NaN",
    VALUE % b"-Infinity",
    VALUE % b"[1e999]",
    VALUE % (b"9" * 5000),
    VALUE % (b"[" * 5000 + b"]" * 5000),
]


def test_a_body_that_is_not_json_in_utf_8_is_refused(client: FlaskClient, events: Events) -> None:
    before = events()
    for raw in NOT_JSON:
        problem(client.post("/api/painchain/log", data=raw, content_type="application/json"), 422)
    assert events() == before


def test_a_body_beyond_the_limit_is_refused(client: FlaskClient, events: Events) -> None:
    before = events()
    problem(log(client, **{**SEVEN[5][0], "new_value": "x" * 2**20}), 413)
    assert events() == before


def test_while_auditing_is_off_nothing_is_logged_and_the_response_reports_it(
    client: FlaskClient, events: Events
) -> None:
    client.post(f"/api/connectors/{SYSTEM}/disable")
    before = events()
    answer = problem(log(client, **rename("Prod")), 409)
    assert "Auditing is off" in answer["message"]
    assert events() == before
    client.post(f"/api/connectors/{SYSTEM}/enable")
    assert log(client, **rename("Prod")).status_code == 201


@pytest.mark.both_databases
def test_when_the_database_cannot_write_a_logged_event_is_refused_with_503(
    app: Flask, client: FlaskClient, events: Events
) -> None:
    before = events()
    refuse(app, "INSERT", "change_events")
    answer = problem(log(client, **rename("Prod")), 503)
    assert "Not saved: " in answer["message"]
    assert "the disk is full" in answer["message"]
    assert events() == before, "reads continue"


@pytest.mark.both_databases
@pytest.mark.parametrize(
    ("method", "address", "body"),
    [
        ("POST", "/api/connectors", KUBERNETES),
        ("PATCH", "{github}", {"name": "Renamed"}),
        ("POST", "{github}/enable", None),
        ("PUT", "{github}/visibility/PullRequest/branches", {"visible": False}),
        ("DELETE", "{github}", None),
    ],
)
def test_a_change_is_rolled_back_if_its_event_cannot_be_written(
    app: Flask, client: FlaskClient, github: str, method: str, address: str, body: dict[str, Any] | None
) -> None:
    before = client.get("/api/connectors").get_json()
    refuse(app, "INSERT", "change_events")
    response = client.open(address.format(github=github), method=method, json=body, headers={"If-Match": "*"})
    problem(response, 503)
    assert client.get("/api/connectors").get_json() == before
