"""Every field and annotation that configures an object is a change when it differs; what machines write is none."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from painchain.connectors.contract import SourceEvent
from painchain.connectors.kubernetes.changes import compare, deletion
from painchain.connectors.kubernetes.json_values import fingerprinter
from painchain.connectors.kubernetes.observation import ObjectType, ObservedObject, StoredObject, observe

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
SINCE = NOW - timedelta(minutes=5)
MARK = fingerprinter("salt")
CANARY = "canary-value-3b7a"


def resource(metadata: dict[str, Any] | None = None, **parts: Any) -> dict[str, Any]:
    """An object as the API server sends it."""
    base = {"name": "web", "namespace": "shop", "uid": "u-1", "resourceVersion": "7"}
    return {"metadata": {**base, **(metadata or {})}, **parts}


def observed(kind: str, value: Any) -> ObservedObject:
    found = observe(kind, value, MARK)
    assert found is not None
    return found


def change(kind: str, old: Any, new: Any) -> SourceEvent | None:
    """The event when an object changes from old to new."""
    return compare(ObjectType("prod", kind), observed(kind, old), observed(kind, new), NOW, SINCE)[0]


def changed(kind: str, old: Any, new: Any) -> SourceEvent:
    event = change(kind, old, new)
    assert event is not None
    return event


PROBE = {"httpGet": {"path": "/health", "port": 8080}, "periodSeconds": 10}
CONTAINER = {
    "name": "web",
    "image": "shop/web:1",
    "command": ["web"],
    "args": ["--port", "8080"],
    "ports": [{"containerPort": 8080, "name": "http"}],
    "env": [{"name": "MODE", "value": "production"}, {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "a"}}}],
    "envFrom": [{"configMapRef": {"name": "settings"}}],
    "resources": {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "100m"}},
    "livenessProbe": PROBE,
    "readinessProbe": PROBE,
    "startupProbe": PROBE,
    "lifecycle": {"preStop": {"exec": {"command": ["sleep"]}}},
    "volumeMounts": [{"name": "data", "mountPath": "/data", "readOnly": True}],
    "securityContext": {"runAsUser": 1000, "privileged": False},
    "imagePullPolicy": "Always",
}
POD_TEMPLATE = {
    "metadata": {"labels": {"app": "web"}, "annotations": {"prometheus.io/scrape": "true"}},
    "spec": {
        "containers": [CONTAINER, {"name": "proxy", "image": "proxy:2"}],
        "initContainers": [{"name": "migrate", "image": "shop/web:1", "args": ["migrate"]}],
        "volumes": [{"name": "data", "secret": {"secretName": "password", "items": [{"key": "a", "path": "b"}]}}],
        "serviceAccountName": "web",
        "nodeSelector": {"pool": "web"},
        "tolerations": [{"key": "dedicated", "operator": "Exists"}],
        "affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1}]}},
        "imagePullSecrets": [{"name": "registry"}],
        "hostNetwork": True,
        "securityContext": {"fsGroup": 2000},
        "terminationGracePeriodSeconds": 30,
        "priorityClassName": "high",
        "topologySpreadConstraints": [{"maxSkew": 1}],
        "dnsConfig": {"options": [{"name": "ndots", "value": "2"}]},
    },
}
SPECIFICATIONS: dict[str, dict[str, Any]] = {
    "Deployment": {
        "spec": {
            "replicas": 3,
            "minReadySeconds": 5,
            "paused": True,
            "progressDeadlineSeconds": 600,
            "revisionHistoryLimit": 10,
            "selector": {"matchLabels": {"app": "web"}},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": "25%"}},
            "template": POD_TEMPLATE,
        }
    },
    "StatefulSet": {
        "spec": {
            "replicas": 3,
            "serviceName": "web",
            "podManagementPolicy": "Parallel",
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}},
            "volumeClaimTemplates": [{"spec": {"resources": {"requests": {"storage": "1Gi"}}}}],
            "template": POD_TEMPLATE,
        }
    },
    "DaemonSet": {"spec": {"updateStrategy": {"type": "OnDelete"}, "template": POD_TEMPLATE}},
    "Service": {
        "spec": {
            "type": "LoadBalancer",
            "clusterIP": "10.0.0.7",
            "clusterIPs": ["10.0.0.7", "fd00::7"],
            "externalIPs": ["192.0.2.7"],
            "externalName": "web.example",
            "externalTrafficPolicy": "Local",
            "healthCheckNodePort": 31000,
            "internalTrafficPolicy": "Local",
            "ipFamilies": ["IPv4", "IPv6"],
            "ipFamilyPolicy": "RequireDualStack",
            "allocateLoadBalancerNodePorts": False,
            "loadBalancerClass": "example.com/internal",
            "loadBalancerIP": "192.0.2.8",
            "loadBalancerSourceRanges": ["192.0.2.0/24"],
            "ports": [{"name": "web", "port": 80, "targetPort": 8080, "nodePort": 30080, "appProtocol": "http"}],
            "publishNotReadyAddresses": True,
            "selector": {"app": "web"},
            "sessionAffinity": "ClientIP",
            "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 60}},
            "trafficDistribution": "PreferClose",
        }
    },
    "Ingress": {
        "spec": {
            "ingressClassName": "nginx",
            "defaultBackend": {"service": {"name": "web", "port": {"number": 80}}},
            "tls": [{"hosts": ["shop.example"], "secretName": "tls"}],
            "rules": [
                {
                    "host": "shop.example",
                    "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": {"service": {"name": "web"}}}]},
                }
            ],
        }
    },
    "Job": {"spec": {"backoffLimit": 3, "completions": 1, "suspend": True, "template": POD_TEMPLATE}},
    "CronJob": {
        "spec": {
            "schedule": "0 3 * * *",
            "timeZone": "Europe/Berlin",
            "suspend": True,
            "concurrencyPolicy": "Forbid",
            "startingDeadlineSeconds": 60,
            "successfulJobsHistoryLimit": 3,
            "jobTemplate": {
                "metadata": {"labels": {"app": "web"}, "annotations": {"team": "shop"}},
                "spec": {"backoffLimit": 3, "activeDeadlineSeconds": 600, "template": POD_TEMPLATE},
            },
        }
    },
    "ConfigMap": {"data": {"a": "1"}, "binaryData": {"b": "AAAA"}, "immutable": True},
    "Secret": {"data": {"a": "MQ=="}, "type": "Opaque", "immutable": True},
    "Node": {
        "metadata": {"labels": {"pool": "web"}, "namespace": None},
        "spec": {"unschedulable": True, "taints": [{"key": "dedicated", "value": "web", "effect": "NoSchedule"}]},
    },
    "Role": {
        "rules": [{"verbs": ["get"], "apiGroups": ["apps"], "resources": ["deployments"], "resourceNames": ["web"]}]
    },
    "RoleBinding": {
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"},
        "subjects": [{"kind": "ServiceAccount", "name": "web", "namespace": "shop"}],
    },
}


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


def test_annotations_that_configure_are_changes_with_the_names_of_their_keys_only() -> None:
    rewrite, public = (
        "nginx.ingress.kubernetes.io/rewrite-target",
        "service.beta.kubernetes.io/aws-load-balancer-scheme",
    )
    old = resource({"annotations": {rewrite: CANARY, "cert-manager.io/cluster-issuer": CANARY}})
    new = resource({"annotations": {rewrite: f"{CANARY}-2", public: CANARY}})
    for kind in SPECIFICATIONS:
        event = changed(kind, old, new)
        assert {key: value for key, value in event.facts.items() if key.startswith("annotations")} == {
            "annotations_added": [public],
            "annotations_removed": ["cert-manager.io/cluster-issuer"],
            "annotations_modified": [rewrite],
        }
        assert event.text == f"Changed: annotations ({rewrite}, cert-manager.io/cluster-issuer, {public})."
        assert CANARY not in json.dumps(observed(kind, new).entry()) + repr(event)
        assert change(kind, new, new) is None


def test_an_annotation_without_a_value_is_a_change() -> None:
    event = changed("Ingress", resource(), resource({"annotations": {"a.example/public": ""}}))
    assert event.facts["annotations_added"] == ["a.example/public"]
    assert changed("Ingress", resource({"annotations": {"a.example/public": ""}}), resource()).text


def test_a_new_object_names_its_annotations() -> None:
    new = observed("Service", resource({"annotations": {"a.example/scheme": "internet-facing"}}))
    event = compare(ObjectType("prod", "Service"), None, new, NOW, SINCE)[0]
    assert event is not None
    assert event.facts["annotations_added"] == ["a.example/scheme"]


MACHINE_WRITTEN = (
    "kubectl.kubernetes.io/last-applied-configuration",
    "deployment.kubernetes.io/revision",
    "deployment.kubernetes.io/desired-replicas",
    "cluster-autoscaler.kubernetes.io/last-updated",
    "endpoints.kubernetes.io/last-change-trigger-time",
    "batch.kubernetes.io/cronjob-scheduled-timestamp",
    "objectset.rio.cattle.io/applied",
    "field.cattle.io/publicEndpoints",
    "meta.helm.sh/release-name",
    "csi.volume.kubernetes.io/nodeid",
    "management.cattle.io/pod-requests",
    "network.cilium.io/ipv4-cilium-host",
    "projectcalico.org/IPv4VXLANTunnelAddr",
    "cluster.x-k8s.io/cluster-namespace",
    "cloud.google.com/neg-status",
)


CONFIGURING = (
    "cluster.x-k8s.io/paused",
    "example.com/last-resort-backend",
    "ingress.cilium.io/loadbalancer-mode",
    "projectcalico.org/loadBalancerIPs",
    "service.cilium.io/global",
)


def test_annotations_of_networks_and_clusters_that_configure_are_changes() -> None:
    event = changed("Service", resource(), resource({"annotations": dict.fromkeys(CONFIGURING, "true")}))
    assert event.facts["annotations_added"] == list(CONFIGURING)


@pytest.mark.parametrize("kind", SPECIFICATIONS)
def test_annotations_that_machines_write_are_no_changes(kind: str) -> None:
    new = resource({"annotations": dict.fromkeys(MACHINE_WRITTEN, "2"), "managedFields": [{"manager": "a"}]})
    assert change(kind, resource(), new) is None


def template(annotations: dict[str, str]) -> dict[str, Any]:
    """A deployment whose pod template has these annotations."""
    return resource(spec={"template": {"metadata": {"annotations": annotations}}})


def test_a_restart_and_annotations_of_the_pod_template_are_changes() -> None:
    restarted = {"kubectl.kubernetes.io/restartedAt": "2026-03-10T11:59:00Z"}
    event = changed("Deployment", template({}), template(restarted))
    assert event.text == "Restarted."
    assert not [key for key in event.facts if key.startswith("annotations")]
    event = changed("Deployment", template(restarted), template({**restarted, "checksum/config": CANARY}))
    assert event.text == "Changed: annotations (checksum/config (pod template))."
    assert event.facts["annotations_added"] == ["checksum/config (pod template)"]


def test_taints_and_labels_of_a_node_are_changes_unless_controllers_set_them() -> None:
    def node(taints: list[str], labels: dict[str, str]) -> dict[str, Any]:
        spec = {
            "taints": [{"key": key, "effect": "NoSchedule"} for key in taints],
            "podCIDR": f"10.{len(taints)}.0.0/24",
        }
        return resource({"labels": labels, "namespace": None}, spec=spec)

    event = changed("Node", node([], {}), node(["dedicated"], {"node-role.kubernetes.io/gpu": ""}))
    assert event.text == "Changed: taints, label node-role.kubernetes.io/gpu."
    assert event.facts["taints"] == ["dedicated:NoSchedule"]
    machine_taints = ["node.kubernetes.io/not-ready", "ToBeDeletedByClusterAutoscaler"]
    machine_labels = {"feature.node.kubernetes.io/cpu": "a", "nvidia.com/gfd.timestamp": "1"}
    assert change("Node", node([], {}), node(machine_taints, machine_labels)) is None


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
