"""The events of deployments: the request for one, and each of its states."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from painchain.connectors.code_hosts import dig, non_empty, parse_time, text
from painchain.connectors.contract import SourceEvent
from painchain.connectors.github.repository import Repository, item_id
from painchain.connectors.http_client import link


def requested(repository: Repository, deployment: Any, now: datetime) -> SourceEvent:
    """Return the event that a deployment was requested. Its state is pending."""
    created_at, number = parse_time(deployment, "created_at"), item_id(deployment)
    author = text(deployment, "creator", "login")
    event = _event(repository, deployment, "pending", created_at or now, author, None, text(deployment, "description"))
    return SourceEvent(
        event_id=repository.event_id("deployment", number, "requested"),
        former_ids=repository.former_ids("deployment", f"{number}-pending", created_at),
        **event,
    )


def reached(repository: Repository, deployment: Any, status: Any, now: datetime) -> SourceEvent:
    """Return the event that a deployment reached a state."""
    links = (link(dig(status, key)) for key in ("log_url", "target_url", "environment_url"))
    url = next((candidate for candidate in links if candidate), None)
    created_at = parse_time(status, "created_at") or parse_time(status, "updated_at")
    state, number = text(status, "state") or "unknown", item_id(deployment)
    occurrence = text(status, "id") or f"{state} {text(status, 'created_at')}"
    author, description = text(status, "creator", "login"), text(status, "description")
    return SourceEvent(
        event_id=repository.event_id("deployment", number, "status", occurrence),
        former_ids=repository.former_ids("deployment", f"{number}-{state}", created_at),
        **_event(repository, deployment, state, created_at or now, author, url, description),
    )


def _event(
    repository: Repository,
    deployment: Any,
    state: str,
    time: datetime,
    author: str,
    url: str | None,
    description: str,
) -> dict[str, Any]:
    environment = text(deployment, "environment")
    return {
        "event_type": "Deployment",
        "title": f"[Deployment] {environment} {state}".replace("  ", " "),
        "timestamp": time,
        "author": author or "unknown",
        "status": state,
        "url": url,
        "text": description,
        "facts": non_empty(
            repository=repository.name,
            environment=environment,
            ref=text(deployment, "ref"),
            sha=text(deployment, "sha"),
            state=state,
            creator=text(deployment, "creator", "login"),
        ),
    }
