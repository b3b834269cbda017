"""Retention removes only older events, in small steps, and records each removal exactly once, even after failures."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, text

from painchain.audit.trail import Trail
from painchain.core.config import Settings
from painchain.database.models import ChangeEvent
from painchain.database.session import db
from painchain.database.types import EPOCH, microseconds
from painchain.eventlog import writer
from painchain.eventlog.writer import NewEvent
from painchain.retention import pruning
from painchain.retention import rules as retention_rules
from painchain.retention.rules import PrunableEvents, PruneInProgress, PruneNeedsAuditing, StaleRetention
from painchain.startup import create_app
from painchain.workers.scheduler import Scheduler
from tests.conftest import close
from tests.support.command_line import Run

Events = Callable[..., list[dict[str, Any]]]
NOW = datetime.now(UTC)


class Clock:
    """A clock that the test sets. Each call advances it by a millisecond."""

    def __init__(self, now: datetime = NOW):
        self.now = now

    def __call__(self) -> datetime:
        self.now += timedelta(milliseconds=1)
        return self.now


def write(source: str, days_ago: float, tags: tuple[str, ...] = ("a", "b")) -> int:
    """Write an event that is some days old, and return its number."""
    when = NOW - timedelta(days=days_ago)
    with writer.writing() as event_log:
        name = f"{source}-{event_log.last_event + 1}"
        about = {"text": "Something"}
        return event_log.append(
            NewEvent(name, source, "Job", name, about, {}, "ann", name, when, when, tags=list(tags), status="done")
        )


def set_rules(**days: int | None) -> None:
    with writer.writing() as event_log:
        retention_rules.change(days, {}, Trail(event_log, "ann", writer.new_request_id(NOW), NOW))


def schedule_prunes(now: datetime = NOW, beat: datetime = EPOCH) -> list[int]:
    with writer.writing() as event_log:
        trail = Trail(event_log, "ann", "the-request", now, reason="The disk is full")
        return retention_rules.schedule_prune(
            retention_rules.prunable(retention_rules.rules(), now), retention_rules.ON_DEMAND, trail, beat
        )


def sources() -> dict[str, int]:
    """Return the number of events of each source except the audit trail."""
    db.session.rollback()  # the session may still have an old snapshot from a request of the test client
    rows = db.session.execute(text("SELECT source, count(*) FROM change_events GROUP BY source")).all()
    db.session.rollback()
    return {source: number for source, number in rows if source != "painchain"}


def tags_left() -> int:
    """Return how many tags the events of other sources than the audit trail have together."""
    remaining = db.session.scalars(select(ChangeEvent.tags).where(ChangeEvent.source != "painchain"))
    number = sum(map(len, remaining))
    db.session.rollback()
    return number


@pytest.fixture
def app_with_events(app: Flask) -> Iterator[Flask]:
    """The app in its context, with ten old and ten recent events of each of two sources."""
    with app.app_context():
        for _ in range(10):
            write("github", 40)
            write("gitlab", 40)
            write("github", 20)
            write("gitlab", 20)
        yield app


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove four events per step."""
    for name in ("FIRST_STEP", "SMALLEST_STEP", "LARGEST_STEP"):
        monkeypatch.setattr(pruning, name, 4)


def pruned(events: Events) -> list[dict[str, Any]]:
    db.session.rollback()
    return [event for event in events() if event["event_type"] == "EventsPruned"]


# The rules


def test_all_events_are_kept_forever_by_default(app_with_events: Flask) -> None:
    assert retention_rules.rules() == dict.fromkeys(("painchain", "github", "gitlab", "kubernetes", "api"))
    assert retention_rules.prunable(retention_rules.rules(), NOW) == []
    assert schedule_prunes() == []


def test_a_change_of_the_rules_is_audited_and_an_unchanged_save_is_not(app_with_events: Flask, events: Events) -> None:
    set_rules(github=30, gitlab=None)
    set_rules(github=30)
    set_rules(github=None)
    set_rules(gitlab=1)
    rule_changes = [event for event in events() if event["event_type"] == "RetentionChanged"]
    assert [event["title"] for event in rule_changes] == [
        f"[Retention Changed] {source}" for source in ("GitHub", "GitHub", "GitLab")
    ]
    assert [(event["metadata"]["old"], event["metadata"]["new"]) for event in rule_changes] == [
        (None, 30),
        (30, None),
        (None, 1),
    ]
    assert [event["description"]["text"] for event in rule_changes] == [
        "Events of GitHub are kept 30 days, no longer for ever",
        "Events of GitHub are kept for ever, no longer 30 days",
        "Events of GitLab are kept 1 day, no longer for ever",
    ]


