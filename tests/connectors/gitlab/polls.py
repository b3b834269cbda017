"""Poll a fake GitLab, and read its events."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from painchain.connectors.contract import (
    PollContext,
    PollResult,
    SourceEvent,
)
from painchain.connectors.gitlab import TYPE
from painchain.connectors.gitlab.poll import poll
from painchain.ingestion.sanitize import MAX_ID
from tests.counterparts import FakeServer, path_of
from tests.counterparts.gitlab import GitLab

RECORDED = Path(__file__).parents[2] / "recorded" / "gitlab"
NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
ROOT = {"username": "root"}


def ago(**times: float) -> str:
    return (NOW - timedelta(**times)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def second(**times: float) -> str:
    """Return a time as ids have it."""
    return f"{NOW - timedelta(**times):%Y-%m-%dT%H:%M:%SZ}"


def recorded(name: str) -> Any:
    return json.loads((RECORDED / name).read_bytes())


def poll_context(fake_server: FakeServer, cursor: Any = None, now: datetime = NOW, **settings: Any) -> PollContext:
    values = {"base_url": fake_server.url, "token": "glpat-far", "projects": [], "branches": [], **settings}
    return PollContext(values, json.loads(json.dumps(cursor or {})), now, connector_id=1)


def polled(fake_server: FakeServer, cursor: Any = None, now: datetime = NOW, **settings: Any) -> PollResult:
    """Poll, and check what holds for every poll."""
    before = len(fake_server.requests)
    result = poll(poll_context(fake_server, cursor, now, **settings))
    redirects = {f"/api/v4/{path.replace('/', '%2F').replace('%2F', '/', 1)}" for path in _moved(fake_server)}
    sent = [received for received in fake_server.requests[before:] if path_of(received) not in redirects]
    assert result.requests == len(sent)
    check_events(result.events, now)
    return result


def _moved(fake_server: FakeServer) -> list[str]:
    return list(fake_server.answer.moved) if isinstance(fake_server.answer, GitLab) else []


def check_events(events: Iterable[SourceEvent], now: datetime) -> None:
    """Check what holds for every event of GitLab."""
    for event in events:
        event_type = TYPE.event_type(event.event_type)
        assert event_type
        assert set(event.facts) <= {field.key for field in event_type.fields}, event.event_id
        assert next(iter(event.facts)) == "repository", event.event_id
        assert event.timestamp <= now, event.event_id
        assert len(event.event_id) <= MAX_ID


def all_polls(fake_server: FakeServer, **settings: Any) -> tuple[list[SourceEvent], int, PollResult]:
    """Poll until there is no more, as the scheduler does."""
    events, cursor, polls = [], {}, 0
    while True:
        result = polled(fake_server, cursor, **settings)
        events += result.events
        cursor, polls = result.cursor, polls + 1
        if not result.has_more:
            return events, polls, result
        assert polls < 50


def requested_paths(fake_server: FakeServer) -> list[str]:
    """Return the paths of the requests so far, and forget them."""
    paths = [path_of(received) for received in fake_server.requests]
    fake_server.requests.clear()
    return paths


def ids(result: PollResult) -> list[str]:
    return [event_key(event) for event in result.events]


def event_key(event: SourceEvent) -> str:
    """Return the id of an event without the host, the connector and the server."""
    host, connector, key = event.event_id.split(":", 2)
    assert (host, connector.partition("@")[0]) == ("gitlab", "1")
    return key


def merge_request(iid: int, **values: Any) -> dict[str, Any]:
    return {
        **{"iid": iid, "title": f"Change {iid}", "state": "opened", "author": ROOT, "target_branch": "main"},
        **{"source_branch": "topic", "created_at": ago(hours=2), "updated_at": ago(hours=1), **values},
    }
