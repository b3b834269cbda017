"""A fake GitHub, its server, and polls of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from painchain.connectors.contract import PollContext, PollResult
from painchain.connectors.github import TYPE
from tests.connectors.github.polls import NOW, REPO, PollFunction, ago
from tests.counterparts.github import TOKEN, GitHub
from tests.counterparts.server import FakeServer, run_fake_json_server


@pytest.fixture
def github() -> GitHub:
    """A GitHub with one repository."""
    played = GitHub()
    played.add_repo(REPO, pushed_at=ago(hours=1))
    return played


@pytest.fixture
def fake_server(github: GitHub) -> Iterator[FakeServer]:
    """Its server."""
    with run_fake_json_server(github) as served:
        yield served


@pytest.fixture
def poll(fake_server: FakeServer) -> PollFunction:
    """Return a function that polls from where the previous poll ended."""
    previous: dict[str, Any] = {}

    def poll_at(minutes: float = 0, **settings: Any) -> PollResult:
        values = {**TYPE.defaults(), "base_url": fake_server.url, "token": TOKEN, "repos": [REPO], **settings}
        fake_server.requests.clear()
        assert TYPE.poll
        polled = TYPE.poll(
            PollContext(values, previous.get("cursor", {}), NOW + timedelta(minutes=minutes), connector_id=1)
        )
        previous["cursor"] = json.loads(json.dumps(polled.cursor))
        return polled

    return poll_at
