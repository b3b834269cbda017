"""Changes of Kubernetes objects contain names and facts, never values; status and noise are not changes."""

from __future__ import annotations

import copy
import json
from datetime import datetime, timedelta
from typing import Any

import pytest

from painchain import connectors
from painchain.connectors import kubernetes
from painchain.connectors.contract import SourceEvent
from painchain.connectors.kubernetes.api import RESOURCES
from painchain.connectors.kubernetes.changes import compare, deletion
from painchain.connectors.kubernetes.observation import ObjectType, StoredObject, observe
from painchain.connectors.kubernetes.workload import WORKLOADS
from tests.connectors.kubernetes.objects import MARK, NOW, SINCE, observed, resource, template

CANARY = "canary-value-8d1f"


def change(kind: str, old: Any, new: Any) -> SourceEvent | None:
    return compare(ObjectType("prod", kind), observed(kind, old), observed(kind, new), NOW, SINCE)[0]


def job(**status: Any) -> dict[str, Any]:
    return resource(spec=template(), status=status)


def node(ready: str, **spec: Any) -> dict[str, Any]:
    beat = {"type": "Ready", "status": ready, "lastHeartbeatTime": f"2026-03-10T12:00:0{len(ready)}Z"}
    return resource(metadata={"namespace": None}, spec=spec, status={"conditions": [beat], "capacity": {"cpu": ready}})


ENDED = {
    "startTime": "2026-03-10T11:00:00Z",
    "completionTime": "2026-03-10T11:01:30Z",
    "conditions": [{"type": "Complete", "status": "True"}],
}
IMAGES = [{"name": "web", "old": "shop/web:1", "new": "shop/web:2"}]
CHANGES = {
    "replicas": (
        "Deployment",
        {"spec": {"replicas": 3}},
        {"spec": {"replicas": 5}},
        {"replicas": [{"name": "replicas", "old": 3, "new": 5}]},
    ),
    "image": ("Deployment", {"spec": template()}, {"spec": template("shop/web:2")}, {"images": IMAGES}),
    "strategy": (
        "Deployment",
        {"spec": {"strategy": {"type": "Recreate"}}},
        {"spec": {"strategy": {"type": "RollingUpdate"}}},
        {"strategy": "RollingUpdate"},
    ),
    "stateful set": ("StatefulSet", {"spec": template()}, {"spec": template("shop/web:2")}, {"images": IMAGES}),
    "daemon set": (
        "DaemonSet",
        {"spec": {"updateStrategy": {"type": "OnDelete"}, **template()}},
        {"spec": {"updateStrategy": {"type": "OnDelete"}, **template("shop/web:2")}},
        {"images": IMAGES, "strategy": "OnDelete"},
    ),
    "service": (
        "Service",
        {"spec": {"type": "ClusterIP", "clusterIP": "10.0.0.7", "ports": [{"port": 80}]}},
        {
            "spec": {
                "type": "NodePort",
                "clusterIP": "10.0.0.7",
                "ports": [{"port": 80, "targetPort": "http", "nodePort": 30080, "name": "web"}],
            }
        },
        {"service_type": "NodePort", "cluster_ip": "10.0.0.7", "ports": ["80/TCP → http, node 30080 (web)"]},
    ),
    "config map": (
        "ConfigMap",
        {"data": {"a": "1", "b": "2", "c": "3"}},
        {"data": {"a": "1", "b": CANARY}, "binaryData": {"d": "AAAA"}},
        {"keys_added": ["d"], "keys_removed": ["c"], "keys_modified": ["b"]},
    ),
    "secret": (
        "Secret",
        {"data": {"password": "MQ=="}},
        {"data": {"password": CANARY}},
        {"keys_modified": ["password"]},
    ),
    "ingress": (
        "Ingress",
        {"spec": {"ingressClassName": "nginx", "rules": [{"host": "a.example"}]}},
        {"spec": {"ingressClassName": "nginx", "rules": [{"host": "a.example"}, {"http": {}}]}},
        {"ingress_class": "nginx", "hosts": ["a.example", "*"]},
    ),
    "job": (
        "Job",
        {"spec": template()},
        {"spec": template(), "status": ENDED},
        {"status": "succeeded", "duration": 90},
    ),
    "cron job": (
        "CronJob",
        {"spec": {"schedule": "0 * * * *", "suspend": False, "jobTemplate": {"spec": template()}}},
        {"spec": {"schedule": "5 * * * *", "suspend": True, "jobTemplate": {"spec": template("shop/web:2")}}},
        {"schedule": "5 * * * *", "suspended": True, "images": IMAGES},
    ),
    "role": (
        "Role",
        {"rules": []},
        {
            "rules": [
                {"verbs": ["get", "list"], "apiGroups": ["", "apps"], "resources": ["pods"], "resourceNames": ["a"]}
            ]
        },
        {"rules": ["get, list: pods (apps), only a"]},
    ),
    "role binding": (
        "RoleBinding",
        {"roleRef": {"kind": "Role", "name": "edit"}, "subjects": []},
        {
            "roleRef": {"kind": "Role", "name": "edit"},
            "subjects": [
                {"kind": "User", "name": "ann"},
                {"kind": "ServiceAccount", "name": "ci", "namespace": "build"},
            ],
        },
        {"role": "Role edit", "subjects": ["User ann", "ServiceAccount build/ci"]},
    ),
}


