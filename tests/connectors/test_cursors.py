"""Any JSON can be stored as the cursor of a code host: malformed parts are forgotten, and nothing fails."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from painchain.connectors import github, gitlab
from painchain.connectors.base import ConnectorType
from painchain.connectors.contract import Delivery, NothingToRecord, PollContext, PollError, WebhookContext
from painchain.connectors.github import client as github_client
from painchain.connectors.gitlab import client as gitlab_client
from tests.connectors.github.follower import WORK
from tests.connectors.gitlab.model import ACTIONS, Model
from tests.counterparts import as_json, run_fake_server
from tests.counterparts.github import TOKEN
from tests.counterparts.github_model import START, GitHubModel
from tests.counterparts.server import JsonReply, run_fake_json_server
from tests.support.thorough import examples

Path = tuple[str | int, ...]
SETTINGS = hypothesis.settings(
    deadline=None,
    max_examples=examples(50),
    derandomize=True,
    phases=[hypothesis.Phase.generate],
    suppress_health_check=list(hypothesis.HealthCheck),
)
NOTHING = object()  # instead of a part: the part is missing
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


def paths(value: Any, path: Path = ()) -> Iterator[Path]:
    """Yield the path of each part of a JSON value."""
    yield path
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, member in members:
        yield from paths(member, (*path, key))


def replaced(value: Any, path: Path, part: Any) -> Any:
    """Return a JSON value with another part at a path, or without it."""
    if not path:
        return {} if part is NOTHING else part
    value = deepcopy(value)
    whole = value
    for step in path[:-1]:
        whole = whole[step]
    if part is NOTHING:
        del whole[path[-1]]
    else:
        whole[path[-1]] = part
    return value


@dataclass
class Host:
    """A code host in use, the settings of a connector to it, the cursors of its polls, and a delivery."""

    type: ConnectorType
    settings: dict[str, Any]
    delivery: Delivery
    cursors: list[Any] = field(default_factory=lambda: [{}])

    def poll(self, cursor: Any, now: datetime) -> Any:
        """Poll, and return the next cursor."""
        assert self.type.poll
        result = self.type.poll(PollContext(self.settings, cursor, now, connector_id=1))
        return json.loads(json.dumps(result.cursor))

    def follow(self, now: datetime) -> None:
        """Poll, and keep the cursor."""
        with contextlib.suppress(PollError):
            self.cursors.append(self.poll(deepcopy(self.cursors[-1]), now))

    def use(self, cursor: Any, now: datetime) -> Any:
        """Do everything that reads a cursor, and return the next one."""
        assert self.type.followed
        assert self.type.webhook
        assert all(isinstance(name, str) for name in self.type.followed(self.settings, cursor).values())
        with contextlib.suppress(NothingToRecord):
            self.type.webhook.read(self.delivery, WebhookContext(1, self.settings, now, lambda: cursor))
        return self.poll(cursor, now)

    def check(self, data: st.DataObject, now: datetime) -> None:
        """Replace some parts of a cursor, and use it twice."""
        cursor = deepcopy(data.draw(st.sampled_from(self.cursors)))
        for _ in range(data.draw(st.integers(1, 4))):
            path = data.draw(st.sampled_from(list(paths(cursor)))) if data.draw(st.integers(0, 20)) else ()
            cursor = replaced(cursor, path, data.draw(st.just(NOTHING) | json_values))
        for _ in range(2):
            cursor = self.use(cursor, now)


@contextlib.contextmanager
def github_in_use(monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    """Run a GitHub, and a connector whose polls stop early."""
    model = GitHubModel(START)
    body = {"action": "opened", "repository": {"id": 99, "full_name": "acme/x"}, "pull_request": {"number": 1}}
    delivery = Delivery({"x-github-event": "pull_request"}, json.dumps(body).encode())
    with run_fake_json_server(model) as server, monkeypatch.context() as patch:
        patch.setattr(github_client, "MAX_REQUESTS", 14)
        settings = {**github.TYPE.defaults(), "base_url": server.url, "token": TOKEN, "repos": ["acme/api"]}
        host = Host(github.TYPE, settings, delivery)
        for work in WORK.values():
            model.wait(1)
            work(model)
            host.follow(model.now)
        model.refuse["repos/acme/api/activity"] = JsonReply({}, 404)
        host.follow(model.now)
        patch.undo()
        yield host


@contextlib.contextmanager
def gitlab_in_use(monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    """Run a GitLab, and a connector whose polls stop early."""
    model = Model(START)
    body = {"object_kind": "pipeline", "project": {"id": 99, "path_with_namespace": "a/x"}, "object_attributes": {}}
    delivery = Delivery({"x-gitlab-event": "Pipeline Hook"}, json.dumps(body).encode())
    with run_fake_server(model) as server, monkeypatch.context() as patch:
        patch.setattr(gitlab_client, "MAX_REQUESTS", 9)
        settings = {**gitlab.TYPE.defaults(), "base_url": server.url, "token": "glpat-far", "projects": [model.path]}
        host = Host(gitlab.TYPE, settings, delivery)
        for action in ACTIONS:
            action(model)
            host.follow(model.now)
        model.refuse["projects/7/events"] = as_json({}, 403)
        host.follow(model.now)
        patch.undo()
        yield host


@pytest.mark.parametrize("in_use", [github_in_use, gitlab_in_use])
def test_any_json_can_be_the_cursor(
    in_use: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with in_use(monkeypatch) as host:
        assert len(host.cursors) > 10

        @SETTINGS
        @hypothesis.given(st.data())
        def check(data: st.DataObject) -> None:
            host.check(data, START + timedelta(hours=9))
            assert "failed: " not in caplog.text

        check()
