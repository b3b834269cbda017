"""Watches between polls: what happens is on the timeline at once, and once, whatever comes in between."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event, select, text, update
from sqlalchemy.engine import ExceptionContext

from painchain import connectors
from painchain.audit.trail import SYSTEM, Trail
from painchain.configuration import connector_store
from painchain.connectors.contract import PollResult
from painchain.connectors.kubernetes.api import RESOURCES, ResourceStream
from painchain.connectors.kubernetes.json_values import fingerprinter
from painchain.connectors.kubernetes.observation import observe
from painchain.connectors.kubernetes.watch_update import WatchEvent, WatchUpdate
from painchain.database.models import Connector, Lapse, PollState
from painchain.database.session import db
from painchain.eventlog import writer
from painchain.ingestion import polling
from painchain.ingestion import watching as ingestion_watching
from painchain.ingestion.watching import Outcome
from painchain.timeline import queries
from painchain.timeline.filter import Filter
from painchain.workers.watch import WatchWorker
from tests.counterparts import FakeServer, Reply, run_fake_server
from tests.support.fake_cluster import TOKEN, FakeCluster

PATIENCE = 20.0


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
        time.sleep(0.01)
    return value


def all_watched(cluster: FakeCluster, times: int = 1) -> None:
    wait_until(lambda: len(cluster.watched) >= times * len(RESOURCES))


@pytest.mark.both_databases
def test_what_happens_is_on_the_timeline_at_once_and_a_poll_adds_nothing(
    watching: Callable[[], WatchWorker], cluster: FakeCluster, number: int
) -> None:
    watching()
    all_watched(cluster)
    cluster.put("Deployment", "web", spec={"replicas": 1})
    wait_until(lambda: titles() == ["[Deployment Created] web"])
    cluster.put("Deployment", "web", spec={"replicas": 2})
    cluster.put("Deployment", "web", spec={"replicas": 2}, status={"readyReplicas": 1})
    cluster.put("Deployment", "web", spec={"replicas": 3})
    cluster.remove("Deployment", "web")
    story = ["[Deployment Created] web", *["[Deployment Updated] web"] * 2, "[Deployment Deleted] web"]
    wait_until(lambda: titles() == story)
    change(number, polling.sync_now)
    poll()
    assert titles() == story


def test_a_changed_annotation_and_a_helm_release_are_found_by_their_names(
    watching: Callable[[], WatchWorker], cluster: FakeCluster, number: int
) -> None:
    watching()
    all_watched(cluster)
    key = "nginx.ingress.kubernetes.io/rewrite-target"
    cluster.put("Ingress", "web")
    cluster.put("Ingress", "web", metadata={"annotations": {key: "/canary-value"}})
    labels = {"name": "shop", "owner": "helm", "status": "deployed", "version": "7"}
    cluster.put("Secret", "sh.helm.release.v1.shop.v7", metadata={"labels": labels}, data={"release": "canary-value"})
    story = ["[HelmRelease Updated] shop", "[Ingress Created] web", "[Ingress Updated] web"]
    wait_until(lambda: sorted(titles()) == story)
    for words, expected in ((key, story[2]), ("type:HelmRelease deployed", story[0])):
        assert [event.title for event in queries.page(Filter(q=words)).events] == [expected]
    events = queries.page(Filter(source=("kubernetes",))).events
    assert "canary-value" not in repr([(event.description, event.metadata) for event in events])


def test_a_bookmark_moves_the_place_without_an_event(
    watching: Callable[[], WatchWorker], cluster: FakeCluster, number: int
) -> None:
    watching()
    all_watched(cluster)
    revision = ledger_revision()
    cluster.version = 900
    cluster.bookmark()
    wait_until(lambda: {stream["at"] for stream in state(number).cursor["streams"].values()} == {"900"})
    assert titles() == []
    assert ledger_revision() == revision


def ledger_revision() -> int:
    db.session.rollback()
    return db.session.execute(db.text("SELECT revision FROM log_head")).scalar_one()


def test_a_restart_goes_on_where_it_was(watching: Callable[[], WatchWorker], cluster: FakeCluster, number: int) -> None:
    first = watching()
    all_watched(cluster)
    cluster.put("Secret", "one")
    wait_until(lambda: len(titles()) == 1)
    first.stop()
    assert state(number).watched_until < now()
    cluster.put("Secret", "two")
    cluster.remove("Secret", "two")
    watching()
    wait_until(lambda: titles() == ["[Secret Created] one", "[Secret Created] two", "[Secret Deleted] two"])


@pytest.mark.parametrize("how", ["as the status", "in the stream"])
def test_a_place_that_is_forgotten_leads_to_a_new_list_and_a_gap(
    watching: Callable[[], WatchWorker], cluster: FakeCluster, number: int, how: str
) -> None:
    if how == "as the status":
        cluster.put("Role", "reader")
        cluster.forget()
        watching()
    else:
        watching()
        all_watched(cluster)
        cluster.say("Role", {"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired"}})
    wait_until(lambda: state(number).due <= now())
    [gap] = db.session.scalars(select(Lapse).where(Lapse.kind == "gap"))
    assert gap.until is not None
    assert gap.since <= gap.until
    cluster.watched.clear()
    poll()
    assert titles() == (["[Role Created] reader"] if how == "as the status" else [])
    all_watched(cluster)
    cluster.put("Role", "writer")
    wait_until(lambda: titles()[-1:] == ["[Role Created] writer"])


@pytest.mark.both_databases
def test_two_processes_never_watch_the_same_connector(
    watching: Callable[[], WatchWorker], cluster: FakeCluster, number: int
) -> None:
    watching()
    watching()
    all_watched(cluster)
    cluster.put("Role", "reader")
    wait_until(titles)
    assert len(cluster.watched) == len(RESOURCES)
    until = state(number).watched_until
    assert ingestion_watching.acquire(number, now()) is None
    assert ingestion_watching.renew(number, until - timedelta(seconds=1), now()) is None
    assert ingestion_watching.acquire(number, until) is not None


def test_a_watch_ends_with_its_connector_and_starts_anew_when_it_is_changed(
    watching: Callable[[], WatchWorker], cluster: FakeCluster, number: int
) -> None:
    watching()
    all_watched(cluster)
    change(number, lambda connector, trail: connector_store.set_enabled(connector, False, trail))
    wait_until(lambda: state(number).watched_until < now())
    cluster.put("Role", "unseen")
    change(number, lambda connector, trail: connector_store.set_enabled(connector, True, trail))
    all_watched(cluster, 2)
    wait_until(lambda: titles() == ["[Role Created] unseen"])
    change(number, lambda connector, trail: connector_store.delete(connector, trail))
    wait_until(lambda: not db.session.scalars(select(PollState)).all() or db.session.rollback())
    cluster.put("Role", "never seen")
    assert titles() == ["[Role Created] unseen"]


def test_what_is_newly_listed_is_watched_too(
    watching: Callable[[], WatchWorker], cluster: FakeCluster, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("painchain.connectors.kubernetes.watch.KEEP_SECONDS", 0.05)
    cluster.forbidden = {"Secret"}
    db.session.execute(update(PollState).values(cursor={}))
    db.session.commit()
    change(number, polling.sync_now)
    poll()
    watching()
    wait_until(lambda: len(cluster.watched) == len(RESOURCES) - 1)
    cluster.forbidden = set()
    change(number, polling.sync_now)
    poll()
    wait_until(lambda: "Secret/" in cluster.watched)


def news(number: int, kind: str, verb: str, version: int, name: str = "web", **more: Any) -> WatchUpdate:
    """One line of a stream, to be put upon a cursor."""
    meta = {"name": name, "uid": f"uid-{kind}-shop-{name}", "namespace": "shop", "resourceVersion": str(version)}
    seen = observe(kind, {"metadata": meta, **more}, fingerprinter(state(number).cursor["salt"]))
    return WatchUpdate("prod", [WatchEvent(ResourceStream(RESOURCES[kind], ""), str(version), verb, seen)], now())


def test_sync_now_is_not_undone_by_what_a_watch_stores_at_the_same_moment(
    inside: Flask, number: int, cluster: FakeCluster
) -> None:
    until = ingestion_watching.acquire(number, now())
    assert until
    asked: list[threading.Thread] = []

    def ask() -> None:
        with inside.app_context():
            change(number, polling.sync_now)

    def heard(cursor: Any) -> PollResult:
        """Have somebody ask for a poll while what was heard is being stored."""
        if len(calls) == 1:
            asked.append(threading.Thread(target=ask))
            asked[0].start()
            asked[0].join(0.3)
        calls.append(cursor)
        return PollResult((), cursor)

    calls: list[Any] = []
    assert ingestion_watching.store(number, until, heard, now()) is Outcome.STORED
    asked[0].join()
    assert polling.acquire(now())


def test_while_a_poll_has_its_turn_a_watch_waits_and_what_the_poll_has_told_is_not_told_again(
    number: int, cluster: FakeCluster
) -> None:
    until = ingestion_watching.acquire(number, now())
    assert until is not None
    for replicas in (1, 2):
        cluster.put("Deployment", "web", spec={"replicas": replicas})
    change(number, polling.sync_now)
    lease = polling.acquire(now())
    assert lease is not None
    created = news(number, "Deployment", "added", 101, spec={"replicas": 1})
    assert ingestion_watching.store(number, until, created, now()) is Outcome.WAIT
    polling.poll(lease, now)
    assert titles() == ["[Deployment Created] web"]
    assert ingestion_watching.store(number, until, created, now()) is Outcome.STORED
    assert titles() == ["[Deployment Created] web"]
    assert state(number).cursor["streams"]["Deployment/"]["known"]["uid-Deployment-shop-web"][3]["replicas"] == 2
    scaled = news(number, "Deployment", "modified", 103, spec={"replicas": 3})
    for _ in range(2):
        assert ingestion_watching.store(number, until, scaled, now()) is Outcome.STORED
    assert titles() == ["[Deployment Created] web", "[Deployment Updated] web"]
    assert ingestion_watching.store(number, until + timedelta(1), scaled, now()) is Outcome.LOST


def test_what_came_and_went_during_a_poll_is_told_and_what_is_gone_does_not_come_back(
    number: int, cluster: FakeCluster
) -> None:
    cluster.put("Role", "old")
    cluster.version = 500
    change(number, polling.sync_now)
    poll()
    cluster.remove("Role", "old")
    cluster.version = 600
    change(number, polling.sync_now)
    poll()
    assert titles() == ["[Role Created] old", "[Role Deleted] old"]
    until = ingestion_watching.acquire(number, now())
    assert until is not None
    for verb, version, name in [
        ("modified", 550, "old"),  # received late: a poll has already reported the deletion
        ("deleted", 560, "old"),
        ("added", 570, "brief"),
        ("deleted", 580, "brief"),
    ]:
        rules = {"rules": [{"verbs": [str(version)]}]}
        assert (
            ingestion_watching.store(number, until, news(number, "Role", verb, version, name, **rules), now())
            is Outcome.STORED
        )
    assert titles()[2:] == ["[Role Created] brief", "[Role Deleted] brief"]
    assert state(number).cursor["streams"]["Role/"]["at"] == "600"


def test_an_outage_of_the_database_is_logged_once_and_then_counted(
    watching: Callable[[], WatchWorker], cluster: FakeCluster, caplog: pytest.LogCaptureFixture
) -> None:
    watching()
    all_watched(cluster)
    failures: list[ExceptionContext] = []
    event.listen(db.engine, "handle_error", failures.append)
    db.session.execute(text("ALTER TABLE connectors RENAME TO away"))
    db.session.commit()
    wait_until(lambda: len(failures) > 10)
    db.session.execute(text("ALTER TABLE away RENAME TO connectors"))
    db.session.commit()
    wait_until(lambda: "works again" in caplog.text)
    logged = [record.getMessage() for record in caplog.records if "Updating the watches" in record.getMessage()]
    assert logged[0] == "Updating the watches failed: OperationalError"
    assert re.fullmatch(r"Updating the watches works again after [0-9]+ failures\.", logged[1])
    assert len(logged) == 2


def test_a_token_goes_nowhere_else_and_a_stream_that_cannot_be_read_is_opened_again(
    watching: Callable[[], WatchWorker], cluster: FakeCluster, fake_server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("painchain.connectors.kubernetes.watch.FIRST_BACKOFF", 0.01)
    refusals = iter([Reply(302, headers={"Location": "http://127.0.0.1:1/"}), Reply(200, b"{not json}\n"), Reply(500)])
    lock = threading.Lock()

    def answer(asked: Any) -> Reply:
        if "/roles?" in asked.path and "watch=true" in asked.path:
            with lock:
                reply = next(refusals, None)
            return reply or cluster(asked)
        return cluster(asked)

    fake_server.answer = answer
    watching()
    all_watched(cluster)
    cluster.put("Role", "reader")
    wait_until(lambda: titles() == ["[Role Created] reader"])
    assert len([path for path in fake_server.paths if "/roles?" in path and "watch=true" in path]) == 4
