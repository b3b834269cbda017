"""Items of a fake GitHub, and what a poll makes of them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from painchain.connectors.code_hosts import event_id, parse_time
from painchain.connectors.contract import PollResult, SourceEvent

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
REPO = "acme/api"


def ago(**past: float) -> str:
    """Return a time before NOW as GitHub writes it."""
    return (NOW - timedelta(**past)).isoformat().replace("+00:00", "Z")


def gid(kind: str, *occurrence: str | int, repository: int | str = 1) -> str:
    """Return the id of an event."""
    parts = [parse_time(part) or part if isinstance(part, str) and len(part) == 20 else part for part in occurrence]
    return event_id("github", 1, repository, kind, *parts)


def pull(number: int, **more: Any) -> dict[str, Any]:
    """Return an open pull request as its list has it."""
    return {
        "number": number,
        "title": f"Change {number}",
        "state": "open",
        "user": {"login": "ann"},
        "created_at": ago(hours=1),
        "updated_at": ago(hours=1),
        "head": {"ref": "fix/retry"},
        "base": {"ref": "main"},
        "html_url": f"https://git.example/{REPO}/pull/{number}",
        **more,
    }


def commit(sha: str, time: str, message: str = "Work") -> dict[str, Any]:
    """Return a commit."""
    author = {"name": "Ann", "date": time}
    return {
        "sha": sha,
        "commit": {"message": message, "author": author, "committer": author},
        "author": {"login": "ann"},
    }


def run(number: int, **more: Any) -> dict[str, Any]:
    """Return a workflow run that succeeded."""
    return {
        "id": number,
        "name": "Tests",
        "head_branch": "main",
        "head_sha": "5ha",
        "run_attempt": 1,
        "run_number": 12,
        "event": "push",
        "status": "completed",
        "conclusion": "success",
        "actor": {"login": "ann"},
        "created_at": ago(hours=1),
        "run_started_at": ago(minutes=50),
        "updated_at": ago(minutes=48),
        "html_url": f"https://git.example/{REPO}/actions/runs/{number}",
        **more,
    }


PollFunction = Callable[..., PollResult]


def ids(polled: PollResult) -> list[str]:
    """Return the ids of the events, sorted."""
    return sorted(event.event_id for event in polled.events)


def by_id(polled: PollResult) -> dict[str, SourceEvent]:
    """Return the events by id."""
    return {event.event_id: event for event in polled.events}