@pytest.mark.parametrize(("kind", "old", "new", "facts"), CHANGES.values(), ids=CHANGES)
def test_a_change_of_each_kind_has_its_facts(kind: str, old: Any, new: Any, facts: Any) -> None:
    event = change(kind, resource(**old), resource(**new))
    assert event is not None
    workload = {"workload": f"{kind}/web"} if kind in (*WORKLOADS, "Job") else {}
    assert event.facts == {"namespace": "shop", "cluster": "prod", **workload, **facts}
    assert event.event_id == f"prod:shop:{kind}:web:u-1:7:modified"
    status = facts["status"] if kind == "Job" else "modified"
    assert (event.event_type, event.title, event.status) == (f"K8s{kind}", f"[{kind} Updated] web", status)


FAILED = {"conditions": [{"type": "FailureTarget", "status": "True"}, {"type": "Failed", "status": "True"}]}


def outcomes(*states: dict[str, Any]) -> list[tuple[str | None, str]]:
    """The status and the outcome of each event of a Job that is observed in these states."""
    found, stored = list[tuple[str | None, str]](), None
    for state in states:
        event, stored = compare(ObjectType("prod", "Job"), stored, observed("Job", state), NOW, SINCE)
        assert event is not None
        found.append((event.status, connectors.outcome("kubernetes", event.event_type, event.status)))
    return found


def test_a_job_that_fails_is_bad_and_one_that_completes_is_good() -> None:
    assert outcomes(job(), job(**FAILED)) == [("added", "neutral"), ("failed", "bad")]
    assert outcomes(job(), job(**ENDED)) == [("added", "neutral"), ("succeeded", "good")]
    assert outcomes(job(**FAILED)) == [("failed", "bad")]  # it was created and failed between two polls
    again = resource(metadata={"labels": {"seen": "yes"}}, spec=template(), status=FAILED)
    assert outcomes(job(**FAILED), again)[1] == ("modified", "neutral")
    old = observed("Job", job(**FAILED))
    deleted = deletion(ObjectType("prod", "Job"), old, None, NOW, SINCE)
    assert deleted is not None
    assert (deleted.status, deleted.facts["status"]) == ("deleted", "failed")


def test_a_node_reports_changed_conditions_but_not_heartbeats() -> None:
    event = change("Node", node("True"), node("Unknown"))
    assert event is not None
    assert event.facts == {"cluster": "prod", "conditions": ["Ready: True → Unknown"], "unschedulable": False}
    assert event.event_id == "prod::Node:web:u-1:7:modified"
    later = node("True")
    later["status"]["conditions"][0]["lastHeartbeatTime"] = "2026-03-10T12:09:00Z"
    assert change("Node", node("True"), later) is None
    assert change("Node", node("True"), node("True", unschedulable=True)).facts["unschedulable"] is True  # type: ignore[union-attr]


def test_environment_changes_contain_names_but_no_values() -> None:
    old = resource(spec=template(env=[{"name": "A", "value": "1"}, {"name": "DB_PASSWORD", "value": "x"}]))
    new = resource(spec=template(env=[{"name": "A", "value": "1"}, {"name": "DB_PASSWORD", "value": CANARY}]))
    event = change("Deployment", old, new)
    assert event is not None
    assert event.text == "Changed: environment of web (DB_PASSWORD)."


def test_no_value_is_in_an_event_or_in_stored_state() -> None:
    applied = {"annotations": {"kubectl.kubernetes.io/last-applied-configuration": CANARY}}
    pod = template(env=[{"name": "A", "value": CANARY}], args=[CANARY])
    pod["template"]["metadata"] = applied
    spec = {**pod, "jobTemplate": {"spec": pod}}
    for kind in RESOURCES:
        new = resource(metadata=applied, spec=spec, data={"key": CANARY}, stringData={"key": CANARY})
        item = observed(kind, new)
        event = compare(ObjectType("prod", kind), None, item, NOW, SINCE)[0]
        assert CANARY not in json.dumps(item.entry()) + repr(event)


def with_bookkeeping(value: dict[str, Any]) -> dict[str, Any]:
    """The same object after a controller, a heartbeat, and annotations that machines write."""
    value = copy.deepcopy(value)
    annotations = {
        "kubectl.kubernetes.io/last-applied-configuration": CANARY,
        "deployment.kubernetes.io/revision": "7",
        "cluster-autoscaler.kubernetes.io/last-updated": "2026-03-10 12:00:00",
        "meta.helm.sh/release-name": "shop",
    }
    value["metadata"] |= {"resourceVersion": "99", "annotations": annotations, "managedFields": [{"manager": "x"}]}
    value["status"] = {"observedGeneration": 4, "readyReplicas": 3, "loadBalancer": {"ingress": [{}]}}
    return value


