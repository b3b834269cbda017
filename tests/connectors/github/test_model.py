"""Days of work on a model of GitHub: the timeline equals the history, however the events arrive."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import hypothesis
from flask import Flask
from hypothesis import strategies
from sqlalchemy import select

from painchain.audit.trail import SYSTEM, Trail
from painchain.configuration import connector_store
from painchain.connectors.contract import Delivery, NothingToRecord, PollContext, WebhookContext
from painchain.connectors.github import TYPE
from painchain.database.models import ChangeEvent, Connector
from painchain.database.session import db
from painchain.eventlog import writer
from painchain.ingestion import poll_results, source_events
from tests.counterparts.github import TOKEN
from tests.counterparts.github_model import START, GitHubModel
from tests.counterparts.server import FakeServer, run_fake_json_server

WORK: dict[str, Callable[[GitHubModel], None]] = {
    "push": lambda github: github.push(),
    "push to a branch": lambda github: github.push("fix"),
    "delete a branch": GitHubModel.delete_branch,
    "promote and roll back": GitHubModel.promote_and_roll_back,
    "open a pull request": GitHubModel.open_pull,
    "close or reopen": GitHubModel.toggle_pull,
    "merge": GitHubModel.merge_pull,
    "start a run": GitHubModel.start_run,
    "finish runs": GitHubModel.finish_run,
    "run again": GitHubModel.run_again,
    "deploy": GitHubModel.deploy,
    "change deployments": GitHubModel.change_deployments,
    "release nightly": GitHubModel.release_nightly,
    "draft a release": GitHubModel.draft_release,
    "publish a draft": GitHubModel.publish_draft,
    "promote a release": GitHubModel.promote_release,
    "rename": GitHubModel.rename,
    "make anew": GitHubModel.make_anew,
}
# What polling cannot see after these, it must have seen before: a state that was overwritten leaves no trace.
HIDES = ("release nightly", "promote a release", "rename", "make anew")
NUMBERS = itertools.count()
QUIET_POLLS = 6  # after the last change, until old pages have been read in turn


@dataclass
class PainChain:
    """Two servers that share a database and follow the model with one connector."""

    connector_id: int
    settings: dict[str, Any]
    cursor: dict[str, Any] = field(default_factory=dict)
    previous: dict[str, Any] = field(default_factory=dict)

    def poll(self, now: datetime, is_lost: bool = False, is_stale: bool = False) -> None:
        """Poll until nothing is left. The result can be lost in a crash, or the cursor be that of another server."""
        has_more, cursor = True, self.previous if is_stale else self.cursor
        while has_more:
            assert TYPE.poll
            result = TYPE.poll(PollContext(self.settings, cursor, now, connector_id=self.connector_id))
            if is_lost:
                return
            poll_results.store(self.connector_id, result, now)
            has_more, self.previous = result.has_more, self.cursor
            cursor = self.cursor = json.loads(json.dumps(result.cursor))

    def learn(self, now: datetime) -> None:
        """Learn the number of the repository from a poll whose events are not stored."""
        assert TYPE.poll
        self.cursor = TYPE.poll(PollContext(self.settings, self.cursor, now, connector_id=self.connector_id)).cursor

    def receive(self, topic: str, body: dict[str, Any], now: datetime, is_complete: bool = True) -> None:
        """Receive a delivery, and complete its events through the API unless it is out of reach."""
        hook = TYPE.webhook
        assert hook
        assert hook.complete
        context = WebhookContext(self.connector_id, self.settings, now, lambda: self.cursor)
        headers = {"x-github-event": topic, "x-github-delivery": json.dumps(body)}
        try:
            events = hook.read(Delivery(headers, json.dumps(body).encode()), context)
        except NothingToRecord:
            return
        completed = [] if is_complete else list(events)
        for event in events if is_complete else ():
            try:
                completed.append(hook.complete(context, event))
            except Exception as error:  # the repository is gone by now
                assert "GitHub's API does not have" in str(error)  # noqa: PT017
                completed.append(event)
        with writer.writing() as event_log:
            source_events.add_new(event_log, db.session.get_one(Connector, self.connector_id), completed, now)

    def events(self) -> list[tuple[datetime, str, str, str | None, str]]:
        """Return what the timeline shows."""
        db.session.rollback()
        rows = db.session.scalars(
            select(ChangeEvent).where(ChangeEvent.connector_id == self.connector_id, ChangeEvent.source == "github")
        )
        return [(row.timestamp, row.event_type, row.title, row.status, row.author) for row in rows]


def install(url: str, repos: list[str]) -> PainChain:
    """Add a connector."""
    values = {"name": f"Model {next(NUMBERS)}", "base_url": url, "token": TOKEN, "repos": repos, "tags": []}
    with writer.writing() as event_log:
        trail = Trail(event_log, SYSTEM, "r", START)
        number = connector_store.create(TYPE, values, True, trail).id
    return PainChain(number, {**TYPE.defaults(), **values})


def play(server: FakeServer, github: GitHubModel, work: list[str], way: str, chance: random.Random) -> PainChain:
    """Do the work, and let PainChain follow it in one way."""
    painchain = install(server.url, chance.choice([[], ["acme/api"]]))
    painchain.poll(github.now)
    delivered = 0
    for step in work:
        if way != "webhook" and (step in HIDES or chance.random() < 0.5):
            painchain.poll(github.now, is_lost=True)
            for _ in range(QUIET_POLLS if step == "make anew" else 2):
                painchain.poll(github.now)
        if way != "poll" and step in ("rename", "make anew"):
            delivered = deliver(painchain, github, delivered, chance)
            (painchain.learn if way == "webhook" else painchain.poll)(github.now)
        github.wait(chance.choice([1, 20, 600]))
        WORK[step](github)
        github.wait(1)
        if way != "poll" and chance.random() < 0.5:
            delivered = deliver(painchain, github, delivered, chance)
        if way == "both" and chance.random() < 0.3:
            painchain.poll(github.now, is_stale=True)
    if way != "poll":
        deliver(painchain, github, delivered, chance)
        deliver(painchain, github, 0, chance)  # everything is delivered again
    for _ in range(QUIET_POLLS if way != "webhook" else 0):
        github.wait(5)
        painchain.poll(github.now)
    return painchain


def deliver(painchain: PainChain, github: GitHubModel, since: int, chance: random.Random) -> int:
    """Deliver what has not been delivered yet, in any order."""
    deliveries = github.deliveries[since:]
    chance.shuffle(deliveries)
    for topic, body in deliveries:
        painchain.receive(topic, body, github.now, chance.random() < 0.8)
    return len(github.deliveries)


def differences(painchain: PainChain, github: GitHubModel) -> tuple[list[Any], list[Any]]:
    """Return what the history has and the timeline lacks, and the other way round. Times may differ by a second."""
    shown = sorted(painchain.events())
    missing = []
    for happening in sorted(github.history, key=lambda happening: happening.time):
        match = next(
            (
                row
                for row in shown
                if row[1:4] == (happening.event_type, happening.title, happening.status)
                and is_same_time(happening.time, row[0], happening.status)
                and row[4] in (happening.author, "unknown")
            ),
            None,
        )
        if match:
            shown.remove(match)
        else:
            missing.append(happening)
    return missing, shown


def is_same_time(time: datetime, shown: datetime, status: str) -> bool:
    """Say whether a time is right. Nobody says when a release was deleted: it is when PainChain noticed."""
    return shown >= time if status == "deleted" else abs(shown - time) <= timedelta(seconds=1)


@hypothesis.settings(
    max_examples=12,
    derandomize=True,
    deadline=None,
    suppress_health_check=list(hypothesis.HealthCheck),
    phases=[hypothesis.Phase.generate],  # a failure is short anyway
)
@hypothesis.given(
    strategies.lists(strategies.sampled_from(sorted(WORK)), min_size=4, max_size=14),
    strategies.sampled_from(["webhook", "poll", "both"]),
    strategies.integers(0, 2**16),
)
def check(app: Flask, work: list[str], way: str, seed: int) -> None:
    """Check that the timeline equals the history."""
    github = GitHubModel(START)
    with app.app_context(), run_fake_json_server(github) as server:
        painchain = play(server, github, work, way, random.Random(seed))
        assert differences(painchain, github) == ([], []), (work, way)


def test_the_timeline_equals_the_history_however_events_arrive(app: Flask) -> None:
    check(app)