def test_rules_changed_by_another_person_are_not_overwritten(app_with_events: Flask) -> None:
    set_rules(github=30)
    with pytest.raises(StaleRetention), writer.writing() as event_log:
        retention_rules.change({"github": 90}, {"github": None}, Trail(event_log, "ann", "x", NOW))
    assert retention_rules.rules()["github"] == 30


def test_the_preview_shows_number_and_period_of_expired_events(app_with_events: Flask) -> None:
    [pruned] = retention_rules.prunable({"github": 30, "gitlab": None}, NOW)
    forty = NOW - timedelta(days=40)
    assert pruned == PrunableEvents("github", 30, NOW - timedelta(days=30), 10, forty, forty)


# The removal


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


# The scheduler


def test_the_daily_run_prunes_once_a_day(app_with_events: Flask, events: Events) -> None:
    set_rules(github=30)
    clock = Clock(datetime(NOW.year, NOW.month, NOW.day, 12, tzinfo=UTC))
    scheduler = Scheduler(app_with_events, clock)
    scheduler.run_once()
    assert [event["description"]["cause"] for event in pruned(events)] == ["retention, daily run"]
    assert sources()["github"] == 10
    write("github", 50)
    clock.now += timedelta(hours=11)
    scheduler.run_once()
    assert sources()["github"] == 11, "today's run is already done"
    clock.now += timedelta(hours=2)
    scheduler.run_once()
    assert sources()["github"] == 10
    assert len(pruned(events)) == 2


@pytest.mark.both_databases
def test_only_one_of_several_servers_does_the_daily_run(app_with_events: Flask, settings: Settings) -> None:
    acquired: list[bool] = []

    def acquire(app: Flask) -> None:
        with app.app_context():
            acquired.append(retention_rules.acquire_daily_lease(NOW))

    other_servers = [create_app(settings) for _ in range(3)]
    threads = [threading.Thread(target=acquire, args=(other_server,)) for other_server in other_servers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    for other_server in other_servers:
        close(other_server)
    assert sorted(acquired) == [False, False, True]


def test_the_daily_run_is_skipped_and_logged_while_auditing_is_off(
    app_with_events: Flask, client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    set_rules(github=30)
    assert client.post("/api/connectors/1/disable").status_code == 200
    Scheduler(app_with_events, Clock()).run_once()
    assert sources()["github"] == 20
    assert "The daily prune is skipped. Auditing is off" in caplog.text


def test_creating_an_app_starts_no_thread(app_with_events: Flask) -> None:
    assert "scheduler" not in [thread.name for thread in threading.enumerate()]


def test_the_thread_finds_its_work_and_stops_on_request(
    app_with_events: Flask, events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("painchain.workers.base.LOOK_SECONDS", 0.05)
    set_rules(github=30)
    schedule_prunes()
    scheduler = Scheduler(app_with_events)
    scheduler.start()
    for _ in range(200):
        if pruned(events):
            break
        threading.Event().wait(0.05)
    scheduler.stop()
    assert sources()["github"] == 10
    assert "scheduler" not in [thread.name for thread in threading.enumerate()]


# The command line


def test_prune_shows_removes_and_audits_the_expired_events(app_with_events: Flask, run: Run, events: Events) -> None:
    set_rules(github=30)
    dry = run("prune", "--dry-run")
    assert dry.exit_code == 0
    assert dry.stdout.startswith("GitHub: 10 events would be deleted (")
    assert sources()["github"] == 20
    result = run("prune")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[-1] == "Deleted 10 events."
    assert sources()["github"] == 10
    assert [event["author"] for event in pruned(events)] == ["system"]
    assert run("prune").stdout == "Nothing to delete: no event is past its retention period.\n"


def test_prune_is_refused_while_auditing_is_off(app_with_events: Flask, client: FlaskClient, run: Run) -> None:
    set_rules(github=30)
    assert client.post("/api/connectors/1/disable").status_code == 200
    result = run("prune")
    assert result.exit_code == 1
    assert "Auditing is off" in result.stderr
    assert sources()["github"] == 20


def test_events_are_removed_by_the_time_when_they_happened(app_with_events: Flask) -> None:
    edge = NOW - timedelta(days=30)
    db.session.execute(
        text("UPDATE change_events SET timestamp = :edge WHERE source = 'gitlab'"), {"edge": microseconds(edge)}
    )
    db.session.commit()
    assert [pruned.events for pruned in retention_rules.prunable({"gitlab": 30}, NOW)] == [0], (
        "exactly so old is not older"
    )