@pytest.mark.parametrize("kind", sorted(RESOURCES.keys() - {"Pod", "Node"}))
def test_status_annotations_and_versions_are_not_changes(kind: str) -> None:
    value = resource(spec={"replicas": 3, **template()}, data={"a": "1"}, rules=[], status={})
    assert change(kind, value, with_bookkeeping(value)) is None


def test_defaults_that_a_newer_server_adds_are_not_changes() -> None:
    old = resource(metadata={"generation": 4}, spec=template())
    new = resource(metadata={"generation": 4}, spec={**template(), "newDefault": True})
    assert change("Deployment", old, new) is None
    new["metadata"]["generation"] = 5
    assert change("Deployment", old, new).text == "Changed: newDefault."  # type: ignore[union-attr]


def test_created_and_deleted_objects_have_their_facts() -> None:
    object_type = ObjectType("prod", "Deployment")
    item = observed("Deployment", resource(spec={"replicas": 2, **template()}))
    created, stored = compare(object_type, None, item, NOW, SINCE)
    assert created is not None
    assert stored is not None
    assert (created.title, created.status) == ("[Deployment Created] web", "added")
    assert created.facts["images"] == [{"name": "web", "old": None, "new": "shop/web:1"}]
    deleted = deletion(object_type, StoredObject(*(stored.uid, *stored.entry())), None, NOW, SINCE)
    assert deleted is not None
    assert (deleted.title, deleted.status, deleted.author) == ("[Deployment Deleted] web", "deleted", "unknown")
    assert deleted.facts["images"] == [{"name": "web", "old": "shop/web:1", "new": None}]
    assert deleted.event_id == "prod:shop:Deployment:web:u-1:7:deleted"


def fields(manager: str, at: str, *keys: str, **more: Any) -> dict[str, Any]:
    return {"manager": manager, "time": at, "fieldsV1": {key: {} for key in keys}, **more}


@pytest.mark.parametrize(
    ("entries", "author", "at"),
    [
        (
            [
                fields("kubectl-edit", "2026-03-10T11:58:00Z", "f:spec"),
                fields("kube-controller-manager", "2026-03-10T11:59:00Z", "f:status"),
            ],
            "kubectl-edit",
            NOW - timedelta(minutes=2),
        ),
        (
            [
                fields("helm", "2026-03-10T11:58:00Z", "f:spec"),
                fields("x", "2026-03-10T11:59:00Z", "f:spec", subresource="status"),
            ],
            "helm",
            NOW - timedelta(minutes=2),
        ),
        ([fields("helm", "2025-01-01T00:00:00Z", "f:spec")], "helm", NOW),  # older than the last look
        ([fields("helm", "2026-03-11T00:00:00Z", "f:spec")], "helm", NOW),  # in the future
        ([fields("unknown", "soon", "f:spec"), None, 7], "unknown", NOW),
        (None, "unknown", NOW),
    ],
)
def test_author_and_time_come_from_plausible_managed_fields(entries: Any, author: str, at: datetime) -> None:
    new = resource(metadata={"managedFields": entries}, spec={"replicas": 5})
    event = change("Deployment", resource(spec={"replicas": 3}), new)
    assert event is not None
    assert (event.author, event.timestamp) == (author, at)


ODD: list[Any] = [
    None,
    [],
    {"metadata": None},
    resource(spec=[], status=7, data="x", rules={}, subjects=[None], roleRef=[]),
    resource(
        metadata={"labels": [1], "generation": "x"},
        spec={"template": {"spec": {"containers": [None, {"env": 3}]}}, "ports": [None], "rules": ["x"]},
    ),
    resource(status={"conditions": [None, {"type": None}], "containerStatuses": ["x", {"state": 3}]}),
]


@pytest.mark.parametrize("kind", RESOURCES)
def test_an_incomplete_object_does_not_stop_the_poll(kind: str) -> None:
    for value in ODD:
        item = observe(kind, value, MARK)
        if item:
            compare(ObjectType("prod", kind), None, item, NOW, SINCE)
            compare(ObjectType("prod", kind), item, observed(kind, resource()), NOW, SINCE)
            json.dumps(item.entry())


def test_each_fact_is_a_field_of_its_event_type() -> None:
    for kind, old, new, _ in CHANGES.values():
        event = change(kind, resource(**old), resource(**new))
        known = {field.key for field in kubernetes.TYPE.event_type(f"K8s{kind}").fields}  # type: ignore[union-attr]
        assert set(event.facts) <= known  # type: ignore[union-attr]
