"""Webhook events that lack details: completed through the API within seconds, recorded once, and never lost."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

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
from painchain.workers.completion import THREADS_OF_CONNECTOR, CompletionWorker
from tests.counterparts import FakeServer, ReceivedRequest, Reply, as_json, run_fake_server
from tests.support.webhook_source import HOOK, WEBHOOK_SOURCE, deliver

Events = Callable[..., list[dict[str, Any]]]
SECOND = timedelta(seconds=1)


class Forge:
    """The forge's API, which answers with the metal of a cast, or with `reply`."""

    def __init__(self) -> None:
        self.reply: Reply | None = None
        self.before: Callable[[], object] = lambda: None

    def __call__(self, received: ReceivedRequest) -> Reply:
        self.before()
        return self.reply or as_json({"metal": "bronze"})


@pytest.fixture(autouse=True)
def webhook_source(monkeypatch: pytest.MonkeyPatch) -> None:
    """One more connector type, which takes webhooks."""
    for registry in (connectors.TYPES, connectors.ADDABLE):
        monkeypatch.setitem(registry, "forge", WEBHOOK_SOURCE)


@pytest.fixture
def forge() -> Forge:
    return Forge()


@pytest.fixture
def fake_server(forge: Forge) -> Iterator[FakeServer]:
    with run_fake_server(forge) as fake_server:
        yield fake_server


class Hook:
    """A connector of the forge with a webhook, whose API is the fake server."""

    def __init__(self, client: FlaskClient, api: str, name: str = "Anvil") -> None:
        values = {"name": name, "type": "forge", "enabled": True, "tags": ["hot"], "config": {"api": api}}
        self._client = client
        self.id = int(client.post("/api/connectors", json=values).get_json()["id"])
        made = client.post(f"/api/connectors/{self.id}/webhook").get_json()
        self._path, self._secret = urlsplit(made["url"]).path, made["secret"]

    def deliver(self, *casts: str) -> dict[str, Any]:
        response = deliver(self._client, self._path, self._secret, list(casts))
        assert response.status_code in (200, 202)
        return dict(response.get_json())


@pytest.fixture
def hook(client: FlaskClient, fake_server: FakeServer) -> Hook:
    return Hook(client, fake_server.url)


def work(app: Flask, after: timedelta = timedelta()) -> None:
    """Let a server complete what is due after this time."""
    CompletionWorker(app, lambda: datetime.now(UTC) + after).run_once()


def pending(app: Flask) -> int:
    with app.app_context():
        return pending_events.count()


def metals(events: Events) -> dict[str, Any]:
    return {event["title"].removeprefix("[Cast] "): event["metadata"].get("metal") for event in events(source="forge")}


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


def test_an_api_that_fails_for_a_moment_is_asked_again(
    app: Flask, events: Events, forge: Forge, fake_server: FakeServer, hook: Hook
) -> None:
    for status in (500, 404):
        forge.reply = Reply(status)
        hook.deliver(str(status))
        work(app)
        assert metals(events).keys() <= {"500"}
        forge.reply = None
        work(app, 2 * SECOND)
        assert metals(events)[str(status)] == "bronze"
    assert len(fake_server.paths) == 4


def test_an_api_that_keeps_failing_is_asked_for_thirty_seconds(
    app: Flask, events: Events, forge: Forge, fake_server: FakeServer, hook: Hook
) -> None:
    forge.reply = Reply(503)
    hook.deliver("bell")
    for second in range(30):
        work(app, second * SECOND)
    assert (metals(events), len(fake_server.paths)) == ({}, 5), "after 0, 1, 3, 7 and 15 seconds"
    work(app, 31 * SECOND)
    assert (metals(events), pending(app)) == ({"bell": None}, 0)


@pytest.mark.parametrize("reply", [Reply(401), Reply(403), Reply(200, b"no JSON"), as_json({})])
def test_an_error_that_does_not_go_away_leaves_the_event_as_it_was_delivered(
    app: Flask, events: Events, forge: Forge, hook: Hook, reply: Reply
) -> None:
    forge.reply = reply
    hook.deliver("bell")
    work(app)
    assert (metals(events), pending(app)) == ({"bell": None}, 0)


def test_a_rate_limit_postpones_the_events_of_a_connector(
    app: Flask, events: Events, forge: Forge, fake_server: FakeServer, hook: Hook
) -> None:
    casts = list(map(str, range(10)))
    forge.reply = Reply(429, headers={"Retry-After": "600"})
    hook.deliver(*casts)
    work(app)
    work(app, 300 * SECOND)
    requests = len(fake_server.paths)
    assert (metals(events), pending(app)) == ({}, 10)
    assert requests <= THREADS_OF_CONNECTOR, "the others are not asked about"
    forge.reply = None
    work(app, 602 * SECOND)
    assert (metals(events), pending(app)) == (dict.fromkeys(casts, "bronze"), 0)
    assert len(fake_server.paths) == requests + 10


