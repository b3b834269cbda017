"""The connection test lists what the token can read, and what to change."""

from __future__ import annotations

from typing import Any

import pytest

from painchain.connectors.github import TYPE
from tests.connectors.github.polls import NOW, REPO
from tests.counterparts.github import TOKEN, GitHub
from tests.counterparts.server import FakeServer, JsonReply


def check(fake_server: FakeServer, **settings: Any) -> Any:
    """Test the connection."""
    assert TYPE.test_connection
    return TYPE.test_connection({**TYPE.defaults(), "base_url": fake_server.url, "token": TOKEN, **settings}, NOW)


def test_a_connection_test_reports_owner_access_and_what_is_missing(github: GitHub, fake_server: FakeServer) -> None:
    github.headers["X-OAuth-Scopes"] = "public_repo, read:org"
    github.refuse[f"repos/{REPO}/actions/runs"] = JsonReply({}, 403)
    github.refuse["users/acme/packages"] = JsonReply({}, 403)
    checked = check(fake_server, repos=[REPO, "acme/gone"])
    assert checked.ok
    assert checked.identity == "zoe (Zoe), personal access token (classic)"
    assert checked.sees[1:] == ("Scopes of the token: public_repo, read:org", REPO)
    assert [words.partition(":")[0] for words in checked.missing] == [
        "The scope repo",
        "acme/gone",
        f"Workflow runs of {REPO}",
        "Images of acme",
    ]


def test_a_connection_test_without_a_list_counts_the_repositories(github: GitHub, fake_server: FakeServer) -> None:
    github.add_repo("acme/web")
    checked = check(fake_server)
    assert (checked.ok, checked.missing) == (True, ())
    assert "9 repositories" in checked.sees, "as the link to the last page says"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"token": None}, "Enter one"),
        ({"token": "gh\u00fc"}, "Enter it again"),
        ({"token": "wrong"}, "rejected the token"),
        ({"repos": ["acme/gone"]}, "acme/gone"),
        ({"base_url": "http://127.0.0.1:9"}, "127.0.0.1"),
    ],
)
def test_a_failed_connection_test_gives_instructions(
    fake_server: FakeServer, settings: dict[str, Any], words: str
) -> None:
    checked = check(fake_server, **settings)
    assert not checked.ok
    assert words in " ".join(checked.missing)
