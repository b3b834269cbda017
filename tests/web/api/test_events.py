"""The JSON API keeps its promises."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, text
from werkzeug.test import TestResponse

from painchain.database.session import Base, db
from tests.support.accounts import report_as

Events = Callable[..., list[dict[str, Any]]]

SYSTEM = 1
CANARY = "canary-4711"
GITHUB = {"name": "Work GitHub", "type": "github", "tags": ["team", "ci"], "config": {"token": CANARY}}
KUBERNETES = {"name": "Staging", "type": "kubernetes"}


def log(client: FlaskClient, **body: Any) -> TestResponse:
    return client.post("/api/painchain/log", json=body)


def rename(name: str) -> dict[str, Any]:
    return {"event_type": "config_changed", "connector_name": name, "field": "name", "new_value": name}


@pytest.fixture
def github(client: FlaskClient) -> str:
    """The address of a GitHub connector."""
    response = client.post("/api/connectors", json=GITHUB)
    assert response.status_code == 201, response.text
    return response.headers["Location"]


def patch(client: FlaskClient, address: str, if_match: str = "*", **changes: Any) -> TestResponse:
    return client.patch(address, json=changes, headers={"If-Match": if_match})


def problem(response: TestResponse, status: int) -> dict[str, Any]:
    """Return an error, which always has the same shape."""
    body = response.get_json()
    assert response.status_code == status, response.text
    assert response.mimetype == "application/json"
    assert list(body) == ["success", "message", "errors"]
    assert body["success"] is False
    assert body["message"]
    assert all(set(one) == {"field", "message"} for one in body["errors"])
    return dict(body)


def fields_at_fault(response: TestResponse) -> list[str]:
    return [one["field"] for one in problem(response, 422)["errors"]]


def titles(found: list[dict[str, Any]]) -> list[str]:
    return [event["title"] for event in found]


def everything_stored(app: Flask) -> str:
    """Return every row of every table as text."""
    with app.app_context():
        rows = [tuple(row) for table in Base.metadata.sorted_tables for row in db.session.execute(select(table))]
    return repr(rows)


def refuse(app: Flask, operation: str, table: str, words: str = "the disk is full") -> None:
    """Make the database refuse to insert into, or update, a table, as a full disk would."""
    trigger = f"CREATE TRIGGER refuse BEFORE {operation} ON {table}"
    with app.app_context():
        if db.engine.dialect.name == "sqlite":
            db.session.execute(text(f"{trigger} BEGIN SELECT RAISE(ABORT, '{words}'); END"))
        else:
            raising = f"$$ BEGIN RAISE EXCEPTION '{words}'; END $$"
            db.session.execute(text(f"CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS {raising}"))
            db.session.execute(text(f"{trigger} FOR EACH ROW EXECUTE FUNCTION refuse()"))
        db.session.commit()


# POST /api/painchain/log

ABOUT = {"connector_name": "Prod", "connector_type": "github"}
SEVEN = [
    (
        {"event_type": "connector_created", **ABOUT},
        ("ConnectorCreated", "[Connector Created] Prod", {"action": "create", **ABOUT}),
        ["connector_name", "connector_type", "text"],
    ),
    (
        {"event_type": "connector_updated", **ABOUT, "changes": {"poll_interval": {"old": 300, "new": 3600}}},
        (
            "ConnectorUpdated",
            "[Connector Updated] Prod",
            {"action": "update", **ABOUT, "changes": {"poll_interval": {"old": 300, "new": 3600}}},
        ),
        ["changes", "connector_name", "connector_type", "text"],
    ),
    (
        {"event_type": "connector_deleted", **ABOUT},
        ("ConnectorDeleted", "[Connector Deleted] Prod", {"action": "delete", **ABOUT}),
        ["connector_name", "connector_type", "text"],
    ),
    (
        {"event_type": "connector_enabled", **ABOUT},
        ("ConnectorEnabled", "[Connector Enabled] Prod", {"action": "enable", **ABOUT}),
        ["connector_name", "connector_type", "text"],
    ),
    (
        {"event_type": "connector_disabled", **ABOUT},
        ("ConnectorDisabled", "[Connector Disabled] Prod", {"action": "disable", **ABOUT}),
        ["connector_name", "connector_type", "text"],
    ),
    (
        {
            "event_type": "config_changed",
            "connector_name": "Prod",
            "field": "poll_interval",
            "old_value": 300,
            "new_value": 3600,
        },
        (
            "ConfigChanged",
            "[Config Changed] Prod - poll_interval",
            {"action": "config_change", "field": "poll_interval"},
        ),
        ["connector_name", "field", "kind", "label", "new_value", "old_value", "text"],
    ),
    (
        {
            "event_type": "field_visibility_changed",
            "connector_type": "PullRequest",
            "field_key": "branches",
            "visible": False,
        },
        (
            "FieldVisibilityChanged",
            "[Field Visibility Changed] PullRequest",
            {
                "action": "field_visibility_change",
                "event_type": "PullRequest",
                "field": "branches",
                "visible": False,
            },
        ),
        ["event_type", "field", "label", "text", "visible"],
    ),
]
SEVEN_IDS = [body["event_type"] for body, *_ in SEVEN]


@pytest.mark.both_databases
@pytest.mark.parametrize(("body", "expected", "told"), SEVEN, ids=SEVEN_IDS)
def test_each_of_the_seven_events_is_logged_as_specified(
    client: FlaskClient, body: dict[str, Any], expected: tuple[str, str, dict[str, Any]], told: list[str]
) -> None:
    response = log(client, **body)
    answer, kind = response.get_json(), body["event_type"]
    assert response.status_code == 201
    assert list(answer) == ["success", "message", "event_type", "event_id"]
    assert (answer["success"], answer["event_type"]) == (True, kind)
    assert re.fullmatch(rf"painchain-{kind}-\d{{10}}\.\d{{6}}", answer["event_id"])
    event = client.get(f"/api/changes/{answer['event_id']}").get_json()
    assert (event["event_type"], event["title"], event["metadata"]) == expected
    assert sorted(event["description"]) == sorted([*told, "reported", "cause"])
    assert (event["event_id"], event["source"], event["author"]) == (answer["event_id"], "painchain", "system")
    assert event["tags"] == ["system", "audit"]


def test_a_logged_change_tells_old_and_new_value_in_a_sentence(client: FlaskClient, events: Events) -> None:
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


def test_a_logged_toggle_names_the_field_as_the_event_type_does(client: FlaskClient, events: Events) -> None:
    log(client, **SEVEN[6][0], connector_name="Prod")
    event = events()[-1]
    assert event["description"]["text"] == "Branches of PullRequest events hidden"
    assert event["connector_name"] == event["description"]["connector_name"] == "Prod"


def test_the_author_that_a_script_gives_is_kept_as_claimed_and_never_as_author(
    client: FlaskClient, events: Events
) -> None:
    log(client, **rename("Prod"), author="deploy script")
    [event] = events(q="deploy script")
    assert (event["author"], event["description"]["claimed_author"]) == ("system", "deploy script")
    assert events(author="deploy script") == events(q='author:"deploy script"') == []
    log(client, **rename("Prod"), author=None)
    assert "claimed_author" not in events()[-1]["description"]


def test_an_event_about_a_known_connector_is_linked_to_it(client: FlaskClient, github: str, events: Events) -> None:
    log(client, **rename("Work GitHub"))
    log(client, **rename("Elsewhere"))
    known, unknown = events(event_type="ConfigChanged")
    assert (f"/api/connectors/{known['connector_id']}", unknown["connector_id"]) == (github, None)


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


def test_what_cannot_be_logged_is_refused_and_named(client: FlaskClient, events: Events) -> None:
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


def test_while_auditing_is_off_nothing_is_logged_and_the_answer_says_so(client: FlaskClient, events: Events) -> None:
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
    assert events() == before, "reading goes on"


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
def test_when_its_event_cannot_be_written_a_change_is_not_made_either(
    app: Flask, client: FlaskClient, github: str, method: str, address: str, body: dict[str, Any] | None
) -> None:
    before = client.get("/api/connectors").get_json()
    refuse(app, "INSERT", "change_events")
    response = client.open(address.format(github=github), method=method, json=body, headers={"If-Match": "*"})
    problem(response, 503)
    assert client.get("/api/connectors").get_json() == before


# Secrets


WITH_SECRETS = [
    {"field": "token", "old_value": CANARY, "new_value": "x"},
    {"field": "token", "connector_type": "github", "new_value": CANARY},
    {"field": "token", "connector_type": "painchain", "new_value": CANARY},
    {"field": "token", "connector_type": "jenkins", "new_value": CANARY},
    {"field": "db_password", "new_value": CANARY},
    {"field": "passphrase", "new_value": CANARY},
    {"field": "client_secret", "new_value": [CANARY]},
    {"field": "API-Key", "old_value": {"nested": CANARY}},
    {"field": "login", "new_value": {"user": "me", "password": CANARY}},
    {"field": "logins", "new_value": [{"api_key": [CANARY]}]},
    {"field": "mirror", "old_value": f"https://me:{CANARY}@git.example/x"},
    {"field": "mirror", "new_value": {"urls": [f"https://git.example/x?private_token={CANARY}&page=2"]}},
    {"field": "mirror", "new_value": {f"https://{CANARY}@git.example": 1}},
    {"field": f"https://me:{CANARY}@git.example"},
    {"field": f"https://me:{CANARY}@git.example/token"},
    {"field": f"https://me:{CANARY.replace('-', '_')}@git.example"},
    {"field": "x", "connector_name": f"https://me:{CANARY}@git.example"},
    {"field": "x", "connector_type": f"https://me:{CANARY}@git.example"},
    {"field": "x", "author": f"https://me:{CANARY}@git.example"},
]


def test_a_secret_in_a_logged_change_is_neither_stored_nor_returned(app: Flask, client: FlaskClient) -> None:
    for body in WITH_SECRETS:
        response = log(client, **{"event_type": "config_changed", "connector_name": "Prod", **body})
        assert response.status_code == 201, body
        assert not re.search("canary.4711", response.text + everything_stored(app)), body


def test_a_secret_in_a_logged_update_is_neither_stored_nor_returned(
    app: Flask, client: FlaskClient, events: Events
) -> None:
    changes = {
        "token": {"old": None, "new": CANARY},
        "webhook_secret": {"old": "x", "new": CANARY},
        "password": {"old": CANARY, "new": ""},
        "base_url": {"old": f"https://me:{CANARY}@git.example", "new": "https://git.example"},
    }
    assert log(client, event_type="connector_updated", **ABOUT, changes=changes).status_code == 201
    assert CANARY not in everything_stored(app)
    assert events()[-1]["metadata"]["changes"] == {
        "token": {"old": None, "new": "set"},
        "webhook_secret": {"old": "set", "new": "replaced"},
        "password": {"old": "set", "new": "cleared"},
        "base_url": {"old": "https://***@git.example", "new": "https://git.example"},
    }


def test_an_unknown_member_is_refused_without_repeating_its_value(app: Flask, client: FlaskClient) -> None:
    response = log(client, **{**SEVEN[5][0], "password": CANARY})
    assert fields_at_fault(response) == ["password"]
    assert CANARY not in response.text + everything_stored(app)


def test_a_connectors_token_is_never_returned_and_stored_only_encrypted(
    app: Flask, client: FlaskClient, github: str
) -> None:
    answers = [client.get(address).text for address in (github, "/api/connectors", "/api/changes")]
    answers.append(patch(client, github, config={"token": f"new {CANARY}"}).text)
    assert CANARY not in "".join(answers) + everything_stored(app)
    assert client.get(github).get_json()["config"]["token"] == {"set": True}


def test_a_token_is_recorded_as_set_replaced_and_cleared(client: FlaskClient, events: Events) -> None:
    address = client.post("/api/connectors", json=KUBERNETES).headers["Location"]
    for token in ("first", "second", "second", ""):
        assert patch(client, address, config={"token": token}).status_code == 200
    recorded = [event["description"] for event in events(event_type="ConfigChanged")]
    assert [(change["old_value"], change["new_value"]) for change in recorded] == [
        (None, "set"),
        ("set", "replaced"),
        ("set", "cleared"),
    ]
    assert client.get(address).get_json()["config"]["token"] == {"set": False}


def test_a_refused_token_is_not_repeated_in_the_refusal(client: FlaskClient) -> None:
    response = client.post("/api/connectors", json={**GITHUB, "config": {"token": [CANARY]}})
    assert fields_at_fault(response) == ["config.token"]
    assert CANARY not in response.text


# Who may write, and in which form

ELSEWHERE = [
    {"Origin": "https://elsewhere.example"},
    {"Origin": "http://localhost:8000"},
    {"Origin": "null"},
    {"Origin": "http://["},
    {"Origin": ""},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Origin": "http://localhost", "Sec-Fetch-Site": "cross-site"},
]
WRITES = [
    ("POST", "/api/painchain/log", rename("Prod")),
    ("POST", "/api/connectors", KUBERNETES),
    ("PATCH", "/api/connectors/1", {"name": "Mine"}),
    ("DELETE", "/api/connectors/1", None),
    ("POST", "/api/connectors/1/enable", None),
    ("POST", "/api/connectors/1/disable", None),
    ("PUT", "/api/connectors/1/visibility/ConfigChanged/field", {"visible": False}),
]


def test_another_sites_page_writes_nothing(client: FlaskClient, events: Events) -> None:
    before = events()
    for method, address, body in WRITES:
        for headers in ELSEWHERE:
            problem(client.open(address, method=method, json=body, headers={"If-Match": "*", **headers}), 403)
    assert events() == before


def test_own_pages_and_scripts_may_write(client: FlaskClient) -> None:
    own = {"Origin": "http://localhost"}
    for headers in ({}, own, {**own, "Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}):
        assert client.post("/api/painchain/log", json=rename("Prod"), headers=headers).status_code == 201, headers


def test_reading_is_not_asked_where_it_comes_from(client: FlaskClient) -> None:
    assert client.get("/api/changes", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 200


def test_a_body_of_another_type_than_json_is_refused(client: FlaskClient, events: Events) -> None:
    before = events()
    for method, address, body in WRITES:
        for content_type in (None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
            sent = {"data": json.dumps(body or {}), "content_type": content_type, "headers": {"If-Match": "*"}}
            problem(client.open(address, method=method, **sent), 415)
    assert events() == before


def test_a_method_that_an_address_does_not_take_is_answered_with_those_it_takes(client: FlaskClient) -> None:
    for method, address, taken in (
        ("DELETE", "/api/changes", {"GET"}),
        ("PUT", "/api/changes/1", {"GET"}),
        ("GET", "/api/painchain/log", {"POST"}),
        ("PUT", "/api/connectors/1", {"GET", "PATCH", "DELETE"}),
        ("GET", "/api/connectors/1/enable", {"POST"}),
        ("POST", "/health", {"GET"}),
        ("TRACE", "/openapi.json", {"GET"}),
    ):
        response = client.open(address, method=method)
        problem(response, 405)
        assert set(response.headers["Allow"].split(", ")) - {"HEAD", "OPTIONS"} == taken


def test_what_is_not_there_is_answered_in_json(client: FlaskClient) -> None:
    for address in ("/api/nothing", "/api/", "/api/changes/", "/api/connectors/", "/health/x"):
        problem(client.get(address), 404)


def test_another_host_name_is_refused(client: FlaskClient) -> None:
    problem(client.get("/api/changes", headers={"Host": "elsewhere.example"}), 400)


# GET /api/changes


def test_an_event_has_exactly_these_members(client: FlaskClient, github: str) -> None:
    event = client.get("/api/changes").get_json()[0]
    assert list(event) == [
        *("id", "event_id", "source", "event_type", "connector_id", "connector_name", "title", "description"),
        *("author", "timestamp", "recorded_at", "url", "status", "metadata", "tags", "request_id"),
    ]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", event["timestamp"])
    assert event["event_id"].endswith(f"{event['timestamp'][-7:-1]}")


def test_events_come_newest_first_a_hundred_at_a_time(client: FlaskClient) -> None:
    for number in range(105):
        log(client, **rename(f"Prod {number}"))
    found = client.get("/api/changes").get_json()
    assert [event["connector_name"] for event in found] == [f"Prod {number}" for number in range(104, 4, -1)]


@pytest.fixture
def various(client: FlaskClient, github: str) -> None:
    """Events that differ in everything one can filter by."""
    client.post(f"{github}/enable")
    patch(client, f"/api/connectors/{SYSTEM}", tags="system,audit,nightly")
    report_as(client.application, "ann", **rename("Nightly"))
    report_as(client.application, "bob, the builder", **{**SEVEN[0][0], "connector_name": "50% off_er"})


FOUND = [
    ("source=painchain", 7),
    ("source=github", 0),
    ("source=github&source=painchain", 7),
    ("event_type=ConfigChanged", 2),
    ("event_type=ConfigChanged,ConnectorEnabled", 3),
    ("event_type=configchanged", 0),
    ("connector=Work%20GitHub", 2),
    ("connector=2", 2),
    ("connector=2&connector=Nightly", 3),
    ("connector=2,Nightly", 0),
    ("tag=nightly", 4),
    ("tag=system", 7),
    ("tag=night", 0),
    ("author=ann", 1),
    ("author=ann&author=system", 6),
    ("author=bob,%20the%20builder", 1),
    ("status=created", 3),
    ("status=created&author=system", 2),
    ("q=GITHUB", 3),
    ("q=nightly%20ann", 1),
    ("q=nightly%20bob", 0),
    ("q=50%25%20off_er", 1),
    ("q=o_f_er", 0),
    ("start_date=2020-01-01", 7),
    ("start_date=2020-01-01T00:00:00%2B02:00&end_date=2020-01-02", 0),
    ("end_date=2020-01-01T12:00:00Z", 0),
    ("start_date=&end_date=&q=&source=", 7),
]


@pytest.mark.both_databases
@pytest.mark.usefixtures("various")
def test_events_are_filtered(client: FlaskClient) -> None:
    for query, expected in FOUND:
        found = client.get(f"/api/changes?{query}").get_json()
        assert len(found) == expected, (query, titles(found))
        assert client.get(f"/api/stats?{query}").get_json()["total"] == expected, query


def test_a_range_includes_its_start_and_excludes_its_end(client: FlaskClient, events: Events) -> None:
    for name in ("first", "second", "third"):
        log(client, **rename(name))
    _, second, third = events(event_type="ConfigChanged")
    found = events(start_date=second["timestamp"], end_date=third["timestamp"])
    assert titles(found) == ["[Config Changed] second - name"]


NOT_UNDERSTOOD = [
    ("limit=0", "limit"),
    ("limit=501", "limit"),
    ("limit=-1", "limit"),
    ("limit=1.5", "limit"),
    ("limit=ten", "limit"),
    ("limit=", "limit"),
    ("limit=%D9%A1", "limit"),
    ("limit=99999999999999999999", "limit"),
    ("cursor=", "cursor"),
    ("cursor=nonsense", "cursor"),
    ("cursor=MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwLjE", "cursor"),
    ("start_date=yesterday", "start_date"),
    ("start_date=2026-02-30", "start_date"),
    ("end_date=2026-01-01T25:00:00Z", "end_date"),
    ("start_date=1969-12-31", "start_date"),
    ("end_date=9999-12-31", "end_date"),
    ("start_date=2026-01-02&end_date=2026-01-01", "end_date"),
    ("q=" + "x" * 201, "q"),
    ("source=" + "x" * 201, "source"),
    ("author=a%00b", "author"),
    ("q=%FF", ""),
    ("tag=%ED%A0%80", ""),
    ("sauce=github", "sauce"),
    ("Source=github", "Source"),
]


def test_a_query_that_cannot_be_understood_is_refused_and_named(client: FlaskClient) -> None:
    for query, at_fault in NOT_UNDERSTOOD:
        assert fields_at_fault(client.get(f"/api/changes?{query}")) == [at_fault], query


def test_counts_take_the_filters_but_no_pages(client: FlaskClient) -> None:
    for address in ("/api/timeline", "/api/stats"):
        assert fields_at_fault(client.get(f"{address}?limit=5")) == ["limit"]
        assert fields_at_fault(client.get(f"{address}?start_date=yesterday")) == ["start_date"]
        assert fields_at_fault(client.get(f"{address}?q=%FF")) == [""]


def test_an_address_without_parameters_takes_none(client: FlaskClient, events: Events) -> None:
    before = events()
    assert fields_at_fault(client.get("/api/connectors?type=github")) == ["type"]
    assert fields_at_fault(client.post("/api/connectors?dry_run=1", json=GITHUB)) == ["dry_run"]
    assert events() == before


def pages(client: FlaskClient, address: str) -> list[list[dict[str, Any]]]:
    """Follow the Link headers to the end."""
    read: list[list[dict[str, Any]]] = []
    while address:
        assert len(read) < 50, "the pages do not end"
        response = client.get(address)
        read.append(response.get_json())
        log(client, **rename("Late"))
        link = response.headers.get("Link", "")
        found = re.fullmatch(r'<(http://localhost/api/changes\?.*)>; rel="next"', link)
        assert found or not link
        address = found[1] if found else ""
    return read


def test_paging_meets_every_event_exactly_once_even_while_new_ones_arrive(client: FlaskClient, events: Events) -> None:
    for number in range(23):
        log(client, **rename(f"Prod {number}"))
    there = [event["id"] for event in reversed(events())]
    met = [event["id"] for page in pages(client, "/api/changes?limit=4") for event in page]
    assert met == there


def test_the_next_page_keeps_the_filter(client: FlaskClient, events: Events) -> None:
    for number in range(5):
        report_as(client.application, "ann" if number % 2 else "bob", **rename(f"a b&c {number}"))
    found = pages(client, "/api/changes?limit=1&author=ann&author=eve&q=b%26c")
    assert [event["connector_name"] for page in found for event in page] == ["a b&c 3", "a b&c 1"]


def test_the_last_page_leads_nowhere(client: FlaskClient, events: Events) -> None:
    everything = len(events())
    assert "Link" not in client.get(f"/api/changes?limit={everything}").headers
    assert "Link" not in client.get("/api/changes?source=nothing").headers


def test_an_event_is_found_by_its_number_and_by_its_id(client: FlaskClient, events: Events) -> None:
    event = events()[0]
    assert client.get(f"/api/changes/{event['id']}").get_json() == event
    assert client.get(f"/api/changes/{event['event_id']}").get_json() == event


UNKNOWN_EVENTS = ["0", "999", "9" * 30, "9" * 4000, "-1", "1.0", "painchain-x-1", "%00", "%FF", "a/b"]


def test_an_unknown_event_is_not_found(client: FlaskClient) -> None:
    for number in UNKNOWN_EVENTS:
        problem(client.get(f"/api/changes/{number}"), 404)
    problem(client.get(f"/api/changes/{'9' * 5000}"), 414)


# GET /api/timeline, /api/stats, /api/connector-types, /health


def test_the_timeline_counts_every_event_in_one_bin(client: FlaskClient, github: str, events: Events) -> None:
    counted = client.get("/api/timeline").get_json()
    assert list(counted) == ["start", "end", "bin_seconds", "total", "counted_since", "bins", "lapses", "silences"]
    assert counted["total"] == sum(bin["total"] for bin in counted["bins"]) == len(events())
    assert {source for bin in counted["bins"] for source in bin["counts"]} == {"painchain"}
    edges = [bin["start"] for bin in counted["bins"]] + [counted["end"]]
    assert edges == [counted["start"]] + [bin["end"] for bin in counted["bins"]]


@pytest.mark.usefixtures("various")
def test_statistics_count_by_what_events_have_in_common(client: FlaskClient) -> None:
    counted = client.get("/api/stats").get_json()
    assert counted["total"] == 7
    assert counted["by_source"] == {"painchain": 7}
    assert counted["by_author"] == {"system": 5, "ann": 1, "bob, the builder": 1}
    assert counted["by_connector_name"]["Work GitHub"] == 2
    assert next(iter(counted["by_event_type"].items())) == ("ConnectorCreated", 3)
    assert sum(counted["by_status"].values()) == 7


def test_the_types_tell_what_a_connector_takes(client: FlaskClient) -> None:
    types = {one["type"]: one for one in client.get("/api/connector-types").get_json()}
    assert list(types) == ["painchain", "github", "gitlab", "kubernetes"]
    assert [name for name, one in types.items() if one["builtin"]] == ["painchain"]
    interval = next(field for field in types["github"]["fields"] if field["key"] == "poll_interval")
    assert (interval["kind"], interval["default"], interval["minimum"], interval["maximum"]) == (
        "number",
        300,
        60,
        3600,
    )
    assert "PullRequest" in [event_type["name"] for event_type in types["github"]["event_types"]]


def test_health_is_good_while_the_database_reads_and_writes(client: FlaskClient) -> None:
    answer = client.get("/health?probe=7").get_json()
    assert (answer["status"], answer["database"], answer["auditing"]) == ("ok", "ok", True)
    client.post(f"/api/connectors/{SYSTEM}/disable")
    assert client.get("/health").get_json()["auditing"] is False


def test_health_is_bad_when_the_database_cannot_write(app: Flask, client: FlaskClient) -> None:
    refuse(app, "UPDATE", "log_head")
    answer = client.get("/health")
    assert (answer.status_code, answer.json["status"]) == (503, "failing")
    assert list(answer.json) == ["success", "message", "errors", "status", "database"]
    assert "the disk is full" in answer.json["database"]


# /api/connectors


def test_a_connector_is_added_disabled_with_its_defaults(client: FlaskClient) -> None:
    response = client.post("/api/connectors", json=GITHUB)
    one = response.get_json()
    assert (response.status_code, response.headers["Location"]) == (201, f"/api/connectors/{one['id']}")
    assert (one["name"], one["type"], one["enabled"], one["tags"]) == ("Work GitHub", "github", False, ["team", "ci"])
    assert one["config"] == {
        "base_url": "https://api.github.com",
        "token": {"set": True},
        "poll_interval": 300,
        "repos": [],
        "branches": [],
    }
    assert one["visibility"]["PullRequest"]["branches"] is True
    assert (one["version"], one["created_by"], one["updated_by"]) == (1, "system", "system")
    read = client.get(response.headers["Location"])
    assert (read.get_json(), read.headers["ETag"]) == (one, response.headers["ETag"])
    assert one in client.get("/api/connectors").get_json()


def test_adding_a_connector_enabled_is_two_events_of_one_request(client: FlaskClient, events: Events) -> None:
    response = client.post("/api/connectors", json={**GITHUB, "enabled": True})
    created, enabled = events()[-2:]
    assert titles([created, enabled]) == ["[Connector Created] Work GitHub", "[Connector Enabled] Work GitHub"]
    assert created["request_id"] == enabled["request_id"] == response.headers["X-Request-Id"]
    assert created["description"]["configuration"]["token"] == "set"
    assert response.get_json()["enabled"] is True


def test_tags_go_in_as_a_list_or_comma_separated_and_come_out_as_a_list(client: FlaskClient, github: str) -> None:
    for tags in (["b", "a"], ["b,a"], "b, a", " b ,, a,b", ["b", " a ", ""], "b\na"):
        patch(client, github, tags=[])
        assert patch(client, github, tags=tags).get_json()["tags"] == ["b", "a"], tags
    added = client.post("/api/connectors", json={**KUBERNETES, "tags": "b, a"})
    assert added.get_json()["tags"] == ["b", "a"]


WRONG_VALUES = [
    ({"name": ""}, ["name"]),
    ({"name": "  "}, ["name"]),
    ({"name": "N" * 101}, ["name"]),
    ({"name": "a\0b"}, ["name"]),
    ({"name": None}, ["name"]),
    ({"name": 7}, ["name"]),
    ({"type": "jenkins"}, ["type"]),
    ({"type": "painchain", "config": {}}, ["type"]),
    ({"enabled": "yes"}, ["enabled"]),
    ({"tags": 7}, ["tags.list[str]", "tags.str"]),
    ({"tags": ["x" * 51]}, ["tags"]),
    ({"config": {}}, ["config.token"]),
    ({"config": {"token": ""}}, ["config.token"]),
    ({"config": {"token": "t", "poll_interval": 59}}, ["config.poll_interval"]),
    ({"config": {"token": "t", "poll_interval": True}}, ["config.poll_interval"]),
    ({"config": {"token": "t", "poll_interval": 10**30}}, ["config.poll_interval"]),
    ({"config": {"token": "t", "base_url": "ftp://x"}}, ["config.base_url"]),
    ({"config": {"token": "t", "base_url": "https://me:pw@git.example"}}, ["config.base_url"]),
    ({"config": {"token": "t", "repos": ["no-slash"]}}, ["config.repos"]),
    ({"config": {"token": "t", "namespaces": ["a"]}}, ["config.namespaces"]),
    ({"config": {"token": "t", "name": "x"}}, ["config.name"]),
    ({"config": {"token": "t", "repos": ["x"], "poll_interval": 1}}, ["config.poll_interval", "config.repos"]),
    ({"config": None}, ["config"]),
    ({"surprise": 1}, ["surprise"]),
]


def test_a_connector_with_wrong_values_is_not_added(client: FlaskClient, events: Events) -> None:
    before = events()
    for changes, at_fault in WRONG_VALUES:
        assert fields_at_fault(client.post("/api/connectors", json={**GITHUB, **changes})) == at_fault, changes
    assert (events(), len(client.get("/api/connectors").get_json())) == (before, 1)


def test_a_name_can_be_taken_only_once(client: FlaskClient) -> None:
    for first, second in (("Prod", "Prod"), ("Stage", "STAGE"), ("Test", " Test "), ("Ärger", "Ärger")):
        assert client.post("/api/connectors", json={**KUBERNETES, "name": first}).status_code == 201
        assert fields_at_fault(client.post("/api/connectors", json={**KUBERNETES, "name": second})) == ["name"]


def test_each_changed_field_is_one_event_and_the_save_another(client: FlaskClient, github: str, events: Events) -> None:
    before = len(events())
    etag = client.get(github).headers["ETag"]
    config = {"poll_interval": 3600, "repos": ["acme/shop"], "base_url": "https://api.github.com/"}
    response = patch(client, github, etag, name="Home GitHub", tags="ci,new", config=config)
    *single, updated = events()[before:]
    assert titles(single) == [
        f"[Config Changed] Home GitHub - {field}" for field in ("name", "tags", "poll_interval", "repos")
    ]
    assert updated["title"] == "[Connector Updated] Home GitHub"
    assert updated["metadata"]["changes"] == {
        "name": {"old": "Work GitHub", "new": "Home GitHub"},
        "tags": {"old": ["team", "ci"], "new": ["ci", "new"]},
        "poll_interval": {"old": 300, "new": 3600},
        "repos": {"old": [], "new": ["acme/shop"]},
    }
    assert {event["request_id"] for event in [*single, updated]} == {response.headers["X-Request-Id"]}
    assert (response.headers["ETag"] != etag, response.get_json()["name"]) == (True, "Home GitHub")
    assert response.get_json()["config"]["poll_interval"] == 3600


def test_a_patch_that_changes_nothing_writes_nothing(client: FlaskClient, github: str, events: Events) -> None:
    before, connector = events(), client.get(github)
    unchanged: list[dict[str, Any]] = [
        {},
        {"name": "Work GitHub", "tags": ["ci", "team"], "enabled": False},
        {"name": " Work GitHub ", "tags": "ci, team,", "config": {"poll_interval": "300", "repos": None}},
        {"config": {"token": CANARY, "base_url": "https://api.github.com/", "branches": ""}},
        {"enabled": None},
    ]
    for changes in unchanged:
        response = patch(client, github, connector.headers["ETag"], **changes)
        assert (response.status_code, response.get_json()) == (200, connector.get_json()), changes
        assert response.headers["ETag"] == connector.headers["ETag"]
    assert events() == before


def test_what_a_patch_leaves_out_stays(client: FlaskClient, github: str) -> None:
    before = client.get(github).get_json()
    after = patch(client, github, config={"branches": ["main"]}).get_json()
    assert after["config"] == {**before["config"], "branches": ["main"]}
    assert (after["name"], after["tags"], after["enabled"]) == (before["name"], before["tags"], before["enabled"])


def test_a_patch_can_switch_and_change_at_once(client: FlaskClient, github: str, events: Events) -> None:
    patch(client, github, enabled=True, config={"poll_interval": 600})
    found = events()[-3:]
    assert [event["event_type"] for event in found] == ["ConfigChanged", "ConnectorUpdated", "ConnectorEnabled"]
    assert len({event["request_id"] for event in found}) == 1


def test_a_patch_with_one_wrong_value_changes_nothing(client: FlaskClient, github: str, events: Events) -> None:
    before, connector = events(), client.get(github).get_json()
    response = patch(client, github, name="Home", enabled=True, config={"poll_interval": 5})
    assert fields_at_fault(response) == ["config.poll_interval"]
    assert (events(), client.get(github).get_json()) == (before, connector)


def test_a_patch_without_if_match_is_refused(client: FlaskClient, github: str, events: Events) -> None:
    before = events()
    problem(client.patch(github, json={"name": "Home"}), 428)
    assert events() == before


CHANGES: list[tuple[str, str, Any]] = [
    ("PATCH", "", {"name": "Mine"}),
    ("DELETE", "", None),
    ("POST", "/enable", None),
    ("POST", "/disable", None),
    ("PUT", "/visibility/PullRequest/branches", {"visible": False}),
]


def test_a_change_upon_an_older_version_is_refused_with_the_new_etag(
    client: FlaskClient, github: str, events: Events
) -> None:
    read = client.get(github).headers["ETag"]
    patch(client, github, read, name="Theirs")
    before, connector = events(), client.get(github)
    for method, action, body in CHANGES:
        for etag in (read, '"2-99"', "nonsense", f"W/{connector.headers['ETag']}"):
            response = client.open(github + action, method=method, json=body, headers={"If-Match": etag})
            assert "“Theirs”" in problem(response, 412)["message"]
            assert response.headers["ETag"] == connector.headers["ETag"] != read
    assert (events(), client.get(github).get_json()) == (before, connector.get_json())


def test_an_unknown_connector_is_not_found(client: FlaskClient) -> None:
    for method, action, body in [("GET", "", None), *CHANGES]:
        for connector_id in ("99", "0", "9" * 18, "9" * 30, "x", "-1"):
            address = f"/api/connectors/{connector_id}{action}"
            problem(client.open(address, method=method, json=body, headers={"If-Match": "*"}), 404)
            problem(client.open(address, method=method, json=body), 404)


def test_switching_is_one_event_and_switching_again_none(client: FlaskClient, github: str, events: Events) -> None:
    before = len(events())
    for action in ("enable", "enable", "disable", "disable"):
        response = client.post(f"{github}/{action}")
        assert response.get_json()["enabled"] is (action == "enable")
        assert response.headers["ETag"] == client.get(github).headers["ETag"]
    found = events()[before:]
    assert titles(found) == ["[Connector Enabled] Work GitHub", "[Connector Disabled] Work GitHub"]
    about = {"connector_type": "github", "connector_name": "Work GitHub"}
    assert [event["metadata"] for event in found] == [{"action": "enable", **about}, {"action": "disable", **about}]


def test_a_toggle_is_one_event_and_toggling_again_none(client: FlaskClient, github: str, events: Events) -> None:
    before = len(events())
    for _ in range(2):
        response = client.put(f"{github}/visibility/PullRequest/branches", json={"visible": False})
        assert response.get_json()["visibility"]["PullRequest"]["branches"] is False
    (event,) = events()[before:]
    assert event["title"] == "[Field Visibility Changed] PullRequest"
    assert event["metadata"] == {
        "action": "field_visibility_change",
        "event_type": "PullRequest",
        "field": "branches",
        "visible": False,
    }
    assert event["connector_name"] == "Work GitHub"


def test_what_a_connector_does_not_show_cannot_be_hidden(client: FlaskClient, github: str) -> None:
    for toggle in ("PullRequest/nothing", "MergeRequest/branches", "ConfigChanged/field", "%00/branches"):
        problem(client.put(f"{github}/visibility/{toggle}", json={"visible": False}), 404)


def test_a_toggle_is_true_or_false(client: FlaskClient, github: str, events: Events) -> None:
    before = events()
    for body in ({}, {"visible": None}, {"visible": "no"}, {"visible": 0}, {"visible": True, "x": 1}):
        assert fields_at_fault(client.put(f"{github}/visibility/PullRequest/branches", json=body)), body
    assert events() == before


def test_a_deleted_connector_is_gone_and_its_events_stay(client: FlaskClient, github: str, events: Events) -> None:
    patch(client, github, config={"poll_interval": 600})
    before = len(events())
    response = client.delete(github, headers={"If-Match": client.get(github).headers["ETag"]})
    assert (response.status_code, response.data) == (204, b"")
    problem(client.get(github), 404)
    (event,) = events()[before:]
    assert event["title"] == "[Connector Deleted] Work GitHub"
    assert event["description"]["configuration"]["poll_interval"] == 600
    assert len(events(connector="Work GitHub")) == 4


def test_the_built_in_connector_is_renamed_and_retagged_but_never_deleted(client: FlaskClient, events: Events) -> None:
    address = f"/api/connectors/{SYSTEM}"
    assert patch(client, address, name="Audit", tags=["audit"]).get_json()["name"] == "Audit"
    before = events()
    assert "“Audit”" in problem(client.delete(address), 409)["message"]
    assert fields_at_fault(patch(client, address, config={"poll_interval": 60})) == ["config.poll_interval"]
    assert events() == before


def test_while_auditing_is_off_changes_are_made_and_only_the_switching_is_recorded(
    client: FlaskClient, github: str, events: Events
) -> None:
    before = len(events())
    client.post(f"/api/connectors/{SYSTEM}/disable")
    assert patch(client, github, name="Quiet").get_json()["name"] == "Quiet"
    client.post(f"/api/connectors/{SYSTEM}/enable")
    assert titles(events()[before:]) == [
        "[Connector Disabled] PainChain System",
        "[Connector Enabled] PainChain System",
    ]
