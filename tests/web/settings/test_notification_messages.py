"""Notification rules send messages, and retry undelivered ones."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from painchain.audit import event_kinds
from painchain.audit.records import Subject
from painchain.audit.trail import Trail
from painchain.eventlog import outbox, writer
from painchain.workers.notifications import NotificationWorker
from tests.support.api import refuse
from tests.support.html import soup, words
from tests.web.parts import part_of
from tests.web.settings.notifications import PAGE, SECRET, Events, FakeReceiver, Make, add, press, send, toast


@pytest.mark.both_databases
def test_an_event_of_a_rule_sends_one_message(
    client: FlaskClient, make_connector: Make, fake_receiver: FakeReceiver, run_worker_in: Callable[..., None]
) -> None:
    add(client, fake_receiver.url)
    add(client, fake_receiver.url, "Only auditing", kinds=["auditing_off"])
    connector_id = make_connector(name="Prod")
    for action in ("enable", "disable"):
        client.post(f"/api/connectors/{connector_id}/{action}")
    client.delete(f"/api/connectors/{connector_id}")
    client.post("/api/connectors/1/disable")
    assert fake_receiver.messages == [], "saving does not wait for the delivery"
    run_worker_in()
    run_worker_in()
    assert sorted(fake_receiver.titles) == ["PainChain: 3 events", "PainChain: Connector Disabled: PainChain System"]
    [text] = [message["message"] for message in fake_receiver.messages if message["title"] == "PainChain: 3 events"]
    assert [line for line in text.splitlines() if line][::2] == [
        "Disabled “Prod”",
        "Deleted the GitHub connector “Prod”",
        "Disabled “PainChain System”",
    ]
    assert "by system, 20" in text
    assert "Last sent just now." in words(part_of(client.get(PAGE), "cards").select_one(".rules"))


def test_a_connector_that_fails_or_recovers_is_notified(
    app: Flask, client: FlaskClient, fake_receiver: FakeReceiver, run_worker_in: Callable[..., None]
) -> None:
    add(client, fake_receiver.url, kinds=["connector_failing"])
    now, about = datetime.now(UTC), Subject("Prod", "github")
    with app.app_context(), writer.writing() as event_log:
        trail = Trail(event_log, "system", writer.new_request_id(now), now)
        trail.log(event_kinds.connector_failing(about, "The source rejected the token."))
        trail.log(event_kinds.connector_recovered(about, 3, now))
    run_worker_in(seconds=1)
    assert fake_receiver.titles == ["PainChain: 2 events"]
    assert "“Prod” is failing: The source rejected the token." in fake_receiver.messages[0]["message"]


def test_reported_events_and_disabled_rules_send_no_message(
    client: FlaskClient, make_connector: Make, fake_receiver: FakeReceiver, run_worker_in: Callable[..., None]
) -> None:
    number, connector_id = add(client, fake_receiver.url), make_connector()
    body = {"event_type": "connector_deleted", "connector_name": "Elsewhere", "connector_type": "github"}
    assert client.post("/api/painchain/log", json=body).status_code == 201
    run_worker_in()
    client.delete(f"/api/connectors/{connector_id}")
    send(client, f"{PAGE}/{number}", enabled=False)
    run_worker_in()
    client.delete(f"/api/connectors/{make_connector(name='Other')}")
    run_worker_in()
    assert fake_receiver.messages == []


def test_an_undelivered_message_is_retried_and_its_failure_is_shown(
    app: Flask,
    client: FlaskClient,
    make_connector: Make,
    fake_receiver: FakeReceiver,
    run_worker_in: Callable[..., None],
    caplog: Any,
) -> None:
    address = f"{PAGE}/{add(client, fake_receiver.url)}"
    fake_receiver.status = 500
    client.delete(f"/api/connectors/{make_connector()}")
    run_worker_in()
    message = words(part_of(client.get(address), "main").select_one(".problem"))
    assert message.startswith("Last attempt failed just now: The service rejected the message (status 500).")
    assert "1 message queued; next attempt" in words(part_of(client.get(PAGE), "cards").select_one(".rules"))
    fake_receiver.status = 200
    run_worker_in(seconds=20)
    assert fake_receiver.messages == [], "not before it is due"
    run_worker_in(seconds=40)
    assert fake_receiver.titles == ["PainChain: Connector Deleted: Work GitHub"]
    page = soup(client.get(address))
    assert page.select(".problem") == []
    assert "waiting" not in words(page.select_one("main"))
    assert SECRET not in caplog.text


def test_a_message_is_finally_given_up_and_this_is_shown(
    client: FlaskClient, make_connector: Make, fake_receiver: FakeReceiver, run_worker_in: Callable[..., None]
) -> None:
    address = f"{PAGE}/{add(client, fake_receiver.url)}"
    fake_receiver.status = 503
    client.delete(f"/api/connectors/{make_connector()}")
    for day in range(outbox.MAX_TRIES + 2):
        run_worker_in(days=day)
    page = words(part_of(client.get(address), "main").select_one("main"))
    assert "1 message was dropped." in page
    assert "waiting" not in page


def test_an_event_that_is_not_written_sends_no_message(
    app: Flask,
    client: FlaskClient,
    make_connector: Make,
    fake_receiver: FakeReceiver,
    run_worker_in: Callable[..., None],
) -> None:
    add(client, fake_receiver.url)
    connector_id = make_connector()
    refuse(app, "INSERT", "notices")
    assert client.delete(f"/api/connectors/{connector_id}").status_code == 503
    assert client.get(f"/api/connectors/{connector_id}").status_code == 200, (
        "event and message are written together or not at all"
    )
    run_worker_in()
    assert fake_receiver.messages == []


def test_two_servers_send_a_message_once(
    app: Flask, client: FlaskClient, make_connector: Make, fake_receiver: FakeReceiver
) -> None:
    add(client, fake_receiver.url)
    client.delete(f"/api/connectors/{make_connector()}")
    fake_receiver.hold.clear()
    threads = [threading.Thread(target=NotificationWorker(app).run_once) for _ in range(2)]
    for thread in threads:
        thread.start()
    fake_receiver.hold.set()
    for thread in threads:
        thread.join(20)
    assert len(fake_receiver.messages) == 1


# The test button


def test_a_test_reports_whether_the_message_was_delivered(
    client: FlaskClient, events: Events, fake_receiver: FakeReceiver
) -> None:
    address = f"{PAGE}/{add(client, fake_receiver.url)}"
    before = events()
    assert toast(client, press(client, address, "#test")) == "Sent a test message through “On call”."
    assert fake_receiver.titles == ["PainChain: test"]
    fake_receiver.status = 401
    message = toast(client, press(client, address, "#test"))
    assert message.startswith("Test message failed. The service rejected the message (status 401).")
    fake_receiver.server.server_close()
    assert "could not be reached" in toast(client, press(client, address, "#test"))
    assert "Last attempt failed" in words(part_of(client.get(address), "main").select_one(".problem"))
    assert events() == before, "a test message changes nothing"
