"""A reported event is answered before Flask runs, exactly as Flask would answer it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from flask import Flask, request_started
from flask.testing import FlaskClient
from sqlalchemy import text
from werkzeug.test import TestResponse

from painchain.core import config, metrics
from painchain.database.session import db
from painchain.startup import create_app
from tests.conftest import ON_SQLITE, close, settings_for
from tests.support.accounts import add_person, sign_in
from tests.support.api import SEVEN, SEVEN_IDS, SYSTEM, rename
from tests.support.statements import recorded_statements

LOG, EVENTS = "/api/painchain/log", "/api/events"
# A header that changes nothing, and whose requests Flask answers.
THROUGH_FLASK = {"X-Reason": ""}
PUBLIC = "https://painchain.example"


@contextmanager
def flask_requests(app: Flask) -> Iterator[list[None]]:
    """Count the requests that reach Flask."""
    counted: list[None] = []

    def count(sender: Flask) -> None:
        counted.append(None)

    with request_started.connected_to(count, app):
        yield counted


def both_ways(client: FlaskClient, **request: Any) -> tuple[TestResponse, int]:
    """Send a request as it is, and through Flask. Return the response, which is the same, and how often Flask ran."""
    headers, path = request.pop("headers", {}), request.pop("path", LOG)
    with flask_requests(client.application) as counted:
        response = client.post(path, headers=headers, **request)
        through_flask = client.post(path, headers={**headers, **THROUGH_FLASK}, **request)
    assert comparable(response) == comparable(through_flask)
    return response, len(counted)


def comparable(response: TestResponse) -> Any:
    """Return what does not depend on the time of a request."""
    body = response.get_json()
    resources = body if isinstance(body, list) else [body]
    members = [list(resource) for resource in resources]
    event_ids = [re.sub(r"[0-9a-f]{32}|\d{10,}\.\d+", "*", resource.pop("event_id", "")) for resource in resources]
    numbers = [resource.pop("id", 0) for resource in resources]
    steps = [number - numbers[0] for number in numbers]
    varying = {"X-Request-Id", "Content-Length"}
    headers = {name: value for name, value in response.headers.items() if name not in varying}
    assert int(response.headers["Content-Length"]) == len(response.data)  # numbers and IDs can differ in length
    return response.status, event_ids, steps, body, members, headers, response.data[-2:]


@pytest.mark.parametrize("body", [body for body, *_ in SEVEN], ids=SEVEN_IDS)
def test_an_event_is_recorded_the_same_way_without_flask(client, events, body):
    response, runs = both_ways(client, json=body)
    assert (response.status_code, runs) == (201, 1)
    own = ("id", "event_id", "request_id", "timestamp", "recorded_at", "mac")
    first, second = ({name: value for name, value in event.items() if name not in own} for event in events()[-2:])
    assert first == second
    assert events()[-2]["request_id"] == response.headers["X-Request-Id"]
    assert events()[-2]["event_id"] == response.json["event_id"]


@pytest.mark.parametrize(
    ("request_values", "status"),
    [
        ({"data": b"not json", "content_type": "application/json"}, 422),
        ({"data": b"", "content_type": "application/json"}, 422),
        ({"json": {"event_type": "connector_created"}}, 422),
        ({"json": {**rename("Prod"), "more": 1}}, 422),
        ({"data": b'{"event_type": "connector_created"}', "content_type": "text/plain"}, 415),
        ({"json": rename("Prod"), "query_string": "a=b"}, 422),
        ({"json": rename("Prod"), "headers": {"Origin": "https://other.example"}}, 403),
        ({"json": rename("Prod"), "headers": {"Sec-Fetch-Site": "cross-site"}}, 403),
        ({"json": rename("x" * 2**20)}, 413),
    ],
)
def test_what_is_refused_is_refused_by_flask(client, events, request_values, status):
    response, runs = both_ways(client, **request_values)
    assert (response.status_code, runs) == (status, 2)
    assert not [event for event in events() if event["description"].get("reported")]


def test_nothing_is_recorded_while_auditing_is_off(client, events):
    client.post(f"/api/connectors/{SYSTEM}/disable")
    number = len(events())
    response, runs = both_ways(client, json=rename("Prod"))
    assert (response.status_code, runs, len(events())) == (409, 2, number)


def test_change_events_are_recorded_the_same_way_without_flask(client, events):
    change = {"title": "Déployed", "kind": "deployment", "service": "shop", "tags": ["a"], "data": {"token": "x"}}
    for body, count in ((change, 1), ([change], 1), ([change, {"title": "Other"}], 2)):
        response, runs = both_ways(client, path=EVENTS, json=body)
        assert (response.status_code, runs) == (201, 1)
        stored = events()[-2 * count :]
        own = ("id", "event_id", "request_id", "timestamp", "recorded_at", "mac")
        plain = [{name: value for name, value in event.items() if name not in own} for event in stored]
        assert plain[:count] == plain[count:]
        assert {event["request_id"] for event in stored[:count]} == {response.headers["X-Request-Id"]}


def test_a_repeated_change_event_is_answered_without_flask_and_a_conflicting_one_by_flask(client, events):
    change = {"title": "Deployed", "external_id": "1"}
    assert client.post(EVENTS, json=change).status_code == 201
    number = len(events())
    for body in (change, [change]):
        response, runs = both_ways(client, path=EVENTS, json=body)
        assert (response.status_code, runs) == (200, 1)
    response, runs = both_ways(client, path=EVENTS, json={**change, "title": "Other"})
    assert (response.status_code, response.json["errors"][0]["field"], runs) == (409, "external_id", 2)
    response, runs = both_ways(client, path=EVENTS, json={**change, "more": 1})
    assert (response.status_code, runs, len(events())) == (422, 2, number)


def test_change_events_with_headers_of_their_own_are_recorded_by_flask(client):
    cloud_event = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "ci", "ce-type": "deployed"}
    for headers in ({"Idempotency-Key": "run 7"}, cloud_event):
        with flask_requests(client.application) as counted:
            assert client.post(EVENTS, json={"title": "Deployed"}, headers=headers).status_code == 201
        assert len(counted) == 1


def make_token(client: FlaskClient, role: str) -> dict[str, str]:
    """Create an API token, and return the header that sends it."""
    response = client.post("/api/tokens", json={"name": f"ci {role}", "role": role})
    assert response.status_code == 201
    return {"Authorization": f"Bearer {response.json['token']}"}


def test_a_token_must_be_valid_and_allow_it(app, client, events):
    add_person(app)
    sign_in(client)
    editor, viewer = make_token(client, "editor"), make_token(client, "viewer")
    script = app.test_client()
    response, runs = both_ways(script, json=rename("Prod"), headers=editor)
    assert (response.status_code, runs) == (201, 1)
    assert [event["author"] for event in events()[-2:]] == ["token:ci editor"] * 2
    assert "cause" not in events()[-1]["description"]
    for headers, status in ((viewer, 403), ({}, 401), ({"Authorization": "Bearer pct_other"}, 401)):
        response, runs = both_ways(script, json=rename("Prod"), headers=headers)
        assert (response.status_code, runs) == (status, 2)
    (number,) = (token["id"] for token in client.get("/api/tokens").json if token["name"] == "ci editor")
    assert client.delete(f"/api/tokens/{number}").status_code in (200, 204)
    response, runs = both_ways(script, json=rename("Prod"), headers=editor)
    assert (response.status_code, runs) == (401, 2)


def test_the_use_of_a_token_is_stored(app, client):
    add_person(app)
    sign_in(client)
    editor = make_token(client, "editor")
    assert app.test_client().post(LOG, json=rename("Prod"), headers=editor).status_code == 201
    assert client.get("/api/tokens").json[0]["last_used"]


def test_a_person_who_is_signed_in_is_answered_by_flask(app, client, events):
    add_person(app)
    sign_in(client)
    response, runs = both_ways(client, json=rename("Prod"))
    assert (response.status_code, runs, events()[-1]["author"]) == (201, 2, "alice")


def test_a_reason_is_recorded(client, events):
    assert client.post(LOG, json=rename("Prod"), headers={"X-Reason": "Incident 7"}).status_code == 201
    assert events()[-1]["description"]["reason"] == "Incident 7"


@ON_SQLITE
def test_a_failed_write_is_reported_once(app, client):
    refuse_events(app)
    with recorded_statements(app) as statements:
        response = client.post(LOG, json=rename("Prod"))
    assert response.status_code == 503
    assert response.json["message"].startswith("Not saved: ")
    assert sum("INTO change_events" in statement for statement in statements) == 1
    refused = app.extensions["painchain"].metrics.registry.get_sample_value(
        "painchain_writes_refused_total", {"reason": metrics.DATABASE}
    )
    assert refused == 1


def refuse_events(app: Flask) -> None:
    """Make the database refuse new events."""
    with app.app_context(), db.engine.begin() as connection:
        refusal = "BEGIN SELECT RAISE(ABORT, 'no room for events'); END"
        connection.execute(text(f"CREATE TRIGGER refuse BEFORE INSERT ON change_events {refusal}"))


@pytest.fixture
def public_app(settings: config.Settings) -> Iterator[Flask]:
    """An app with a public address and a trusted host."""
    more = {"public_url": PUBLIC, "trusted_hosts": "painchain.example"}
    app = create_app(settings_for(settings.instance, settings.database_url, **more))
    yield app
    close(app)


def test_host_and_security_headers_are_those_of_the_public_address(app, client, public_app):
    add_person(app)
    sign_in(client)
    editor = make_token(client, "editor")
    script = public_app.test_client()
    response, runs = both_ways(script, json=rename("Prod"), headers={**editor, "Host": "painchain.example"})
    assert (response.status_code, runs) == (201, 1)
    assert "Strict-Transport-Security" in response.headers
    response, runs = both_ways(script, json=rename("Prod"), headers={**editor, "Host": "other.example"})
    assert (response.status_code, runs) == (400, 2)


def test_requests_are_counted_and_logged_by_their_route(app, client, caplog):
    with caplog.at_level("INFO", "painchain.web.access"):
        both_ways(client, json=rename("Prod"))
    assert [record.getMessage() for record in caplog.records] == [f"POST {LOG} 201"] * 2
    labels = {"route": LOG, "method": "POST", "status": "2xx"}
    registry = app.extensions["painchain"].metrics.registry
    assert registry.get_sample_value("painchain_http_requests_total", labels) == 2


def test_nothing_is_recorded_without_a_token_as_soon_as_there_is_an_account(app, client, events):
    script = app.test_client()
    response, runs = both_ways(script, json=rename("Prod"))
    assert (response.status_code, runs) == (201, 1)
    add_person(app)  # as by a command: the server has not noticed it
    response, runs = both_ways(script, json=rename("Prod"))
    assert (response.status_code, runs) == (401, 2)
    sign_in(client)
    assert [event["event_type"] for event in events()[-3:]] == ["ConfigChanged", "PersonAdded", "SignedIn"]