def test_events_wait_for_a_rate_limit_for_a_bounded_time(
    app: Flask, events: Events, forge: Forge, fake_server: FakeServer, hook: Hook
) -> None:
    casts = list(map(str, range(10)))
    forge.reply = Reply(429, headers={"Retry-After": "7200"})
    hook.deliver(*casts)
    work(app)
    assert pending(app) == 10
    work(app, pending_events.MAX_POSTPONEMENT + 5 * SECOND)
    assert (metals(events), pending(app)) == (dict.fromkeys(casts), 0)
    assert len(fake_server.paths) <= 2 * THREADS_OF_CONNECTOR


def test_overdue_events_of_an_api_that_fails_are_recorded_without_a_request_for_each(
    app: Flask, events: Events, forge: Forge, fake_server: FakeServer, hook: Hook
) -> None:
    casts = list(map(str, range(20)))
    forge.reply = Reply(503)
    hook.deliver(*casts)
    work(app, pending_events.MAX_AGE + SECOND)
    assert (metals(events), pending(app)) == (dict.fromkeys(casts), 0)
    assert len(fake_server.paths) <= THREADS_OF_CONNECTOR


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


@pytest.mark.both_databases
def test_two_servers_complete_each_event_once(app: Flask, events: Events, fake_server: FakeServer, hook: Hook) -> None:
    casts = [f"bell {number}" for number in range(12)]
    hook.deliver(*casts)
    servers = [threading.Thread(target=CompletionWorker(app).run_once) for _ in range(2)]
    for server in servers:
        server.start()
    for server in servers:
        server.join()
    assert sorted(metals(events)) == sorted(casts)
    assert len(fake_server.paths) == len(casts)


def test_another_server_takes_over_from_one_that_died(app: Flask, events: Events, hook: Hook) -> None:
    hook.deliver("bell")
    with app.app_context():
        assert pending_events.claim(datetime.now(UTC))
        assert pending_events.claim(datetime.now(UTC)) is None
        assert pending_events.claim(datetime.now(UTC) + 60 * SECOND) is None, "completing an event can take a minute"
    work(app)
    assert metals(events) == {}
    work(app, pending_events.LEASE + SECOND)
    assert (metals(events), pending(app)) == ({"bell": "bronze"}, 0)


def test_an_event_whose_lease_expires_while_it_is_completed_is_recorded_once(
    app: Flask, events: Events, forge: Forge, fake_server: FakeServer, hook: Hook, caplog: pytest.LogCaptureFixture
) -> None:
    arrived, go_on = threading.Event(), threading.Event()

    def wait_for_the_second() -> None:
        if arrived.is_set():
            go_on.set()
        arrived.set()
        go_on.wait(20)

    forge.before = wait_for_the_second
    hook.deliver("bell")
    times = [datetime.now(UTC)]
    worker = CompletionWorker(app, lambda: times[-1])
    first = threading.Thread(target=worker.run_once)
    first.start()
    assert arrived.wait(20)
    times.append(times[-1] + pending_events.LEASE + SECOND)
    worker.run_once()
    first.join(20)
    assert (metals(events), pending(app), len(fake_server.paths)) == ({"bell": "bronze"}, 0, 2)
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []


def test_an_event_that_stops_every_server_is_recorded_as_it_is(
    app: Flask, events: Events, fake_server: FakeServer, hook: Hook
) -> None:
    hook.deliver("bell")
    later = datetime.now(UTC)
    with app.app_context():
        for _ in range(pending_events.MAX_TRIES):
            assert pending_events.claim(later)
            later += pending_events.LEASE + SECOND
    work(app, later - datetime.now(UTC) + SECOND)
    assert (metals(events), fake_server.paths) == ({"bell": None}, [])


def test_what_a_server_is_completing_when_it_stops_another_one_continues(
    app: Flask, events: Events, forge: Forge, fake_server: FakeServer, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("painchain.workers.base.LOOK_SECONDS", 0.02)
    monkeypatch.setattr("painchain.workers.base.STOP_SECONDS", 0.1)
    arrived, go_on = threading.Event(), threading.Event()

    def wait() -> None:
        arrived.set()
        go_on.wait(20)

    forge.before = wait
    hook.deliver("bell")
    worker = CompletionWorker(app)
    worker.start()
    assert arrived.wait(20)
    worker.stop()
    forge.before = lambda: None
    work(app)
    assert metals(events) == {"bell": "bronze"}
    go_on.set()
    for thread in threading.enumerate():
        if thread.name.startswith("completer-"):
            thread.join(20)
    assert len(metals(events)) == 1


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
