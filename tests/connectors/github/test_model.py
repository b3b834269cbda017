"""Days of work on a model of GitHub: the timeline equals the history, however the events arrive."""

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import hypothesis
from flask import Flask
from hypothesis import strategies
from sqlalchemy import select

from painchain.audit.trail import SYSTEM, Trail
from painchain.configuration import connector_store
from painchain.connectors.contract import Delivery, PollContext, PollResult
from painchain.connectors.github import TYPE
from painchain.database.models import ChangeEvent
from painchain.database.session import db
from painchain.eventlog import writer
from painchain.ingestion import completion, pending_events, poll_results, source_events, webhooks
from tests.counterparts.github import TOKEN
from tests.counterparts.github_model import START, GitHubModel
from tests.counterparts.github_repository import Happening
from tests.counterparts.server import FakeServer, JsonReply, run_fake_json_server

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
    "demote a release": GitHubModel.demote_release,
    "publish an image": GitHubModel.publish_image,
    "publish an image under two tags": lambda github: github.publish_image(is_latest=True),
    "tag an image": GitHubModel.tag_image,
    "rename": GitHubModel.rename,
    "make anew": GitHubModel.recreate,
}
# What polling cannot see after these, it must have seen before: a state that was overwritten leaves no trace.
HIDES = ("release nightly", "promote a release", "demote a release", "rename", "make anew")
# A delivery does not say which tags an image already had: a further tag is found by polling.
NEEDS_POLLS = ("publish an image under two tags", "tag an image")
HIDES += NEEDS_POLLS
NUMBERS = itertools.count()
QUIET_POLLS = 6  # after the last change, until old pages have been read in turn


@dataclass
class PainChain:
    """Two servers that share a database and follow the model with one connector."""

    connector_id: int
    settings: dict[str, Any]
    secret: str
    cursor: dict[str, Any] = field(default_factory=dict)
    previous: dict[str, Any] = field(default_factory=dict)

    def poll(self, now: datetime, is_lost: bool = False, is_stale: bool = False) -> None:
        """Poll until nothing is left. The result can be lost in a crash, or the cursor be that of another server."""
        has_more, cursor = True, self.previous if is_stale else self.cursor
        while has_more:
            assert TYPE.poll
            result = TYPE.poll(self._context(cursor, now))
            if is_lost:
                return
            poll_results.store(self.connector_id, result, now)
            has_more, self.previous = result.has_more, self.cursor
            cursor = self.cursor = json.loads(json.dumps(result.cursor))

    def _context(self, cursor: dict[str, Any], now: datetime) -> PollContext:
        return PollContext(
            self.settings, cursor, now, connector_id=self.connector_id, recorded_facts=source_events.recorded_facts
        )

    def learn(self, now: datetime) -> None:
        """Learn the number of the repository from a poll whose events are not stored."""
        assert TYPE.poll
        self.cursor = TYPE.poll(self._context(self.cursor, now)).cursor
        poll_results.store(self.connector_id, PollResult([], self.cursor), now)

    def receive(self, topic: str, body: dict[str, Any], now: datetime, hook: str) -> None:
        """Receive a delivery: the same webhook sends it again with the same id, another one with another id."""
        raw = json.dumps(body).encode()
        headers = {
            "x-github-event": topic,
            "x-github-delivery": f"{hook} {hashlib.sha256(raw).hexdigest()}",
            "x-hub-signature-256": "sha256=" + hmac.new(self.secret.encode(), raw, hashlib.sha256).hexdigest(),
        }
        webhooks.receive("github", self.connector_id, Delivery(headers, raw), now)

    def complete(self, now: datetime, is_reachable: bool) -> None:
        """Complete the events of deliveries through the API; if it cannot be reached, record them as they are."""
        for seconds in (0, 1, 3, 7, 15, 31, 63):
            later = now + timedelta(seconds=seconds)
            while claimed := pending_events.claim(later):
                if is_reachable:
                    completion.complete(claimed, lambda later=later: later)  # type: ignore[misc]
                else:
                    pending_events.record(claimed, replace(claimed.event, details=None), now)
        assert pending_events.count() == 0

    def events(self) -> list[tuple[datetime, str, str, str | None, str]]:
        """Return what the timeline shows: for an image, each tag that it has got."""
        db.session.rollback()
        query = select(ChangeEvent).where(ChangeEvent.connector_id == self.connector_id, ChangeEvent.source == "github")
        shown, tagged = list[tuple[datetime, str, str, str | None, str]](), dict[str, str]()
        for row in db.session.scalars(query.order_by(ChangeEvent.timestamp, ChangeEvent.id)):
            titles, digest = [row.title], row.event_metadata.get("digest")
            if row.event_type == "Image":
                tags = [tag for tag in row.event_metadata["tags"] if tagged.get(tag) != digest]
                tagged.update(dict.fromkeys(tags, digest))
                titles = [f"[Image] api:{tag}" for tag in tags]
            shown += [(row.timestamp, row.event_type, title, row.status, row.author) for title in titles]
        return shown


