"""A watch and a poll at the same time record everything once."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

from flask import Flask

from painchain.connectors.contract import PollResult
from painchain.connectors.kubernetes.api import RESOURCES, ResourceStream
from painchain.connectors.kubernetes.json_values import fingerprinter
from painchain.connectors.kubernetes.observation import observe
from painchain.connectors.kubernetes.watch_update import WatchEvent, WatchUpdate
from painchain.ingestion import polling
from painchain.ingestion import watching as ingestion_watching
from painchain.ingestion.watching import Outcome
from tests.ingestion.watching.watches import change, now, poll, state, titles
from tests.support.fake_cluster import FakeCluster


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
