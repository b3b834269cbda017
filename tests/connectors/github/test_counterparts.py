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


def poll(url: str, repo: str, now: datetime, cursor: Cursor) -> PollResult:
    """Poll one repository."""
    assert TYPE.poll
    return TYPE.poll(PollContext(settings(url, repo), cursor, now))


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
    assert sorted(one.event_id for one in polled.events) == [
        "commit-octocat/Hello-World-6dcb09b5b57875f334f61aebed695e2e4193db5e",
        "deployment-octocat/Hello-World-1-pending",
        "deployment-octocat/Hello-World-1-success",
        "pr-octocat/Hello-World-1347-merged",
        "pr-octocat/Hello-World-1347-opened",
        "release-octocat/Hello-World-1",
    ]
    later = poll(url, "octocat/Hello-World", datetime(2011, 1, 27, 1, tzinfo=UTC), polled.cursor)
    assert {one.event_id for one in later.events} < {one.event_id for one in polled.events}
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
        assert [one.title for one in first.events] == ["[Commit] Initial commit"]
        number = github.open_pull_request("Fix retry loop")
        second = poll(github.url, REPO, now + timedelta(minutes=5), first.cursor)
        assert [(one.title, one.status) for one in second.events] == [("[PR] Fix retry loop", "open")]
        github.merge(number)
        github.ask("POST", "releases", tag_name="v1", name="One")
        third = poll(github.url, REPO, now + timedelta(minutes=10), second.cursor)
        known = {one.event_id for one in second.events}
        new = sorted(one.title for one in third.events if one.event_id not in known)
        assert new == ["[Commit] Add fix", "[Commit] Merge it", "[PR] Fix retry loop", "[Release] One"]
