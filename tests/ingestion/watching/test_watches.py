"""Watches between polls: what happens is on the timeline at once, and once."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, select, text, update
from sqlalchemy.engine import ExceptionContext

from painchain.configuration import connector_store
from painchain.connectors.kubernetes.api import RESOURCES
from painchain.database.models import Lapse, PollState
from painchain.database.session import db
from painchain.ingestion import polling
from painchain.ingestion import watching as ingestion_watching
from painchain.timeline import queries
from painchain.timeline.filter import Filter
from painchain.workers.watch import WatchWorker
from tests.counterparts import FakeServer, Reply
from tests.ingestion.watching.watches import all_watched, change, now, poll, state, titles, wait_until
from tests.support.fake_cluster import FakeCluster


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
    assert logged[0] in [f"Updating the watches failed: {name}" for name in ("OperationalError", "ProgrammingError")]
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
