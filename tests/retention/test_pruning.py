"""Retention removes only older events, in small steps, and records each removal exactly once, even after failures."""

from __future__ import annotations

import sqlite3
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text

from painchain.audit.trail import Trail
from painchain.core.config import Settings
from painchain.database.session import db
from painchain.database.types import EPOCH, microseconds
from painchain.eventlog import writer
from painchain.retention import pruning
from painchain.retention import rules as retention_rules
from painchain.retention.rules import PruneInProgress, PruneNeedsAuditing, StaleRetention
from painchain.workers.scheduler import Scheduler
from tests.support.retention import NOW, Clock, Events, pruned, schedule_prunes, set_rules, sources, tags_left


@pytest.mark.both_databases
def test_only_expired_events_and_their_tags_are_removed(app_with_events: Flask, events: Events) -> None:
    set_rules(github=30)
    [number] = schedule_prunes(beat=NOW)
    steps = list(pruning.run(number, NOW, Clock()))
    assert sum(step.events for step in steps) == 10
    assert sources() == {"github": 10, "gitlab": 20}
    assert tags_left() == 60
    assert retention_rules.progress() == []
    [event] = pruned(events)
    assert (event["author"], event["request_id"], event["status"]) == ("ann", "the-request", "pruned")
    assert event["description"]["reason"] == "The disk is full"
    assert event["metadata"] == {"action": "prune", "source": "github", "events": 10, "days": 30}
    assert event["description"]["oldest"] == event["description"]["newest"]
    assert event["description"]["cause"] == "on demand"
    assert event["description"]["text"].startswith("Removed 10 events of GitHub from before ")


def test_each_source_with_removals_gets_one_event_and_others_none(app_with_events: Flask, events: Events) -> None:
    set_rules(github=30, gitlab=10, kubernetes=1)
    schedule_prunes()
    Scheduler(app_with_events, Clock()).run_once()
    assert [(event["metadata"]["source"], event["metadata"]["events"]) for event in pruned(events)] == [
        ("github", 10),
        ("gitlab", 20),
    ]


def test_each_step_is_one_transaction_of_limited_size(app_with_events: Flask, small_steps: None) -> None:
    set_rules(github=30)
    [number] = schedule_prunes(beat=NOW)
    steps = pruning.run(number, NOW, Clock())
    for remaining in (16, 12):
        assert next(steps).events == 4
        assert sources()["github"] == remaining
        [progress] = retention_rules.progress()
        db.session.rollback()
        assert (progress.removed, progress.expected) == (20 - remaining, 10)


@pytest.mark.parametrize(
    ("size", "seconds", "follows"),
    [(100, 0.025, 100), (100, 0.25, 10), (50, 0.001, 75), (500, 0.0, 500), (10, 9.0, 10)],
)
def test_the_step_size_adapts_to_how_long_writers_waited(size: int, seconds: float, follows: int) -> None:
    assert pruning.next_size(size, seconds) == follows


@pytest.mark.parametrize("database", ["sqlite"])
def test_other_writers_can_write_between_two_steps(
    app_with_events: Flask, settings: Settings, small_steps: None
) -> None:
    set_rules(github=30)
    [number] = schedule_prunes(beat=NOW)
    connection = sqlite3.connect(settings.instance / "painchain.db", timeout=0)
    for _ in pruning.run(number, NOW, Clock()):
        with connection:
            connection.execute("UPDATE log_head SET revision = revision + 1")
    connection.close()


# Failures


def test_removals_of_a_killed_process_are_audited_when_another_continues(
    app_with_events: Flask, small_steps: None, events: Events
) -> None:
    set_rules(github=30)
    [number] = schedule_prunes(beat=NOW)
    dying = pruning.run(number, NOW, Clock())
    next(dying)
    next(dying)
    dying.close()
    assert pruned(events) == []
    Scheduler(app_with_events, Clock(NOW + timedelta(seconds=30))).run_once()
    assert sources()["github"] == 12, "the first process may still be running"
    Scheduler(app_with_events, Clock(NOW + timedelta(seconds=90))).run_once()
    assert sources()["github"] == 10
    [event] = pruned(events)
    assert event["metadata"]["events"] == 10


@pytest.mark.both_databases
def test_a_slow_process_removes_nothing_after_another_took_over(
    app_with_events: Flask, small_steps: None, events: Events
) -> None:
    set_rules(github=30)
    [number] = schedule_prunes(beat=NOW)
    slow = pruning.run(number, NOW, Clock())
    next(slow)
    later = NOW + timedelta(minutes=5)
    assert pruning.acquire(later) == number
    assert pruning.acquire(later) is None
    assert [step.events for step in slow] == [0]
    assert sum(step.events for step in pruning.run(number, later, Clock(later))) == 6
    assert [event["metadata"]["events"] for event in pruned(events)] == [10]


def test_withdrawing_a_rule_stops_the_removal_and_past_removals_are_audited(
    app_with_events: Flask, small_steps: None, events: Events
) -> None:
    set_rules(github=30)
    [number] = schedule_prunes(beat=NOW)
    steps = pruning.run(number, NOW, Clock())
    next(steps)
    set_rules(github=None)
    assert [step.events for step in steps] == [0]
    assert sources()["github"] == 16
    assert [event["metadata"]["events"] for event in pruned(events)] == [4]


def test_while_auditing_is_off_nothing_is_removed(app_with_events: Flask, client: FlaskClient) -> None:
    set_rules(github=30)
    assert client.post("/api/connectors/1/disable").status_code == 200
    with pytest.raises(PruneNeedsAuditing):
        schedule_prunes()
    assert sources()["github"] == 20


def test_disabling_auditing_pauses_the_removal_until_it_is_enabled(
    app_with_events: Flask, client: FlaskClient, small_steps: None, events: Events
) -> None:
    set_rules(github=30)
    [number] = schedule_prunes(beat=NOW)
    steps = pruning.run(number, NOW, Clock())
    next(steps)
    assert client.post("/api/connectors/1/disable").status_code == 200
    with pytest.raises(PruneNeedsAuditing):
        next(steps)
    later = Clock(NOW + timedelta(minutes=5))
    Scheduler(app_with_events, later).run_once()
    assert sources()["github"] == 16
    assert client.post("/api/connectors/1/enable").status_code == 200
    Scheduler(app_with_events, later).run_once()
    assert sources()["github"] == 10
    assert [event["metadata"]["events"] for event in pruned(events)] == [10]


def test_only_one_removal_runs_at_a_time(app_with_events: Flask) -> None:
    set_rules(github=30)
    assert len(schedule_prunes()) == 1
    with pytest.raises(PruneInProgress):
        schedule_prunes()


def test_a_rule_changed_since_the_preview_removes_nothing(app_with_events: Flask) -> None:
    set_rules(github=30)
    prunable = retention_rules.prunable({"github": 10}, NOW)
    with pytest.raises(StaleRetention), writer.writing() as event_log:
        retention_rules.schedule_prune(prunable, retention_rules.ON_DEMAND, Trail(event_log, "ann", "x", NOW), EPOCH)
    assert retention_rules.progress() == []


def test_events_are_removed_by_the_time_when_they_happened(app_with_events: Flask) -> None:
    edge = NOW - timedelta(days=30)
    db.session.execute(
        text("UPDATE change_events SET timestamp = :edge WHERE source = 'gitlab'"), {"edge": microseconds(edge)}
    )
    db.session.commit()
    assert [pruned.events for pruned in retention_rules.prunable({"gitlab": 30}, NOW)] == [0], (
        "exactly so old is not older"
    )
