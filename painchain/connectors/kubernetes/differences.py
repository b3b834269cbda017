"""Describe what differs between two states of a Kubernetes object, as keys, facts and a sentence without values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from painchain.connectors.kubernetes.bookkeeping import RESTARTED
from painchain.connectors.kubernetes.field_marks import field_name
from painchain.connectors.kubernetes.object_state import APP_PROTOCOL, State

MAX_NAMES = 20

# Keys of a state that are not compared: they follow from others, or are no configuration.
NOT_COMPARED = {"v", "generation", "duration", "workload", "release", "chart", "routine"}

# Keys that a state of the first format has with the same meaning.
FIRST_FORMAT = {
    *("images", "env", "strategy", "replicas", "service_type", "cluster_ip", "ports", "keys", "ingress_class", "hosts"),
    *("status", "schedule", "suspended", "conditions", "unschedulable", "rules", "role", "subjects"),
}
COPIED = (
    *("strategy", "service_type", "cluster_ip", "ports", "ingress_class", "hosts", "status", "duration"),
    *("schedule", "suspended", "unschedulable", "taints", "rules", "role", "subjects"),
)
NAMES = {
    "service_type": "service type",
    "cluster_ip": "cluster IP",
    "ingress_class": "ingress class",
    "specification": "other settings",
}


def changed_keys(old: State, new: State) -> set[str]:
    """Return the keys whose values differ, without those that the server changes by itself.

    A newer server adds defaults to a specification; the generation of the object stays the same then.
    """
    is_same_generation = old.get("generation") is not None and old.get("generation") == new.get("generation")
    if "v" not in old:
        return _changed_since_first_format(old, new, is_same_generation)
    changed = {key for key in {*old, *new} if old.get(key) != new.get(key)} - NOT_COMPARED
    return changed - {"fields"} if is_same_generation else changed


def _changed_since_first_format(old: State, new: State, is_same_generation: bool) -> set[str]:
    """Compare what both formats contain; the rest is known only by the generation, which counts changes."""
    new = {**new, "ports": [line.partition(APP_PROTOCOL)[0] for line in new.get("ports", [])] or None}
    compared = FIRST_FORMAT | ({"labels"} if "labels" in old else set())
    changed = {key for key in compared if old.get(key) != new.get(key)}
    if not changed and not is_same_generation and old.get("generation") is not None:
        return {"specification"}
    return changed


def facts_of(kind: str, old: State, new: State) -> dict[str, Any]:
    """Return the facts of an event. `old` is {} for a new object, `new` is {} for a deleted one."""
    present = new or old
    facts: dict[str, Any] = {"images": _moves(old.get("images", {}), new.get("images", {}))}
    if new:
        moves = _moves(old.get("conditions", {}), new.get("conditions", {}))
        facts["conditions"] = [_format_move(move) for move in moves]
    if old.get("replicas") != new.get("replicas"):
        facts["replicas"] = _moves({"replicas": old.get("replicas")}, {"replicas": new.get("replicas")})
    if kind in ("ConfigMap", "Secret"):
        facts |= _key_facts("keys", old.get("keys", {}), new.get("keys", {}))
    facts |= {key: present[key] for key in COPIED if key in present}
    if kind == "Job" and new and "status" not in facts:
        facts["status"] = "running"
    if new and "v" in (old or new):
        facts |= _key_facts("annotations", _annotations(old), _annotations(new))
    return {key: value for key, value in facts.items() if value not in (None, [])}


def sentence(old: State, new: State, changed: set[str]) -> str:
    """Return what changed in words: names, never values."""
    is_restart = "pod_annotations" in changed and _restart(old) != _restart(new)
    names = [NAMES.get(key, key) for key in sorted(changed - {"env", "fields", "annotations", "pod_annotations"})]
    if "env" in changed:
        names.append(_environment(old.get("env", {}), new.get("env", {})))
    if "fields" in changed:
        names += _field_names(old, new)
    if changed & {"annotations", "pod_annotations"} and (keys := _names(_annotations(old), _annotations(new))):
        names.append(f"annotations ({_cut(keys)})")
    return " ".join([*(["Restarted."] if is_restart else []), *([f"Changed: {_cut(names)}."] if names else [])])


def _field_names(old: State, new: State) -> list[str]:
    """Return the names of the fields that differ, without each field of a container that is new or gone."""
    both = old.get("images", {}).keys() & new.get("images", {}).keys()
    paths = _names(old.get("fields", {}), new.get("fields", {}))
    return [field_name(path) for path in paths if not path.startswith("container/") or path.split("/")[1] in both]


def _restart(state: State) -> Any:
    return state.get("pod_annotations", {}).get(RESTARTED)


def _annotations(state: State) -> dict[str, str]:
    """Return the marks of the annotations of an object and of its pod template, without that of a restart."""
    in_template = {key: mark for key, mark in state.get("pod_annotations", {}).items() if key != RESTARTED}
    return {**state.get("annotations", {}), **{f"{key} (pod template)": mark for key, mark in in_template.items()}}


def _moves(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"name": name, "old": old.get(name), "new": new.get(name)} for name in _names(old, new)]


def _names(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    return [name for name in dict.fromkeys((*old, *new)) if old.get(name) != new.get(name)]


def _format_move(move: Mapping[str, Any]) -> str:
    if move["old"] is None:
        return f"{move['name']}: {move['new']}"
    return f"{move['name']}: {move['old']} → {move['new'] or 'gone'}"


def _key_facts(prefix: str, old: Mapping[str, str], new: Mapping[str, str]) -> dict[str, list[str]]:
    return {
        f"{prefix}_added": sorted(new.keys() - old.keys()),
        f"{prefix}_removed": sorted(old.keys() - new.keys()),
        f"{prefix}_modified": sorted(key for key in old.keys() & new.keys() if old[key] != new[key]),
    }


def _environment(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    names_by_container = {name: _names(old.get(name, {}), new.get(name, {})) for name in dict.fromkeys((*old, *new))}
    parts = [f"{name} ({', '.join(names)})" for name, names in names_by_container.items() if names]
    return f"environment of {', '.join(parts)}"


def _cut(names: Iterable[str]) -> str:
    """Join names; of very many, the first ones and how many more there are."""
    unique = list(dict.fromkeys(names))
    more = f" and {len(unique) - MAX_NAMES} more" if len(unique) > MAX_NAMES else ""
    return ", ".join(unique[:MAX_NAMES]) + more
