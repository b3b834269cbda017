"""A fake cluster, a connector that was polled once, and servers that watch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from flask import Flask

from painchain import connectors
from painchain.audit.trail import SYSTEM, Trail
from painchain.configuration import connector_store
from painchain.eventlog import writer
from painchain.ingestion import watching as ingestion_watching
from painchain.workers.watch import WatchWorker
from tests.counterparts import FakeServer, run_fake_server
from tests.ingestion.watching.watches import now, poll
from tests.support.fake_cluster import TOKEN, FakeCluster


@pytest.fixture
def cluster() -> Iterator[FakeCluster]:
    cluster = FakeCluster()
    yield cluster
    cluster.close()


@pytest.fixture
def fake_server(cluster: FakeCluster) -> Iterator[FakeServer]:
    with run_fake_server(cluster) as fake_server:
        yield fake_server


@pytest.fixture
def inside(app: Flask) -> Iterator[Flask]:
    with app.app_context():
        yield app


@pytest.fixture
def number(inside: Flask, fake_server: FakeServer) -> int:
    """A connector that has been polled once."""
    values = {"name": "Prod", "api_server": fake_server.url, "token": TOKEN, "cluster_name": "prod"}
    with writer.writing() as event_log:
        trail = Trail(event_log, SYSTEM, writer.new_request_id(now()), now())
        number = connector_store.create(connectors.TYPES["kubernetes"], values, True, trail).id
    poll()
    return number


@pytest.fixture
def watching(inside: Flask, number: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], WatchWorker]]:
    """Start a server's watches."""
    monkeypatch.setattr("painchain.workers.watch.LOOK_SECONDS", 0.05)
    monkeypatch.setattr(ingestion_watching, "MIN_POLL_INTERVAL", timedelta())
    monkeypatch.setattr("painchain.connectors.kubernetes.watch.BATCH_SECONDS", 0.02)
    started: list[WatchWorker] = []

    def start() -> WatchWorker:
        started.append(WatchWorker(inside))
        started[-1].start()
        return started[-1]

    yield start
    for worker in started:
        worker.stop()
