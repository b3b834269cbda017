"""Compare the old and the new state of a Kubernetes object: an event, or None if nothing relevant changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from painchain.connectors.contract import SourceEvent
from painchain.connectors.kubernetes.object_state import Fingerprint, State, as_dict, as_list, parse_time, state

SKEW = timedelta(minutes=2)  # the most that a cluster's clock may be behind
STABLE_AFTER = timedelta(minutes=10)  # a pod that has run this long has recovered: its next trouble is reported
NOT_STATUS = ("f:spec", "f:data", "f:binaryData", "f:rules", "f:subjects", "f:roleRef")
NO_AUTHOR = ("", "unknown", "Go-http-client", "Mozilla")

VERBS = {"added": "Created", "modified": "Updated", "deleted": "Deleted"}
WORDS = {
    "rest": "other settings",
    "template": "pod template",
    "policy": "other settings",
    "labels": "labels",
    "service_type": "service type",
    "cluster_ip": "cluster IP",
    "ingress_class": "ingress class",
    "env": "environment",
}


@dataclass(frozen=True)
class ObjectType:
    """The cluster and the kind of objects."""

    cluster: str
    kind: str


@dataclass(frozen=True)
class StoredObject:
    """An object in the cursor. `version` is the resourceVersion at which it was first observed in this state."""

    uid: str
    namespace: str
    name: str
    version: str
    state: State

    def entry(self) -> list[Any]:
        """Return the entry of the cursor."""
        return [self.namespace, self.name, self.version, self.state]


@dataclass(frozen=True)
class ObservedObject(StoredObject):
    """An object from a list or watch, with the author and time of its last change."""

    author: str = "unknown"
    changed_at: datetime | None = None


def stored_object(uid: str, entry: list[Any] | None) -> StoredObject | None:
    """Return the object of a cursor entry."""
    return StoredObject(uid, *entry) if entry else None


def observe(kind: str, item: Any, fingerprint: Fingerprint) -> ObservedObject | None:
    """Return an object as Kubernetes sends it; None if it is malformed."""
    meta = as_dict(as_dict(item).get("metadata"))
    uid, name = meta.get("uid"), meta.get("name")
    if not isinstance(uid, str) or not isinstance(name, str) or not uid:
        return None
    author, changed_at = _last_change(kind, meta)
    object_type = str(meta.get("namespace") or ""), name, str(meta.get("resourceVersion") or "")
    return ObservedObject(
        uid,
        *object_type,
        state(kind, item, fingerprint),
        author,
        parse_time(meta.get("deletionTimestamp")) or changed_at,
    )


def compare(
    object_type: ObjectType, old: StoredObject | None, new: ObservedObject, now: datetime, since: datetime
) -> tuple[SourceEvent | None, StoredObject | None]:
    """Return the event of an observed object, if any, and the object to store (None: nothing to store).

    `since` is the time of the previous observation: changes happened after it.
    """
    if object_type.kind == "Pod":
        return _compare_pod(object_type, old, new, now, since)
    changed = _changed(old.state, new.state) if old else set()
    if old and not changed:
        return None, StoredObject(old.uid, old.namespace, old.name, old.version, new.state)
    verb = "modified" if old else "added"
    facts = _facts(object_type.kind, old.state if old else {}, new.state)
    text = _text(old.state, new.state, changed) if old else ""
    return _event(object_type, new, verb, verb, facts, text, new, now, since), new


def deletion(
    object_type: ObjectType, old: StoredObject, last: ObservedObject | None, now: datetime, since: datetime
) -> SourceEvent | None:
    """Return the event of a deleted object; `last` is its last observation, if there is one."""
    if object_type.kind == "Pod":
        return None
    named = StoredObject(old.uid, old.namespace, old.name, last.version if last else old.version, old.state)
    return _event(
        object_type, named, "deleted", "deleted", _facts(object_type.kind, old.state, {}), "", last, now, since, False
    )


def _event(
    object_type: ObjectType,
    of: StoredObject,
    verb: str,
    status: str,
    facts: Mapping[str, Any],
    text: str,
    seen: ObservedObject | None,
    now: datetime,
    since: datetime,
    with_author: bool = True,
) -> SourceEvent:
    at = seen.changed_at if seen else None
    return SourceEvent(
        event_id=":".join((object_type.cluster, of.namespace, object_type.kind, of.name, of.uid, of.version, verb)),
        event_type=f"K8s{object_type.kind}",
        title=f"[{object_type.kind} {VERBS[verb]}] {of.name}",
        timestamp=at if at and since - SKEW <= at <= now else now,
        author=seen.author if seen and with_author else "unknown",
        status=status,
        text=text,
        facts={"namespace": of.namespace, "cluster": object_type.cluster, **facts}
        if of.namespace
        else {"cluster": object_type.cluster, **facts},
    )


def _changed(old: State, new: State) -> set[str]:
    """Return the keys whose values differ, without those that the server changes by itself.

    A newer server adds defaults to a specification; the generation of the object stays the same then.
    """
    keys = {key for key in {*old, *new} if old.get(key) != new.get(key)} - {"generation", "duration"}
    same = old.get("generation") is not None and old.get("generation") == new.get("generation")
    return keys - {"rest", "template", "policy"} if same else keys


def _facts(kind: str, old: State, new: State) -> dict[str, Any]:
    """Return the facts of an event. `old` is {} for a new object, `new` is {} for a deleted one."""
    facts: dict[str, Any] = {}
    present = new or old
    for key in ("images", "conditions"):
        if moves := _moves(old.get(key, {}), new.get(key, {})):
            facts[key] = moves
    if "conditions" in facts:
        facts["conditions"] = [_format_move(move) for move in facts["conditions"]] if new else []
    if old.get("replicas") != new.get("replicas"):
        facts["replicas"] = _moves({"replicas": old.get("replicas")}, {"replicas": new.get("replicas")})
    if kind in ("ConfigMap", "Secret"):
        facts.update(_keys(old.get("keys", {}), new.get("keys", {})))
    for key in _COPIED:
        if key in present:
            facts[key] = present[key]
    if kind == "Job" and new and "status" not in facts:
        facts["status"] = "running"
    return {key: value for key, value in facts.items() if value not in (None, [])}


_COPIED = (
    "strategy",
    "service_type",
    "cluster_ip",
    "ports",
    "ingress_class",
    "hosts",
    "status",
    "duration",
    "schedule",
    "suspended",
    "unschedulable",
    "rules",
    "role",
    "subjects",
)


def _moves(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {"name": name, "old": old.get(name), "new": new.get(name)}
        for name in dict.fromkeys((*old, *new))
        if old.get(name) != new.get(name)
    ]


def _format_move(move: Mapping[str, Any]) -> str:
    if move["old"] is None:
        return f"{move['name']}: {move['new']}"
    return f"{move['name']}: {move['old']} → {move['new'] or 'gone'}"


def _keys(old: Mapping[str, str], new: Mapping[str, str]) -> dict[str, list[str]]:
    return {
        "keys_added": sorted(new.keys() - old.keys()),
        "keys_removed": sorted(old.keys() - new.keys()),
        "keys_modified": sorted(key for key in old.keys() & new.keys() if old[key] != new[key]),
    }


def _text(old: State, new: State, changed: set[str]) -> str:
    """Return a sentence about what changed: names, never values."""
    names_changed = [WORDS.get(key, key.replace("_", " ")) for key in sorted(changed - {"env"})]
    if "env" in changed:
        names_changed.append(_environment(old.get("env", {}), new.get("env", {})))
    return f"Changed: {', '.join(dict.fromkeys(names_changed))}."


def _environment(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    moved = {
        name: [move["name"] for move in _moves(old.get(name, {}), new.get(name, {}))]
        for name in dict.fromkeys((*old, *new))
    }
    return "environment of " + ", ".join(f"{name} ({', '.join(names)})" for name, names in moved.items() if names)


def _compare_pod(
    object_type: ObjectType, old: StoredObject | None, new: ObservedObject, now: datetime, since: datetime
) -> tuple[SourceEvent | None, StoredObject | None]:
    """Report each trouble of a pod once, until all its containers have run for STABLE_AFTER."""
    began = parse_time(new.state.get("running_since"))
    if began and now - began >= STABLE_AFTER:
        return None, None
    reported: list[str] = old.state.get("told", []) if old else []
    troubles = {
        f"{container or ''}:{reason}": (reason, container, restarts)
        for reason, container, restarts in new.state.get("troubles", [])
    }
    new_troubles = [key for key in troubles if key not in reported]
    if not new_troubles:
        return None, old
    reason, container, restarts = troubles[new_troubles[0]]
    facts = {"reason": reason, "container": container, "restarts": restarts}
    stored = StoredObject(new.uid, new.namespace, new.name, new.version, {"told": [*reported, *new_troubles]})
    event = _event(
        object_type, new, "modified", reason, {k: v for k, v in facts.items() if v is not None}, "", new, now, since
    )
    return event, stored


def _last_change(kind: str, meta: Mapping[str, Any]) -> tuple[str, datetime | None]:
    """Return the author and time of an object's last change, from ``managedFields``.

    A controller that only writes the status is not the author, except for kinds whose events are about the status.
    """
    entries = [as_dict(entry) for entry in as_list(meta.get("managedFields"))]
    if kind not in ("Job", "Node", "Pod"):
        entries = [entry for entry in entries if not _is_status(entry)] or entries
    dated = [(at, str(entry.get("manager") or "")) for entry in entries if (at := parse_time(entry.get("time")))]
    if not dated:
        return "unknown", None
    at, manager = max(dated)
    return "unknown" if manager in NO_AUTHOR else manager, at


def _is_status(entry: Mapping[str, Any]) -> bool:
    fields = as_dict(entry.get("fieldsV1"))
    return entry.get("subresource") == "status" or (
        "f:status" in fields and not any(key in fields for key in NOT_STATUS)
    )
