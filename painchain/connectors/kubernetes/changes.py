"""Compare the old and the new state of a Kubernetes object: an event, or None if nothing relevant changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from painchain.connectors.contract import SourceEvent
from painchain.connectors.kubernetes import helm, pods
from painchain.connectors.kubernetes.bookkeeping import has_routine_job_name
from painchain.connectors.kubernetes.differences import changed_keys, facts_of, sentence
from painchain.connectors.kubernetes.observation import ObjectType, ObservedObject, StoredObject, is_left_out
from painchain.connectors.kubernetes.workload import WORKLOADS

SKEW = timedelta(minutes=2)  # the most that a cluster's clock may be behind

VERBS = {"added": "Created", "modified": "Updated", "deleted": "Deleted"}

Comparison = tuple[SourceEvent | None, StoredObject | None]


def compare(
    object_type: ObjectType, old: StoredObject | None, new: ObservedObject, now: datetime, since: datetime
) -> Comparison:
    """Return the event of an observed object, if any, and the object to store (None: nothing to store).

    `since` is the time of the previous observation: changes happened after it.
    """
    if object_type.kind == "Pod":
        return _compare_pod(object_type, old, new, now, since)
    if "helm" in new.state:
        return _compare_release(object_type, old, new, now, since)
    if "left_out" in new.state or (old and "left_out" in old.state):
        return None, _unreported(old, new)
    if "routine" in new.state:
        return _compare_routine_job(object_type, old, new, now, since)
    changed = changed_keys(old.state, new.state) if old else set()
    if old and not changed:
        return None, _unreported(old, new)
    verb = "modified" if old else "added"
    facts = facts_of(object_type.kind, old.state if old else {}, new.state)
    text = sentence(old.state, new.state, changed) if old else ""
    status = _end_of_job(object_type, old, new) or verb
    return _event(object_type, new, verb, status, facts, text, new, now, since), new


def compare_all(
    object_type: ObjectType, old: StoredObject | None, new: ObservedObject, now: datetime, since: datetime
) -> tuple[list[SourceEvent], StoredObject | None]:
    """Return every event of an observed object, and the object to store: a pod has one for each failing container."""
    event, after = compare(object_type, old, new, now, since)
    events: list[SourceEvent] = []
    while event:
        events.append(event)
        event = None
        if object_type.kind == "Pod":
            event, after = compare(object_type, after, new, now, since)
    return events, after


def deletion(
    object_type: ObjectType,
    old: StoredObject,
    last: ObservedObject | None,
    now: datetime,
    since: datetime,
    remaining: Iterable[list[Any]] = (),
) -> SourceEvent | None:
    """Return the event of a deleted object, if any.

    `last` is its last observation, if there is one. `remaining` are the entries of the other objects in the cursor.
    """
    if object_type.kind == "Pod" or "left_out" in old.state or (last and "left_out" in last.state):
        return None
    if is_left_out(object_type.kind, old.namespace, old.name, object_type.leave_out):
        return None
    named = StoredObject(old.uid, old.namespace, old.name, last.version if last else old.version, old.state)
    revision = helm.parse_name(old.name) if object_type.kind in helm.STORAGE_KINDS else None
    if revision:
        if not helm.is_uninstalled(old.state, revision, old.namespace, remaining):
            return None
        return _release_event(object_type, named, revision, "deleted", "uninstalled", last, now, since)
    if object_type.kind == "Job" and _is_routine_job(old):
        return None
    facts = facts_of(object_type.kind, old.state, {})
    return _event(object_type, named, "deleted", "deleted", facts, "", last, now, since, False)


def _unreported(old: StoredObject | None, new: ObservedObject) -> StoredObject:
    """Return the object to store when nothing is reported: in its new state, at the version of its last change."""
    return StoredObject(new.uid, new.namespace, new.name, old.version if old else new.version, new.state)


def _event(
    object_type: ObjectType,
    of: StoredObject,
    verb: str,
    status: str,
    facts: Mapping[str, Any],
    text: str,
    observed: ObservedObject | None,
    now: datetime,
    since: datetime,
    with_author: bool = True,
    kind: str = "",
) -> SourceEvent:
    at = observed.changed_at if observed else None
    kind = kind or object_type.kind
    workload = f"{kind}/{of.name}" if kind in WORKLOADS else of.state.get("workload")
    place = {"cluster": object_type.cluster, "namespace": of.namespace, "workload": workload}
    return SourceEvent(
        event_id=":".join((object_type.cluster, of.namespace, kind, of.name, of.uid, of.version, verb)),
        event_type=kind if kind == helm.KIND else f"K8s{kind}",
        title=f"[{kind} {VERBS[verb]}] {of.name}",
        timestamp=at if at and since - SKEW <= at <= now else now,
        author=observed.author if observed and with_author else "unknown",
        status=status,
        text=text,
        facts={**{key: value for key, value in place.items() if value}, **facts},
    )


def _end_of_job(object_type: ObjectType, old: StoredObject | None, new: ObservedObject) -> str | None:
    """Return how a Job ended, "succeeded" or "failed", if it has ended since it was last observed."""
    if object_type.kind != "Job":
        return None
    status: str | None = new.state.get("status")
    return status if old is None or old.state.get("status") != status else None


def _compare_routine_job(
    object_type: ObjectType, old: StoredObject | None, new: ObservedObject, now: datetime, since: datetime
) -> Comparison:
    """Report a Job of a CronJob only if it failed."""
    if new.state.get("status") != "failed" or (old and old.state.get("status") == "failed"):
        return None, _unreported(old, new)
    facts = facts_of(object_type.kind, new.state, new.state)
    verb = "modified" if old else "added"
    return _event(object_type, new, verb, "failed", facts, "", new, now, since), new


def _is_routine_job(old: StoredObject) -> bool:
    """Return whether a CronJob's controller created a Job. In the first format of the state, only the name shows it."""
    return "routine" in old.state or ("v" not in old.state and has_routine_job_name(old.name))


