"""Bookkeeping of machines is left out: hours of it, releases of Helm, Jobs of CronJobs, and what people leave out."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from painchain.connectors.kubernetes.bookkeeping import leave_out
from tests.counterparts import FakeServer
from tests.support.fake_cluster import FakeCluster
from tests.support.kubernetes import CANARY, Observer, job, put_deployment, put_revision, remove_revision, upgrade

LEADER = "control-plane.alpha.kubernetes.io/leader"


def some_hours(cluster: FakeCluster, every_minute: Callable[[int], Any]) -> None:
    """Hours of a cluster: one upgrade, and a CronJob of every minute that fails once. All else is bookkeeping."""
    first = 29_500_000
    for minute in range(4 * 60):
        for second in (0, 30):
            text = f"Cluster-autoscaler status at {minute}:{second}"
            updated = {"annotations": {"cluster-autoscaler.kubernetes.io/last-updated": text}}
            cluster.put(
                "ConfigMap", "cluster-autoscaler-status", "kube-system", data={"status": text}, metadata=updated
            )
        lock = {"annotations": {LEADER: json.dumps({"renewTime": minute})}}
        cluster.put("ConfigMap", "ingress-controller-leader", "ingress", metadata=lock)
        cluster.put(**job(first + minute))
        cluster.put(**job(first + minute, "Failed" if minute == 220 else "Complete"))
        if minute >= 3:
            cluster.remove("Job", f"backup-{first + minute - 3}")
        if minute == 100:
            upgrade(cluster, 2)
        every_minute(minute)


@pytest.mark.parametrize("way", ["watch", "poll"])
def test_hours_have_one_event_per_change_and_none_of_bookkeeping(
    cluster: FakeCluster, fake_server: FakeServer, way: str
) -> None:
    put_revision(cluster, 1, "deployed")
    cluster.put("ConfigMap", "shop", data={"colour": "1"})
    put_deployment(cluster, "shop-1.1.0", "shop/web:1")
    observer = Observer(cluster, fake_server)
    if way == "watch":
        some_hours(cluster, lambda minute: observer.hear() if minute % 10 == 9 else None)
    else:
        some_hours(cluster, lambda minute: observer.poll() if minute % 60 == 41 else None)
    assert sorted(event.title for event in observer.events) == [
        "[ConfigMap Updated] shop",
        "[Deployment Updated] shop",
        "[HelmRelease Updated] shop",
        *(["[Job Updated] backup-29500220"] if way == "watch" else ["[Job Created] backup-29500220"]),
    ]
    assert CANARY not in json.dumps(observer.cursor) + repr(observer.events)


def test_a_release_is_reported_with_revision_status_and_chart(cluster: FakeCluster, fake_server: FakeServer) -> None:
    observer = Observer(cluster, fake_server)
    put_revision(cluster, 1, "pending-install")
    assert observer.hear() == []
    put_deployment(cluster, "shop-1.1.0", "shop/web:1")
    put_deployment(cluster, "redis-17.0.1", "redis:7", "shop-redis")
    put_revision(cluster, 1, "deployed")
    titles = observer.hear()
    assert titles == ["[Deployment Created] shop", "[Deployment Created] shop-redis", "[HelmRelease Created] shop"]
    event = observer.events[-1]
    assert event.facts == {
        "cluster": "prod",
        "namespace": "shop",
        "release": "shop",
        "revision": 1,
        "status": "deployed",
        "chart": "redis-17.0.1, shop-1.1.0",
    }
    assert (event.event_type, event.status, event.author) == ("HelmRelease", "deployed", "helm")
    uid = "uid-Secret-shop-sh.helm.release.v1.shop.v1"
    assert event.event_id == f"prod:shop:HelmRelease:shop:{uid}:{cluster.version}:added"
    assert observer.poll() == []


def test_a_failed_upgrade_and_its_rollback_are_two_events(cluster: FakeCluster, fake_server: FakeServer) -> None:
    put_revision(cluster, 1, "deployed")
    observer = Observer(cluster, fake_server)
    put_revision(cluster, 2, "pending-upgrade")
    put_revision(cluster, 2, "failed")
    put_revision(cluster, 3, "pending-rollback")
    put_revision(cluster, 1, "superseded")
    put_revision(cluster, 3, "deployed")
    assert observer.hear() == ["[HelmRelease Updated] shop"] * 2
    assert [(event.facts["revision"], event.status) for event in observer.events] == [(2, "failed"), (3, "deployed")]


def test_two_upgrades_between_two_polls_are_two_events(cluster: FakeCluster, fake_server: FakeServer) -> None:
    put_revision(cluster, 1, "deployed")
    observer = Observer(cluster, fake_server)
    upgrade(cluster, 2)
    upgrade(cluster, 3)
    assert observer.poll()[2:] == ["[HelmRelease Updated] shop"] * 2
    told = {(event.facts["revision"], event.status) for event in observer.events if event.event_type == "HelmRelease"}
    assert told == {(2, "superseded"), (3, "deployed")}
    assert observer.poll() == []
    created = datetime.now(UTC) - timedelta(days=7)
    put_revision(cluster, 4, "superseded", "restored", created=created)  # a backup of the namespace is restored
    put_revision(cluster, 5, "deployed", "restored", created=created)
    assert observer.poll() == ["[HelmRelease Updated] restored"]


def test_an_upgrade_that_does_not_end_is_reported_after_a_while(cluster: FakeCluster, fake_server: FakeServer) -> None:
    put_revision(cluster, 1, "deployed")
    observer = Observer(cluster, fake_server)
    put_revision(cluster, 2, "pending-upgrade")
    now = datetime.now(UTC)
    assert observer.poll(now + timedelta(minutes=5)) == []
    assert observer.poll(now + timedelta(minutes=20)) == ["[HelmRelease Updated] shop"]
    assert observer.events[-1].status == "pending-upgrade"
    assert observer.poll(now + timedelta(minutes=25)) == []
    put_revision(cluster, 2, "deployed")
    assert observer.hear() == ["[HelmRelease Updated] shop"]


@pytest.mark.parametrize("way", [Observer.hear, Observer.poll])
def test_uninstalling_is_one_event_and_removing_old_revisions_is_none(
    cluster: FakeCluster, fake_server: FakeServer, way: Callable[[Observer], list[str]]
) -> None:
    for number in range(1, 12):
        put_revision(cluster, number, "deployed" if number == 11 else "superseded" if number % 2 else "failed")
    observer = Observer(cluster, fake_server)
    remove_revision(cluster, 1)
    remove_revision(cluster, 2)
    assert way(observer) == []
    put_revision(cluster, 11, "uninstalling")
    for number in range(3, 12):
        remove_revision(cluster, number)
    assert way(observer) == ["[HelmRelease Deleted] shop"]
    event = observer.events[-1]
    assert (event.facts["revision"], event.status, event.author) == (11, "uninstalled", "unknown")


def test_uninstalling_with_its_history_kept_is_one_event(cluster: FakeCluster, fake_server: FakeServer) -> None:
    put_revision(cluster, 1, "deployed")
    observer = Observer(cluster, fake_server)
    put_revision(cluster, 1, "uninstalling")
    put_revision(cluster, 1, "uninstalled")
    assert observer.hear() == ["[HelmRelease Deleted] shop"]
    remove_revision(cluster, 1)
    assert observer.hear() == []


def test_a_job_that_a_person_creates_from_a_cron_job_is_reported(cluster: FakeCluster, fake_server: FakeServer) -> None:
    observer = Observer(cluster, fake_server)
    cluster.put(**job(1, annotations={"cronjob.kubernetes.io/instantiate": "manual"}))
    assert observer.hear() == ["[Job Created] backup-1"]
    assert observer.events[-1].facts["workload"] == "CronJob/backup"


def test_a_failed_job_of_a_cron_job_is_reported_once(cluster: FakeCluster, fake_server: FakeServer) -> None:
    observer = Observer(cluster, fake_server)
    cluster.put(**job(29_500_000))
    cluster.put(**job(29_500_000, "Failed"))
    cluster.put(**job(29_500_000, "Failed", labels={"seen": "yes"}))
    assert observer.hear() == ["[Job Updated] backup-29500000"]
    facts = {"cluster": "prod", "namespace": "shop", "workload": "CronJob/backup", "status": "failed"}
    assert (observer.events[-1].facts, observer.events[-1].status) == (facts, "failed")
    cluster.remove("Job", "backup-29500000")
    assert observer.hear() == observer.poll() == []


@pytest.mark.parametrize("way", [Observer.hear, Observer.poll])
def test_what_is_left_out_has_no_events_and_is_not_new_when_it_is_reported_again(
    cluster: FakeCluster, fake_server: FakeServer, way: Callable[[Observer], list[str]]
) -> None:
    patterns = ["ConfigMap/ci/*", "*/*/temp-*", "HelmRelease/*/preview-*", "Node/*/spot-*", "Pod/ci/*"]
    observer = Observer(cluster, fake_server, *patterns)

    def changes(text: str) -> None:
        cluster.put("ConfigMap", "settings", "ci", data={"a": text})
        cluster.put("Secret", "temp-1", data={"a": text})
        cluster.put("Node", "spot-1", "", spec={"unschedulable": text == "1"})
        cluster.put("Pod", "worker", "ci", status={"phase": "Failed", "reason": text})
        cluster.remove("Pod", "worker", "ci")
        put_revision(cluster, 2, text, "preview-7")

    changes("1")
    changes("2")
    cluster.put("Secret", "temp-2")
    cluster.remove("Secret", "temp-2")
    assert way(observer) == []
    observer.settings["leave_out"] = []
    assert way(observer) == observer.poll() == []
    changes("3")
    titles = ["[ConfigMap Updated] settings", "[HelmRelease Updated] preview-7", "[Secret Updated] temp-1"]
    assert sorted(title for title in way(observer) if "Pod" not in title) == titles
    observer.settings["leave_out"] = patterns
    changes("4")
    cluster.remove("ConfigMap", "settings", "ci")
    cluster.remove("Secret", "temp-1")
    remove_revision(cluster, 2, "preview-7")
    assert way(observer) == []


def test_a_pattern_with_very_many_stars_is_matched_at_once() -> None:
    patterns = leave_out({"leave_out": ["Secret/*/" + "a*" * 120 + "b", "*/a*/*"]})
    assert not patterns.matches("Secret", "shop", "a" * 253)
    assert patterns.matches("Secret", "a", "anything")
