"""The Webhook connector: deliveries become events by a mapping, the last ones are kept, and a mapping can be tried."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from painchain.database.models import KeptDelivery
from painchain.database.session import db
from painchain.ingestion import kept_deliveries
from tests.support.accounts import add_person, sign_in
from tests.support.api import everything_stored
from tests.support.html import fill, form_of, soup, texts, unfold, words
from tests.web.parts import part_of

Events = Callable[..., list[dict[str, Any]]]
LIST = "/settings/integrations"
HTMX = {"HX-Request": "true"}
TITLE = {"title": "Deployed shop 1.4.2", "kind": "deployment", "service": "shop"}


@pytest.fixture
def number(client: FlaskClient) -> int:
    """The id of an enabled connector with the generic preset and default service and environment."""
    config = {"service": "shop", "environment": "production"}
    body = {"name": "Anything", "type": "webhook", "enabled": True, "tags": ["own"], "config": config}
    return int(client.post("/api/connectors", json=body).get_json()["id"])


@pytest.fixture
def secret(client: FlaskClient, number: int) -> str:
    """The secret of the connector's webhook."""
    made = client.post(f"/api/connectors/{number}/webhook").get_json()
    assert urlsplit(made["url"]).path == f"/hooks/webhook/{number}"
    return str(made["secret"])


