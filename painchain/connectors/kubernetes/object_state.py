"""Reduce a Kubernetes object to the state that is stored for comparison, without any value that could be a secret.

Values of config maps, secrets and environments, and everything else that is only compared, are stored as fingerprints:
truncated keyed hashes. Annotations are ignored, except those of a pod template. Pure functions.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any

State = dict[str, Any]
Fingerprint = Callable[[Any], str]

MAX_CONTAINERS = 50
MAX_KEYS = 500
MAX_LINES = 100
MAX_CHARACTERS = 300

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


def fingerprinter(salt: str) -> Fingerprint:
    """Return a function that computes fingerprints with a connector's own salt."""
    key = salt.encode()

    def fingerprint(value: Any) -> str:
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=6, key=key).digest()
        return urlsafe_b64encode(digest).decode()

    return fingerprint


def state(kind: str, item: Mapping[str, Any], fingerprint: Fingerprint) -> State:
    """Return the state of an object of that kind, without empty values."""
    meta, spec = as_dict(item.get("metadata")), as_dict(item.get("spec"))
    kept = _STATES[kind](item, spec, fingerprint)
    if kind not in ("Node", "Pod"):
        kept["labels"] = fingerprint(meta.get("labels") or {})
        kept["generation"] = meta.get("generation")
    return {key: value for key, value in kept.items() if value not in (None, {}, [])}


def _deployment(item: Any, spec: Any, fingerprint: Fingerprint) -> State:
    return {
        **_workload(spec, fingerprint, "strategy", "replicas"),
        "strategy": _text(as_dict(spec.get("strategy")).get("type")),
        "replicas": _number(spec.get("replicas")),
    }


def _stateful_set(item: Any, spec: Any, fingerprint: Fingerprint) -> State:
    return {**_workload(spec, fingerprint, "replicas"), "replicas": _number(spec.get("replicas"))}


def _daemon_set(item: Any, spec: Any, fingerprint: Fingerprint) -> State:
    strategy = _text(as_dict(spec.get("updateStrategy")).get("type"))
    return {**_workload(spec, fingerprint, "updateStrategy"), "strategy": strategy}


def _service(item: Any, spec: Any, fingerprint: Fingerprint) -> State:
    # A service has no generation: only fields that people set are compared, not defaults of a newer server.
    compared = ("selector", "externalName", "externalIPs", "sessionAffinity", "loadBalancerSourceRanges")
    return {
        "service_type": _text(spec.get("type")),
        "cluster_ip": _text(spec.get("clusterIP")),
        "ports": _lines(_port(as_dict(one)) for one in as_list(spec.get("ports"))),
        "rest": fingerprint({key: spec.get(key) for key in compared}),
    }


def _keys(item: Any, spec: Any, fingerprint: Fingerprint) -> State:
    values = {**as_dict(item.get("binaryData")), **as_dict(item.get("data"))}
    kept = {str(key)[:MAX_CHARACTERS]: fingerprint(value) for key, value in sorted(values.items())[:MAX_KEYS]}
    rest = [item.get("type"), bool(item.get("immutable")), sorted(values)[MAX_KEYS:]]
    return {"keys": kept, "rest": fingerprint(rest)}


def _ingress(item: Any, spec: Any, fingerprint: Fingerprint) -> State:
    return {
        "ingress_class": _text(spec.get("ingressClassName")),
        "hosts": _lines(as_dict(rule).get("host") or "*" for rule in as_list(spec.get("rules"))),
        "rest": fingerprint({key: value for key, value in spec.items() if key != "ingressClassName"}),
    }


def _job(item: Any, spec: Any, fingerprint: Fingerprint) -> State:
    status = as_dict(item.get("status"))
    ends = {"Complete": "succeeded", "Failed": "failed"}
    ended = [one for one in map(as_dict, as_list(status.get("conditions"))) if one.get("status") == "True"]
    outcome = next((one for one in ended if one.get("type") in ends), {})
    began = parse_time(status.get("startTime"))
    until = parse_time(status.get("completionTime")) or parse_time(outcome.get("lastTransitionTime"))
    return {
        **_workload(spec, fingerprint),
        "status": ends.get(str(outcome.get("type"))),
        "duration": max(0, round((until - began).total_seconds())) if outcome and began and until else None,
    }


def _cron_job(item: Any, spec: Any, fingerprint: Fingerprint) -> State:
    job = as_dict(as_dict(spec.get("jobTemplate")).get("spec"))
    return {
        **_workload(job, fingerprint),
        "schedule": _text(spec.get("schedule")),
        "suspended": spec.get("suspend") is True,
        "policy": fingerprint(
            {key: value for key, value in spec.items() if key not in ("jobTemplate", "schedule", "suspend")}
        ),
    }


def _node(item: Any, spec: Any, fingerprint: Fingerprint) -> State:
    conditions = map(as_dict, as_list(as_dict(item.get("status")).get("conditions")))
    return {
        "conditions": {
            str(one.get("type"))[:MAX_CHARACTERS]: str(one.get("status"))[:MAX_CHARACTERS] for one in conditions
        },
        "unschedulable": spec.get("unschedulable") is True,
    }


def _pod(item: Any, spec: Any, fingerprint: Fingerprint) -> State:
    status = as_dict(item.get("status"))
    containers = [
        as_dict(one)
        for name in ("initContainerStatuses", "containerStatuses")
        for one in as_list(status.get(name))[:MAX_CONTAINERS]
    ]
    troubles = [trouble for one in containers if (trouble := _trouble(one))]
    if status.get("phase") == "Failed":
        troubles.append([_text(status.get("reason")) or "Failed", None, None])
    return {"troubles": troubles, "running_since": _running_since(status, containers)}


