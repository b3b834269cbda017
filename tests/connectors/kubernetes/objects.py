"""Objects as Kubernetes sends them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from painchain.connectors.kubernetes.json_values import fingerprinter
from painchain.connectors.kubernetes.observation import ObservedObject, observe

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
SINCE = NOW - timedelta(minutes=5)
MARK = fingerprinter("salt")


def resource(name: str = "web", **more: Any) -> dict[str, Any]:
    """An object as Kubernetes sends it."""
    meta = {"name": name, "namespace": "shop", "uid": "u-1", "resourceVersion": "7", **more.pop("metadata", {})}
    return {"metadata": meta, **more}


def template(image: str = "shop/web:1", **container: Any) -> dict[str, Any]:
    return {"template": {"spec": {"containers": [{"name": "web", "image": image, **container}]}}}


def observed(kind: str, value: Any) -> ObservedObject:
    result = observe(kind, value, MARK)
    assert result is not None
    return result


def pod(*, waiting: str = "", last: str = "", since: str = "", restarts: int = 1, **status: Any) -> dict[str, Any]:
    state = {"waiting": {"reason": waiting}} if waiting else {"running": {"startedAt": since}}
    container = {"name": "app", "restartCount": restarts, "state": state}
    if last:
        container["lastState"] = {"terminated": {"reason": last, "exitCode": 137}}
    return resource(status={"phase": "Running", "containerStatuses": [container], **status})
