"""A cursor that a version before annotations and Helm releases stored: the present state is known, changes are told.

`tests/recorded/kubernetes_first_cursor.json` has that version's entries beside the objects that it observed.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from painchain.connectors.contract import Cursor, PollContext, PollResult
from painchain.connectors.kubernetes.poll import poll
from tests.counterparts import FakeServer, run_fake_server
from tests.support.fake_cluster import TOKEN, FakeCluster

FIRST = json.loads((Path(__file__).parents[2] / "recorded" / "kubernetes_first_cursor.json").read_text("utf-8"))
NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)


@pytest.fixture
def cluster() -> FakeCluster:
    """A cluster with the objects that the older version observed."""
    cluster = FakeCluster()
    for kind, objects in copy.deepcopy(FIRST["objects"]).items():
        for item in objects:
            metadata = item["metadata"]
            cluster.objects[kind, metadata.get("namespace", ""), metadata["name"]] = item
    return cluster


@pytest.fixture
def fake_server(cluster: FakeCluster) -> Iterator[FakeServer]:
    with run_fake_server(cluster) as fake_server:
        yield fake_server


def poll_from(fake_server: FakeServer, cursor: Cursor | None = None) -> PollResult:
    """Poll with a cursor; without one, with that of the older version."""
    heard = (NOW - timedelta(minutes=5)).isoformat()
    first = {"v": 1, "server": fake_server.url, "salt": FIRST["salt"], "heard": heard, "streams": FIRST["streams"]}
    settings = {"api_server": fake_server.url, "token": TOKEN, "cluster_name": "prod"}
    return poll(PollContext(settings, cursor or first, NOW))


def test_the_first_poll_after_the_upgrade_has_no_events_if_nothing_changed(fake_server: FakeServer) -> None:
    result = poll_from(fake_server)
    assert result.events == []
    assert poll_from(fake_server, result.cursor).events == []


# What happened while PainChain was upgraded: an object, where in it, the new value, and the text of the event.
CHANGES: list[tuple[str, str, list[Any], Any, str]] = [
    ("Deployment", "web", ["spec", "replicas"], 3, "Changed: replicas."),
    ("Deployment", "web", ["spec", "template", "spec", "containers", 0, "image"], "shop/web:2", "Changed: images."),
    ("StatefulSet", "db", ["spec", "serviceName"], "other", "Changed: other settings."),
    ("Ingress", "web", ["spec", "tls"], [], "Changed: other settings."),
    ("Service", "web", ["spec", "type"], "ClusterIP", "Changed: service type."),
    ("ConfigMap", "settings", ["data", "colour"], "red", "Changed: keys."),
    ("Role", "reader", ["rules", 0, "verbs"], ["get", "list"], "Changed: rules."),
    ("Node", "node-1", ["spec", "unschedulable"], True, "Changed: unschedulable."),
]


@pytest.mark.parametrize(("kind", "name", "path", "value", "text"), CHANGES)
def test_what_changed_during_the_upgrade_is_reported(
    cluster: FakeCluster, fake_server: FakeServer, kind: str, name: str, path: list[Any], value: Any, text: str
) -> None:
    item = cluster.objects[kind, "" if kind == "Node" else "shop", name]
    if "generation" in item["metadata"]:
        item["metadata"]["generation"] += 1
    part = item
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = value
    result = poll_from(fake_server)
    assert [(event.title, event.text) for event in result.events] == [(f"[{kind} Updated] {name}", text)]
    assert poll_from(fake_server, result.cursor).events == []


def test_the_first_change_after_the_upgrade_is_reported(cluster: FakeCluster, fake_server: FakeServer) -> None:
    result = poll_from(fake_server)
    for kind in ("Ingress", "Service"):
        annotations = cluster.objects[kind, "shop", "web"]["metadata"]["annotations"]
        annotations |= dict.fromkeys(annotations, "changed")
    cluster.objects["Secret", "shop", "sh.helm.release.v1.shop.v2"]["metadata"]["labels"]["status"] = "uninstalled"
    assert [event.title for event in poll_from(fake_server, result.cursor).events] == [
        "[Service Updated] web",
        "[HelmRelease Deleted] shop",
        "[Ingress Updated] web",
    ]


def test_bookkeeping_that_ended_during_the_upgrade_has_no_events(cluster: FakeCluster, fake_server: FakeServer) -> None:
    for key in (
        ("ConfigMap", "kube-system", "cluster-autoscaler-status"),
        ("Secret", "shop", "sh.helm.release.v1.shop.v1"),
        ("Job", "shop", "backup-29500000"),
    ):
        del cluster.objects[key]
    assert poll_from(fake_server).events == []
    for key in (("Job", "shop", "migrate"), ("Secret", "shop", "sh.helm.release.v1.shop.v2")):
        del cluster.objects[key]
    titles = [event.title for event in poll_from(fake_server).events]
    assert titles == ["[HelmRelease Deleted] shop", "[Job Deleted] migrate"]