def _role(item: Any, spec: Any, fingerprint: Fingerprint) -> State:
    rules = as_list(item.get("rules"))
    return {"rules": _lines(_rule(as_dict(rule)) for rule in rules), "rest": fingerprint(rules)}


def _role_binding(item: Any, spec: Any, fingerprint: Fingerprint) -> State:
    role, subjects = as_dict(item.get("roleRef")), as_list(item.get("subjects"))
    return {
        "role": _text(f"{role.get('kind')} {role.get('name')}") if role else None,
        "subjects": _lines(_subject(as_dict(one)) for one in subjects),
        "rest": fingerprint(subjects),
    }


def _workload(spec: Any, fingerprint: Fingerprint, *apart: str) -> State:
    template = as_dict(spec.get("template"))
    pod = as_dict(template.get("spec"))
    containers = [as_dict(one) for name in ("initContainers", "containers") for one in as_list(pod.get(name))]
    named = [(str(one.get("name"))[:MAX_CHARACTERS], one) for one in containers[:MAX_CONTAINERS]]
    bare = [{key: value for key, value in one.items() if key not in ("image", "env")} for one in containers]
    remainder = {key: value for key, value in pod.items() if key not in ("initContainers", "containers")}
    meta = {key: as_dict(template.get("metadata")).get(key) for key in ("labels", "annotations")}
    return {
        "images": {name: _text(one.get("image")) for name, one in named},
        "env": {name: env for name, one in named if (env := _environment(one, fingerprint))},
        "template": fingerprint([bare, remainder, meta]),
        "rest": fingerprint({key: value for key, value in spec.items() if key not in ("template", *apart)}),
    }


def _environment(container: Any, fingerprint: Fingerprint) -> dict[str, str]:
    variables = [as_dict(one) for one in as_list(container.get("env"))]
    kept = {str(one.get("name"))[:MAX_CHARACTERS]: fingerprint(one) for one in variables[:MAX_LINES]}
    return {**kept, "…": fingerprint(variables[MAX_LINES:])} if len(variables) > MAX_LINES else kept


def _port(port: Any) -> str:
    target, node, name = port.get("targetPort"), port.get("nodePort"), port.get("name")
    text = f"{port.get('port')}/{port.get('protocol', 'TCP')}"
    text += f" → {target}" if target not in (None, port.get("port")) else ""
    return text + (f", node {node}" if node else "") + (f" ({name})" if name else "")


def _rule(rule: Any) -> str:
    groups = [str(group) for group in as_list(rule.get("apiGroups")) if group]
    things = [str(one) for one in as_list(rule.get("resources")) or as_list(rule.get("nonResourceURLs"))]
    text = f"{', '.join(map(str, as_list(rule.get('verbs'))))}: {', '.join(things)}"
    only = ", ".join(map(str, as_list(rule.get("resourceNames"))))
    return text + (f" ({', '.join(groups)})" if groups else "") + (f", only {only}" if only else "")


def _subject(subject: Any) -> str:
    name, namespace = subject.get("name"), subject.get("namespace")
    return f"{subject.get('kind')} {namespace}/{name}" if namespace else f"{subject.get('kind')} {name}"


def _trouble(container: Any) -> list[Any] | None:
    """Return reason, container and restarts; "OOMKilled" takes precedence over "CrashLoopBackOff"."""
    now, last = as_dict(container.get("state")), as_dict(container.get("lastState"))
    ended = [as_dict(one.get("terminated")).get("reason") for one in (now, last)]
    waits = as_dict(now.get("waiting")).get("reason")
    reason = next((one for one in ENDED if one in ended), waits if waits in WAITING else None)
    return [reason, _text(container.get("name")), _number(container.get("restartCount"))] if reason else None


def _running_since(status: Any, containers: list[Any]) -> str | None:
    """Return since when all containers have been running; None if one is not."""
    if status.get("phase") != "Running":
        return None
    running = [one for one in containers if as_dict(as_dict(one.get("state")).get("terminated")).get("exitCode") != 0]
    began = [as_dict(as_dict(one.get("state")).get("running")).get("startedAt") for one in running]
    return max(map(str, began)) if began and all(began) else None


def as_dict(value: Any) -> dict[str, Any]:
    """Return `value` if it is a JSON object, else {}: a malformed item must not stop a poll."""
    return value if isinstance(value, dict) else {}


def as_list(value: Any) -> list[Any]:
    """Return `value` if it is a list, else []."""
    return value if isinstance(value, list) else []


def parse_time(value: Any) -> datetime | None:
    """Return a time of Kubernetes in UTC, or None.

    >>> parse_time("2026-03-10T12:00:00Z"), parse_time("soon"), parse_time(None)
    (datetime.datetime(2026, 3, 10, 12, 0, tzinfo=datetime.timezone.utc), None, None)
    """
    try:
        moment = datetime.fromisoformat(value)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        return None


def _text(value: Any) -> str | None:
    return str(value)[:MAX_CHARACTERS] if isinstance(value, str | int) and value != "" else None


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _lines(texts: Iterable[Any]) -> list[str]:
    return [str(text)[:MAX_CHARACTERS] for text in texts][:MAX_LINES]


_STATES: dict[str, Callable[[Any, Any, Fingerprint], State]] = {
    "Deployment": _deployment,
    "StatefulSet": _stateful_set,
    "DaemonSet": _daemon_set,
    "Service": _service,
    "ConfigMap": _keys,
    "Secret": _keys,
    "Ingress": _ingress,
    "Job": _job,
    "CronJob": _cron_job,
    "Node": _node,
    "Pod": _pod,
    "Role": _role,
    "RoleBinding": _role_binding,
}
