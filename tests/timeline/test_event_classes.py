"""Outcomes and the class Access: every page and count agrees with a check of each event in Python."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from painchain import connectors
from painchain.connectors.outcomes import Outcome, StatusWords
from painchain.database.models import ChangeEvent
from painchain.database.session import db
from painchain.eventlog import writer
from painchain.timeline import histogram, queries
from painchain.timeline.filter import BadFilter, Filter, parse_filter
from painchain.timeline.queries import Event
from tests.support.histograms import UTC_ZONE
from tests.support.sample_events import HOUR, NOW, new
from tests.support.thorough import further

DAY = timedelta(days=1)
BAD, GOOD, RUNNING, NEUTRAL = (
    outcome.value for outcome in (Outcome.BAD, Outcome.GOOD, Outcome.RUNNING, Outcome.NEUTRAL)
)
# Events of every outcome. "failed" of PainChain is a sign-in, "error" is bad for GitHub only.
KINDS: tuple[tuple[str, str, str | None, str], ...] = (
    ("github", "WorkflowRun", "failure", BAD),
    ("github", "WorkflowRun", "timed_out", BAD),
    ("github", "WorkflowRun", "Startup Failure", BAD),
    ("github", "Deployment", "error", BAD),
    ("gitlab", "Deployment", "error", NEUTRAL),
    ("gitlab", "Pipeline", "failed", BAD),
    ("kubernetes", "K8sPod", "CrashLoopBackOff", BAD),
    ("retired", "Build", "failed", NEUTRAL),
    ("github", "WorkflowRun", "success", GOOD),
    ("gitlab", "MergeRequest", "merged", GOOD),
    ("kubernetes", "HelmRelease", "deployed", GOOD),
    ("kubernetes", "K8sJob", "succeeded", GOOD),
    ("gitlab", "Pipeline", "running", RUNNING),
    ("kubernetes", "HelmRelease", "pending-upgrade", RUNNING),
    ("github", "PullRequest", "open", NEUTRAL),
    ("gitlab", "Pipeline", "manual", NEUTRAL),
    ("kubernetes", "K8sService", "modified", NEUTRAL),
    ("github", "WorkflowRun", "a word that GitHub invents next year", NEUTRAL),
    ("github", "WorkflowRun", None, NEUTRAL),
    ("github", "WorkflowRun", "", NEUTRAL),
    ("painchain", "ConnectorFailing", "failing", BAD),
    ("painchain", "ChainBroken", "broken", BAD),
    ("painchain", "SignInFailed", "failed", BAD),
    ("painchain", "SignedIn", "signed in", NEUTRAL),
    ("painchain", "EventsExported", "exported", NEUTRAL),
    ("painchain", "ConfigChanged", "success", NEUTRAL),
)
ACCESS = ("SignedIn", "SignedOut", "SignInFailed", "EventsExported", "CheckpointMade", "ChainBegun")


def some_events(number: int, chance: random.Random) -> Iterator[dict[str, Any]]:
    """Yield the members of random events; their title is the outcome that they must have."""
    for index in range(number):
        source, event_type, status, outcome = chance.choice(KINDS)
        yield {
            "event_id": f"class-{index}",
            "source": source,
            "event_type": event_type,
            "status": status,
            "title": f"{outcome} {index}",
            "timestamp": NOW - chance.random() * chance.choice([HOUR, DAY, 30 * DAY]),
            "author": chance.choice(["ann", "ben"]),
            "tags": chance.choice([[], ["ci"], ["ci", "night"]]),
        }


@pytest.fixture(params=[0.6, *further(0, 1)], ids=["some in rollups", "not in rollups", "in rollups"])
def log(app: Flask, request: pytest.FixtureRequest) -> Callable[..., None]:
    """Return a function that writes events to an empty log, some of them counted in the rollups."""

    def write(*members: dict[str, Any]) -> None:
        counted = int(len(members) * request.param)
        with app.app_context(), writer.writing() as event_log:
            event_log.remove(db.session.scalars(select(ChangeEvent.id)).all())
            event_log.append(*(new(number, **each) for number, each in enumerate(members[:counted])))
            event_log.count()
            event_log.append(*(new(counted + number, **each) for number, each in enumerate(members[counted:])))

    return write


def all_events(event_filter: Filter) -> list[Event]:
    """Return the events of a filter with any outcome and of any class, newest first."""
    return list(queries.page(replace(event_filter, outcome=(), hides_access=False), limit=5_000).events)


def chosen(events: Sequence[Event], outcomes: set[str], hides_access: bool = False) -> list[Event]:
    """Return the events whose title names one of these outcomes: checked in Python."""
    return [
        event
        for event in events
        if event.title.split()[0] in outcomes
        and not (hides_access and event.source == "painchain" and event.event_type in ACCESS)
    ]


def bins_of(counts: histogram.Histogram, events: list[Event]) -> list[Counter[str]]:
    """Return the numbers of events by source in each bin of a histogram."""
    return [Counter(event.source for event in events if bin.start <= event.timestamp < bin.end) for bin in counts.bins]


CHOICES = ((), (BAD,), (GOOD,), (RUNNING,), (NEUTRAL,), (BAD, GOOD), (BAD, NEUTRAL), (GOOD, RUNNING, BAD, NEUTRAL))
BASES: tuple[dict[str, Any], ...] = (
    {},
    {"source": ("github",)},
    {"source": ("gitlab", "painchain", "retired")},
    {"status": ("failed", "success")},
    {"event_type": ("WorkflowRun", "SignInFailed")},
    {"author": ("ann",)},
    {"tag": ("ci",), "author": ("ben",)},
    {"q": "class"},
    {"start": NOW - 26 * HOUR, "end": NOW - timedelta(minutes=7)},
    {"start": NOW - 9 * DAY, "author": ("ann",), "source": ("painchain", "github")},
)


def test_outcomes_and_access_are_counted_exactly(app, log, subtests, thorough):
    chance = random.Random(1)
    log(*({**each, "description": {"text": "of some class"}} for each in some_events(150, chance)))
    step = 1 if thorough else 2
    for number, base in enumerate(BASES):
        with app.app_context():
            events = all_events(Filter(**base))
        assert events
        for outcomes in ((), chance.choice(CHOICES[1:]))[number % step :: step]:
            event_filter = Filter(**base, outcome=outcomes, hides_access=not outcomes or chance.random() < 0.5)
            with subtests.test(str(event_filter)), app.app_context():
                check(event_filter, events)


def check(event_filter: Filter, base: Sequence[Event]) -> None:
    """Compare page, counts and histogram of a filter with the events of `base` that it must have."""
    outcomes = {*event_filter.outcome} or {*Outcome}
    events = chosen(base, outcomes, event_filter.hides_access)
    assert [event.id for event in queries.page(event_filter, limit=5_000).events] == [event.id for event in events]
    assert [event.id for event in queries.written_after(event_filter, 0, 5_000)] == sorted(event.id for event in events)
    first = queries.page(event_filter, limit=7)
    if first.older:
        second = queries.page(event_filter, first.older, 7)
        assert [event.id for event in (*first.events, *second.events)] == [event.id for event in events[:14]]
    statistics = histogram.statistics(event_filter, ("status", "event_type"))
    assert statistics.total == len(events)
    for column, counts in statistics.by.items():
        values = Counter(value for event in events if (value := getattr(event, column)) is not None)
        assert counts == values, column
    counts = histogram.histogram(event_filter, NOW, UTC_ZONE, with_classes=True)
    assert [Counter(bin.counts) for bin in counts.bins] == bins_of(counts, events)
    failures = chosen(events, {BAD})
    assert [Counter(bin.failures_by_source) for bin in counts.bins] == bins_of(counts, failures)
    # Without a start, the range begins at the oldest event that is shown.
    start = event_filter.start or (events[-1].timestamp if events else (event_filter.end or NOW) - DAY)
    in_range = [event for event in chosen(base, outcomes) if event.timestamp >= start]
    assert counts.hidden == len(in_range) - len(events)
    plain = histogram.histogram(event_filter, NOW, UTC_ZONE)
    assert [bin.counts for bin in plain.bins] == [bin.counts for bin in counts.bins]


SEARCHES = {
    "outcome:bad": {BAD},
    "outcome:BAD,good": {BAD, GOOD},
    "outcome:bad outcome:good": {BAD, GOOD},
    "-outcome:neutral": {BAD, GOOD, RUNNING},
    "-outcome:neutral,good": {BAD, RUNNING},
    "outcome:bad,good -outcome:good": {BAD},
    "outcome:bad -outcome:bad": set(),
    "outcome:bad class": {BAD},
    "-outcome:bad class": {GOOD, RUNNING, NEUTRAL},
}


def test_a_search_names_outcomes(app, log, subtests, thorough):
    log(*({**each, "description": {"text": "of some class"}} for each in some_events(200, random.Random(3))))
    with app.app_context():
        everything = all_events(Filter())
    step = 1 if thorough else 2
    for number, (search, outcomes) in enumerate(SEARCHES.items()):
        for parameter in ((), (BAD, NEUTRAL))[number % step :: step]:
            with subtests.test(f"{search} {parameter}"), app.app_context():
                wanted = outcomes & ({*parameter} or {*Outcome})
                numbers = [event.id for event in chosen(everything, wanted)]
                event_filter = Filter(q=search, outcome=parameter)
                assert [event.id for event in queries.page(event_filter, limit=500).events] == numbers
                assert histogram.count(event_filter) == len(numbers)
                assert histogram.histogram(event_filter, NOW, UTC_ZONE).total == len(numbers)


def test_the_old_search_for_a_status_is_unchanged(app, log):
    log(*some_events(200, random.Random(4)))
    with app.app_context():
        for event_filter in (Filter(q="status:failed"), Filter(status=("failed",))):
            events = queries.page(event_filter, limit=500).events
            assert {(event.source, event.status) for event in events} == {
                (source, "failed") for source in ("gitlab", "retired", "painchain")
            }


def test_the_table_of_the_source_decides(app, log, monkeypatch):
    github = replace(connectors.TYPES["github"], statuses=StatusWords(good="flaky", bad="done"))
    gitlab = replace(connectors.TYPES["gitlab"], statuses=StatusWords(good="done", bad="flaky"))
    for connector_type in (github, gitlab):
        monkeypatch.setitem(connectors.TYPES, connector_type.key, connector_type)
        monkeypatch.setitem(connectors.ADDABLE, connector_type.key, connector_type)
    words = [(source, status) for source in ("github", "gitlab") for status in ("done", "flaky")]
    log(*({"source": source, "status": status, "event_type": "Build"} for source, status in 3 * words))
    with app.app_context():
        for outcome, expected_pairs in (
            (BAD, {("github", "done"), ("gitlab", "flaky")}),
            (GOOD, {("github", "flaky"), ("gitlab", "done")}),
            (NEUTRAL, set()),
        ):
            event_filter = Filter(outcome=(outcome,))
            events = queries.page(event_filter).events
            assert {(event.source, event.status) for event in events} == expected_pairs
            assert histogram.count(event_filter) == len(events) == 3 * len(expected_pairs)


def test_a_job_that_fails_is_among_the_failures(app: Flask, log: Callable[..., None]) -> None:
    statuses = ("added", "failed", "modified", "succeeded", "deleted")
    log(*({"source": "kubernetes", "event_type": "K8sJob", "status": status} for status in statuses))
    with app.app_context():
        for event_filter in (Filter(outcome=(BAD,)), Filter(q="outcome:bad")):
            assert [event.status for event in queries.page(event_filter).events] == ["failed"]
            assert histogram.count(event_filter) == 1


def parsed(**parameters: str) -> Filter:
    """Return the filter of a query string."""
    return parse_filter({name: [value] for name, value in parameters.items()}, NOW, UTC_ZONE)


def test_outcomes_are_parsed_as_lists(app: Flask) -> None:
    with app.app_context():
        assert parsed(outcome="bad").outcome == ("bad",)
        assert parsed(outcome="Bad, good,bad").outcome == ("bad", "good")
        assert parsed().outcome == ()
        for value in ("worse", "bad,worse", "x" * 201):
            with pytest.raises(BadFilter, match="outcome"):
                parsed(outcome=value)
        for search in ("outcome:worse", "outcome:", "-outcome:x"):
            with pytest.raises(BadFilter, match="outcome"):
                parsed(q=search)


NAMING = [
    ({}, False),
    ({"source": "painchain"}, True),
    ({"source": "painchain,github"}, False),
    ({"event_type": "SignedIn"}, True),
    ({"event_type": "ConfigChanged"}, False),
    ({"status": "failed"}, True),
    ({"q": "type:SignedIn"}, True),
    ({"q": "-type:SignedIn"}, False),
    ({"q": "type:ConfigChanged"}, False),
    ({"q": "source:painchain"}, True),
    ({"q": "-source:painchain"}, False),
    ({"q": "source:painchain,github"}, False),
    ({"q": "action:export"}, True),
    ({"q": "status:exported"}, True),
    ({"q": "outcome:bad"}, False),
    ({"q": "signed in"}, False),
]


def test_a_filter_can_name_access_events(app: Flask, subtests: pytest.Subtests) -> None:
    for parameters, names in NAMING:
        with subtests.test(str(parameters)), app.app_context():
            assert parsed(**parameters).names_access is names


def test_every_outcome_of_the_samples_is_that_of_its_source():
    for source, event_type, status, outcome in KINDS:
        assert connectors.outcome(source, event_type, status) == outcome, (source, status)
    assert sorted(connectors.ACCESS_TYPES) == sorted(ACCESS)


def test_a_time_without_events_has_no_failures(app: Flask, log: Callable[..., None]) -> None:
    log()
    with app.app_context():
        counts = histogram.histogram(
            Filter(outcome=(BAD,)), datetime.max.replace(tzinfo=NOW.tzinfo, year=2030), UTC_ZONE
        )
        assert (counts.total, counts.failures, counts.hidden) == (0, 0, 0)
