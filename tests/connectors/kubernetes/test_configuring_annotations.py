"""Annotations and labels that configure an object are changes; those that machines write are none."""

from __future__ import annotations

import json
from typing import Any

import pytest

from painchain.connectors.kubernetes.changes import compare
from painchain.connectors.kubernetes.observation import ObjectType
from tests.connectors.kubernetes.configured_objects import (
    CANARY,
    NOW,
    SINCE,
    SPECIFICATIONS,
    change,
    changed,
    observed,
    resource,
)


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
