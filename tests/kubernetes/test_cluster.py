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
from tests.kubernetes.story import CANARY, TOLD, by_kind

PATIENCE = 30.0
CORE = "/api/v1/namespaces/shop"


class Server:
    """PainChain with one connector, polled by hand and watched while `watching` runs."""

    def __init__(self, app: Flask, here: Cluster):
        self.app = app
        self.settings = {"api_server": here.url, "ca_certificate": here.certificate, "cluster_name": "prod"}
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
        turn = polling.acquire(now())
        assert turn is not None
        polling.poll(turn, now)
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
        """What is on the timeline, in the order in which it was told."""
        db.session.rollback()
        events = queries.page(Filter(source=("kubernetes",)), limit=200).events
        return [event.title for event in sorted(events, key=lambda event: event.id)]


@pytest.fixture
def server(app: Flask, here: Cluster) -> Iterator[Server]:
    with app.app_context():
        server = Server(app, here)
        yield server
        server.stop()


def now() -> datetime:
    return datetime.now(UTC)


def comes(what: Callable[[], Any]) -> Any:
    """Wait until `what` is true."""
    end = time.monotonic() + PATIENCE
    while not (value := what()):
        assert time.monotonic() < end, "it does not come"
        time.sleep(0.1)
    return value


def test_a_watch_tells_the_whole_story_and_a_poll_adds_nothing(server: Server, here: Cluster) -> None:
    assert server.titles() == []
    server.watch()
    story.changes(here)
    comes(lambda: sum(map(len, TOLD.values())) <= len(server.titles()))
    assert by_kind(server.titles()) == TOLD
    server.poll()
    assert by_kind(server.titles()) == TOLD
    assert CANARY not in repr(server.state().cursor)
    found = queries.page(Filter(source=("kubernetes",)), limit=200).events
    assert CANARY not in repr([(one.description, one.metadata) for one in found])


def test_a_poll_without_a_watch_tells_what_differs(server: Server, here: Cluster) -> None:
    story.changes(here)
    server.poll()
    told = by_kind(server.titles())
    assert told["Deployment"] == ["[Deployment Updated] web"]
    assert told["ConfigMap"] == ["[ConfigMap Deleted] settings"]
    assert told["Job"] == ["[Job Created] migrate"]
    assert "Pod" not in told
    before = server.titles()
    server.poll()
    assert server.titles() == before


def test_a_restart_goes_on_where_it_was(server: Server, here: Cluster) -> None:
    server.watch()
    here.make(f"{CORE}/configmaps", "one")
    comes(lambda: server.titles() == ["[ConfigMap Created] one"])
    server.stop()
    here.make(f"{CORE}/configmaps", "two")
    here.remove(f"{CORE}/configmaps/two")
    server.watch()
    comes(lambda: server.titles()[1:] == ["[ConfigMap Created] two", "[ConfigMap Deleted] two"])


def test_after_a_compaction_there_is_a_new_list_and_a_gap(server: Server, here: Cluster) -> None:
    here.make(f"{CORE}/secrets", "brief")
    here.remove(f"{CORE}/secrets/brief")
    here.make(f"{CORE}/secrets", "lasting")
    here.forget()
    server.watch()  # secrets are not in the server's cache: their place is gone with the compaction
    comes(lambda: server.state().due <= now())
    [gap] = db.session.scalars(select(Lapse).where(Lapse.kind == "gap"))
    assert "Secret" in gap.words
    server.poll()
    assert server.titles() == ["[Secret Created] lasting"]
    here.make(f"{CORE}/secrets", "new")
    comes(lambda: server.titles()[1:] == ["[Secret Created] new"])


def test_a_test_of_the_connection_says_what_the_account_may(server: Server, here: Cluster) -> None:
    rights = "/apis/rbac.authorization.k8s.io/v1"
    rule = {"verbs": ["list", "watch"], "apiGroups": ["", "apps"], "resources": ["configmaps", "deployments"]}
    here.make(f"{rights}/clusterroles", "look", rules=[rule])
    to = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "look"}
    whom = {"kind": "ServiceAccount", "name": "reader", "namespace": "painchain"}
    here.make(f"{rights}/clusterrolebindings", "look", roleRef=to, subjects=[whom])
    checked = connection_test.run_test("kubernetes", {**server.settings, "token": READER}, now())
    assert checked.ok
    assert checked.sees[0].startswith("Kubernetes v")
    assert checked.sees[1] == "Deployment, ConfigMap in all namespaces"
    assert "Cannot list secrets. Grant the account the verbs list and watch for them." in checked.missing
    assert not connection_test.run_test("kubernetes", {**server.settings, "token": NOBODY}, now()).ok
    unknown = connection_test.run_test("kubernetes", {**server.settings, "token": "wrong"}, now())
    assert "does not accept the token" in unknown.missing[0]
    stranger = connection_test.run_test(
        "kubernetes", {**server.settings, "ca_certificate": None, "token": READER}, now()
    )
    assert "certificate" in stranger.missing[0]
