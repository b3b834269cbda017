"""Polls and changes of a watched connector, and what they store."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from painchain.audit.trail import Trail
from painchain.connectors.kubernetes.api import RESOURCES
from painchain.database.models import Connector, PollState
from painchain.database.session import db
from painchain.eventlog import writer
from painchain.ingestion import polling
from painchain.timeline import queries
from painchain.timeline.filter import Filter
from tests.support.fake_cluster import FakeCluster

PATIENCE = 20.0


def now() -> datetime:
    return datetime.now(UTC)


def poll() -> None:
    lease = polling.acquire(now())
    assert lease is not None
    polling.poll(lease, now)


def change(number: int, act: Callable[[Connector, Trail], object]) -> None:
    with writer.writing() as event_log:
        act(db.session.get_one(Connector, number), Trail(event_log, "ann", writer.new_request_id(now()), now()))


def titles() -> list[str]:
    db.session.rollback()
    return [event.title for event in reversed(queries.page(Filter(source=("kubernetes",))).events)]


def state(number: int) -> PollState:
    db.session.rollback()
    return db.session.get_one(PollState, number, populate_existing=True)


def wait_until(what: Callable[[], Any]) -> Any:
    """Wait until `what` is true."""
    end = time.monotonic() + PATIENCE
    while not (value := what()):
        assert time.monotonic() < end, "the condition did not become true"
        time.sleep(0.03)
    return value


def all_watched(cluster: FakeCluster, times: int = 1) -> None:
    wait_until(lambda: len(cluster.watched) >= times * len(RESOURCES))
