"""Webhooks have a secret that is shown once; valid deliveries are recorded, each once."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient

from painchain import connectors
from painchain.connectors.contract import PollResult, SourceEvent
from painchain.database.models import PollState, Webhook, WebhookDelivery
from painchain.database.session import db
from painchain.database.types import EPOCH
from painchain.ingestion import poll_results, remembered_deliveries
from painchain.timeline import queries
from tests.support.api import everything_stored
from tests.support.html import action_of, form_of, texts, words
from tests.support.webhook_source import WEBHOOK_SOURCE, deliver, sign
from tests.web.parts import part_of

Events = Callable[..., list[dict[str, Any]]]
LIST = "/settings/integrations"


@pytest.fixture(autouse=True)
def webhook_source(monkeypatch: pytest.MonkeyPatch) -> None:
    """Add a sample connector type with webhooks to the registry."""
    for registry in (connectors.TYPES, connectors.ADDABLE):
        monkeypatch.setitem(registry, "forge", WEBHOOK_SOURCE)


@pytest.fixture
def connector_id(client: FlaskClient) -> int:
    """The number of an enabled connector of the sample type."""
    new = client.post("/api/connectors", json={"name": "Anvil", "type": "forge", "enabled": True})
    return int(new.get_json()["id"])


@pytest.fixture
def hook(client: FlaskClient, connector_id: int) -> tuple[str, str]:
    """The path and the secret of the connector's webhook."""
    response = client.post(f"/api/connectors/{connector_id}/webhook")
    assert response.status_code == 201
    return urlsplit(response.get_json()["url"]).path, response.get_json()["secret"]


def press(client: FlaskClient, page: str, selector: str) -> Any:
    """Send an unchanged form of a page."""
    response = client.get(page)
    return client.post(action_of(response, selector), data=form_of(response, selector))


# The secret


def test_the_secret_is_shown_once_and_not_in_its_event(
    app: Flask, client: FlaskClient, events: Events, connector_id: int
) -> None:
    response = press(client, f"{LIST}/{connector_id}", "#webhook form")
    assert response.status_code == 200
    page = part_of(response, "main")
    assert page.select_one("#webhook-url")["value"] == f"http://localhost/hooks/forge/{connector_id}"
    secret = str(page.select_one("#webhook-secret")["value"])
    assert len(base64.b64decode(secret.removeprefix("whsec_"), validate=True)) == 32
    assert "shown only once" in words(page.select_one(".warning"))
    assert "tick Casts" in words(page.select_one(".instructions"))
    assert response.headers["Cache-Control"] == "no-store"
    for address in (LIST, "/api/connectors"):
        assert secret not in "".join(
            client.get(f"{address}/{connector_id}{what}").text for what in ("", "/webhook", "/history")
        )
    assert secret not in everything_stored(app)
    [event] = events(event_type="WebhookChanged")
    assert event["description"]["text"] == "Webhook secret of “Anvil” set"
    assert (event["status"], event["connector_id"]) == ("set", connector_id)
    assert words(part_of(client.get("/?event_type=WebhookChanged"), "feed").select_one("#feed .secret")) == "set"


def test_an_open_form_of_the_connector_does_not_become_stale(client: FlaskClient, connector_id: int) -> None:
    form = form_of(client.get(f"{LIST}/{connector_id}"), "#connector-form")
    client.post(f"/api/connectors/{connector_id}/webhook")
    assert client.post(f"{LIST}/{connector_id}", data={**form, "tags": "hot"}).status_code == 303


def test_a_new_secret_replaces_the_old_one_at_once(
    client: FlaskClient, events: Events, connector_id: int, hook: tuple[str, str]
) -> None:
    address, old = hook
    confirm = f"{LIST}/{connector_id}/webhook/replace"
    assert "stops working immediately" in words(part_of(client.get(confirm), "main").select_one("main"))
    form = form_of(client.get(confirm))
    new = str(
        part_of(press(client, confirm, "main form[method=post]"), "webhook-secret").select_one("#webhook-secret")[
            "value"
        ]
    )
    assert deliver(client, address, old, ["bell"]).status_code == 401
    assert deliver(client, address, new, ["bell"]).status_code == 202
    again = client.post(f"{LIST}/{connector_id}/webhook", data=form)
    assert again.status_code == 409, "reloading the page must not create another secret"
    assert "was changed by someone else" in again.text
    assert deliver(client, address, new, ["gong"]).status_code == 202
    assert [event["status"] for event in events(event_type="WebhookChanged")] == ["set", "replaced"]


def test_a_webhook_can_be_removed(
    client: FlaskClient, events: Events, connector_id: int, hook: tuple[str, str]
) -> None:
    removed = press(client, f"{LIST}/{connector_id}/webhook/remove", "main form[method=post]")
    assert removed.status_code == 303
    assert "Set up webhook" in words(part_of(client.get(f"{LIST}/{connector_id}"), "webhook").select_one("#webhook"))
    assert deliver(client, *hook, ["bell"]).status_code == 404
    assert [event["status"] for event in events(event_type="WebhookChanged")] == ["set", "removed"]
    assert client.delete(f"/api/connectors/{connector_id}/webhook").status_code == 204, "removing it again is no error"
    assert client.get(f"/api/connectors/{connector_id}/webhook").get_json()["set"] is False
    assert len(events(event_type="WebhookChanged")) == 2
    for what in ("replace", "remove"):
        assert client.get(f"{LIST}/{connector_id}/webhook/{what}").status_code == 404


