"""Once a day, one server removes the expired events."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient

from painchain.core.config import Settings
from painchain.retention import rules as retention_rules
from painchain.startup import create_app
from painchain.workers.scheduler import Scheduler
from tests.conftest import close
from tests.support.retention import NOW, Clock, Events, pruned, schedule_prunes, set_rules, sources, write


def test_the_daily_run_prunes_once_a_day(app_with_events: Flask, events: Events) -> None:
    set_rules(github=30)
    clock = Clock(datetime(NOW.year, NOW.month, NOW.day, 12, tzinfo=UTC))
    scheduler = Scheduler(app_with_events, clock)
    scheduler.run_once()
    assert [event["description"]["cause"] for event in pruned(events)] == ["retention, daily run"]
    assert sources()["github"] == 10
    write("github", 50)
    clock.now += timedelta(hours=11)
    scheduler.run_once()
    assert sources()["github"] == 11, "today's run is already done"
    clock.now += timedelta(hours=2)
    scheduler.run_once()
    assert sources()["github"] == 10
    assert len(pruned(events)) == 2


@pytest.mark.both_databases
def test_only_one_of_several_servers_does_the_daily_run(app_with_events: Flask, settings: Settings) -> None:
    acquired: list[bool] = []

    def acquire(app: Flask) -> None:
        with app.app_context():
            acquired.append(retention_rules.acquire_daily_lease(NOW))

    other_servers = [create_app(settings) for _ in range(3)]
    threads = [threading.Thread(target=acquire, args=(other_server,)) for other_server in other_servers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    for other_server in other_servers:
        close(other_server)
    assert sorted(acquired) == [False, False, True]


def test_the_daily_run_is_skipped_and_logged_while_auditing_is_off(
    app_with_events: Flask, client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    set_rules(github=30)
    assert client.post("/api/connectors/1/disable").status_code == 200
    Scheduler(app_with_events, Clock()).run_once()
    assert sources()["github"] == 20
    assert "The daily prune is skipped. Auditing is off" in caplog.text


def test_creating_an_app_starts_no_thread(app_with_events: Flask) -> None:
    assert "scheduler" not in [thread.name for thread in threading.enumerate()]


def test_the_thread_finds_its_work_and_stops_on_request(
    app_with_events: Flask, events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("painchain.workers.base.LOOK_SECONDS", 0.05)
    set_rules(github=30)
    schedule_prunes()
    scheduler = Scheduler(app_with_events)
    scheduler.start()
    for _ in range(200):
        if pruned(events):
            break
        threading.Event().wait(0.05)
    scheduler.stop()
    assert sources()["github"] == 10
    assert "scheduler" not in [thread.name for thread in threading.enumerate()]
