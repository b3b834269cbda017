"""The timeline equals the history of a GitLab, whether webhooks, polls or both tell it, in any order."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import hypothesis
import pytest
from hypothesis import strategies as st

from painchain.database.models import ChangeEvent
from tests.connectors.gitlab.follower import Follower
from tests.connectors.gitlab.model import ACTIONS, HIDES, IMAGES, Change, Model
from tests.counterparts import FakeServer, run_fake_server
from tests.support.thorough import examples, further

START = datetime(2026, 3, 4, 12, tzinfo=UTC)
SETTINGS = hypothesis.settings(
    deadline=None,
    max_examples=examples(12),
    derandomize=True,  # the same examples in every run
    phases=[hypothesis.Phase.generate],  # shrinking takes minutes
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)
steps = st.lists(st.integers(0, len(ACTIONS) - 1), min_size=3, max_size=25)


class Observer:
    """A connector that follows a model by webhook and poll."""

    def __init__(self, model: Model, fake_server: FakeServer):
        self.model, self.server, self.received = model, fake_server, 0
        self.follower = Follower(fake_server, [model.path], model.now)

    def poll(self, crash: bool = False) -> None:
        """Poll once."""
        self.follower.poll(self.model.now, crash)

    def deliver(self, number: int) -> None:
        """Receive one webhook."""
        self.follower.deliver(self.model.deliveries[number], f"key {number}", self.model.now)

    def deliver_new(self) -> None:
        """Receive the webhooks that have not been received."""
        while self.received < len(self.model.deliveries):
            self.deliver(self.received)
            self.received += 1

    def timeline(self) -> list[Change]:
        """Return what the timeline shows, the oldest first."""
        return [_change(row) for row in self.follower.rows()]


def _change(row: ChangeEvent) -> Change:
    facts = row.event_metadata
    subjects = {
        "Push": lambda: f"{facts['branch']} {facts.get('before', '')[:7]}..{facts.get('after', '')[:7]}",
        "Commit": lambda: facts["sha"],
        "MergeRequest": lambda: _merge_request(row),
        "Pipeline": lambda: f"{facts['pipeline_id']}",
        "Deployment": lambda: row.event_id.split(":")[4],
        "Release": lambda: facts["tag"],
        "Image": lambda: f"{facts['tags'][0]} {facts['digest']}",
    }
    return Change(row.event_type, facts["repository"], subjects[row.event_type](), row.status or "", row.timestamp)


def _merge_request(row: ChangeEvent) -> str:
    _, _, _, _, iid, state, *_ = row.event_id.split(":")
    return f"!{iid} {state}"


@contextmanager
def observed_model() -> Iterator[Observer]:
    """Run a model and return a connector that follows it, and has polled once."""
    model = Model(START)
    with run_fake_server(model) as fake_server:
        observer = Observer(model, fake_server)
        observer.poll()
        yield observer


def untimed(changes: list[Change]) -> list[tuple[str, str, str, str]]:
    """Return changes without their times, in a fixed order."""
    return sorted((change.event_type, change.repository, change.subject, change.status) for change in changes)


def assert_same(observer: Observer) -> None:
    """Check that the timeline is the history, each change within a few seconds of its time.

    Nobody says when a release was deleted: it is when PainChain noticed.
    """
    expected, shown = observer.model.history, observer.timeline()
    assert untimed(shown) == untimed(expected)

    def in_order(changes: list[Change]) -> list[Change]:
        return sorted(changes, key=lambda change: (change.event_type, change.subject, change.status, change.when))

    for change, stored in zip(in_order(expected), in_order(shown), strict=True):
        assert abs(stored.when - change.when) < timedelta(seconds=2.5) or (
            change.status == "deleted" and change.event_type == "Release" and stored.when >= change.when
        ), (stored, change)


@pytest.fixture
def in_app(app):
    with app.app_context():
        yield


@SETTINGS
@hypothesis.given(chosen=steps)
def test_webhooks_alone_tell_the_history(in_app, chosen):
    with observed_model() as observer:
        for number in (number for number in chosen if number not in IMAGES):
            ACTIONS[number](observer.model)
            observer.deliver_new()
        for number in range(observer.received):
            observer.deliver(number)  # again
        assert_same(observer)


@SETTINGS
@hypothesis.given(chosen=steps, crashes=st.sets(st.integers(0, 24)))
def test_polls_alone_tell_the_history_also_after_crashes(in_app, chosen, crashes):
    with observed_model() as observer:
        for position, number in enumerate(chosen):
            if number in HIDES:
                observer.poll()
            ACTIONS[number](observer.model)
            observer.poll(crash=position in crashes)
        observer.poll()
        assert_same(observer)


@SETTINGS
@hypothesis.given(chosen=steps, data=st.data())
def test_webhooks_and_polls_in_any_order_tell_the_history(in_app, chosen, data):
    with observed_model() as observer:
        for number in chosen:
            if number in IMAGES:
                observer.poll()
            ACTIONS[number](observer.model)
            if number in IMAGES:
                observer.poll(crash=data.draw(st.booleans()))
            way = data.draw(st.sampled_from(["webhook", "poll", "webhook, poll", "poll, webhook", "nothing"]))
            for step in way.split(", "):
                if step == "webhook":
                    observer.deliver_new()
                elif step == "poll":
                    observer.poll(crash=data.draw(st.booleans()))
        observer.deliver_new()
        observer.poll()
        # A poll after the project was renamed cannot tell how it was called at the time of a change.
        shown, expected = (
            untimed([replace(change, repository="") for change in changes])
            for changes in (observer.timeline(), observer.model.history)
        )
        assert shown == expected


# A merge request is closed three times, a branch moves back and forth, a pipeline fails twice.
STORY = [7, 8, 9, 8, 9, 8, 0, 5, 0, 5, 4, 5, 6, 5, 14, 15, 14, 15, 14, 16, 17, 18, 19, 18, 20, 20, 22, 20, 9, 10]


@pytest.mark.parametrize("way", ["webhook", "poll", "two connectors", *further("both")])  # "two connectors" has it
def test_every_occurrence_of_a_story_is_told_by_each_way(in_app, way):
    with observed_model() as observer:
        other = Follower(observer.server, ["7"], observer.model.now)
        for number in STORY:
            ACTIONS[number](observer.model)
            if way != "poll":
                observer.deliver_new()
            if way != "webhook":
                observer.poll()
            if way == "two connectors":
                other.poll(observer.model.now)
        assert_same(observer)
        assert len(observer.model.history) > 25
        if way == "two connectors":
            assert untimed([_change(row) for row in other.rows()]) == untimed(observer.timeline())


@pytest.mark.parametrize("order", ["webhook, poll", "poll, webhook"])
def test_all_commits_of_a_large_push_have_the_time_of_the_push(in_app, order):
    with observed_model() as observer:
        observer.model.push(commits=25)
        delivered = observer.model.deliveries[0]["commits"]
        delivered[:] = delivered[-20:]  # GitLab sends the newest twenty
        pushed_at = observer.model.now
        observer.model.now += timedelta(minutes=3)
        for step in order.split(", "):
            observer.deliver_new() if step == "webhook" else observer.poll()
        rows = observer.follower.rows()
        assert [row.event_type for row in rows].count("Commit") == 25
        assert {row.timestamp - pushed_at for row in rows} == {timedelta()}
