"""GitLab's webhooks are answered, completed through the API and recorded once, beside polls."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient

from painchain.ingestion import polling
from painchain.workers.completion import CompletionWorker
from tests.counterparts import FakeServer, as_json
from tests.counterparts.gitlab import GitLab

MOVES = [("a", "b"), ("b", "a"), ("a", "b"), ("b", "a")]
PROJECT = {"id": 7, "path_with_namespace": "acme/api", "default_branch": "main"}


class Hook:
    """A connector of the fake GitLab with a webhook."""

    def __init__(self, client: FlaskClient, url: str):
        config = {"base_url": url, "token": "glpat-far", "projects": ["acme/api"]}
        values = {"name": "Lab", "type": "gitlab", "enabled": True, "config": config}
        self.client = client
        self.id = client.post("/api/connectors", json=values).get_json()["id"]
        made = client.post(f"/api/connectors/{self.id}/webhook").get_json()
        self.path, self.secret = urlsplit(made["url"]).path, made["secret"]

    def push(self, before: str, after: str, key: str) -> int:
        """Deliver a push, and return how many events it made."""
        body = {"object_kind": "push", "project": PROJECT, "ref": "refs/heads/production", "user_username": "eve"}
        headers = {"X-Gitlab-Token": self.secret, "X-Gitlab-Event": "Push Hook", "Idempotency-Key": key}
        response = self.client.post(self.path, json={**body, "before": before, "after": after}, headers=headers)
        assert response.status_code in (200, 202)
        return int(response.get_json()["events"])


@pytest.fixture
def hook(client: FlaskClient, fake_server: FakeServer, gitlab: GitLab) -> Hook:
    gitlab.add_project(7, "acme/api")
    gitlab.lists["projects/7/repository/commits"] = [{"id": "b"}, {"id": "a"}]
    return Hook(client, fake_server.url)


def complete(app: Flask, seconds: int = 0) -> None:
    """Let a server complete what is due after some seconds."""
    CompletionWorker(app, lambda: datetime.now(UTC) + timedelta(seconds=seconds)).run_once()


def poll(app: Flask) -> None:
    with app.app_context():
        lease = polling.acquire(datetime.now(UTC) + timedelta(hours=1))
        assert lease
        polling.poll(lease, lambda: datetime.now(UTC))


def ids(events: Any) -> list[str]:
    return sorted(event["event_id"] for event in events(source="gitlab"))


@pytest.mark.parametrize("polls_first", [False, True])
def test_a_branch_moved_back_and_forth_within_a_moment_is_four_pushes(app, events, hook, gitlab, polls_first):
    for number, (before, after) in enumerate(MOVES):
        gitlab.add_push(7, "production", before, after, datetime.now(UTC).isoformat(), "eve")
        assert hook.push(before, after, f"key {number}") == 1
        assert hook.push(before, after, f"key {number}") == 0  # repeated
    if polls_first:
        poll(app)
    complete(app)
    recorded = events(source="gitlab")
    assert ids(events) == [f"gitlab:{hook.id}:7:push:{number}" for number in range(9000, 9004)]
    assert sorted(event["status"] for event in recorded) == ["forced", "forced", "pushed", "pushed"]
    poll(app)
    assert len(ids(events)) == 4


@pytest.mark.parametrize("status", [500, 403])
def test_pushes_are_recorded_without_the_api_and_polling_does_not_double_them(app, events, hook, gitlab, status):
    gitlab.refuse["projects/7/events"] = as_json({"message": "no"}, status)
    for number, (before, after) in enumerate(MOVES):
        assert hook.push(before, after, f"key {number}") == 1
        gitlab.add_push(7, "production", before, after, datetime.now(UTC).isoformat(), "eve")
    complete(app, seconds=31)
    assert [(event["author"], event["status"]) for event in events(source="gitlab")] == [("eve", "pushed")] * 4
    gitlab.refuse.clear()
    poll(app)
    assert len(ids(events)) == 4


def test_equal_pushes_that_are_listed_before_their_deliveries_are_each_recorded(app, events, hook, gitlab):
    for before, after in MOVES:
        gitlab.add_push(7, "production", before, after, datetime.now(UTC).isoformat(), "eve")
    for number, (before, after) in enumerate(MOVES):
        assert hook.push(before, after, f"key {number}") == 1
        complete(app)
    assert ids(events) == [f"gitlab:{hook.id}:7:push:{number}" for number in range(9000, 9004)]
