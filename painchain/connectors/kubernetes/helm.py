"""Releases of Helm: one event per revision, from the labels of the Secret in which Helm stores it.

The payload of the Secret is never read: it holds the values of the release.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from painchain.connectors.contract import SourceEvent
from painchain.connectors.kubernetes.json_values import as_dict, as_text

KIND = "HelmRelease"
STORAGE_KINDS = ("Secret", "ConfigMap")  # HELM_DRIVER selects one
STUCK_AFTER = timedelta(minutes=15)  # an unfinished revision is reported after this time
UNFINISHED = ("pending-install", "pending-upgrade", "pending-rollback", "uninstalling")
RELEASE_NAME, RELEASE_NAMESPACE = "meta.helm.sh/release-name", "meta.helm.sh/release-namespace"
MAX_CHARTS = 10

_NAME = re.compile(r"sh\.helm\.release\.v1\.(.+)\.v(\d{1,9})")


@dataclass(frozen=True)
class Revision:
    """One revision of a release."""

    name: str
    number: int


def parse_name(name: str) -> Revision | None:
    """Return the revision that an object with this name stores; None for any other object.

    >>> parse_name("sh.helm.release.v1.shop.v3"), parse_name("password")
    (Revision(name='shop', number=3), None)
    """
    match = _NAME.fullmatch(name)
    return Revision(match[1], int(match[2])) if match else None


def state(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return the state of a revision: its status, and when that began."""
    labels = as_dict(as_dict(item.get("metadata")).get("labels"))
    created, modified = _time(labels.get("createdAt")), _time(labels.get("modifiedAt"))
    status = as_text(labels.get("status")) or "unknown"
    began = created if status == "superseded" else modified or created
    return {"v": 2, "helm": status, **({"began": began.isoformat()} if began else {})}


def is_due(old: Mapping[str, Any] | None, new: Mapping[str, Any], now: datetime, since: datetime) -> bool:
    """Return whether the state of a revision is to be reported, compared to its state in the cursor.

    Helm stores a revision as unfinished, then as deployed or failed, and at last as superseded by the next one. If
    both changes happened since the last observation, the revision is reported as superseded.
    """
    if old is not None and "helm" not in old:
        return False  # stored by an older version, or left out until now: known
    status, reported = new["helm"], (old or {}).get("told")
    began = datetime.fromisoformat(new["began"]) if "began" in new else None
    if status == reported:
        return False
    if status in UNFINISHED:
        return began is not None and now - began >= STUCK_AFTER
    if status == "superseded":
        return not reported if old else began is not None and began >= since
    return True


def is_uninstalled(old: Mapping[str, Any], revision: Revision, namespace: str, remaining: Iterable[list[Any]]) -> bool:
    """Return whether the deletion of a revision uninstalled its release: it was the last one in the cursor."""
    if old.get("told") == "uninstalled":
        return False  # ``helm uninstall --keep-history`` was reported then
    others = (parse_name(entry[1]) for entry in remaining if entry[0] == namespace)
    return all(other is None or other.name != revision.name for other in others)


def origin(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return the release that created an object and the chart in its label, for the object's state; {} without one."""
    release, namespace = (as_dict(metadata.get("annotations")).get(key) for key in (RELEASE_NAME, RELEASE_NAMESPACE))
    chart = as_dict(metadata.get("labels")).get("helm.sh/chart")
    if not all(isinstance(text, str) and text for text in (release, chart)):
        return {}
    return {"release": f"{namespace or metadata.get('namespace') or ''}/{release}", "chart": as_text(chart)}


def add_charts(events: Sequence[SourceEvent], streams: Iterable[Mapping[str, Any]]) -> list[SourceEvent]:
    """Return the events with the chart of each release: the charts of the objects that it created, in the cursor.

    A release has several charts if its own chart has dependencies.
    """
    releases = {_release_of(event) for event in events if event.event_type == KIND}
    if not releases:
        return list(events)
    charts: dict[str, set[str]] = {}
    for stream in streams:
        for entry in stream["known"].values():
            if entry[3].get("release") in releases:
                charts.setdefault(entry[3]["release"], set()).add(entry[3]["chart"])
    return [_with_chart(event, charts) if event.event_type == KIND else event for event in events]


def _release_of(event: SourceEvent) -> str:
    return f"{event.facts.get('namespace', '')}/{event.facts['release']}"


def _with_chart(event: SourceEvent, charts: Mapping[str, set[str]]) -> SourceEvent:
    names = sorted(charts.get(_release_of(event), ()))
    return replace(event, facts={**event.facts, "chart": ", ".join(names[:MAX_CHARTS])}) if names else event


def _time(seconds: Any) -> datetime | None:
    """Return the time of a label, which Helm writes in seconds since 1970."""
    try:
        return datetime.fromtimestamp(int(seconds), UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        return None
