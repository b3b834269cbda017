"""What is kept of a Kubernetes object to know later what changed: pure, and no value that could be a secret.

Values of config maps, of secrets and of environments, and whatever else is only compared, are kept as marks: keyed
hashes, cut short. Annotations are not looked at, but for those of a pod template, which are part of its mark.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any

State = dict[str, Any]
Marker = Callable[[Any], str]

MOST_CONTAINERS = 50
MOST_KEYS = 500
MOST_LINES = 100
LONGEST = 300

# Reasons for which a container waits or has ended that are trouble, the most telling first.
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


def marker(salt: str) -> Marker:
    """Return the function that makes marks with a connector's own salt: equal for equal values, and nothing more."""
    key = salt.encode()

    def mark(value: Any) -> str:
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=6, key=key).digest()
        return urlsafe_b64encode(digest).decode()

    return mark


def state(kind: str, thing: Mapping[str, Any], mark: Marker) -> State:
    """Return what is kept of an object of that kind; what the object does not tell of is left out."""
    meta, spec = mapping(thing.get("metadata")), mapping(thing.get("spec"))
    kept = _STATES[kind](thing, spec, mark)
    if kind not in ("Node", "Pod"):
        kept["labels"] = mark(meta.get("labels") or {})
        kept["generation"] = meta.get("generation")
    return {key: value for key, value in kept.items() if value not in (None, {}, [])}


def _deployment(thing: Any, spec: Any, mark: Marker) -> State:
    return {
        **_workload(spec, mark, "strategy", "replicas"),
        "strategy": _text(mapping(spec.get("strategy")).get("type")),
        "replicas": _number(spec.get("replicas")),
    }


def _stateful_set(thing: Any, spec: Any, mark: Marker) -> State:
    return {**_workload(spec, mark, "replicas"), "replicas": _number(spec.get("replicas"))}


def _daemon_set(thing: Any, spec: Any, mark: Marker) -> State:
    strategy = _text(mapping(spec.get("updateStrategy")).get("type"))
    return {**_workload(spec, mark, "updateStrategy"), "strategy": strategy}


def _service(thing: Any, spec: Any, mark: Marker) -> State:
    # A service has no generation: only what people set is compared, not what a newer server adds.
    compared = ("selector", "externalName", "externalIPs", "sessionAffinity", "loadBalancerSourceRanges")
    return {
        "service_type": _text(spec.get("type")),
        "cluster_ip": _text(spec.get("clusterIP")),
        "ports": _lines(_port(mapping(one)) for one in items(spec.get("ports"))),
        "rest": mark({key: spec.get(key) for key in compared}),
    }


def _keys(thing: Any, spec: Any, mark: Marker) -> State:
    values = {**mapping(thing.get("binaryData")), **mapping(thing.get("data"))}
    kept = {str(key)[:LONGEST]: mark(value) for key, value in sorted(values.items())[:MOST_KEYS]}
    rest = [thing.get("type"), bool(thing.get("immutable")), sorted(values)[MOST_KEYS:]]
    return {"keys": kept, "rest": mark(rest)}


def _ingress(thing: Any, spec: Any, mark: Marker) -> State:
    return {
        "ingress_class": _text(spec.get("ingressClassName")),
        "hosts": _lines(mapping(rule).get("host") or "*" for rule in items(spec.get("rules"))),
        "rest": mark({key: value for key, value in spec.items() if key != "ingressClassName"}),
    }


def _job(thing: Any, spec: Any, mark: Marker) -> State:
    status = mapping(thing.get("status"))
    ends = {"Complete": "succeeded", "Failed": "failed"}
    ended = [one for one in map(mapping, items(status.get("conditions"))) if one.get("status") == "True"]
    outcome = next((one for one in ended if one.get("type") in ends), {})
    began = when(status.get("startTime"))
    until = when(status.get("completionTime")) or when(outcome.get("lastTransitionTime"))
    return {
        **_workload(spec, mark),
        "status": ends.get(str(outcome.get("type"))),
        "duration": max(0, round((until - began).total_seconds())) if outcome and began and until else None,
    }


def _cron_job(thing: Any, spec: Any, mark: Marker) -> State:
    job = mapping(mapping(spec.get("jobTemplate")).get("spec"))
    return {
        **_workload(job, mark),
        "schedule": _text(spec.get("schedule")),
        "suspended": spec.get("suspend") is True,
        "policy": mark(
            {key: value for key, value in spec.items() if key not in ("jobTemplate", "schedule", "suspend")}
        ),
    }


def _node(thing: Any, spec: Any, mark: Marker) -> State:
    conditions = map(mapping, items(mapping(thing.get("status")).get("conditions")))
    return {
        "conditions": {str(one.get("type"))[:LONGEST]: str(one.get("status"))[:LONGEST] for one in conditions},
        "unschedulable": spec.get("unschedulable") is True,
    }


def _pod(thing: Any, spec: Any, mark: Marker) -> State:
    status = mapping(thing.get("status"))
    containers = [
        mapping(one)
        for name in ("initContainerStatuses", "containerStatuses")
        for one in items(status.get(name))[:MOST_CONTAINERS]
    ]
    troubles = [trouble for one in containers if (trouble := _trouble(one))]
    if status.get("phase") == "Failed":
        troubles.append([_text(status.get("reason")) or "Failed", None, None])
    return {"troubles": troubles, "running_since": _running_since(status, containers)}


