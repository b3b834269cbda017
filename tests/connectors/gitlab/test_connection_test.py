"""A GitLab connection test reports the owner of the token, its access and what is missing."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from painchain.connectors.contract import ConnectionTestResult
from painchain.connectors.gitlab.connection_test import run_test
from tests.counterparts import Reply, as_json, run_fake_server
from tests.counterparts.gitlab import GitLab

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
TOKEN = {"name": "painchain", "scopes": ["read_api"], "expires_at": "2026-03-10"}


@pytest.fixture
def gitlab() -> GitLab:
    gitlab = GitLab()
    gitlab.things |= {"user": {"username": "ops"}, "personal_access_tokens/self": TOKEN}
    gitlab.add_project(7, "g/p")
    gitlab.add_project(8, "g/q")
    return gitlab


def checked(gitlab: GitLab, **settings: Any) -> ConnectionTestResult:
    with run_fake_server(gitlab) as fake_server:
        return run_test({"base_url": fake_server.url, "token": "glpat-far", "projects": [], **settings}, NOW)


def test_it_reports_the_owner_expiry_and_access_of_the_token(gitlab):
    result = checked(gitlab)
    assert result == ConnectionTestResult(True, "ops, token “painchain”, expires in 6 days", ["g/p", "g/q"], [])


def test_a_project_that_does_not_exist_is_reported_as_missing(gitlab):
    result = checked(gitlab, projects=["g/q", "g/gone"])
    assert (result.ok, result.sees) == (True, ["g/q"])
    assert result.missing == [
        "Project g/gone not found, or the token cannot access it. Make the token's user a member."
    ]
    assert not checked(gitlab, projects=["g/gone"]).ok


def test_a_token_without_the_scope_gets_the_name_of_the_scope(gitlab):
    gitlab.things["personal_access_tokens/self"] = {**TOKEN, "scopes": ["read_user"], "expires_at": None}
    gitlab.refuse["projects"] = as_json({"error": "insufficient_scope"}, 403)
    result = checked(gitlab)
    assert (result.ok, result.identity) == (False, "ops, token “painchain”")
    assert result.missing[0] == "The token lacks the scope read_api (it has read_user). Create a token with that scope."


def test_an_older_gitlab_does_not_describe_the_token(gitlab):
    del gitlab.things["personal_access_tokens/self"]
    assert checked(gitlab).identity == "ops"
    assert checked(gitlab).ok


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"token": "glpat-wrong"}, "rejected the token"),
        ({"token": None}, "rejected the token"),
        ({"base_url": "http://127.0.0.1:9"}, "Could not connect"),
    ],
)
def test_every_failure_is_explained(gitlab, settings, words):
    result = checked(gitlab, **settings)
    assert not result.ok
    assert words in result.missing[0]
    assert "glpat" not in str(result)


def test_a_server_that_is_not_gitlab_is_reported(gitlab):
    gitlab.refuse["personal_access_tokens/self"] = Reply(body=b"<html>Welcome</html>")
    assert "invalid or incomplete JSON" in checked(gitlab).missing[0]
