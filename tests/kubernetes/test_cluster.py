"""A real API server and etcd: what happens in them is on the timeline once, by watch or by poll."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from painchain import connectors
from painchain.audit.trail import SYSTEM, Trail
from painchain.configuration import connector_store
from painchain.database.models import Connector, Lapse, PollState
from painchain.database.session import db
from painchain.eventlog import writer
from painchain.ingestion import connection_test, polling
from painchain.timeline import queries
from painchain.timeline.filter import Filter
from painchain.workers.watch import WatchWorker
from tests.kubernetes import story
from tests.kubernetes.cluster import ADMIN, NOBODY, READER, Cluster
from tests.kubernetes.story import CANARY, TITLES, by_kind

PATIENCE = 30.0
CORE = "/api/v1/namespaces/shop"


class Server:
    """PainChain with one connector, polled by hand and watched while `watching` runs."""

    def __init__(self, app: Flask, cluster: Cluster):
        self.app = app
        self.settings = {"api_server": cluster.url, "ca_certificate": cluster.certificate, "cluster_name": "prod"}
        values = {**self.settings, "name": "Prod", "token": ADMIN, "namespaces": ["shop"]}
        with writer.writing() as event_log:
            trail = Trail(event_log, SYSTEM, writer.new_request_id(now()), now())
            connector_type = connectors.TYPES["kubernetes"]
            self.number = connector_store.create(connector_type, values, True, trail).id
        self.watching: WatchWorker | None = None
        self.poll()

    def poll(self) -> None:
        """Poll now."""
        with writer.writing() as event_log:
            trail = Trail(event_log, SYSTEM, writer.new_request_id(now()), now())
            polling.sync_now(db.session.get_one(Connector, self.number), trail)
        lease = polling.acquire(now())
        assert lease is not None
        polling.poll(lease, now)
        assert self.state().error is None

    def watch(self) -> None:
        """Start to watch, and wait until a change is seen by it."""
        self.watching = WatchWorker(self.app)
        self.watching.start()

    def stop(self) -> None:
        """Stop watching."""
        if self.watching:
            self.watching.stop()

    def state(self) -> PollState:
        """How the connector does."""
        db.session.rollback()
        return db.session.get_one(PollState, self.number, populate_existing=True)

    def titles(self) -> list[str]:
        """What is on the timeline, in the order in which it was recorded."""
        db.session.rollback()
        events = queries.page(Filter(source=("kubernetes",)), limit=200).events
        return [event.title for event in sorted(events, key=lambda event: event.id)]


@pytest.fixture
def server(app: Flask, cluster: Cluster) -> Iterator[Server]:
    with app.app_context():
        server = Server(app, cluster)
        yield server
        server.stop()


def now() -> datetime:
    return datetime.now(UTC)


def wait_until(what: Callable[[], Any]) -> Any:
    """Wait until `what` is true."""
    end = time.monotonic() + PATIENCE
    while not (value := what()):
        assert time.monotonic() < end, "the condition did not become true"
        time.sleep(0.1)
    return value


def test_a_watch_tells_the_whole_story_and_a_poll_adds_nothing(server: Server, cluster: Cluster) -> None:
    assert server.titles() == []
    server.watch()
    story.changes(cluster)
    wait_until(lambda: sum(map(len, TITLES.values())) <= len(server.titles()))
    assert by_kind(server.titles()) == TITLES
    server.poll()
    assert by_kind(server.titles()) == TITLES
    assert CANARY not in repr(server.state().cursor)
    events = queries.page(Filter(source=("kubernetes",)), limit=200).events
    assert CANARY not in repr([(event.description, event.metadata) for event in events])


def test_a_poll_without_a_watch_tells_what_differs(server: Server, cluster: Cluster) -> None:
    story.changes(cluster)
    server.poll()
    titles_by_kind = by_kind(server.titles())
    assert titles_by_kind["Deployment"] == ["[Deployment Updated] web"]
    assert titles_by_kind["ConfigMap"] == ["[ConfigMap Deleted] settings"]
    assert titles_by_kind["Job"] == ["[Job Created] migrate"]
    assert "Pod" not in titles_by_kind
    before = server.titles()
    server.poll()
    assert server.titles() == before


def test_a_restart_goes_on_where_it_was(server: Server, cluster: Cluster) -> None:
    server.watch()
    cluster.make(f"{CORE}/configmaps", "one")
    wait_until(lambda: server.titles() == ["[ConfigMap Created] one"])
    server.stop()
    cluster.make(f"{CORE}/configmaps", "two")
    cluster.remove(f"{CORE}/configmaps/two")
    server.watch()
    wait_until(lambda: server.titles()[1:] == ["[ConfigMap Created] two", "[ConfigMap Deleted] two"])


def test_after_a_compaction_there_is_a_new_list_and_a_gap(server: Server, cluster: Cluster) -> None:
    cluster.make(f"{CORE}/secrets", "brief")
    cluster.remove(f"{CORE}/secrets/brief")
    cluster.make(f"{CORE}/secrets", "lasting")
    cluster.forget()
    server.watch()  # secrets are not in the server's cache: their place is gone with the compaction
    wait_until(lambda: server.state().due <= now())
    [gap] = db.session.scalars(select(Lapse).where(Lapse.kind == "gap"))
    assert "Secret" in gap.words
    server.poll()
    assert server.titles() == ["[Secret Created] lasting"]
    cluster.make(f"{CORE}/secrets", "new")
    wait_until(lambda: server.titles()[1:] == ["[Secret Created] new"])


def test_a_test_of_the_connection_says_what_the_account_may(server: Server, cluster: Cluster) -> None:
    rights = "/apis/rbac.authorization.k8s.io/v1"
    rule = {"verbs": ["list", "watch"], "apiGroups": ["", "apps"], "resources": ["configmaps", "deployments"]}
    cluster.make(f"{rights}/clusterroles", "look", rules=[rule])
    to = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "look"}
    subject = {"kind": "ServiceAccount", "name": "reader", "namespace": "painchain"}
    cluster.make(f"{rights}/clusterrolebindings", "look", roleRef=to, subjects=[subject])
    result = connection_test.run_test("kubernetes", {**server.settings, "token": READER}, now())
    assert result.ok
    assert result.sees[0].startswith("Kubernetes v")
    assert result.sees[1] == "Deployment, ConfigMap in all namespaces"
    assert "Cannot list secrets. Grant the account the verbs list and watch for them." in result.missing
    assert not connection_test.run_test("kubernetes", {**server.settings, "token": NOBODY}, now()).ok
    unknown = connection_test.run_test("kubernetes", {**server.settings, "token": "wrong"}, now())
    assert "rejected the token" in unknown.missing[0]
    stranger = connection_test.run_test(
        "kubernetes", {**server.settings, "ca_certificate": None, "token": READER}, now()
    )
    assert "certificate" in stranger.missing[0]
