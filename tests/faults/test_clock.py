"""The clock is set back or forward by an hour: nothing waits for an hour, and nothing stays valid forever."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import insert, update

from painchain.accounts import login_throttle, password_links, users
from painchain.accounts import sessions as login_sessions
from painchain.accounts.sessions import SignInOrigin
from painchain.audit.trail import SYSTEM, Trail
from painchain.core import backoff
from painchain.core.roles import VIEWER
from painchain.database.models import LastCheckpoint, Notice
from painchain.database.session import Base, db
from painchain.database.types import EPOCH
from painchain.eventlog import outbox, writer
from painchain.ingestion import polling, watching
from painchain.integrity import check_job, latest_checkpoint, verification
from painchain.retention import rules as retention_rules
from painchain.workers.integrity import IntegrityWorker
from painchain.workers.scheduler import Scheduler
from tests.counterparts import FakeServer
from tests.support.accounts import add_person, sign_in
from tests.support.clock_source import (
    ClockSource,
    add,
    clock_source,  # noqa: F401
    clock_type,  # noqa: F401
    fake_server,  # noqa: F401
    health,
    inside,  # noqa: F401
    poll,
    state,
    strikes,
)
from tests.support.collector import Collector
from tests.support.html import fill, form_of, soup, texts
from tests.support.retention import schedule_prunes, set_rules, sources, write

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
SECOND, MINUTE, HOUR, YEAR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=365)
BACK = NOW - HOUR

Events = Callable[..., list[dict[str, Any]]]


def tables(model: type[Any]) -> Any:
    return Base.metadata.tables[model.__tablename__]


def test_polls_continue_at_their_interval(inside: Flask, fake_server: FakeServer, clock_source: ClockSource) -> None:  # noqa: F811
    number = add(fake_server)
    clock_source.strikes = strikes(1)
    assert poll(NOW) == 1
    clock_source.strikes = strikes(1, 2)
    assert poll(BACK) == 1
    assert [poll(BACK + MINUTE), poll(BACK + 5 * MINUTE)] == [None, 0]
    assert poll(NOW + HOUR) == 0, "and forward"
    assert state(number).due == NOW + HOUR + 5 * MINUTE


def test_a_connector_that_was_never_polled_is_polled(
    inside: Flask,  # noqa: F811
    fake_server: FakeServer,  # noqa: F811
    clock_source: ClockSource,  # noqa: F811
) -> None:
    add(fake_server)
    clock_source.strikes = strikes(1)
    assert poll(BACK) == 1


@pytest.mark.both_databases
@pytest.mark.parametrize("step", [-HOUR, HOUR])
def test_a_concurrent_poll_stores_nothing_twice(
    inside: Flask,  # noqa: F811
    fake_server: FakeServer,  # noqa: F811
    clock_source: ClockSource,  # noqa: F811
    step: timedelta,
) -> None:
    number = add(fake_server)
    poll(NOW - 2 * HOUR)
    clock_source.strikes = strikes(1)
    interrupted = polling.acquire(NOW)
    assert interrupted
    then = NOW + step
    assert poll(then) == 1, "the lease of the stopped poll has expired"
    assert polling.poll(interrupted, lambda: then + SECOND) == 0
    assert (health(number, then + SECOND).state, state(number).cursor) == ("fine", {"last": 1})


def test_a_watch_lease_is_released(inside: Flask, fake_server: FakeServer, clock_source: ClockSource) -> None:  # noqa: F811
    number = add(fake_server)
    poll(NOW)
    assert watching.acquire(number, NOW)
    assert watching.acquire(number, NOW + SECOND) is None
    assert watching.acquire(number, BACK) == BACK + watching.LEASE
    assert watching.acquire(number, BACK + SECOND) is None


@pytest.mark.parametrize("tries", [0, 1, outbox.MAX_TRIES - 1])
def test_messages_wait_no_longer_than_the_backoff_of_their_retries(app: Flask, client: FlaskClient, tries: int) -> None:
    body = {"name": "On call", "url": "json://127.0.0.1:9", "kinds": ["connector_deleted"]}
    rule = client.post("/api/notify-rules", json=body).json["id"]
    waits = backoff.delay_before(tries)
    message = {"title": "A", "text": "B", "rule_id": rule, "tries": tries, "taken_until": EPOCH, "due": NOW + waits}
    with app.app_context():
        db.session.execute(insert(tables(Notice)), [message])
        db.session.commit()
        if waits:
            assert outbox.claim(NOW) is None
        assert outbox.claim(BACK), "at once, and not when the hour has come again"
        assert outbox.claim(BACK + SECOND) is None, "the message is already claimed"


@pytest.mark.parametrize("status", [204, 500])
def test_a_checkpoint_is_posted(app: Flask, collector: Collector, status: int) -> None:
    object.__setattr__(app.extensions["painchain"].settings, "checkpoint_url", collector.url)
    collector.status = status
    IntegrityWorker(app, lambda: NOW).run_once()
    collector.status = 204
    IntegrityWorker(app, lambda: BACK).run_once()
    assert len(collector.checkpoints) == (1 if status == 204 else 2)
    with app.app_context():
        assert not latest_checkpoint.last().waiting
        db.session.execute(update(tables(LastCheckpoint)).values(posting={}, tries=0, due=NOW))
        db.session.commit()
    IntegrityWorker(app, lambda: BACK).run_once()
    assert collector.checkpoints[-1] == {}, "also a checkpoint without an attempt"


def test_the_daily_run_happens_tomorrow_at_the_latest(app: Flask) -> None:
    with app.app_context():
        assert retention_rules.acquire_daily_lease(NOW)
        assert not retention_rules.is_due(BACK), "it was there today"
        assert retention_rules.acquire_daily_lease(NOW + YEAR)
        assert [retention_rules.acquire_daily_lease(BACK), retention_rules.acquire_daily_lease(BACK)] == [True, False]
        assert retention_rules.due() == datetime(2026, 3, 11, tzinfo=UTC)
    for ahead in 0 * HOUR, YEAR:
        IntegrityWorker(app, lambda ahead=ahead: NOW + ahead).run_once()
        IntegrityWorker(app, lambda: BACK).run_once()
        with app.app_context():
            state = check_job.state()
        assert (state.due, state.checked_at) == (datetime(2026, 3, 11, 3, tzinfo=UTC), BACK if ahead else NOW)


def test_a_started_removal_continues(app: Flask) -> None:
    with app.app_context():
        for days in (40, 20):
            write("github", days)
        set_rules(github=30)
        schedule_prunes(beat=NOW)
        Scheduler(app, lambda: NOW + SECOND).run_once()
        assert sources() == {"github": 2}, "another process is removing"
        Scheduler(app, lambda: BACK).run_once()
        assert sources() == {"github": 1}


def test_an_abandoned_check_is_taken_over(app: Flask) -> None:
    with app.app_context():
        abandoned_lease = check_job.acquire(NOW)
        assert abandoned_lease
        assert check_job.acquire(NOW + SECOND) is None
        new_lease = check_job.acquire(BACK)
        assert new_lease
        assert new_lease.daily
        assert not check_job.report_progress(abandoned_lease, 1, 2, BACK)


def test_event_numbers_and_ids_keep_increasing(
    app: Flask, client: FlaskClient, events: Events, make_connector: Callable[..., int]
) -> None:
    number = make_connector()
    ahead = datetime.now(UTC) + HOUR
    with app.app_context(), writer.writing() as event_log:
        Trail(event_log, SYSTEM, writer.new_request_id(ahead), ahead).record(
            "checkpoint_made", "it", "made", "Made it", {}
        )
    page = client.get(f"/settings/integrations/{number}")
    form = fill(form_of(page), poll_interval="600")
    assert client.post(f"/settings/integrations/{number}", data=form).status_code == 303
    with app.app_context():
        assert verification.verify_chain().broken is None
        assert not verification.completeness().drift
    found_events = sorted(events(), key=lambda event: event["id"])
    assert [found_event["id"] for found_event in found_events] == list(range(1, len(found_events) + 1))
    assert [event["event_type"] for event in found_events][-3:] == [
        "CheckpointMade",
        "ConfigChanged",
        "ConnectorUpdated",
    ]
    ids = [found_event["event_id"] for found_event in found_events if found_event["source"] == "painchain"]
    assert len({*ids}) == len(ids)
    newest = texts(soup(client.get("/?range=all&access=1")), "#feed .event-type")[0]
    assert newest == "Checkpoint Made", "the feed is in order of time"
    walked, address = [], "/api/changes?limit=2"
    while address:
        page = client.get(address)
        walked += page.json
        address = page.headers.get("Link", "").partition(">")[0].removeprefix("<")
    assert sorted(event["id"] for event in walked) == [event["id"] for event in found_events], "no page omits an event"
    assert client.get("/health").json["status"] == "ok"
    for address in ("/", "/?range=1h", "/report", "/api/timeline", "/api/stats", "/settings/integrations"):
        assert client.get(address).status_code == 200


def start_session(app: Flask, number: int, at: datetime) -> str:
    """Start a session at a time, and return the secret of its cookie."""
    with app.app_context(), writer.writing() as event_log:
        person = users.get(number)
        assert person
        return login_sessions.start(
            person, "password", SignInOrigin("127.0.0.1", "A"), Trail(event_log, "alice", "x", at)
        )


def test_a_session_continues_and_lasts_its_normal_time(app: Flask, client: FlaskClient) -> None:
    number, limits = add_person(app), login_sessions.Limits(12 * HOUR, timedelta(days=14))
    secret, stale, of_next_year = (start_session(app, number, at) for at in (NOW, NOW, NOW + YEAR))

    def actor(secret: str, now: datetime) -> login_sessions.Actor | None:
        with db.engine.connect() as connection:
            return login_sessions.find_session_actor(secret, limits, now, connection)

    with app.app_context():
        assert actor(of_next_year, BACK) is None
        found_actor = actor(secret, BACK)
        assert found_actor
        login_sessions.record_use(found_actor, BACK)
        assert actor(secret, BACK + 11 * HOUR)
        assert actor(secret, BACK + 12 * HOUR) is None
        assert actor(stale, BACK + 12 * HOUR), "this session was not used since"
        assert actor(stale, BACK + 13 * HOUR) is None
        assert actor(secret, NOW + HOUR), "and forward"
        assert [len(login_sessions.list_active(number, limits, now)) for now in (BACK, BACK + 12 * HOUR)] == [2, 1]


def test_sign_ins_are_not_throttled_for_the_hour(app: Flask, client: FlaskClient) -> None:
    add_person(app)
    origin, ahead = SignInOrigin("127.0.0.1", "A"), datetime.now(UTC) + HOUR
    with app.app_context():
        for _ in range(login_throttle.MAX_PER_ACCOUNT):
            login_throttle.register_attempt("alice", origin, ahead)
        db.session.commit()
        with pytest.raises(login_throttle.TooManyAttempts):
            login_throttle.register_attempt("alice", origin, ahead)
    assert sign_in(client).status_code == 303
    now = datetime.now(UTC)
    with app.app_context():
        for _ in range(login_throttle.MAX_PER_ACCOUNT):
            login_throttle.register_attempt("alice", origin, now)
        with pytest.raises(login_throttle.TooManyAttempts):
            login_throttle.register_attempt("alice", origin, now)


@pytest.mark.parametrize(("ahead", "status"), [(HOUR, 200), (YEAR, 410)])
def test_a_one_time_link_works_but_expires(app: Flask, client: FlaskClient, ahead: timedelta, status: int) -> None:
    number = add_person(app, role=VIEWER)
    at = datetime.now(UTC) + ahead
    with app.app_context(), writer.writing():
        secret = password_links.make_link(users.get(number), at)
    assert client.get(f"/link/{secret}").status_code == status
