"""Decide what in a cluster is bookkeeping of machines: annotations, objects, and what the connector leaves out."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import translate
from functools import cached_property, lru_cache
from typing import Any

from painchain.connectors.kubernetes.json_values import as_dict, as_dicts

LEADER = "control-plane.alpha.kubernetes.io/leader"
RESTARTED = "kubectl.kubernetes.io/restartedAt"  # in a pod template: somebody restarted the pods, which is a change

# Annotations that controllers, kubectl and agents of nodes write by themselves. "*" is any text.
MACHINE_ANNOTATIONS = (
    *("*/last-updated", "*/last-update-time", "*/last-applied*", "*/last-change*", "*/last-refresh*", "*/last-sync*"),
    *("*/*-timestamp", "*/*.timestamp", "*/reflected-at", "*/replicated-at"),
    LEADER,
    *("kubectl.kubernetes.io/last-applied-configuration", "meta.helm.sh/*"),
    *("deployment.kubernetes.io/*", "deprecated.daemonset.template.generation", "batch.kubernetes.io/*"),
    *("endpoints.kubernetes.io/*", "autoscaling.alpha.kubernetes.io/*", "operator.openshift.io/*"),
    # Load balancers and dashboards report their state in these.
    *("cloud.google.com/neg-status", "ingress.kubernetes.io/backends", "ingress.kubernetes.io/*forwarding-rule"),
    *("ingress.kubernetes.io/*target-proxy", "ingress.kubernetes.io/url-map", "metallb.*/ip-allocated-from-pool"),
    *("field.cattle.io/publicEndpoints", "objectset.rio.cattle.io/*", "lifecycle.cattle.io/*", "cattle.io/status"),
    # Nodes.
    *("node.alpha.kubernetes.io/*", "volumes.kubernetes.io/*", "csi.volume.kubernetes.io/*"),
    *("alpha.kubernetes.io/provided-node-ip", "kubeadm.alpha.kubernetes.io/*"),
    *("cluster.x-k8s.io/cluster-name*", "cluster.x-k8s.io/machine", "cluster.x-k8s.io/owner-*"),
    *("cluster.x-k8s.io/labels-from-machine", "cluster.x-k8s.io/annotations-from-machine"),
    *("nfd.node.kubernetes.io/*", "*.nfd.node.kubernetes.io/*", "flannel.alpha.coreos.com/*"),
    *("projectcalico.org/IPv*", "projectcalico.org/VXLAN*", "projectcalico.org/Wireguard*"),
    *(
        "projectcalico.org/kube-labels",
        "network.cilium.io/*",
        "k8s.ovn.org/*",
        "k3s.io/*",
        "rke2.io/*",
        "*.k3s.cattle.io/*",
        "management.cattle.io/*",
    ),
    *("machineconfiguration.openshift.io/*", "container.googleapis.com/*", "node.gke.io/last-applied-*"),
)

# Taints and labels that controllers set on nodes; the conditions of the node show the same.
MACHINE_TAINTS = (
    *("node.kubernetes.io/*", "node.cloudprovider.kubernetes.io/*", "*OfClusterAutoscaler", "*ByClusterAutoscaler"),
    "karpenter.sh/disrupt*",
)
MACHINE_LABELS = ("feature.node.kubernetes.io/*", "*timestamp", "*/last-*")

LEFT_OUT_BY_DEFAULT = ("ConfigMap/*/cluster-autoscaler-status",)

_ROUTINE_JOB_NAME = re.compile(r".+-\d{8,10}")


def _compile(patterns: Sequence[str]) -> re.Pattern[str]:
    """Return an expression for patterns in which "*" is any text. It takes linear time for any number of "*"."""
    return re.compile("|".join(map(translate, patterns)))


_MACHINE_ANNOTATION = _compile(MACHINE_ANNOTATIONS)
_MACHINE_TAINT = _compile(MACHINE_TAINTS)
_MACHINE_LABEL = _compile(MACHINE_LABELS)


@dataclass(frozen=True)
class LeaveOut:
    """The objects of which the connector reports nothing, as patterns ``kind/namespace/name`` with ``*``.

    >>> leave_out = LeaveOut(("Secret/ci/*", "*/*/*-temp"))
    >>> leave_out.matches("Secret", "ci", "token"), leave_out.matches("Node", "", "a-temp")
    (True, True)
    >>> leave_out.matches("ConfigMap", "ci", "token")
    False
    """

    patterns: tuple[str, ...] = ()

    @cached_property
    def _expression(self) -> re.Pattern[str]:
        return _compile((*LEFT_OUT_BY_DEFAULT, *self.patterns))

    def matches(self, kind: str, namespace: str, name: str) -> bool:
        """Return whether nothing is reported of this object. The namespace of a node is ""."""
        return self._expression.fullmatch(f"{kind}/{namespace}/{name}") is not None


DEFAULT_LEAVE_OUT = LeaveOut()


def leave_out(settings: Mapping[str, Any]) -> LeaveOut:
    """Return what the settings of a connector leave out."""
    patterns: Sequence[str] = settings.get("leave_out") or ()
    return LeaveOut(tuple(patterns))


@lru_cache(4096)
def is_machine_annotation(key: str) -> bool:
    """Return whether an annotation is written by machines and configures nothing.

    >>> is_machine_annotation("deployment.kubernetes.io/revision"), is_machine_annotation("a.example/last-updated")
    (True, True)
    >>> is_machine_annotation("nginx.ingress.kubernetes.io/rewrite-target")
    False
    """
    return _MACHINE_ANNOTATION.fullmatch(key) is not None


def is_leader_election(metadata: Mapping[str, Any]) -> bool:
    """Return whether an object only holds the lock of a leader election."""
    return LEADER in as_dict(metadata.get("annotations"))


def is_machine_taint(key: str) -> bool:
    """Return whether a controller set this taint of a node."""
    return _MACHINE_TAINT.fullmatch(key) is not None


def is_machine_label(key: str) -> bool:
    """Return whether an agent of a node keeps this label of it up to date."""
    return _MACHINE_LABEL.fullmatch(key) is not None


def is_routine_job(metadata: Mapping[str, Any]) -> bool:
    """Return whether a CronJob's controller created this Job, not a person with ``kubectl create job --from``."""
    is_manual = as_dict(metadata.get("annotations")).get("cronjob.kubernetes.io/instantiate") == "manual"
    owners = as_dicts(metadata.get("ownerReferences"))
    return not is_manual and any(owner.get("kind") == "CronJob" for owner in owners)


def has_routine_job_name(name: str) -> bool:
    """Return whether a Job is named as the controller of a CronJob does: with the time at which it was due.

    >>> has_routine_job_name("backup-29500000"), has_routine_job_name("migrate-7")
    (True, False)
    """
    return _ROUTINE_JOB_NAME.fullmatch(name) is not None