def test_types_without_webhooks_report_an_error(client: FlaskClient) -> None:
    response = client.post("/api/connectors/1/webhook")
    assert response.status_code == 409
    assert response.get_json()["message"] == "PainChain connectors do not support webhooks."
    assert part_of(client.get(f"{LIST}/1"), "webhook").select("#webhook") == []
    assert client.post("/hooks/painchain/1").status_code == 404
    assert client.post("/api/connectors/999/webhook").status_code == 404


def test_a_webhook_is_only_set_up_from_our_own_pages(client: FlaskClient, connector_id: int) -> None:
    assert client.post(f"{LIST}/{connector_id}/webhook", data={"state": ""}).status_code == 400
    foreign = client.post(f"/api/connectors/{connector_id}/webhook", headers={"Origin": "https://elsewhere.example"})
    assert foreign.status_code == 403


# Deliveries


def test_a_delivery_is_recorded_and_shown_on_the_connectors_page(
    client: FlaskClient, events: Events, connector_id: int, hook: tuple[str, str]
) -> None:
    response = deliver(client, *hook, ["bell", "gong"], **{"X-Forge-Topic": "cast  <b>"})
    assert (response.status_code, response.get_json()) == (202, {"events": 2})
    assert [event["event_id"] for event in events(source="forge")] == ["cast-bell", "cast-gong"]
    delivery_text = words(part_of(client.get(f"{LIST}/{connector_id}"), "webhook").select_one("#webhook .delivery"))
    assert delivery_text == "Last delivery just now: cast <b>: 2 new events."
    state = client.get(f"/api/connectors/{connector_id}/webhook").get_json()
    assert state["last_told"] == "cast <b>: 2 new events"


def test_a_delivery_without_events_is_shown_on_the_page_and_leaves_the_log_unchanged(
    app: Flask, client: FlaskClient, connector_id: int, hook: tuple[str, str]
) -> None:
    with app.app_context():
        before = queries.head()
    for _ in range(2):
        response = deliver(client, *hook, [], "d1", **{"X-Forge-Topic": "ping"})
        assert response.get_json() == {"events": 0, "reason": "The forge tests the webhook."}
    delivery_text = words(part_of(client.get(f"{LIST}/{connector_id}"), "webhook").select_one("#webhook .delivery"))
    assert delivery_text == "Last delivery just now: ping: nothing recorded. The forge tests the webhook."
    response = deliver(client, *hook, [], "d2", **{"X-Forge-Topic": "coffee"})
    assert response.get_json() == {"events": 0, "reason": "PainChain records no event for deliveries of this kind."}
    delivery_text = words(part_of(client.get(f"{LIST}/{connector_id}"), "webhook").select_one("#webhook .delivery"))
    assert "coffee: nothing recorded. PainChain records no event for deliveries of this kind." in delivery_text
    with app.app_context():
        assert queries.head() == before


@pytest.mark.both_databases
def test_a_webhook_that_is_silent_while_polls_find_events_is_noted_on_the_card(
    app: Flask, client: FlaskClient, connector_id: int, hook: tuple[str, str]
) -> None:
    def poll(cast: str, **ago: int) -> None:
        now = datetime.now(UTC)
        event = SourceEvent(f"cast-{cast}", "Cast", f"[Cast] {cast}", now - timedelta(**ago), "smith")
        with app.app_context():
            assert poll_results.store(connector_id, PollResult([event], {}), now) == 1

    def notes() -> list[str]:
        pages = [client.get(address) for address in (LIST, f"{LIST}/{connector_id}")]
        noted = [part_of(page, "main") for page in pages if "silent-webhook" in page.text]
        return [text for page in noted for text in texts(page, ".silent-webhook")]

    def last_delivery(**ago: int) -> None:
        with app.app_context():
            db.session.query(Webhook).update({name: datetime.now(UTC) - timedelta(**ago)})
            db.session.commit()

    with app.app_context():
        db.session.add(PollState(connector_id=connector_id, due=datetime.now(UTC), taken_until=EPOCH))
        db.session.commit()
    name = "made_at"
    last_delivery(hours=3)
    poll("before", hours=4)
    poll("beside", minutes=175)
    poll("now", minutes=1)
    assert notes() == [], "these may have been delivered, or still will be"
    poll("bell", hours=2)
    poll("gong", hours=1)
    [on_list, on_page] = notes()
    assert on_list == on_page
    assert on_list.startswith("No webhook delivery since the secret was created, ")
    assert "although polls found 2 later events. Check the address, the secret and the failed deliveries" in on_list
    name = "last_delivery"
    last_delivery(minutes=100)
    assert "although polls found 1 later event." in notes()[0]
    client.post(f"/api/connectors/{connector_id}/disable")
    assert notes() == [], "a disabled connector is not polled either"
    client.post(f"/api/connectors/{connector_id}/enable")
    assert len(notes()) == 2
    assert deliver(client, *hook, ["gong"]).get_json()["reason"] == "Its events are already recorded."
    assert notes() == []


