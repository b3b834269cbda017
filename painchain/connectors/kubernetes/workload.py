"""Name the workload that a Kubernetes object belongs to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from painchain.connectors.kubernetes.json_values import as_dict, as_dicts, as_text, parse_time

WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet", "CronJob")
APP_LABELS = ("app.kubernetes.io/name", "k8s-app", "app")

# The label of a pod that contains the last part of its ReplicaSet's name, and the owner of such ReplicaSets.
REPLICA_SET_OWNERS = {"pod-template-hash": "Deployment", "rollouts-pod-template-hash": "Rollout"}
SECONDS_A_DAY = 86_400


def workload_of(kind: str, metadata: Mapping[str, Any]) -> str | None:
    """Return the workload as "Kind/name": the object itself, its owner, or the owner of its owner.

    Of an object without an owner, such as a config map, return the application that its labels name.
    """
    name = metadata.get("name")
    if kind in WORKLOADS:
        return f"{kind}/{name}"
    owners = as_dicts(metadata.get("ownerReferences"))
    owner = next((owner for owner in owners if owner.get("controller") is True), owners[0] if owners else None)
    if owner and kind != "Node" and as_text(owner.get("name")):
        return _top_owner(str(owner.get("kind")), str(owner["name"]), metadata)
    if kind in ("Job", "Pod"):
        return f"{kind}/{name}"
    labels = as_dict(metadata.get("labels"))
    return next((text for label in APP_LABELS if (text := as_text(labels.get(label)))), None)


def _top_owner(kind: str, name: str, metadata: Mapping[str, Any]) -> str:
    """Return the owner of a ReplicaSet or Job, as far as its name shows it; else the owner itself."""
    if kind == "ReplicaSet":
        labels = as_dict(metadata.get("labels"))
        for label, owner in REPLICA_SET_OWNERS.items():
            suffix = f"-{labels.get(label)}"
            if label in labels and name.endswith(suffix) and name != suffix:
                return f"{owner}/{name.removesuffix(suffix)}"
    if kind == "Job" and (cron_job := _cron_job(name, metadata)):
        return f"CronJob/{cron_job}"
    return f"{kind}/{name}"


def _cron_job(job: str, metadata: Mapping[str, Any]) -> str | None:
    """Return the CronJob of a Job whose name ends in the time at which it was due, in minutes or seconds since 1970."""
    cron_job, _, number = job.rpartition("-")
    created = parse_time(metadata.get("creationTimestamp"))
    if not cron_job or not created or not (number.isascii() and number.isdigit()) or len(number) > len("1700000000"):
        return None
    is_due_time = any(abs(int(number) * unit - created.timestamp()) < SECONDS_A_DAY for unit in (1, 60))
    return cron_job if is_due_time else None
