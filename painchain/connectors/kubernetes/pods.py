"""Pods in trouble: each trouble of a pod is reported once, until all its containers have run for a while."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from painchain.connectors.kubernetes.json_values import as_dict, as_dicts, as_number, as_text, parse_time
from painchain.connectors.kubernetes.workload import workload_of

STABLE_AFTER = timedelta(minutes=10)  # a pod that has run this long has recovered: its next trouble is reported
MAX_CONTAINERS = 50

# Reasons of ended and waiting containers that count as trouble, most specific first.
ENDED = ("OOMKilled", "ContainerCannotRun", "DeadlineExceeded")
WAITING = (
    "CrashLoopBackOff",
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
)


def state(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return the troubles of a pod, as lists of reason, container and restarts, and since when it runs."""
    status = as_dict(item.get("status"))
    containers = [
        container
        for name in ("initContainerStatuses", "containerStatuses")
        for container in as_dicts(status.get(name))[:MAX_CONTAINERS]
    ]
    troubles = [trouble for container in containers if (trouble := _trouble(container))]
    if status.get("phase") == "Failed":
        troubles.append([as_text(status.get("reason")) or "Failed", None, None])
    running_since = _running_since(status, containers)
    workload = workload_of("Pod", as_dict(item.get("metadata"))) if troubles else None
    values = {"troubles": troubles, "running_since": running_since, "workload": workload}
    return {key: value for key, value in values.items() if value not in (None, [])}


def has_recovered(pod: Mapping[str, Any], now: datetime) -> bool:
    """Return whether all containers have run for STABLE_AFTER."""
    began = parse_time(pod.get("running_since"))
    return began is not None and now - began >= STABLE_AFTER


def new_troubles(reported: list[str], pod: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the facts of each trouble that is not reported yet, by the key under which it is stored as reported."""
    by_key = {
        f"{container or ''}:{reason}": {"reason": reason, "container": container, "restarts": restarts}
        for reason, container, restarts in pod.get("troubles", [])
    }
    return {
        key: {name: value for name, value in facts.items() if value is not None}
        for key, facts in by_key.items()
        if key not in reported
    }


def _trouble(container: Mapping[str, Any]) -> list[Any] | None:
    """Return reason, container and restarts; "OOMKilled" takes precedence over "CrashLoopBackOff"."""
    current, last = as_dict(container.get("state")), as_dict(container.get("lastState"))
    ended = [as_dict(phase.get("terminated")).get("reason") for phase in (current, last)]
    waiting = as_dict(current.get("waiting")).get("reason")
    reason = next((reason for reason in ENDED if reason in ended), waiting if waiting in WAITING else None)
    return [reason, as_text(container.get("name")), as_number(container.get("restartCount"))] if reason else None


def _running_since(status: Mapping[str, Any], containers: list[dict[str, Any]]) -> str | None:
    """Return since when all containers have been running; None if one is not."""
    if status.get("phase") != "Running":
        return None
    states = [as_dict(container.get("state")) for container in containers]
    unfinished = [state for state in states if as_dict(state.get("terminated")).get("exitCode") != 0]
    began = [as_dict(state.get("running")).get("startedAt") for state in unfinished]
    return max(map(str, began)) if began and all(began) else None
