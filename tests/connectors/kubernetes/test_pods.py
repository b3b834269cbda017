"""A pod reports each problem once, and each failing container."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from painchain import connectors
from painchain.connectors.kubernetes import pods
from painchain.connectors.kubernetes.changes import compare, compare_all
from painchain.connectors.kubernetes.observation import ObjectType, StoredObject
from tests.connectors.kubernetes.objects import NOW, SINCE, observed, pod


@pytest.mark.parametrize("reason", [*pods.ENDED, *pods.WAITING, "Evicted", "NodeShutdown", "Terminated", "OutOfpods"])
def test_each_trouble_of_a_pod_is_bad(reason: str) -> None:
    assert connectors.outcome("kubernetes", "K8sPod", reason) == "bad"


class PodHistory:
    """Observes a pod again and again, and returns what each observation reports."""

    def __init__(self) -> None:
        self.stored: StoredObject | None = None

    def observe(self, value: Any, now: datetime = NOW) -> tuple[str | None, dict[str, Any]] | None:
        event, self.stored = compare(ObjectType("prod", "Pod"), self.stored, observed("Pod", value), now, SINCE)
        return (
            (event.status, {k: v for k, v in event.facts.items() if k not in ("cluster", "namespace", "workload")})
            if event
            else None
        )


def test_a_pod_reports_each_problem_once_until_it_has_run_for_a_while() -> None:
    history = PodHistory()
    assert history.observe(pod(since="2026-03-10T11:00:00Z")) is None
    assert history.stored is None
    assert history.observe(pod(waiting="CrashLoopBackOff")) == (
        "CrashLoopBackOff",
        {"reason": "CrashLoopBackOff", "container": "app", "restarts": 1},
    )
    assert history.observe(pod(since="2026-03-10T11:59:58Z", restarts=2)) is None
    assert history.observe(pod(waiting="CrashLoopBackOff", restarts=3)) is None
    assert history.observe(pod(waiting="CrashLoopBackOff", last="OOMKilled", restarts=4)) == (
        "OOMKilled",
        {"reason": "OOMKilled", "container": "app", "restarts": 4},
    )
    assert history.observe(pod(since="2026-03-10T12:00:00Z", last="OOMKilled"), NOW + timedelta(minutes=11)) is None
    assert history.stored is None
    assert history.observe(pod(waiting="CrashLoopBackOff", restarts=5)) is not None


def test_a_failed_pod_reports_the_reason_and_waiting_to_start_is_not_a_problem() -> None:
    assert PodHistory().observe(pod(phase="Failed", reason="Evicted")) == ("Evicted", {"reason": "Evicted"})
    assert PodHistory().observe(pod(phase="Failed")) == ("Failed", {"reason": "Failed"})
    assert PodHistory().observe(pod(waiting="ContainerCreating")) is None
    assert PodHistory().observe(pod(waiting="ImagePullBackOff"))[0] == "ImagePullBackOff"  # type: ignore[index]


def test_each_failing_container_of_a_pod_is_an_event_and_the_failure_of_the_pod_repeats_them() -> None:
    failing = pod(waiting="CrashLoopBackOff", phase="Failed")
    [app] = failing["status"]["containerStatuses"]
    sidecar = {**app, "name": "proxy", "state": {"waiting": {"reason": "ImagePullBackOff"}}}
    failing["status"]["containerStatuses"] = [app, sidecar]
    pod_type, item = ObjectType("prod", "Pod"), observed("Pod", failing)
    events, stored = compare_all(pod_type, None, item, NOW, SINCE)
    assert [(event.event_id, event.status, event.facts.get("container")) for event in events] == [
        ("prod:shop:Pod:web:u-1:7:modified", "CrashLoopBackOff", "app"),
        ("prod:shop:Pod:web:u-1:7:modified:proxy", "ImagePullBackOff", "proxy"),
    ]
    assert compare_all(pod_type, stored, item, NOW, SINCE) == ([], stored)
    later, _ = compare_all(pod_type, compare(pod_type, None, item, NOW, SINCE)[1], item, NOW, SINCE)
    assert later == events[1:]