def test_events_that_are_already_recorded_are_not_duplicated(
    client: FlaskClient, events: Events, hook: tuple[str, str]
) -> None:
    assert deliver(client, *hook, ["bell"], "a").get_json() == {"events": 1}
    assert deliver(client, *hook, ["bell", "gong"], "b").get_json() == {"events": 1}
    repeated = deliver(client, *hook, ["gong"], "c")
    assert (repeated.status_code, repeated.get_json()) == (
        202,
        {"events": 0, "reason": "Its events are already recorded."},
    )
    assert len(events(source="forge")) == 2


@pytest.mark.parametrize("delivery", ["d1", ""], ids=["with an id", "without"])
def test_a_repeated_delivery_adds_nothing(
    client: FlaskClient, events: Events, hook: tuple[str, str], delivery: str
) -> None:
    assert deliver(client, *hook, ["bell"], delivery).status_code == 202
    again = deliver(client, *hook, ["bell"], delivery)
    repeated = {"events": 0, "repeated": True, "reason": "This delivery was received before."}
    assert (again.status_code, again.get_json()) == (200, repeated)
    assert len(events(source="forge")) == 1


def test_old_deliveries_are_forgotten(app: Flask, client: FlaskClient, hook: tuple[str, str]) -> None:
    deliver(client, *hook, ["bell"], "old")
    with app.app_context():
        db.session.query(WebhookDelivery).one().received_at -= remembered_deliveries.RETENTION + timedelta(minutes=1)
        db.session.commit()
    deliver(client, *hook, ["gong"], "new")
    with app.app_context():
        assert db.session.query(WebhookDelivery).count() == 1


def test_a_wrong_signature_is_refused_and_leaves_no_trace(
    app: Flask, client: FlaskClient, hook: tuple[str, str]
) -> None:
    before = everything_stored(app)
    address, secret = hook
    for headers in ({}, {"X-Forge-Signature": sign(b"{}", secret)}, {"X-Forge-Signature": "é" * 64}):
        response = client.post(address, data=b'{"casts": ["bell"]}', headers=headers)
        assert response.status_code == 401
        assert response.get_json()["success"] is False
    assert everything_stored(app) == before


def test_other_refusals_say_what_is_wrong(client: FlaskClient, connector_id: int, hook: tuple[str, str]) -> None:
    address, secret = hook
    for nowhere in ("/hooks/forge/999", "/hooks/github/1", f"/hooks/github/{connector_id}", f"/hooks/forge/{2**70}"):
        assert deliver(client, nowhere, secret, []).status_code == 404
    for body in (b"", b"{", b"[1]", b'{"casts": 1}', b"\xff"):
        assert deliver(client, address, secret, body).status_code == 422
    assert client.get(address).status_code == 405
    foreign = deliver(client, address, secret, [], Host="elsewhere.example")
    assert foreign.status_code == 400


def test_a_delivery_for_a_disabled_connector_is_accepted_and_not_recorded(
    client: FlaskClient, events: Events, connector_id: int, hook: tuple[str, str]
) -> None:
    client.post(f"/api/connectors/{connector_id}/disable")
    response = deliver(client, *hook, ["bell"])
    assert (response.status_code, response.get_json()) == (202, {"events": 0, "reason": "The connector is disabled."})
    assert events(source="forge") == []
    delivery_text = words(part_of(client.get(f"{LIST}/{connector_id}"), "webhook").select_one("#webhook .delivery"))
    assert delivery_text == "Last delivery just now: nothing recorded. The connector is disabled."
    assert deliver(client, hook[0], "wrong", ["bell"]).status_code == 401
    client.post(f"/api/connectors/{connector_id}/enable")
    assert deliver(client, *hook, ["bell"]).get_json() == {"events": 1}


def test_only_so_much_of_a_delivery_is_read(app: Flask, client: FlaskClient, hook: tuple[str, str]) -> None:
    most = app.extensions["painchain"].settings.max_webhook_bytes
    padding = b'{"casts": []}' + b" " * (most - 13)
    assert deliver(client, *hook, padding).status_code == 202
    assert deliver(client, *hook, padding + b" ").status_code == 413
    assert client.post(hook[0], data=padding + b" ").status_code == 413
    assert client.post("/api/painchain/log", data=padding, content_type="application/json").status_code == 413


def test_a_webhook_goes_with_its_connector(
    app: Flask, client: FlaskClient, connector_id: int, hook: tuple[str, str]
) -> None:
    deliver(client, *hook, ["bell"])
    assert client.delete(f"/api/connectors/{connector_id}").status_code == 204
    assert deliver(client, *hook, ["gong"]).status_code == 404
    with app.app_context():
        assert db.session.query(Webhook).count() == db.session.query(WebhookDelivery).count() == 0