def deliver(client: FlaskClient, number: int, secret: str, body: Any, **headers: str) -> TestResponse:
    """Post a delivery with the secret in Authorization; bytes are posted unchanged as the body."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    all_headers = {"Authorization": f"Bearer {secret}", **headers}
    return client.post(f"/hooks/webhook/{number}", data=data, content_type="application/json", headers=all_headers)


def change(client: FlaskClient, number: int, **config: Any) -> None:
    """Change settings of the connector."""
    address = f"/api/connectors/{number}"
    assert client.patch(address, json={"config": config}, headers={"If-Match": "*"}).status_code == 200


def kept(client: FlaskClient, number: int) -> list[dict[str, Any]]:
    """Return the kept deliveries of a connector, newest first."""
    response = client.get(f"/api/connectors/{number}/webhook/deliveries")
    assert response.status_code == 200
    return list(response.get_json())


@pytest.mark.both_databases
def test_an_alert_that_fires_and_is_resolved_is_one_row_with_two_events(
    client: FlaskClient, events: Events, number: int, secret: str
) -> None:
    change(client, number, preset="alertmanager")
    start = {
        "startsAt": "2026-03-01T10:00:00Z",
        "fingerprint": "abc",
        "labels": {"alertname": "Disk", "severity": "page"},
    }
    firing = {"alerts": [{**start, "status": "firing", "endsAt": "0001-01-01T00:00:00Z"}]}
    resolved = {"alerts": [{**start, "status": "resolved", "endsAt": "2026-03-01T10:30:00Z"}]}
    assert deliver(client, number, secret, firing).get_json() == {"events": 1}
    again = deliver(client, number, secret, firing)
    assert (again.status_code, again.get_json()["repeated"]) == (200, True)
    as_before = deliver(client, number, secret, {**firing, "receiver": "another"})
    assert as_before.get_json() == {"events": 0, "reason": "Its events are already recorded."}
    assert deliver(client, number, secret, resolved).get_json() == {"events": 1}
    first, second = events(source="webhook")
    assert (first["event_type"], first["status"], second["status"]) == ("Incident", "firing", "resolved")
    assert (first["author"], first["connector_name"], first["tags"]) == ("unknown", "Anything", ["own", "page"])
    assert (first["metadata"]["service"], first["metadata"]["environment"]) == ("shop", "production")
    assert (second["metadata"]["end_time"], second["metadata"]["duration"]) == ("2026-03-01T10:30:00Z", 1800)
    feed = unfold(
        client, part_of(client.get("/?start_date=2026-03-01T00:00:00Z&end_date=2026-03-02T00:00:00Z"), "feed")
    )
    assert len(feed.select("#feed article.group")) == 1
    assert len(events(q="service:shop env:production kind:incident")) == 2
    assert len(events(outcome="bad", source="webhook")) == 1


def test_a_delivery_that_makes_no_event_is_answered_202_and_kept_with_the_reason(
    client: FlaskClient, events: Events, number: int, secret: str
) -> None:
    bodies: list[tuple[Any, str]] = [
        ({"unknown": {"password": "hunter2-hunter2"}}, "The expression gave no text"),
        (b"payload=x", "The body is not JSON."),
        (b"\xff\xfe", "The body is not JSON."),
        (b"[" * 100_000, "The body is not JSON."),
        ({"title": "A", "time": "soon"}, "time: The expression gave text that is no time"),
        ({"title": ["A"]}, "title: The expression gave an array"),
        ([], "The payload is an empty array."),
    ]
    for body, reason in bodies:
        response = deliver(client, number, secret, body)
        assert response.status_code == 202, body
        assert response.get_json()["events"] == 0
        assert reason in response.get_json()["reason"]
    assert events(source="webhook") == []
    found = kept(client, number)
    assert found[-1]["payload"] == {"unknown": {"password": "***"}}
    assert all(reason in each["reason"] for (_, reason), each in zip(bodies[-3:], found[2::-1], strict=True))
    page = part_of(client.get(f"{LIST}/{number}"), "webhook")
    assert "nothing recorded. The payload is an empty array" in words(page.select_one("#webhook .delivery"))
    assert any("gave no text" in text for text in texts(page, ".deliveries summary"))
    assert "hunter2" not in str(page)


def test_an_item_that_cannot_be_mapped_does_not_drop_the_others(
    client: FlaskClient, events: Events, number: int, secret: str
) -> None:
    body = [{"title": "A"}, {"title": ["B"]}, {"title": "C", "time": "soon"}, {"title": "D"}]
    reason = "The mapping does not fit 2 of 4 items. Item 2: title: The expression gave an array, but text is needed."
    response = deliver(client, number, secret, body)
    assert (response.status_code, response.get_json()) == (202, {"events": 2, "reason": reason})
    assert [event["title"] for event in events(source="webhook")] == ["A", "D"]
    again = deliver(client, number, secret, body)
    assert again.get_json() == {"events": 0, "reason": f"Its events are already recorded. {reason}"}
    change(client, number, map_title="to_string(item.title)", map_time="null")
    [tried] = client.post(
        f"/api/connectors/{number}/webhook/try", json={"config": {"map_title": "item.title"}}
    ).get_json()[:1]
    assert ([event["title"] for event in tried["events"]], "1 of 4 items" in tried["reason"]) == (["A", "C", "D"], True)
    assert deliver(client, number, secret, body).get_json() == {"events": 2}, "with another mapping, the rest follows"
    assert [(each["events"], each["reason"]) for each in kept(client, number)] == [
        (2, ""),
        (0, f"Its events are already recorded. {reason}"),
        (2, reason),
    ]
    assert (
        f"2 new events. {reason}"
        in texts(part_of(client.get(f"{LIST}/{number}"), "webhook"), ".deliveries summary")[-1]
    )


def test_a_wrong_signature_is_refused_and_nothing_is_kept(client: FlaskClient, number: int, secret: str) -> None:
    change(client, number, signing="hmac-sha256", header="X-Own-Signature")
    body = json.dumps(TITLE).encode()
    right = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    for headers in ({}, {"X-Own-Signature": "0" * 64}, {"X-Signature-256": right}):
        assert deliver(client, number, secret, body, **headers).status_code == 401
    assert kept(client, number) == []
    assert deliver(client, number, "", body, **{"X-Own-Signature": right}).status_code == 202
    assert "x-own-signature" not in kept(client, number)[0]["headers"]
    change(client, number, signing="standard", header=None)
    assert deliver(client, number, secret, body).status_code == 401


def test_no_secret_of_a_delivery_is_stored(
    app: Flask, client: FlaskClient, number: int, secret: str, events: Events
) -> None:
    planted = {
        **TITLE,
        "description": f"with {secret} and https://me:planted-1@host.example/?token=planted-2",
        "data": {"api_key": "planted-3", secret: [secret]},
        "tags": [f"x-{secret}"],
        "other": {"credentials": {"a": "planted-4"}},
    }
    headers = {"X-Api-Key": "planted-5", "Cookie": "planted-6=1", "X-Made-Up-Event": "push"}
    assert deliver(client, number, secret, planted, **headers).get_json() == {"events": 1}
    assert deliver(client, number, secret, b'{"title": "' + secret.encode() + b'", "time": 1e300}').status_code == 202
    shown = str(events()) + client.get(f"{LIST}/{number}").text + str(kept(client, number)) + everything_stored(app)
    assert "planted" not in shown
    assert secret not in shown
    assert kept(client, number)[1]["topic"] == "push"


def test_no_expression_reads_the_header_that_has_the_secret(
    client: FlaskClient, events: Events, number: int, secret: str
) -> None:
    title = """join(' ', [headers."x-shared" || 'none', headers."x-kind"])"""
    change(client, number, signing="token", header="X-Shared", map_title=title)
    encoded = base64.b64encode(f"ci:{secret}".encode()).decode()
    shared = {"X-Shared": f"Basic {encoded}", "X-Kind": "deploy"}
    assert deliver(client, number, secret, {"a": 1}, **shared).get_json() == {"events": 1}
    assert events()[-1]["title"] == "none deploy"


def test_ten_deliveries_of_limited_size_are_kept_and_go_with_their_connector(
    app: Flask, client: FlaskClient, number: int, secret: str
) -> None:
    for index in range(12):
        assert deliver(client, number, secret, {"title": f"Change {index}"}).status_code == 202
    found = kept(client, number)
    assert [each["payload"]["title"] for each in found] == [f"Change {index}" for index in range(11, 1, -1)]
    large = {"title": "Large", "text": "x" * 100_000, "list": list(range(50_000))}
    assert deliver(client, number, secret, large).status_code == 202
    [newest, *_] = kept(client, number)
    assert (newest["whole"], len(newest["payload"]["list"]), newest["events"]) == (False, 20, 1)
    assert deliver(client, number, secret, {str(index): {"a" * 60: 1} for index in range(2_000)}).status_code == 202
    assert (kept(client, number)[0]["payload"], kept(client, number)[0]["whole"]) == (None, False)
    tried = client.post(f"/api/connectors/{number}/webhook/try").get_json()
    assert "not kept as a whole" in tried[0]["reason"]
    with app.app_context():
        assert max(len(row.body) for row in db.session.query(KeptDelivery)) <= kept_deliveries.MAX_BODY
    with app.app_context():
        month_ago = datetime.now(UTC) - kept_deliveries.MAX_AGE
        db.session.query(KeptDelivery).update({"received_at": month_ago})
        db.session.commit()
    assert kept(client, number) == []
    assert deliver(client, number, secret, {"title": "A month later"}).status_code == 202
    with app.app_context():
        assert db.session.query(KeptDelivery).count() == 1
    assert client.delete(f"/api/connectors/{number}", headers={"If-Match": "*"}).status_code == 204
    with app.app_context():
        assert db.session.query(KeptDelivery).count() == 0


def test_a_mapping_is_tried_before_it_is_saved(client: FlaskClient, events: Events, number: int, secret: str) -> None:
    assert deliver(client, number, secret, {"release": {"name": "2.0"}, "user": "zoë"}).status_code == 202
    address, before = f"{LIST}/{number}", len(events())
    form = form_of(client.get(address), "#connector-form")
    own = {
        **form,
        "map_title": "join(' ', ['Released', payload.release.name])",
        "map_kind": "'release'",
        "payload": "{}",
    }
    page = part_of(client.post(f"{address}/try", data=own), "connector")
    verdicts = texts(page, "#trial .verdict")
    assert verdicts[0].startswith("Pasted payload: no event.")
    assert verdicts[1].endswith(": 1 event")
    rows = dict(zip(texts(page, "#trial dt"), texts(page, "#trial dd"), strict=True))
    assert (rows["Title"], rows["Type"], rows["Author"], rows["Service"]) == ("Released 2.0", "Release", "zoë", "shop")
    assert page.select_one("#map_title")["value"] == own["map_title"], "what was typed stays"
    fragment = client.post(f"{address}/try", data={**form, "preset": "alertmanager"}, headers=HTMX)
    assert part_of(fragment, "trial").select_one("#trial")
    assert (
        words(part_of(fragment, "fallback-map_split").select_one("#fallback-map_split")) == "If empty: payload.alerts"
    )
    for headers in ({}, HTMX):
        wrong = client.post(f"{address}/try", data={**form, "map_title": "item.["}, headers=headers)
        assert wrong.status_code == 422
        assert "Not tried" in words(part_of(wrong, "trial").select_one("#trial"))
        assert "Not saved" not in words(soup(wrong))
    assert len(events()) == before
    saved = client.post(address, data=own)
    assert saved.status_code == 303
    changes = events(event_type="ConfigChanged")
    assert [event["description"]["field"] for event in changes] == ["map_title", "map_kind"]
    assert (
        client.post(
            address, data={**own, **form_of(client.get(address), "#connector-form"), "map_title": "("}
        ).status_code
        == 422
    )


def test_a_mapping_is_tried_for_a_new_connector_and_through_the_api(client: FlaskClient, number: int) -> None:
    address = f"{LIST}/new/webhook"
    form = fill(form_of(client.get(address), "#new"), name="", map_title='headers."x-kind"', payload='{"a": 1}')
    page = part_of(client.post(f"{address}/try", data={**form, "headers": "X-Kind: deploy\nnonsense"}), "trial")
    assert texts(page, "#trial .verdict") == ["Pasted payload: 1 event"]
    body = {"config": {"map_title": "payload.a"}, "payload": {"a": "Deployed", "password": "x"}, "headers": {"A": "b"}}
    [tried] = client.post(f"/api/connectors/{number}/webhook/try", json=body).get_json()
    assert (tried["delivery"], tried["events"][0]["title"], tried["reason"]) == (None, "Deployed", "")
    bad = client.post(f"/api/connectors/{number}/webhook/try", json={"config": {"map_title": "["}})
    assert (bad.status_code, bad.get_json()["errors"][0]["field"]) == (422, "config.map_title")
    new = {"type": "webhook", **body, "config": {"map_title": 'headers."x-kind"'}, "headers": {"X-Kind": "deploy"}}
    [tried] = client.post("/api/connectors/try", json=new).get_json()
    assert [event["title"] for event in tried["events"]] == ["deploy"]
    for wrong, status in (
        ({"config": {"map_title": "["}}, 422),
        ({"config": {"a": 1}}, 422),
        ({"type": "github", "config": {}}, 409),
    ):
        assert client.post("/api/connectors/try", json={**new, **wrong}).status_code == status, wrong
    for what in (f"{LIST}/new/github/try", f"{LIST}/1/try"):
        assert client.post(what, data=form).status_code == 409
    assert client.post(f"{LIST}/new/nonsense/try", data=form).status_code == 404


def test_a_person_enters_the_secret_that_the_source_made(
    app: Flask, client: FlaskClient, events: Events, number: int
) -> None:
    page = client.get(f"{LIST}/{number}")
    assert "records nothing yet" in words(part_of(page, "webhook").select_one("#webhook"))
    form = form_of(page, "#webhook form")
    for short in ("short", "with ünicode", "x" * 501):
        assert client.post(f"{LIST}/{number}/webhook", data={**form, "secret": short}).status_code == 422
    answer = client.post(f"{LIST}/{number}/webhook", data={**form, "secret": "made-by-the-source"})
    assert answer.status_code == 303
    assert "made-by-the-source" not in everything_stored(app) + client.get(f"{LIST}/{number}").text + str(events())
    assert deliver(client, number, "made-by-the-source", TITLE).status_code == 202
    assert [event["status"] for event in events(event_type="WebhookChanged")] == ["set"]
    assert client.post(f"/api/connectors/{number}/webhook", json={"secret": "another secret"}).status_code == 201
    assert deliver(client, number, "another secret", TITLE).status_code == 200, "it was received before"


def test_a_disabled_connector_keeps_deliveries_and_its_page_says_how_to_set_it_up(
    client: FlaskClient, number: int, secret: str
) -> None:
    assert client.post(f"/api/connectors/{number}/disable").status_code == 200
    assert deliver(client, number, secret, TITLE).get_json()["reason"] == "The connector is disabled."
    assert kept(client, number)[0]["payload"] == TITLE
    steps = words(part_of(client.get(f"{LIST}/{number}"), "webhook").select_one("#webhook .steps"))
    assert f"http://localhost/hooks/webhook/{number}" in steps
    assert secret not in steps


def test_only_editors_see_what_is_in_a_delivery(app: Flask, client: FlaskClient, number: int, secret: str) -> None:
    assert deliver(client, number, secret, TITLE | {"only": "for-editors"}).status_code == 202
    add_person(app)
    add_person(app, "bob", "viewer")
    viewer = app.test_client()
    sign_in(viewer, "bob")
    page = viewer.get(f"{LIST}/{number}")
    assert "1 new event" in texts(part_of(page, "webhook"), ".deliveries li")[0]
    assert "for-editors" not in page.text
    assert viewer.get(f"/api/connectors/{number}/webhook/deliveries").status_code == 403


def test_fields_of_events_of_all_types_are_hidden_together(
    client: FlaskClient, number: int, secret: str, events: Events
) -> None:
    assert deliver(client, number, secret, {**TITLE, "kind": "rollout", "version": "1.4.2"}).status_code == 202
    assert events(source="webhook")[0]["event_type"] == "Rollout"
    address = f"/api/connectors/{number}/visibility/WebhookChange/version"
    assert client.put(address, json={"visible": False}, headers={"If-Match": "*"}).status_code == 200
    page = unfold(client, soup(client.get("/")))
    assert not page.select("#feed [data-field=version]")
    assert page.select("#feed [data-field=service]")
