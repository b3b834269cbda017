"""Every field that configures an object is a change when it differs; what machines write is none."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from painchain.connectors.kubernetes.changes import compare, deletion
from painchain.connectors.kubernetes.observation import ObjectType, StoredObject
from tests.connectors.kubernetes.configured_objects import (
    NOW,
    PROBE,
    SINCE,
    SPECIFICATIONS,
    change,
    changed,
    observed,
    resource,
)


def different(value: Any) -> Any:
    """Another value of the same type."""
    if isinstance(value, bool):
        return not value
    return value + 1 if isinstance(value, int) else f"{value}-other"


def with_one_difference(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield each copy of a JSON value in which one leaf differs, and the path of the leaf."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield from ((where, {**value, key: new}) for where, new in with_one_difference(part, f"{path}.{key}"))
    elif isinstance(value, list):
        for place, part in enumerate(value):
            for where, new in with_one_difference(part, f"{path}[{place}]"):
                yield where, [*value[:place], new, *value[place + 1 :]]
    else:
        yield path, different(value)


NOT_NOTICED = {"Node": {".metadata.namespace"}, "RoleBinding": {".roleRef.apiGroup"}}


@pytest.mark.parametrize("kind", SPECIFICATIONS)
def test_a_change_of_any_field_is_a_change_of_the_object(kind: str) -> None:
    parts = copy.deepcopy(SPECIFICATIONS[kind])
    unnoticed = set()
    for path, other in with_one_difference(parts):
        event = change(kind, resource(**parts), resource(**other))
        if event is None or not (event.text.startswith("Changed: ") and len(event.text) > len("Changed: .")):
            unnoticed.add(path)
    assert unnoticed == NOT_NOTICED.get(kind, set())


def test_the_text_names_the_changed_fields() -> None:
    def deployment(**container: Any) -> dict[str, Any]:
        spec = {"containers": [{"name": "web", "image": "web:1", **container}], "serviceAccountName": "web"}
        return resource(spec={"minReadySeconds": 1, "template": {"spec": spec}})

    new = deployment(resources={"limits": {"cpu": "1"}}, livenessProbe=PROBE)
    new["spec"]["template"]["spec"]["serviceAccountName"] = "admin"
    new["spec"]["template"]["metadata"] = {"labels": {"app": "web"}}
    assert changed("Deployment", deployment(), new).text == (
        "Changed: serviceAccountName, labels of the pod template, resources of web, livenessProbe of web."
    )
    service = {"type": "LoadBalancer", "externalTrafficPolicy": "Local", "ports": [{"port": 80}]}
    new_service = {**service, "externalTrafficPolicy": "Cluster", "loadBalancerClass": "example.com/public"}
    event = changed("Service", resource(spec=service), resource(spec=new_service))
    assert event.text == "Changed: externalTrafficPolicy, loadBalancerClass."
    with_protocol = {**service, "ports": [{"port": 80, "appProtocol": "kubernetes.io/h2c"}]}
    event = changed("Service", resource(spec=service), resource(spec=with_protocol))
    assert (event.text, event.facts["ports"]) == ("Changed: ports.", ["80/TCP, app protocol kubernetes.io/h2c"])
    rules = SPECIFICATIONS["Ingress"]["spec"]["rules"]
    new_rules = {"rules": [*rules, {"host": "new.example"}], "tls": [{"hosts": ["new.example"]}]}
    event = changed("Ingress", resource(spec={"rules": rules}), resource(spec=new_rules))
    assert event.text == "Changed: hosts, tls, rules of new.example."


def test_a_new_container_is_named_once_and_very_many_names_are_cut() -> None:
    def deployment(*containers: dict[str, Any]) -> dict[str, Any]:
        return resource(spec={"template": {"spec": {"containers": list(containers)}}})

    web, proxy = {"name": "web", "image": "a"}, {"name": "proxy", "image": "b", "args": ["x"]}
    event = changed("Deployment", deployment(web), deployment(web, proxy))
    assert event.text == "Changed: images, containers."
    assert event.facts["images"] == [{"name": "proxy", "old": None, "new": "b"}]
    event = changed("Deployment", deployment(web), deployment({**web, **{f"field{number}": 1 for number in range(30)}}))
    assert event.text.startswith("Changed: field0 of web, field1 of web, ")
    assert event.text.endswith(", field19 of web and 10 more.")


def test_defaults_that_an_upgraded_server_adds_to_a_service_are_no_changes() -> None:
    spec = {"type": "ClusterIP", "clusterIP": "10.0.0.7"}
    defaults = {
        "clusterIPs": ["10.0.0.7"],
        "ipFamilies": ["IPv4"],
        "ipFamilyPolicy": "SingleStack",
        "internalTrafficPolicy": "Cluster",
        "sessionAffinity": "None",
        "allocateLoadBalancerNodePorts": True,
    }
    assert change("Service", resource(spec=spec), resource(spec={**spec, **defaults})) is None


def test_a_default_and_no_value_are_the_same_and_another_value_is_a_change() -> None:
    def deployment(**pod: Any) -> dict[str, Any]:
        return resource(spec={"template": {"spec": {"containers": [{"name": "web", "image": "a"}], **pod}}})

    assert change("Deployment", deployment(), deployment(dnsPolicy="ClusterFirst")) is None
    assert changed("Deployment", deployment(), deployment(dnsPolicy="None")).text == "Changed: dnsPolicy."
    assert changed("Deployment", deployment(dnsPolicy="None"), deployment()).text == "Changed: dnsPolicy."


def owned(kind: str, name: str, labels: dict[str, str] | None = None) -> dict[str, Any]:
    """An object with an owner, created at 12:00."""
    owner = {"kind": kind, "name": name, "controller": True}
    created = {"creationTimestamp": "2026-03-10T12:00:00Z", "labels": labels or {}}
    status = {"phase": "Failed", "reason": "Evicted"}
    return resource({"ownerReferences": [owner], **created}, status=status)


def test_an_event_names_the_workload_that_the_object_belongs_to() -> None:
    due = int(NOW.timestamp()) // 60
    pods = {
        "Deployment/shop": owned("ReplicaSet", "shop-5d8f", {"pod-template-hash": "5d8f"}),
        "Rollout/shop": owned("ReplicaSet", "shop-5d8f", {"rollouts-pod-template-hash": "5d8f"}),
        "ReplicaSet/bare": owned("ReplicaSet", "bare"),
        "StatefulSet/db": owned("StatefulSet", "db"),
        "CronJob/nightly": owned("Job", f"nightly-{due}"),
        "Job/nightly-1234": owned("Job", "nightly-1234"),
        "Pod/web": resource(status={"phase": "Failed"}),
    }
    for workload, pod in pods.items():
        event = compare(ObjectType("prod", "Pod"), None, observed("Pod", pod), NOW, SINCE)[0]
        assert event is not None
        assert list(event.facts)[:3] == ["cluster", "namespace", "workload"]
        assert event.facts["workload"] == workload
    of_app = resource({"labels": {"app.kubernetes.io/name": "checkout"}})
    kinds = {"Deployment": "Deployment/web", "Job": "Job/web", "ConfigMap": "checkout", "Service": "checkout"}
    for kind, workload in kinds.items():
        stored = observed(kind, of_app)
        for event in (
            compare(ObjectType("prod", kind), None, stored, NOW, SINCE)[0],
            deletion(ObjectType("prod", kind), StoredObject(stored.uid, *stored.entry()), None, NOW, SINCE),
        ):
            assert event is not None
            assert event.facts["workload"] == workload


def manager(name: str, at: str, fields: dict[str, Any]) -> dict[str, Any]:
    return {"manager": name, "time": f"2026-03-10T11:{at}:00Z", "fieldsV1": fields}


def test_the_author_is_who_changed_the_configuration_not_who_counted_the_revision() -> None:
    revision = {"f:metadata": {"f:annotations": {".": {}, "f:deployment.kubernetes.io/revision": {}}}, "f:status": {}}
    annotation = {"f:metadata": {"f:annotations": {"f:prometheus.io/scrape": {}}}}
    controller = manager("kube-controller-manager", "59", revision)
    for fields in ({"f:spec": {}}, annotation, {"f:metadata": {"f:labels": {}}}):
        new = resource({"managedFields": [manager("kubectl-edit", "58", fields), controller]}, spec={"replicas": 2})
        assert changed("Deployment", resource(), new).author == "kubectl-edit"