def _compare_release(
    object_type: ObjectType, old: StoredObject | None, new: ObservedObject, now: datetime, since: datetime
) -> Comparison:
    """Report each revision of a release once it is finished."""
    status, reported = new.state["helm"], old.state.get("told") if old else None
    is_due = helm.is_due(old.state if old else None, new.state, now, since - SKEW)
    last_reported = status if is_due or status not in helm.UNFINISHED else reported
    new_state = {**new.state, "told": last_reported} if last_reported else new.state
    stored = StoredObject(new.uid, new.namespace, new.name, new.version, new_state)
    revision = helm.parse_name(new.name)
    if not is_due or revision is None:
        return None, stored
    verb = "deleted" if status == "uninstalled" else "added" if revision.number == 1 else "modified"
    return _release_event(object_type, new, revision, verb, status, new, now, since), stored


def _release_event(
    object_type: ObjectType,
    of: StoredObject,
    revision: helm.Revision,
    verb: str,
    status: str,
    observed: ObservedObject | None,
    now: datetime,
    since: datetime,
) -> SourceEvent:
    named = StoredObject(of.uid, of.namespace, revision.name, of.version, {})
    facts = {"release": revision.name, "revision": revision.number, "status": status}
    return _event(object_type, named, verb, status, facts, "", observed, now, since, observed is of, helm.KIND)


def _compare_pod(
    object_type: ObjectType, old: StoredObject | None, new: ObservedObject, now: datetime, since: datetime
) -> Comparison:
    """Report the first trouble of a pod that is not reported yet, each once, until the pod has recovered.

    The failure of the pod itself only repeats that of a container.
    """
    if "left_out" in new.state or pods.has_recovered(new.state, now):
        return None, None
    reported: list[str] = old.state.get("told", []) if old else []
    troubles = pods.new_troubles(reported, new.state)
    if not troubles:
        return None, old
    key, facts = next(iter(troubles.items()))
    of_pod = [other for other, trouble in troubles.items() if "container" not in trouble and other != key]
    stored = StoredObject(new.uid, new.namespace, new.name, new.version, {"told": [*reported, key, *of_pod]})
    event = _event(object_type, new, "modified", facts["reason"], facts, "", new, now, since)
    if reported and old and old.version == new.version:
        event = replace(event, event_id=f"{event.event_id}:{facts.get('container', '')}")
    return event, stored