def install(url: str, repos: list[str]) -> PainChain:
    """Add a connector."""
    values = {"name": f"Model {next(NUMBERS)}", "base_url": url, "token": TOKEN, "repos": repos, "tags": []}
    with writer.writing() as event_log:
        trail = Trail(event_log, SYSTEM, "r", START)
        connector = connector_store.create(TYPE, values, True, trail)
        number, secret = connector.id, webhooks.set_secret(connector, trail)
    return PainChain(number, {**TYPE.defaults(), **values}, secret)


def play(server: FakeServer, github: GitHubModel, work: list[str], way: str, chance: random.Random) -> PainChain:
    """Do the work, and let PainChain follow it in one way."""
    painchain = install(server.url, chance.choice([[], ["acme/api"]]))
    painchain.poll(github.now)
    delivered = 0
    for step in work:
        if way == "webhook" and step in NEEDS_POLLS:
            continue
        if way != "webhook" and (step in HIDES or chance.random() < 0.5):
            painchain.poll(github.now, is_lost=True)
            for _ in range(QUIET_POLLS if step in ("make anew", "demote a release") else 2):
                painchain.poll(github.now)
        if way != "poll" and step in ("rename", "make anew"):
            delivered = deliver(painchain, github, delivered, chance)
            (painchain.learn if way == "webhook" else painchain.poll)(github.now)
        github.fast = chance.random() < 0.5
        github.wait(chance.choice([1, 20, 600]))
        WORK[step](github)
        github.wait(1)
        if way != "poll" and chance.random() < 0.5:
            delivered = deliver(painchain, github, delivered, chance)
        if way == "both" and chance.random() < 0.3:
            painchain.poll(github.now, is_stale=True)
    if way != "poll":
        deliver(painchain, github, delivered, chance)
        deliver(painchain, github, 0, chance, chance.choice(["repository", "organization"]))  # again
    for _ in range(QUIET_POLLS if way != "webhook" else 0):
        github.wait(5)
        painchain.poll(github.now)
    return painchain


def deliver(
    painchain: PainChain, github: GitHubModel, since: int, chance: random.Random, hook: str = "repository"
) -> int:
    """Deliver what has not been delivered yet, in any order."""
    deliveries = github.deliveries[since:]
    chance.shuffle(deliveries)
    for topic, body in deliveries:
        painchain.receive(topic, body, github.now, hook)
        if chance.random() < 0.6:
            painchain.complete(github.now, chance.random() < 0.8)
    painchain.complete(github.now, True)
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
                and is_same_time(happening, row[0])
                and row[4] in (happening.author, "unknown")
            ),
            None,
        )
        if match:
            shown.remove(match)
        else:
            missing.append(happening)
    return missing, shown


def is_same_time(happening: Happening, shown: datetime) -> bool:
    """Say whether a time is right. Nobody says when a release was deleted: it is when PainChain noticed.

    Two tags that an image gets within seconds can be one event.
    """
    if happening.status == "deleted":
        return shown >= happening.time
    return abs(shown - happening.time) <= timedelta(seconds=3 if happening.event_type == "Image" else 1)


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


def test_pushes_of_webhooks_are_not_doubled_where_polls_compare_the_heads_of_branches(app: Flask) -> None:
    github = GitHubModel(START)
    github.refuse["repos/acme/api/activity"] = JsonReply({"message": "Not Found"}, 404)
    with app.app_context(), run_fake_json_server(github) as server:
        painchain = install(server.url, ["acme/api"])
        for step in (None, ["push", "push to a branch"], ["push", "delete a branch"], ["promote and roll back"]):
            delivered = len(github.deliveries)
            for work in step or ():
                github.wait(2)
                WORK[work](github)
            deliver(painchain, github, delivered, random.Random(1))
            github.wait(3)
            github.things["repos/acme/api/git/matching-refs/heads"] = [
                {"ref": f"refs/heads/{branch}", "object": {"sha": sha}}
                for branch, sha in github.repository.heads.items()
            ]
            painchain.poll(github.now)
        assert differences(painchain, github) == ([], [])
        assert "heads" in next(iter(painchain.cursor["repos"].values()))


def test_a_push_whose_delivery_has_the_time_of_a_later_push_is_not_doubled(app: Flask) -> None:
    github = GitHubModel(START)
    with app.app_context(), run_fake_json_server(github) as server:
        painchain = install(server.url, ["acme/api"])
        painchain.poll(github.now)
        github.wait(2)
        for _ in range(2):
            github.push("fix")
            github.wait(0.5)
            github.push()
            github.wait(0.5)
        for topic, body in github.deliveries:
            body["repository"]["pushed_at"] = github.deliveries[-1][1]["repository"]["pushed_at"]
            painchain.receive(topic, body, github.now, "repository")
        painchain.complete(github.now, is_reachable=False)  # GitHub's API does not list them in time
        github.wait(3)
        painchain.poll(github.now)
        assert sorted(row[2] for row in painchain.events()) == sorted(happening.title for happening in github.history)
        painchain.poll(github.now, is_stale=True)
        assert len(painchain.events()) == len(github.history)


def test_the_timeline_equals_the_history_however_events_arrive(app: Flask) -> None:
    check(app)
