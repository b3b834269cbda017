"""Reduce a Kubernetes object to the state that is stored for comparison, without any value that could be a secret.

Names, images and numbers are stored as they are. Everything else, such as the values of config maps, secrets,
environments and annotations, is stored as a mark, which is a keyed hash. Pure functions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from painchain.connectors.kubernetes import helm, pods
from painchain.connectors.kubernetes.bookkeeping import is_machine_label, is_machine_taint, is_routine_job
from painchain.connectors.kubernetes.field_marks import (
    MAX_CONTAINERS,
    Marks,
    annotation_marks,
    environment_marks,
    ingress_marks,
    marks,
    service_marks,
    template_marks,
    without_defaults,
)
from painchain.connectors.kubernetes.json_values import (
    MAX_CHARACTERS,
    MAX_LINES,
    Fingerprint,
    as_dict,
    as_dicts,
    as_lines,
    as_list,
    as_number,
    as_text,
    parse_time,
)
from painchain.connectors.kubernetes.workload import WORKLOADS, workload_of

State = dict[str, Any]

FORMAT = 2  # 1 had no "v", one hash for all fields of a specification, and no annotations
LEFT_OUT: State = {"v": FORMAT, "left_out": True}

MAX_KEYS = 500

# Node fields that controllers set once, after the node has joined.
NODE_FIELDS_OF_MACHINES = ("podCIDR", "podCIDRs", "providerID", "externalID", "taints", "unschedulable")


def state(kind: str, item: Mapping[str, Any], fingerprint: Fingerprint) -> State:
    """Return the state of an object of that kind, without empty values."""
    metadata, spec = as_dict(item.get("metadata")), as_dict(item.get("spec"))
    if kind == "Pod":
        return pods.state(item)
    own = _STATES[kind](item, spec, fingerprint)
    if own.keys() == {"routine"}:
        return {"v": FORMAT, **own}
    shared = {
        "v": FORMAT,
        "annotations": annotation_marks(metadata, fingerprint),
        "workload": workload_of(kind, metadata) if kind not in WORKLOADS else None,
        **helm.origin(metadata),
    }
    if kind != "Node":
        shared["labels"] = fingerprint(metadata.get("labels") or {})
        shared["generation"] = metadata.get("generation")
    return {key: value for key, value in {**own, **shared}.items() if value not in (None, {}, [])}


def _deployment(item: Any, spec: Any, fingerprint: Fingerprint) -> State:
    return {
        **_workload(spec, fingerprint, "replicas"),
        "strategy": as_text(as_dict(spec.get("strategy")).get("type")),
        "replicas": as_number(spec.get("replicas")),
    }


def _stateful_set(item: Any, spec: Any, fingerprint: Fingerprint) -> State:
    return {**_workload(spec, fingerprint, "replicas"), "replicas": as_number(spec.get("replicas"))}


def _daemon_set(item: Any, spec: Any, fingerprint: Fingerprint) -> State:
    strategy = as_text(as_dict(spec.get("updateStrategy")).get("type"))
    return {**_workload(spec, fingerprint), "strategy": strategy}


def _service(item: Any, spec: Any, fingerprint: Fingerprint) -> State:
    return {
        "service_type": as_text(spec.get("type")),
        "cluster_ip": as_text(spec.get("clusterIP")),
        "ports": as_lines(map(_port, as_dicts(spec.get("ports")))),
        "fields": {
            **service_marks(spec, fingerprint),
            **marks({"further ports": as_list(spec.get("ports"))[MAX_LINES:]}, fingerprint),
        },
    }


def _keys(item: Any, spec: Any, fingerprint: Fingerprint) -> State:
    values = {**as_dict(item.get("binaryData")), **as_dict(item.get("data"))}
    keys = {str(key)[:MAX_CHARACTERS]: fingerprint(value) for key, value in sorted(values.items())[:MAX_KEYS]}
    others = {key: values[key] for key in sorted(values)[MAX_KEYS:]}
    fields = {"type": item.get("type"), "immutable": item.get("immutable") or None, "further keys": others}
    return {"keys": keys, "fields": marks(fields, fingerprint)}


def _ingress(item: Any, spec: Any, fingerprint: Fingerprint) -> State:
    return {
        "ingress_class": as_text(spec.get("ingressClassName")),
        "hosts": as_lines(rule.get("host") or "*" for rule in as_dicts(spec.get("rules"))),
        "fields": ingress_marks(spec, fingerprint),
    }


def _job(item: Any, spec: Any, fingerprint: Fingerprint) -> State:
    status = as_dict(item.get("status"))
    ends = {"Complete": "succeeded", "Failed": "failed"}
    conditions = [condition for condition in as_dicts(status.get("conditions")) if condition.get("status") == "True"]
    outcome = next((condition for condition in conditions if condition.get("type") in ends), {})
    began = parse_time(status.get("startTime"))
    until = parse_time(status.get("completionTime")) or parse_time(outcome.get("lastTransitionTime"))
    is_routine = is_routine_job(as_dict(item.get("metadata")))
    if is_routine and outcome.get("type") != "Failed":
        return {"routine": True}
    return {
        **_workload(spec, fingerprint),
        "status": ends.get(str(outcome.get("type"))),
        "duration": max(0, round((until - began).total_seconds())) if outcome and began and until else None,
        "routine": is_routine or None,
    }


def _cron_job(item: Any, spec: Any, fingerprint: Fingerprint) -> State:
    template = as_dict(spec.get("jobTemplate"))
    job = _workload(as_dict(template.get("spec")), fingerprint, prefix="job/")
    metadata = {key: as_dict(template.get("metadata")).get(key) for key in ("labels", "annotations")}
    job["fields"] |= marks(metadata, fingerprint, prefix="job/")
    job["fields"] |= marks(spec, fingerprint, "jobTemplate", "schedule", "suspend")
    return {**job, "schedule": as_text(spec.get("schedule")), "suspended": spec.get("suspend") is True}


def _node(item: Any, spec: Any, fingerprint: Fingerprint) -> State:
    conditions = as_dicts(as_dict(item.get("status")).get("conditions"))
    labels = as_dict(as_dict(item.get("metadata")).get("labels"))
    chosen_labels = {key: value for key, value in labels.items() if not is_machine_label(str(key))}
    taints = [taint for taint in as_dicts(spec.get("taints")) if not is_machine_taint(str(taint.get("key")))]
    return {
        "conditions": {
            str(condition.get("type"))[:MAX_CHARACTERS]: str(condition.get("status"))[:MAX_CHARACTERS]
            for condition in conditions
        },
        "unschedulable": spec.get("unschedulable") is True,
        "taints": as_lines(sorted(map(_taint, taints))),
        "fields": {
            **marks(spec, fingerprint, *NODE_FIELDS_OF_MACHINES),
            # A label without a value is a label.
            **{f"label/{key}": fingerprint(value) for key, value in chosen_labels.items()},
        },
    }


def _role(item: Any, spec: Any, fingerprint: Fingerprint) -> State:
    rules = as_list(item.get("rules"))
    return {"rules": as_lines(map(_rule, map(as_dict, rules))), "fields": marks({"rules": rules}, fingerprint)}


def _role_binding(item: Any, spec: Any, fingerprint: Fingerprint) -> State:
    role, subjects = as_dict(item.get("roleRef")), as_list(item.get("subjects"))
    return {
        "role": as_text(f"{role.get('kind')} {role.get('name')}") if role else None,
        "subjects": as_lines(map(_subject, map(as_dict, subjects))),
        "fields": marks({"subjects": subjects}, fingerprint),
    }


def _workload(spec: Any, fingerprint: Fingerprint, *without: str, prefix: str = "") -> State:
    template = as_dict(spec.get("template"))
    pod = as_dict(template.get("spec"))
    containers = [container for group in ("initContainers", "containers") for container in as_dicts(pod.get(group))]
    by_name = {str(container.get("name"))[:MAX_CHARACTERS]: container for container in containers[:MAX_CONTAINERS]}
    environments = {name: environment_marks(container, fingerprint) for name, container in by_name.items()}
    fields: Marks = marks(without_defaults(spec), fingerprint, "template", *without, prefix=prefix)
    return {
        "images": {name: as_text(container.get("image")) for name, container in by_name.items()},
        "env": {name: environment for name, environment in environments.items() if environment},
        "fields": {**fields, **template_marks(template, fingerprint)},
        "pod_annotations": annotation_marks(as_dict(template.get("metadata")), fingerprint),
    }


def _port(port: Mapping[str, Any]) -> str:
    target, node, name = port.get("targetPort"), port.get("nodePort"), port.get("name")
    text = f"{port.get('port')}/{port.get('protocol', 'TCP')}"
    text += f" → {target}" if target not in (None, port.get("port")) else ""
    text += (f", node {node}" if node else "") + (f" ({name})" if name else "")
    return text + (f"{APP_PROTOCOL}{port['appProtocol']}" if port.get("appProtocol") else "")


APP_PROTOCOL = ", app protocol "


def _taint(taint: Mapping[str, Any]) -> str:
    value = f"={taint['value']}" if taint.get("value") else ""
    return f"{taint.get('key')}{value}:{taint.get('effect')}"


def _rule(rule: Mapping[str, Any]) -> str:
    groups = [str(group) for group in as_list(rule.get("apiGroups")) if group]
    resources = map(str, as_list(rule.get("resources")) or as_list(rule.get("nonResourceURLs")))
    text = f"{', '.join(map(str, as_list(rule.get('verbs'))))}: {', '.join(resources)}"
    only = ", ".join(map(str, as_list(rule.get("resourceNames"))))
    return text + (f" ({', '.join(groups)})" if groups else "") + (f", only {only}" if only else "")


def _subject(subject: Mapping[str, Any]) -> str:
    name, namespace = subject.get("name"), subject.get("namespace")
    return f"{subject.get('kind')} {namespace}/{name}" if namespace else f"{subject.get('kind')} {name}"


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
    "Role": _role,
    "RoleBinding": _role_binding,
}
