"""A connector whose URL is edited records what another server has, though numbers are the same, and doubles nothing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from painchain.database.models import ChangeEvent, Connector, PollState
from painchain.database.session import db
from tests.connectors.github.follower import PainChain, install
from tests.connectors.gitlab.follower import Follower
from tests.connectors.gitlab.model import ACTIONS, Model
from tests.counterparts import FakeServer as LabServer
from tests.counterparts import run_fake_server
from tests.counterparts.github_model import GitHubModel
from tests.counterparts.server import FakeServer, run_fake_json_server

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
Row = tuple[str, str | None, datetime]


@pytest.fixture
def in_app(app: Flask) -> Iterator[None]:
    with app.app_context():
        yield


def stored(connector_id: int) -> list[tuple[str, Row]]:
    """Return the id of each event of a connector, with its title, status and time."""
    db.session.rollback()
    rows = db.session.scalars(
        select(ChangeEvent).where(ChangeEvent.connector_id == connector_id, ChangeEvent.source != "painchain")
    )
    return sorted((row.event_id, (row.title, row.status, row.timestamp)) for row in rows)


def edit(connector_id: int, settings: dict[str, Any], server: FakeServer | LabServer) -> None:
    """Enter the URL of another server."""
    settings["base_url"] = server.url
    connector = db.session.get_one(Connector, connector_id)
    connector.config = {**connector.config, "base_url": server.url}
    db.session.commit()


def work_on_github(minutes: float) -> GitHubModel:
    """Return a GitHub on which somebody has worked, some minutes after the start."""
    model = GitHubModel(START + timedelta(minutes=minutes))
    for action in (
        model.push,
        model.toggle_pull,
        model.start_run,
        model.finish_run,
        model.deploy,
        model.release_nightly,
    ):
        model.wait(2)
        action()
    return model


def deliver(painchain: PainChain, model: GitHubModel, hook: str, now: datetime) -> None:
    """Deliver everything by webhook."""
    for topic, body in model.deliveries:
        painchain.receive(topic, body, now, hook)
        painchain.complete(now, True)


@pytest.mark.usefixtures("in_app")
@pytest.mark.parametrize("way", ["poll", "webhook"])
@pytest.mark.parametrize("is_upgraded", [False, True])
def test_the_same_numbers_on_another_github_are_other_events(way: str, is_upgraded: bool) -> None:
    first, second, now = work_on_github(0), work_on_github(60), START + timedelta(hours=3)
    with run_fake_json_server(first) as here, run_fake_json_server(second) as there:
        painchain = install(here.url, ["acme/api"])
        painchain.poll(now)
        before = stored(painchain.connector_id)
        assert len(before) == len(first.history)
        if is_upgraded:
            del painchain.cursor["server"]
        edit(painchain.connector_id, painchain.settings, there)
        if way == "webhook":
            deliver(painchain, second, "there", now)
        painchain.poll(now)
        painchain.poll(now)
        both = stored(painchain.connector_id)
        assert set(before) <= set(both)
        assert len(both) == len(first.history) + len(second.history)
        edit(painchain.connector_id, painchain.settings, here)
        deliver(painchain, first, "back", now)
        painchain.poll(now)
        assert stored(painchain.connector_id) == both


@pytest.mark.usefixtures("in_app")
def test_the_same_numbers_on_another_github_are_other_events_also_before_the_first_poll() -> None:
    first, second, now = work_on_github(0), work_on_github(60), START + timedelta(hours=3)
    with run_fake_json_server(first) as here, run_fake_json_server(second) as there:
        painchain = install(here.url, ["acme/api"])
        deliver(painchain, first, "here", now)
        before = stored(painchain.connector_id)
        edit(painchain.connector_id, painchain.settings, there)
        deliver(painchain, second, "there", now)
        painchain.cursor = db.session.get_one(PollState, painchain.connector_id).cursor
        painchain.poll(now)
        both = stored(painchain.connector_id)
        assert set(before) <= set(both)
        assert len(both) == len(before) + len(second.history)


@pytest.mark.usefixtures("in_app")
@pytest.mark.parametrize("way", ["poll", "webhook"])
def test_the_same_numbers_on_another_gitlab_are_other_events(way: str) -> None:
    first, second = Model(START), Model(START + timedelta(hours=1))
    with run_fake_server(first) as here, run_fake_server(second) as there:
        follower = Follower(here, ["7"], START)
        for model, server in ((first, here), (second, there)):
            edit(follower.id, follower.settings, server)
            follower.poll(model.now)
            for action in (7, 8, 14, 15, 18, 21):
                ACTIONS[action](model)
                if way == "poll":
                    follower.poll(model.now)
            if way == "webhook":
                for number, body in enumerate(model.deliveries):
                    follower.deliver(body, f"{server.url} {number}", model.now)
            follower.poll(model.now)
        both = stored(follower.id)
        assert len(both) == len(first.history) + len(second.history)
        edit(follower.id, follower.settings, here)
        for number, body in enumerate(first.deliveries):
            follower.deliver(body, f"back {number}", second.now)
        follower.poll(second.now)
        assert stored(follower.id) == both


@pytest.mark.usefixtures("in_app")
def test_a_server_that_is_only_called_otherwise_is_the_same() -> None:
    hub, now = work_on_github(0), START + timedelta(hours=3)
    with run_fake_json_server(hub) as here, run_fake_json_server(hub) as renamed:
        painchain = install(here.url, ["acme/api"])
        painchain.poll(now)
        before = stored(painchain.connector_id)
        edit(painchain.connector_id, painchain.settings, renamed)
        painchain.poll(now)
        deliver(painchain, hub, "renamed", now)
        assert stored(painchain.connector_id) == before
    lab = Model(START)
    with run_fake_server(lab) as lab_here, run_fake_server(lab) as lab_renamed:
        follower = Follower(lab_here, ["7"], START)
        follower.poll(lab.now)
        for action in (lambda: lab.push(), lambda: lab.merge_request(1, "open"), lambda: lab.deployment(41, "failed")):
            action()
        follower.poll(lab.now)
        stored_before = stored(follower.id)
        edit(follower.id, follower.settings, lab_renamed)
        follower.poll(lab.now)
        assert stored(follower.id) == stored_before
        assert len(stored_before) == len(lab.history)
