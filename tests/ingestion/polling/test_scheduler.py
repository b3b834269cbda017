"""The scheduler polls what is due."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from flask import Flask

from painchain.database.types import EPOCH
from painchain.workers.scheduler import Scheduler
from tests.counterparts import FakeServer, ReceivedRequest, Reply, as_json, run_fake_server
from tests.support.clock_source import ClockSource, add, health, state, strikes, titles


def test_the_scheduler_polls_what_is_due_and_one_slow_source_delays_nobody(
    app: Flask, clock_source: ClockSource, fake_server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on, arrived = threading.Event(), threading.Semaphore(0)

    def slow(received: ReceivedRequest) -> Reply:
        arrived.release()
        go_on.wait(20)
        return as_json({"strikes": strikes(1)})

    clock_source.strikes = strikes(2)
    monkeypatch.setattr("painchain.workers.base.LOOK_SECONDS", 0.05)
    monkeypatch.setattr("painchain.workers.base.STOP_SECONDS", 0.2)
    scheduler = Scheduler(app)
    with run_fake_server(slow) as tower, app.app_context():
        now = datetime.now(UTC)
        slow_one = add(tower, "Slow", now)
        scheduler.start()
        assert arrived.acquire(timeout=20)
        quick = [add(fake_server, f"Quick {number}", now) for number in range(6)]
        wait_until(lambda: all(health(number, now).last_success for number in quick))
        assert health(slow_one, now).last_success is None
        # Stopping waits no longer for it; what it finds afterwards is not stored.
        scheduler.stop()
        go_on.set()
        wait_until(lambda: not any(thread.name.startswith("poller") for thread in threading.enumerate()))
        assert state(slow_one).cursor == {}
        assert state(slow_one).taken_until == EPOCH
        assert titles() == ["[Strike] 2"]


def wait_until(done: Callable[[], bool], seconds: float = 20) -> None:
    waiting = threading.Event()
    for _ in range(int(seconds / 0.02)):
        if done():
            return
        waiting.wait(0.02)
    raise AssertionError("it did not come to that")
