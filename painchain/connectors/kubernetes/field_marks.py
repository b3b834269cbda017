"""Compute a mark for each field and annotation that configures a Kubernetes object.

A mark is a keyed hash. It shows that a value differs, and reveals nothing about the value. Empty fields have no mark.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from painchain.connectors.kubernetes.bookkeeping import is_machine_annotation
from painchain.connectors.kubernetes.json_values import MAX_CHARACTERS, MAX_LINES, Fingerprint, as_dict, as_dicts

Marks = dict[str, str]

MAX_CONTAINERS = 50
MAX_MARKS = 200
EMPTY: tuple[Any, ...] = (None, "", [], {})

# The API server adds these defaults. A field with its default is the same as no field: an upgraded server that adds one
# to objects that were stored without it has changed nothing, and the cursor stays small.
DEFAULTS: dict[str, Any] = {
    # Services
    "allocateLoadBalancerNodePorts": True,
    "externalTrafficPolicy": "Cluster",
    "internalTrafficPolicy": "Cluster",
    "ipFamilyPolicy": "SingleStack",
    "publishNotReadyAddresses": False,
    "sessionAffinity": "None",
    # Workloads
    "progressDeadlineSeconds": 600,
    "revisionHistoryLimit": 10,
    # Pods and containers
    "dnsPolicy": "ClusterFirst",
    "restartPolicy": "Always",
    "schedulerName": "default-scheduler",
    "terminationGracePeriodSeconds": 30,
    "terminationMessagePath": "/dev/termination-log",
    "terminationMessagePolicy": "File",
}


def without_defaults(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields whose value is not the default."""
    return {key: value for key, value in values.items() if DEFAULTS.get(key) != value}


def marks(values: Mapping[Any, Any], fingerprint: Fingerprint, *without: str, prefix: str = "") -> Marks:
    """Return the mark of each field that is not empty, except those of `without`."""
    return {
        f"{prefix}{str(key)[:MAX_CHARACTERS]}": fingerprint(value)
        for key, value in list(values.items())[:MAX_MARKS]
        if key not in without and value not in EMPTY
    }


def annotation_marks(metadata: Mapping[str, Any], fingerprint: Fingerprint) -> Marks:
    """Return the mark of each annotation that configures something."""
    annotations = as_dict(metadata.get("annotations"))
    chosen = [(key, value) for key, value in annotations.items() if not is_machine_annotation(key)]
    # An annotation without a value is an annotation.
    return {key[:MAX_CHARACTERS]: fingerprint(value) for key, value in chosen[:MAX_MARKS]}


def template_marks(template: Mapping[str, Any], fingerprint: Fingerprint) -> Marks:
    """Return the marks of a pod template, without images, environments and annotations, which have their own keys."""
    pod = as_dict(template.get("spec"))
    labels = as_dict(template.get("metadata")).get("labels")
    # The API server copies serviceAccountName to serviceAccount.
    digests = marks(without_defaults(pod), fingerprint, "containers", "initContainers", "serviceAccount", prefix="pod/")
    digests |= marks({"labels": labels}, fingerprint, prefix="pod/")
    for group in ("initContainers", "containers"):
        containers = as_dicts(pod.get(group))
        for container in containers[:MAX_CONTAINERS]:
            prefix = f"container/{str(container.get('name'))[:MAX_CHARACTERS]}/"
            digests |= marks(without_defaults(container), fingerprint, "name", "image", "env", prefix=prefix)
        if len(containers) > 1 or group == "initContainers":
            order = [container.get("name") for container in containers], containers[MAX_CONTAINERS:]
            digests |= marks({group: order if containers else None}, fingerprint, prefix="pod/")
    return digests


def environment_marks(container: Mapping[str, Any], fingerprint: Fingerprint) -> Marks:
    """Return the mark of each environment variable of a container; "…" marks those beyond the limit."""
    variables = as_dicts(container.get("env"))
    digests = {str(item.get("name"))[:MAX_CHARACTERS]: fingerprint(item) for item in variables[:MAX_LINES]}
    return {**digests, "…": fingerprint(variables[MAX_LINES:])} if len(variables) > MAX_LINES else digests


def service_marks(spec: Mapping[str, Any], fingerprint: Fingerprint) -> Marks:
    """Return the marks of a service's specification, without what its other keys contain and without defaults."""
    fields = without_defaults(spec)
    if fields.get("clusterIPs") == [spec.get("clusterIP")]:
        del fields["clusterIPs"]
    if fields.get("ipFamilies") in (["IPv4"], ["IPv6"]):
        del fields["ipFamilies"]
    return marks(fields, fingerprint, "type", "clusterIP", "ports")


def ingress_marks(spec: Mapping[str, Any], fingerprint: Fingerprint) -> Marks:
    """Return the marks of an ingress, one for the rules of each host."""
    rules: dict[str, list[Any]] = {}
    for rule in as_dicts(spec.get("rules")):
        rules.setdefault(str(rule.get("host") or "*"), []).append(rule)
    return {**marks(spec, fingerprint, "ingressClassName", "rules"), **marks(rules, fingerprint, prefix="rules/")}


def field_name(path: str) -> str:
    """Return the name of a marked field for people.

    >>> field_name("container/web/livenessProbe"), field_name("pod/volumes"), field_name("pod/labels")
    ('livenessProbe of web', 'volumes', 'labels of the pod template')
    >>> field_name("rules/shop.example"), field_name("externalTrafficPolicy")
    ('rules of shop.example', 'externalTrafficPolicy')
    """
    scope, _, rest = path.partition("/")
    if scope == "container":
        container, _, field = rest.rpartition("/")
        return f"{field} of {container}"
    if scope in ("pod", "job"):
        return f"{rest} of the {scope} template" if rest in ("labels", "annotations") else rest
    if scope in ("rules", "label"):
        return f"rules of {rest}" if scope == "rules" else f"label {rest}"
    return path
