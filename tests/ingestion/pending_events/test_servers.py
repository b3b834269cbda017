"""Several servers complete each event once, also when one dies."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import pytest
from flask import Flask

from painchain.ingestion import pending_events
from painchain.workers.completion import CompletionWorker
from tests.counterparts import FakeServer
from tests.ingestion.pending_events.forge import SECOND, Events, Forge, Hook, metals, pending, work


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
