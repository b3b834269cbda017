"""Polling works against independent servers: GitHub's API description in Prism, and an emulator with state."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from painchain.connectors.contract import Cursor, PollContext, PollResult
from painchain.connectors.github import TYPE
from tests.counterparts.emulate import REPO, TOKEN, emulated
from tests.counterparts.prism import prism


def poll(url: str, repo: str, now: datetime, cursor: Cursor, **more: Any) -> PollResult:
    """Poll one repository."""
    assert TYPE.poll
    return TYPE.poll(PollContext({**settings(url, repo), **more}, cursor, now, connector_id=1))


def settings(url: str, *repos: str) -> dict[str, Any]:
    """Return the settings of a connector."""
    return {**TYPE.defaults(), "base_url": url, "token": TOKEN, "repos": list(repos)}


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """GitHub as it describes itself."""
    with prism(tmp_path_factory.mktemp("prism")) as served:
        yield served


def test_every_list_that_github_describes_is_read(described: tuple[str, Path]) -> None:
    url, log = described
    polled = poll(url, "octocat/Hello-World", datetime(2011, 1, 27, tzinfo=UTC), {})
    assert (polled.note, polled.has_more) == ("", False)
    assert sorted(event.event_id.removeprefix("github:1:1296269:") for event in polled.events) == [
        "deployment:1:requested",
        "deployment:1:status:1",
        "pr:1347:merged",
        "pr:1347:opened",
        "push:main:827efc6d5689:2011-01-26T19:06:43Z",
        "release:1:published:2013-02-27T19:35:32Z",
    ]
    [push] = [event for event in polled.events if event.event_type == "Push"]
    assert (push.author, push.facts["commits"]) == ("octocat", 1)
    followed = poll(url, "octocat/Hello-World", datetime(2011, 1, 27, tzinfo=UTC), {}, branches=["main"])
    assert sorted(event.title for event in followed.events if event.event_type in ("Push", "Commit")) == [
        "[Commit] Fix all the bugs",
        "[Push] main",
    ]
    later = poll(url, "octocat/Hello-World", datetime(2011, 1, 27, 1, tzinfo=UTC), polled.cursor)
    assert {event.event_id for event in later.events} < {event.event_id for event in polled.events}
    assert "NO_PATH_MATCHED" not in log.read_text(), "something was asked that GitHub does not know"
    assert "Violation: request" not in log.read_text()


def test_a_connection_is_tested_as_github_describes_it(described: tuple[str, Path]) -> None:
    assert TYPE.test_connection
    checked = TYPE.test_connection(settings(described[0], "octocat/Hello-World"), datetime.now(UTC))
    assert (checked.ok, checked.identity, checked.missing) == (True, "octocat (monalisa octocat), token", ())
    assert TYPE.test_connection(settings(described[0]), datetime.now(UTC)).sees == ("1 repository",)


def test_changes_between_polls_are_found_step_by_step(tmp_path: Path) -> None:
    with emulated(tmp_path) as github:
        now = datetime.now(UTC)
        first = poll(github.url, REPO, now, {})
        assert [event.title for event in first.events] == ["[Commit] Initial commit"]
        number = github.open_pull_request("Fix retry loop")
        second = poll(github.url, REPO, now + timedelta(minutes=5), first.cursor)
        assert [(event.title, event.status) for event in second.events] == [
            ("[PR] Fix retry loop", "open"),
            ("[Push] fix", "created"),
        ]
        github.merge(number)
        github.ask("POST", "releases", tag_name="v1", name="One")
        third = poll(github.url, REPO, now + timedelta(minutes=10), second.cursor)
        known = {event.event_id for event in second.events}
        new = sorted(event.title for event in third.events if event.event_id not in known)
        assert new == ["[Commit] Add fix", "[Commit] Merge it", "[PR] Fix retry loop", "[Push] main", "[Release] One"]
