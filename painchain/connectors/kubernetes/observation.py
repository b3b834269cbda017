"""Read one object of a list or watch: its identity, its state, and who changed it last and when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from painchain.connectors.kubernetes import helm
from painchain.connectors.kubernetes.bookkeeping import (
    DEFAULT_LEAVE_OUT,
    LeaveOut,
    is_leader_election,
    is_machine_annotation,
)
from painchain.connectors.kubernetes.json_values import Fingerprint, as_dict, as_dicts, parse_time
from painchain.connectors.kubernetes.object_state import LEFT_OUT, State, state

KINDS_ABOUT_STATUS = ("Job", "Node", "Pod")
NO_AUTHOR = ("", "unknown", "Go-http-client", "Mozilla")


@dataclass(frozen=True)
class ObjectType:
    """The cluster and the kind of objects, and which of them are left out."""

    cluster: str
    kind: str
    leave_out: LeaveOut = DEFAULT_LEAVE_OUT


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


def observe(
    kind: str, item: Any, fingerprint: Fingerprint, leave_out: LeaveOut = DEFAULT_LEAVE_OUT
) -> ObservedObject | None:
    """Return an object as Kubernetes sends it; None if it is malformed.

    Of an object that is left out, only its existence is stored: when it is no longer left out, it is not new.
    """
    metadata = as_dict(as_dict(item).get("metadata"))
    uid, name = metadata.get("uid"), metadata.get("name")
    if not isinstance(uid, str) or not isinstance(name, str) or not uid:
        return None
    namespace, version = str(metadata.get("namespace") or ""), str(metadata.get("resourceVersion") or "")
    if is_left_out(kind, namespace, name, leave_out) or is_leader_election(metadata):
        return ObservedObject(uid, namespace, name, version, LEFT_OUT)
    is_release = kind in helm.STORAGE_KINDS and helm.parse_name(name) is not None
    observed_state = helm.state(item) if is_release else state(kind, item, fingerprint)
    author, changed_at = _last_change(kind, metadata)
    changed_at = parse_time(metadata.get("deletionTimestamp")) or changed_at
    return ObservedObject(uid, namespace, name, version, observed_state, author, changed_at)


def is_left_out(kind: str, namespace: str, name: str, leave_out: LeaveOut) -> bool:
    """Return whether nothing is reported of this object. A release of Helm can be named as HelmRelease or as Secret."""
    release = helm.parse_name(name) if kind in helm.STORAGE_KINDS else None
    as_release = release is not None and leave_out.matches(helm.KIND, namespace, release.name)
    return as_release or leave_out.matches(kind, namespace, name)


def _last_change(kind: str, metadata: Mapping[str, Any]) -> tuple[str, datetime | None]:
    """Return the author and time of an object's last change, from ``managedFields``.

    A controller that only writes the status is not the author, except for kinds whose events are about the status.
    """
    entries = as_dicts(metadata.get("managedFields"))
    if kind not in KINDS_ABOUT_STATUS:
        entries = [entry for entry in entries if not _is_bookkeeping(entry)] or entries
    dated = [(at, str(entry.get("manager") or "")) for entry in entries if (at := parse_time(entry.get("time")))]
    if not dated:
        return "unknown", None
    at, manager = max(dated)
    return "unknown" if manager in NO_AUTHOR else manager, at


def _is_bookkeeping(entry: Mapping[str, Any]) -> bool:
    """Return whether an entry of ``managedFields`` has only the status, or only annotations that machines write."""
    fields = as_dict(entry.get("fieldsV1"))
    if entry.get("subresource") == "status" or not fields:
        return entry.get("subresource") == "status"
    metadata = as_dict(fields.get("f:metadata"))
    annotations = [key.removeprefix("f:") for key in as_dict(metadata.get("f:annotations")) if key != "."]
    is_machine = metadata.keys() <= {".", "f:annotations"} and all(map(is_machine_annotation, annotations))
    return fields.keys() <= {"f:status", "f:metadata"} and is_machine
