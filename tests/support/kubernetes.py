"""A Kubernetes connector in one process, which polls a fake cluster or hears its watches; and what Helm does there."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from painchain.connectors.contract import Cursor, PollContext, SourceEvent
from painchain.connectors.kubernetes.api import ResourceStream, resolve_cluster
from painchain.connectors.kubernetes.bookkeeping import leave_out
from painchain.connectors.kubernetes.json_values import fingerprinter
from painchain.connectors.kubernetes.observation import observe
from painchain.connectors.kubernetes.poll import poll
from painchain.connectors.kubernetes.watch_update import WatchEvent, WatchUpdate
from tests.counterparts import FakeServer
from tests.support.fake_cluster import TOKEN, FakeCluster

CANARY = "canary-value-5e02"


class Observer:
    """A connector of a fake cluster, which polls it or hears the lines of its watches."""

    def __init__(self, cluster: FakeCluster, fake_server: FakeServer, *left_out: str):
        self.cluster = cluster
        self.settings: dict[str, Any] = {
            "api_server": fake_server.url,
            "token": TOKEN,
            "cluster_name": "prod",
            "leave_out": list(left_out),
        }
        self.cursor: Cursor = {}
        self.events: list[SourceEvent] = []
        self._first = self._heard = len(cluster.lines)
        self.poll()

    def poll(self, now: datetime | None = None) -> list[str]:
        """Poll, and return the titles of the new events."""
        self._heard = len(self.cluster.lines)
        result = poll(PollContext(self.settings, self.cursor, now or datetime.now(UTC)))
        return self._store(result.events, result.cursor)

    def hear(self, again: int = 0) -> list[str]:
        """Hear what happened since the last poll or call, and return the titles of the new events.

        `again` is the number of earlier lines that are heard once more.
        """
        self._heard = max(self._first, self._heard - again)
        streams = {stream.resource.kind: stream for stream in resolve_cluster(self.settings).streams()}
        lines = self.cluster.lines[self._heard :]
        self._heard = len(self.cluster.lines)
        batch = [self._watch_event(streams[kind], str(version), line) for version, kind, _, line in lines]
        update = WatchUpdate("prod", batch, None, leave_out=leave_out(self.settings))
        result = update(self.cursor)
        return self._store(result.events, result.cursor)

    def _watch_event(self, stream: ResourceStream, version: str, line: dict[str, Any]) -> WatchEvent:
        mark = fingerprinter(self.cursor["salt"])
        observed = observe(stream.resource.kind, line["object"], mark, leave_out(self.settings))
        return WatchEvent(stream, version, line["type"].lower(), observed)

    def _store(self, events: Sequence[SourceEvent], cursor: Cursor) -> list[str]:
        """Keep the new events: one for each id, as the log does."""
        self.cursor = json.loads(json.dumps(cursor))
        known = {event.event_id for event in self.events}
        new = [event for event in events if event.event_id not in known]
        self.events += new
        return [event.title for event in new]


def seconds(moment: datetime) -> str:
    return str(int(moment.timestamp()))


def put_revision(cluster: FakeCluster, number: int, status: str, release: str = "shop", **more: Any) -> None:
    """Store a revision as Helm does; `created` and `modified` are times."""
    now = datetime.now(UTC)
    labels = {"name": release, "owner": "helm", "status": status, "version": str(number)}
    labels["createdAt"] = seconds(more.get("created", now))
    labels["modifiedAt"] = seconds(more.get("modified", more.get("created", now)))
    cluster.put(
        "Secret",
        f"sh.helm.release.v1.{release}.v{number}",
        type="helm.sh/release.v1",
        data={"release": CANARY},
        metadata={"labels": labels, "managedFields": [{"manager": "helm", "time": now.isoformat()}]},
    )


def remove_revision(cluster: FakeCluster, number: int, release: str = "shop") -> None:
    cluster.remove("Secret", f"sh.helm.release.v1.{release}.v{number}")


def put_deployment(cluster: FakeCluster, chart: str, image: str, name: str = "shop") -> None:
    """A deployment that Helm made."""
    annotations = {"meta.helm.sh/release-name": "shop", "meta.helm.sh/release-namespace": "shop"}
    spec = {"template": {"spec": {"containers": [{"name": "web", "image": image}]}}}
    cluster.put(
        "Deployment", name, spec=spec, metadata={"labels": {"helm.sh/chart": chart}, "annotations": annotations}
    )


def upgrade(cluster: FakeCluster, number: int) -> None:
    """Upgrade the release as Helm does it."""
    put_revision(cluster, number, "pending-upgrade")
    cluster.put("ConfigMap", "shop", data={"colour": str(number)})
    put_deployment(cluster, f"shop-1.{number}.0", f"shop/web:{number}")
    put_revision(cluster, number - 1, "superseded")
    put_revision(cluster, number, "deployed")


def job(minute: int, condition: str = "", **metadata: Any) -> dict[str, Any]:
    """What FakeCluster.put takes for the Job that a CronJob creates at a minute since 1970."""
    owner = {"kind": "CronJob", "name": "backup", "controller": True}
    status = {"conditions": [{"type": condition, "status": "True"}]} if condition else {"active": 1}
    return {
        "kind": "Job",
        "name": f"backup-{minute}",
        "status": status,
        "spec": {"template": {"spec": {"containers": [{"name": "backup", "image": "backup:1"}]}}},
        "metadata": {"ownerReferences": [owner], **metadata},
    }
