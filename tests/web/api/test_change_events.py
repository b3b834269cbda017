"""POST /api/events records the changes that scripts and pipelines report: one or a batch, each once."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from werkzeug.test import TestResponse

from painchain.ingestion import change_events
from painchain.integrity import verification
from tests.support.accounts import add_person, sign_in
from tests.support.html import form_of, soup, texts, words

DEPLOYED = {
    "title": "Deployed shop 1.4.2",
    "kind": "deployment",
    "service": "shop",
    "environment": "production",
    "version": "1.4.2",
    "sha": "1A2B3C4D5E6F",
    "repository": "acme/shop",
    "status": "success",
    "actor": "alice",
    "url": "https://ci.example/runs/1",
    "description": "Canary first",
    "tags": ["checkout"],
    "data": {"replicas": 3},
    "external_id": "deploy-1",
}


def send(client: Any, body: Any, **headers: str) -> TestResponse:
    response: TestResponse = client.post("/api/events", json=body, headers=headers)
    return response


def fields_of(response: TestResponse) -> list[str]:
    return [error["field"] for error in response.get_json()["errors"]]


def newest(client: Any) -> dict[str, Any]:
    event: dict[str, Any] = client.get("/api/changes?limit=1").get_json()[0]
    return event


def test_a_change_event_is_recorded_shown_and_in_the_chain(app, client):
    response = send(client, DEPLOYED)
    assert response.status_code == 201
    event = newest(client)
    assert response.get_json() == {"id": event["id"], "event_id": "api:system:deploy-1", "created": True}
    assert (event["source"], event["event_type"], event["status"]) == ("api", "Deployment", "success")
    assert (event["title"], event["author"], event["url"]) == (DEPLOYED["title"], "system", DEPLOYED["url"])
    assert (event["description"]["text"], event["tags"]) == ("Canary first", ["checkout"])
    assert event["metadata"] == {
        "repository": "acme/shop",
        "service": "shop",
        "environment": "production",
        "version": "1.4.2",
        "status": "success",
        "sha": "1a2b3c4d5e6f",
        "actor": "alice",
        "data": {"replicas": 3},
        "external_id": "deploy-1",
    }
    page = soup(client.get("/?outcome=good"))
    [row] = page.select("article.event")
    assert texts(row, ".where") == ["acme/shop · shop · production"]
    assert words(row.select_one(".status.good")) == "success"
    assert words(row.select_one(".claimed")) == "claimed author: alice"
    details = soup(client.get(f"/events/{event['id']}"))
    assert words(details.select_one("[data-field=text] dd")) == "Canary first"
    assert "Open ci.example" in texts(details, ".links a")
    without = send(client, {"title": "Restarted"}).get_json()["id"]
    assert soup(client.get(f"/events/{without}")).select("[data-field=text]") == []
    with app.app_context():
        assert verification.verify_chain().broken is None


def test_time_end_and_kind_say_when_it_happened_and_what_it_was(client):
    start = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=2)
    times = {"time": start.isoformat(), "end_time": (start + timedelta(minutes=5)).isoformat()}
    assert send(client, {"title": "Moved orders", "kind": "data_move", **times}).status_code == 201
    [event] = client.get("/api/changes?event_type=DataMove").get_json()
    assert event["timestamp"].startswith(f"{start:%Y-%m-%dT%H:%M:%S}")
    assert event["metadata"]["duration"] == 300
    assert "Data move" in soup(client.get("/?event_type=DataMove&range=7d")).select_one("article.event").get_text()
    soon = (datetime.now(UTC) + timedelta(minutes=4)).isoformat()
    assert send(client, {"title": "By a fast clock", "time": soon}).status_code == 201
    event = newest(client)
    assert event["timestamp"] == event["recorded_at"]


@pytest.mark.both_databases
def test_a_repeated_event_is_the_same_event_and_a_different_one_is_refused(client):
    first = send(client, DEPLOYED).get_json()
    again = send(client, DEPLOYED)
    assert (again.status_code, again.get_json()) == (200, {**first, "created": False})
    other = send(client, {**DEPLOYED, "version": "1.4.3"})
    assert (other.status_code, fields_of(other)) == (409, ["external_id"])
    assert "Nothing was saved" in other.get_json()["message"]
    mixed = send(client, [{"title": "New", "external_id": "new"}, {**DEPLOYED, "status": "failure"}])
    assert (mixed.status_code, fields_of(mixed)) == (409, ["1.external_id"])
    twice = send(client, [{"title": "New", "external_id": "new"}] * 2)
    assert (twice.status_code, [event["created"] for event in twice.get_json()]) == (201, [True, False])
    keyed = [send(client, [{"title": "a"}, {"title": "b"}], **{"Idempotency-Key": "run 7"}) for _ in range(2)]
    assert [response.status_code for response in keyed] == [201, 200]
    other = send(client, [{"title": "a"}, {"title": "c"}], **{"Idempotency-Key": "run 7"})
    assert (other.status_code, fields_of(other)) == (409, ["Idempotency-Key"])
    assert "A request with this key is recorded with other content" in other.get_json()["message"]
    without = [send(client, {"title": "Restarted"}).status_code for _ in range(2)]
    assert without == [201, 201]
    titles = [event["title"] for event in client.get("/api/changes?source=api").get_json()]
    assert sorted(titles) == ["Deployed shop 1.4.2", "New", "Restarted", "Restarted", "a", "b"]


@pytest.mark.both_databases
def test_an_event_by_a_fast_clock_is_the_same_event_when_it_is_repeated(client):
    now = datetime.now(UTC)
    times = {"time": (now + timedelta(minutes=2)).isoformat(), "end_time": (now + timedelta(minutes=3)).isoformat()}
    event = {"title": "Migrated orders", "external_id": "migration-7", **times}
    assert [send(client, event).status_code for _ in range(2)] == [201, 200]
    metadata = newest(client)["metadata"]
    assert (datetime.fromisoformat(metadata["claimed_time"]), metadata["duration"]) == (now + timedelta(minutes=2), 60)
    assert send(client, [event] * 2).status_code == 200
    earlier = {**event, "time": (now - timedelta(minutes=2)).isoformat()}
    assert send(client, earlier).status_code == 409


def test_a_batch_is_recorded_in_order_or_not_at_all(client):
    batch = [{"title": f"Change {number}"} for number in range(change_events.MAX_BATCH)]
    response = send(client, batch)
    assert response.status_code == 201
    numbers = [event["id"] for event in response.get_json()]
    assert numbers == list(range(numbers[0], numbers[0] + len(batch)))
    assert newest(client)["title"] == "Change 999"
    for refused, fields in (
        ([*batch, {"title": "One too many"}], [""]),
        ([], [""]),
        ([{"title": "Good"}, {"title": " "}, {"kind": "dns"}], ["1.title", "2.title"]),
        ([{"title": "Good"}, "no object"], ["1"]),
    ):
        response = send(client, refused)
        assert (response.status_code, fields_of(response)) == (422, fields)
    assert newest(client)["title"] == "Change 999"


INVALID = {
    "title": ["", "x" * 301, None, 7, "a\0b"],
    "kind": ["", "Deploy", "deploy now", "x" * 51],
    "time": ["yesterday", "2026-01-01T00:00:00", 1, "1980-01-01T00:00:00Z", "2999-01-01T00:00:00Z"],
    "service": ["", " ", 1, "x" * 201],
    "sha": ["1a2b3c", "not a hash", "g" * 40],
    "status": ["", "x" * 61],
    "url": ["javascript:alert(1)", "ci.example", "ftp://ci.example/"],
    "tags": ["shop", [""], ["x" * 51], ["x"] * 51],
    "data": ["x" * (64 * 1024), {"deep": "\0"}],
    "external_id": ["", "x" * 201],
    "description": [None, "x" * 20_001],
    "colour": ["blue"],
}


def test_a_bad_member_is_named_and_nothing_is_saved(client):
    for name, values in INVALID.items():
        for value in values:
            response = send(client, {"title": "Deployed", **{name: value}})
            assert (response.status_code, {field.split(".")[0] for field in fields_of(response)}) == (422, {name}), (
                value
            )
    ends_first = {"time": "2026-01-01T10:00:00Z", "end_time": "2026-01-01T09:59:59Z"}
    ends_never = {"time": "2026-01-01T10:00:00Z", "end_time": "9999-12-31T23:00:00-02:00"}
    for ends in (ends_first, ends_never, {"end_time": "2026-01-01T09:59:59Z"}):
        assert send(client, {"title": "Deployed", **ends}).status_code == 422
    long_key = send(client, {"title": "Deployed"}, **{"Idempotency-Key": "x" * 201})
    assert (long_key.status_code, fields_of(long_key)) == (422, ["Idempotency-Key"])
    assert client.post("/api/events", data="{", content_type="application/json").status_code == 422
    assert client.post("/api/events", data={"title": "Deployed"}).status_code == 415
    assert client.get("/api/changes?source=api").get_json() == []


def test_no_secret_of_a_sender_is_stored(client):
    secret = "hunter2hunter2"
    address = f"https://me:{secret}@ci.example/?token={secret}"
    event = {
        "title": f"Cloned {address}",
        "description": address,
        "status": "success",
        "actor": address,
        "tags": [address[:50]],
        "service": address,
        "external_id": address,
        "data": {"api_key": secret, "log": [f"fetch {address}"], "password": {"is": secret}},
    }
    assert send(client, {**event, "url": address}).status_code == 422
    assert send(client, event).status_code == 201
    assert send(client, {"title": "Keyed"}, **{"Idempotency-Key": address}).status_code == 201
    assert send(client, event).status_code == 200
    assert secret not in json.dumps(client.get("/api/changes").get_json())
    assert "***" in client.get("/api/changes?q=Cloned").get_json()[0]["title"]


def test_the_search_finds_what_a_change_belongs_to(client):
    assert (
        send(client, [DEPLOYED, {"title": "Flag on", "kind": "feature_flag", "service": "search"}]).status_code == 201
    )
    for search, found in {
        "service:shop": [DEPLOYED["title"]],
        "service:shop,search": ["Flag on", DEPLOYED["title"]],
        "env:Production version:1.4.2": [DEPLOYED["title"]],
        "sha:1a2b3c4": [DEPLOYED["title"]],
        "sha:1A2B3C4D5E6F": [DEPLOYED["title"]],
        "sha:1a2b3c5": [],
        "kind:deployment": [DEPLOYED["title"]],
        "kind:feature_flag": ["Flag on"],
        "repo:acme/shop": [DEPLOYED["title"]],
        "source:api -service:shop": ["Flag on"],
    }.items():
        response = client.get("/api/changes", query_string={"q": search})
        assert [event["title"] for event in response.get_json()] == found, search
    refused = client.get("/api/changes", query_string={"q": "sha:1a2b3c"})
    assert (refused.status_code, "7 or more" in refused.get_json()["message"]) == (422, True)
    suggested = soup(client.get("/search/suggestions?q=service:s")).get_text(" ")
    assert "service:shop" in suggested


def test_the_fields_of_change_events_are_hidden_at_the_painchain_connector(client):
    assert send(client, [DEPLOYED, {**DEPLOYED, "kind": "canary", "external_id": "2"}]).status_code == 201
    assert "acme/shop" in client.get("/").get_data(as_text=True)
    form = form_of(client.get("/settings/integrations/1"), "#connector-form")
    assert form["visible.ApiChange.repository"]
    response = client.put("/api/connectors/1/visibility/ApiChange/repository", json={"visible": False})
    assert response.status_code == 200
    for row in soup(client.get("/")).select("article.event.api, article[data-source=api]"):
        assert "acme/shop" not in row.get_text()
    assert [place for place in texts(soup(client.get("/?source=api")), ".where") if "acme/shop" in place] == []


def test_a_token_of_an_editor_may_send_and_is_the_author(app, client):
    add_person(app)
    sign_in(client)
    roles = {}
    for role in ("editor", "viewer"):
        made = client.post("/api/tokens", json={"name": f"ci-{role}", "role": role, "days": 0})
        roles[role] = {"Authorization": f"Bearer {made.get_json()['token']}"}
    scripts = app.test_client()
    assert send(scripts, DEPLOYED).status_code == 401
    assert send(scripts, DEPLOYED, **roles["viewer"]).status_code == 403
    assert send(scripts, DEPLOYED, **roles["editor"]).status_code == 201
    event = newest(client)
    assert (event["author"], event["event_id"]) == ("token:ci-editor", "api:token%3Aci-editor:deploy-1")
    assert send(client, DEPLOYED, **{"Sec-Fetch-Site": "cross-site"}).status_code == 403
