"""Webhook events that lack details are completed through the API within seconds, and recorded once."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event as listener

from painchain import connectors
from painchain.connectors.contract import Delivery, SourceEvent, WebhookContext
from painchain.database.models import Connector, PendingEvent
from painchain.database.session import db
from painchain.eventlog import writer
from painchain.ingestion import pending_events, source_events
from painchain.workers.completion import CompletionWorker
from tests.counterparts import FakeServer, ReceivedRequest, Reply, as_json, run_fake_server
from tests.ingestion.pending_events.forge import SECOND, Events, Forge, Hook, metals, pending, work
from tests.support.webhook_source import HOOK, WEBHOOK_SOURCE


@pytest.mark.both_databases
def test_an_event_is_recorded_with_what_the_api_adds(
    app: Flask, client: FlaskClient, events: Events, fake_server: FakeServer, hook: Hook
) -> None:
    assert hook.deliver("bell", "gong") == {"events": 2}
    assert (metals(events), fake_server.paths) == ({}, []), "the API is not asked before the answer"
    work(app)
    assert metals(events) == {"bell": "bronze", "gong": "bronze"}
    assert sorted(fake_server.paths) == ["/casts/bell", "/casts/gong"]
    assert pending(app) == 0
    [event] = [event for event in events(source="forge") if event["title"] == "[Cast] bell"]
    assert (event["event_id"], event["tags"]) == (f"cast-{hook.id}-bell", ["hot"])
    assert hook.deliver("bell", "horn")["events"] == 1
    work(app)
    assert len(fake_server.paths) == 3


def test_an_event_that_is_pending_is_not_accepted_twice(app: Flask, events: Events, hook: Hook) -> None:
    hook.deliver("bell")
    assert hook.deliver("gong", "bell")["events"] == 1
    assert hook.deliver("bell", "gong") == {"events": 0, "reason": "Its events are already recorded."}
    work(app)
    assert sorted(metals(events)) == ["bell", "gong"]


class CountedId(str):
    """The id of an event that counts how often it is compared."""

    __slots__ = ()
    comparisons = 0
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        CountedId.comparisons += 1
        return str.__eq__(self, other)


def test_the_work_for_a_large_delivery_grows_with_its_size(
    app: Flask, client: FlaskClient, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(delivery: Delivery, context: WebhookContext) -> list[SourceEvent]:
        return [replace(event, event_id=CountedId(event.event_id)) for event in HOOK.read(delivery, context)]

    monkeypatch.setitem(connectors.TYPES, "forge", replace(WEBHOOK_SOURCE, webhook=replace(HOOK, read=read)))
    monkeypatch.setattr(CountedId, "comparisons", 0)
    parameters: list[int] = []
    with app.app_context():
        listener.listen(
            db.engine,
            "before_cursor_execute",
            lambda *arguments: parameters.append(0 if arguments[5] else len(arguments[3])),
        )
    assert hook.deliver(*map(str, range(1_200))) == {"events": 1_200}
    assert CountedId.comparisons < 5_000, "not each event with each other"
    assert max(parameters) <= source_events.STEP + 1, "one query looks for a bounded number of ids"
    assert pending(app) == 1_200


def test_what_was_recorded_first_is_not_completed(
    app: Flask, events: Events, fake_server: FakeServer, hook: Hook
) -> None:
    hook.deliver("bell")
    with app.app_context(), writer.writing() as event_log:
        polled = SourceEvent(f"cast-{hook.id}-bell", "Cast", "[Cast] bell", datetime.now(UTC), facts={"metal": "iron"})
        connector = db.session.get_one(Connector, hook.id)
        assert source_events.add_new(event_log, connector, [polled], datetime.now(UTC)) == 1
    work(app)
    assert (metals(events), fake_server.paths, pending(app)) == ({"bell": "iron"}, [], 0)


def test_an_event_gets_the_id_that_only_the_api_knows(app: Flask, events: Events, forge: Forge, hook: Hook) -> None:
    forge.reply = as_json({"metal": "tin", "id": "cast-4711"})
    hook.deliver("bell")
    hook.deliver("the same bell")
    work(app)
    assert [event["event_id"] for event in events(source="forge")] == ["cast-4711"]
    assert pending(app) == 0


def test_polling_that_is_quicker_than_the_api_wins(app: Flask, events: Events, forge: Forge, hook: Hook) -> None:
    def poll() -> None:
        now = datetime.now(UTC)
        with app.app_context(), writer.writing() as event_log:
            polled = SourceEvent(f"cast-{hook.id}-bell", "Cast", "[Cast] bell", now, facts={"metal": "iron"})
            source_events.add_new(event_log, db.session.get_one(Connector, hook.id), [polled], now)

    forge.before = poll
    hook.deliver("bell")
    work(app)
    assert (metals(events), pending(app)) == ({"bell": "iron"}, 0)


@pytest.mark.parametrize("path", ["disable", ""], ids=["disabled", "deleted"])
def test_an_event_that_came_before_its_connector_was_switched_off_is_recorded(
    app: Flask, client: FlaskClient, events: Events, fake_server: FakeServer, hook: Hook, path: str
) -> None:
    hook.deliver("bell")
    if path:
        client.post(f"/api/connectors/{hook.id}/{path}")
    else:
        client.delete(f"/api/connectors/{hook.id}")
    work(app)
    [event] = events(source="forge")
    assert (event["connector_name"], event["connector_id"], event["tags"]) == ("Anvil", hook.id, ["hot"])
    assert (metals(events), fake_server.paths, pending(app)) == ({"bell": None}, [], 0)


def test_a_slow_source_does_not_delay_the_others(
    app: Flask, client: FlaskClient, events: Events, forge: Forge, fake_server: FakeServer, hook: Hook
) -> None:
    go_on, quick_done = threading.Event(), threading.Event()

    def slow(received: ReceivedRequest) -> Reply:
        go_on.wait(20)
        return as_json({"metal": "lead"})

    forge.before = quick_done.set
    with run_fake_server(slow) as slow_server:
        slow_hook = Hook(client, slow_server.url, "Slow")
        slow_hook.deliver(*(f"slow {number}" for number in range(10)))
        hook.deliver("bell")
        server = threading.Thread(target=CompletionWorker(app).run_once)
        server.start()
        assert quick_done.wait(20)
        go_on.set()
        server.join()
    assert len(metals(events)) == 11


def test_the_clock_that_was_set_back_holds_up_no_event(app: Flask, events: Events, hook: Hook) -> None:
    hook.deliver("bell")
    work(app, -timedelta(hours=3))
    assert metals(events) == {"bell": "bronze"}


def test_an_event_is_stored_with_everything_that_it_has(app: Flask, hook: Hook) -> None:
    now = datetime(2026, 3, 10, 12, tzinfo=UTC)
    event = SourceEvent(
        "é:1\0",
        "Cast",
        "[Cast] bell",
        now - SECOND,
        "smith",
        "done",
        "https://forge.example/1",
        "text https://user:secret@forge.example",
        {"metal": "tin", "list": ("a", 1)},
        {"old": now, "older": None},
        {"numbers": [1, 2], "more": {"a": None}},
    )
    with app.app_context():
        with writer.writing() as event_log:
            assert pending_events.add(event_log, db.session.get_one(Connector, hook.id), [event], now) == 1
        assert db.session.query(PendingEvent).one().event_id == "é:1"
        claimed = pending_events.claim(now)
    assert claimed
    assert claimed.event == SourceEvent(
        "é:1",
        "Cast",
        "[Cast] bell",
        now - SECOND,
        "smith",
        "done",
        "https://forge.example/1",
        "text https://***@forge.example",
        {"metal": "tin", "list": ["a", 1]},
        {"old": now, "older": None},
        {"numbers": [1, 2], "more": {"a": None}},
    )
