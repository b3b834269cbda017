"""Days of work on a model of GitHub: the timeline equals the history, however the events arrive."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any

import hypothesis
from flask import Flask
from hypothesis import strategies

from tests.connectors.github.follower import WORK, PainChain, install
from tests.counterparts.github_model import START, GitHubModel
from tests.counterparts.github_repository import Happening
from tests.counterparts.server import FakeServer, JsonReply, run_fake_json_server
from tests.support.thorough import examples

# What polling cannot see after these, it must have seen before: a state that was overwritten leaves no trace.
HIDES = ("release nightly", "promote a release", "demote a release", "rename", "make anew")

# A delivery does not say which tags an image already had: a further tag is found by polling.
NEEDS_POLLS = ("publish an image under two tags", "tag an image")
HIDES += NEEDS_POLLS
QUIET_POLLS = 6  # after the last change, until old pages have been read in turn


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
    max_examples=examples(12),
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