def _role(thing: Any, spec: Any, mark: Marker) -> State:
    rules = items(thing.get("rules"))
    return {"rules": _lines(_rule(mapping(rule)) for rule in rules), "rest": mark(rules)}


def _role_binding(thing: Any, spec: Any, mark: Marker) -> State:
    role, subjects = mapping(thing.get("roleRef")), items(thing.get("subjects"))
    return {
        "role": _text(f"{role.get('kind')} {role.get('name')}") if role else None,
        "subjects": _lines(_subject(mapping(one)) for one in subjects),
        "rest": mark(subjects),
    }


def _workload(spec: Any, mark: Marker, *apart: str) -> State:
    template = mapping(spec.get("template"))
    pod = mapping(template.get("spec"))
    containers = [mapping(one) for name in ("initContainers", "containers") for one in items(pod.get(name))]
    named = [(str(one.get("name"))[:LONGEST], one) for one in containers[:MOST_CONTAINERS]]
    bare = [{key: value for key, value in one.items() if key not in ("image", "env")} for one in containers]
    remainder = {key: value for key, value in pod.items() if key not in ("initContainers", "containers")}
    meta = {key: mapping(template.get("metadata")).get(key) for key in ("labels", "annotations")}
    return {
        "images": {name: _text(one.get("image")) for name, one in named},
        "env": {name: env for name, one in named if (env := _environment(one, mark))},
        "template": mark([bare, remainder, meta]),
        "rest": mark({key: value for key, value in spec.items() if key not in ("template", *apart)}),
    }


def _environment(container: Any, mark: Marker) -> dict[str, str]:
    variables = [mapping(one) for one in items(container.get("env"))]
    kept = {str(one.get("name"))[:LONGEST]: mark(one) for one in variables[:MOST_LINES]}
    return {**kept, "…": mark(variables[MOST_LINES:])} if len(variables) > MOST_LINES else kept


def _port(port: Any) -> str:
    target, node, name = port.get("targetPort"), port.get("nodePort"), port.get("name")
    text = f"{port.get('port')}/{port.get('protocol', 'TCP')}"
    text += f" → {target}" if target not in (None, port.get("port")) else ""
    return text + (f", node {node}" if node else "") + (f" ({name})" if name else "")


def _rule(rule: Any) -> str:
    groups = [str(group) for group in items(rule.get("apiGroups")) if group]
    things = [str(one) for one in items(rule.get("resources")) or items(rule.get("nonResourceURLs"))]
    text = f"{', '.join(map(str, items(rule.get('verbs'))))}: {', '.join(things)}"
    only = ", ".join(map(str, items(rule.get("resourceNames"))))
    return text + (f" ({', '.join(groups)})" if groups else "") + (f", only {only}" if only else "")


def _subject(subject: Any) -> str:
    name, namespace = subject.get("name"), subject.get("namespace")
    return f"{subject.get('kind')} {namespace}/{name}" if namespace else f"{subject.get('kind')} {name}"


def _trouble(container: Any) -> list[Any] | None:
    """Return reason, container and restarts; a container that crashes for want of memory says so first."""
    now, last = mapping(container.get("state")), mapping(container.get("lastState"))
    ended = [mapping(one.get("terminated")).get("reason") for one in (now, last)]
    waits = mapping(now.get("waiting")).get("reason")
    reason = next((one for one in ENDED if one in ended), waits if waits in WAITING else None)
    return [reason, _text(container.get("name")), _number(container.get("restartCount"))] if reason else None


def _running_since(status: Any, containers: list[Any]) -> str | None:
    """Return since when every container runs, as Kubernetes has it; None if one does not."""
    if status.get("phase") != "Running":
        return None
    running = [one for one in containers if mapping(mapping(one.get("state")).get("terminated")).get("exitCode") != 0]
    began = [mapping(mapping(one.get("state")).get("running")).get("startedAt") for one in running]
    return max(map(str, began)) if began and all(began) else None


def mapping(value: Any) -> dict[str, Any]:
    """Return `value` if it is an object of JSON, else an empty one: one odd item stops nothing."""
    return value if isinstance(value, dict) else {}


def items(value: Any) -> list[Any]:
    """Return `value` if it is a list, else an empty one."""
    return value if isinstance(value, list) else []


def when(value: Any) -> datetime | None:
    """Return the moment that Kubernetes names, None if it is none.

    >>> when("2026-03-10T12:00:00Z"), when("soon"), when(None)
    (datetime.datetime(2026, 3, 10, 12, 0, tzinfo=datetime.timezone.utc), None, None)
    """
    try:
        moment = datetime.fromisoformat(value)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        return None


def _text(value: Any) -> str | None:
    return str(value)[:LONGEST] if isinstance(value, str | int) and value != "" else None


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _lines(texts: Iterable[Any]) -> list[str]:
    return [str(text)[:LONGEST] for text in texts][:MOST_LINES]


_STATES: dict[str, Callable[[Any, Any, Marker], State]] = {
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
