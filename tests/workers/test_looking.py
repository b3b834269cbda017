"""Background threads look for work only if the database has changed, or if it is time for what was there."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flask import Flask

from painchain.core import runtime
from painchain.database.session import db, write_transaction
from painchain.ingestion import polling
from painchain.retention.rules import due as prune_due
from painchain.workers.base import Worker
from painchain.workers.completion import CompletionWorker
from painchain.workers.integrity import IntegrityWorker
from painchain.workers.notifications import NotificationWorker
from painchain.workers.scheduler import Scheduler
from tests.conftest import ON_SQLITE
from tests.counterparts import FakeServer
from tests.support.clock_source import (
    MINUTE,
    NOW,
    SECOND,
    ClockSource,
    add,
    clock_source,
    clock_type,
    fake_server,
    inside,
    state,
)
from tests.support.statements import recorded_statements

__all__ = ("clock_source", "clock_type", "fake_server", "inside")

# On PostgreSQL, other tests change the version at any time.
pytestmark = ON_SQLITE

WORKERS = (Scheduler, NotificationWorker, CompletionWorker, IntegrityWorker)


class Clock:
    """A clock that a test sets."""

    now = NOW

    def __call__(self) -> object:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def look(worker: Worker) -> None:
    worker.look()
    db.session.remove()


def settle(worker: Worker) -> None:
    """Let a worker do what is due from the start, and notice what it changed itself."""
    for _ in range(3):
        look(worker)


@pytest.mark.parametrize("kind", WORKERS)
def test_a_worker_reads_no_table_while_nothing_changes(inside: Flask, kind: type[Worker], clock: Clock) -> None:
    with recorded_statements(inside) as statements:
        worker = kind(inside, clock)
        settle(worker)
        statements.clear()
        clock.now += SECOND
        look(worker)
        assert statements == []
        with write_transaction() as connection:
            connection.exec_driver_sql("UPDATE log_head SET revision = revision + 1")
        statements.clear()
        look(worker)
        assert statements != []


@pytest.mark.parametrize("kind", WORKERS)
def test_a_worker_looks_again_if_the_clock_was_set_back(inside: Flask, kind: type[Worker], clock: Clock) -> None:
    with recorded_statements(inside) as statements:
        worker = kind(inside, clock)
        settle(worker)
        statements.clear()
        clock.now -= SECOND
        look(worker)
        assert statements != []


def test_a_worker_looks_again_after_an_error(inside: Flask, clock: Clock) -> None:
    worker = NotificationWorker(inside, clock)
    settle(worker)
    with write_transaction() as connection:
        connection.exec_driver_sql("ALTER TABLE notices RENAME TO elsewhere")
    with pytest.raises(Exception, match="notices"):
        worker.look()
    db.session.remove()
    with pytest.raises(Exception, match="notices"):
        worker.look()


def test_a_connector_is_polled_when_its_time_has_come_although_nothing_has_changed(
    inside: Flask, fake_server: FakeServer, clock_source: ClockSource, clock: Clock
) -> None:
    number = add(fake_server)
    lease = polling.acquire(NOW)
    assert lease
    polling.poll(lease, clock)
    assert state(number).due == NOW + 5 * MINUTE
    db.session.remove()
    acquired: list[object] = []
    worker = Scheduler(inside, clock)
    worker._pollers.start_due = lambda: acquired.append(polling.acquire(clock.now))  # type: ignore[method-assign]
    settle(worker)
    looks = len(acquired)
    clock.now += 5 * MINUTE - SECOND
    look(worker)
    assert len(acquired) == looks
    clock.now += SECOND
    look(worker)
    assert acquired[looks:] != [None]
    assert len(acquired) == looks + 1


def test_a_lease_that_a_dead_server_held_ends_although_nothing_has_changed(
    inside: Flask, fake_server: FakeServer, clock: Clock
) -> None:
    add(fake_server)
    assert polling.acquire(NOW)
    acquired: list[object] = []
    worker = Scheduler(inside, clock)
    worker._pollers.start_due = lambda: acquired.append(polling.acquire(clock.now))  # type: ignore[method-assign]
    settle(worker)
    assert not any(acquired)
    clock.now += 5 * MINUTE
    look(worker)
    assert acquired[-1]


def test_the_daily_prune_and_the_daily_check_come_although_nothing_has_changed(inside: Flask, clock: Clock) -> None:
    pruner, checker = Scheduler(inside, clock), IntegrityWorker(inside, clock)
    settle(pruner)
    settle(checker)
    settle(pruner)
    due = prune_due()
    db.session.remove()
    assert due == (NOW + timedelta(days=1)).replace(hour=0)
    clock.now = due
    look(pruner)
    assert prune_due() == due + timedelta(days=1)
    db.session.remove()
    before = runtime.current().changes.version(db.engine)
    clock.now = due + timedelta(hours=3)
    look(checker)
    assert runtime.current().changes.version(db.engine) != before
