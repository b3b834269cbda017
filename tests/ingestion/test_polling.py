"""Polling: a turn is one process's, nothing is lost or doubled, and whatever goes wrong is told in words."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from painchain import connectors
from painchain.audit.trail import SYSTEM, Trail
from painchain.configuration import connector_store
from painchain.configuration.connector_edit import ConnectorEdit
from painchain.configuration.errors import ChangeRefused
from painchain.connectors.contract import ErrorKind, PollError, PollGap, PollResult, SourceEvent
from painchain.core.config import Settings
from painchain.database.models import Connector, Lapse, PollState
from painchain.database.session import db
from painchain.database.types import EPOCH
from painchain.eventlog import writer
from painchain.ingestion import connection_test, poll_results, polling
from painchain.ingestion import health as connector_polls
from painchain.ingestion.poll_results import next_try
from painchain.ingestion.source_events import add_new
from painchain.scheduling import poll_leases
from painchain.startup import create_app
from painchain.timeline import histogram, queries
from painchain.timeline.filter import Filter
from painchain.workers.scheduler import Scheduler
from tests.conftest import close
from tests.counterparts import FakeServer, ReceivedRequest, Reply, as_json, run_fake_server
from tests.support.sample_events import CLOCK

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
TOKEN = "canary-token-1234567890"
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
Strikes = list[dict[str, Any]]


class ClockSource:
    """What the made-up source answers: `strikes` behind the number it is asked for, or `reply`, whatever it is."""

    def __init__(self) -> None:
        self.strikes: Strikes = []
        self.more: dict[str, Any] = {}
        self.reply: Reply | None = None
        self.before: Callable[[], object] = lambda: None

    def __call__(self, received: ReceivedRequest) -> Reply:
        self.before()
        if self.reply:
            return self.reply
        after = int(received.path.partition("after=")[2] or 0)
        return as_json({"strikes": [one for one in self.strikes if one["number"] > after], **self.more})


@pytest.fixture(autouse=True)
def clock_type(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connector type of the tests' own, beside the real ones."""
    monkeypatch.setitem(connectors.TYPES, CLOCK.key, CLOCK)
    monkeypatch.setitem(connectors.ADDABLE, CLOCK.key, CLOCK)


@pytest.fixture
def inside(app: Flask) -> Iterator[Flask]:
    with app.app_context():
        yield app


@pytest.fixture
def clock_source() -> ClockSource:
    return ClockSource()


@pytest.fixture
def fake_server(clock_source: ClockSource) -> Iterator[FakeServer]:
    with run_fake_server(clock_source) as fake_server:
        yield fake_server


def add(fake_server: FakeServer, name: str = "Tower", now: datetime = NOW, enabled: bool = True, **more: Any) -> int:
    values = {"name": name, "base_url": fake_server.url, "token": TOKEN, "poll_interval": 300, **more}
    with writer.writing() as event_log:
        return connector_store.create(
            CLOCK, values, enabled, Trail(event_log, SYSTEM, writer.new_request_id(now), now)
        ).id


def change(number: int, now: datetime, act: Callable[[Connector, Trail], object]) -> None:
    with writer.writing() as event_log:
        act(db.session.get_one(Connector, number), Trail(event_log, "ann", writer.new_request_id(now), now))


def switch(number: int, enabled: bool, now: datetime) -> None:
    change(number, now, lambda one, trail: connector_store.set_enabled(one, enabled, trail))


def poll(now: datetime) -> int | None:
    """Take the turn that is due at this moment, and poll; None if there is none."""
    turn = polling.acquire(now)
    return None if turn is None else polling.poll(turn, lambda: now)


def state(number: int) -> PollState:
    db.session.rollback()
    return db.session.get_one(PollState, number, populate_existing=True)


def health(number: int, now: datetime) -> connector_polls.Health:
    db.session.rollback()
    return connector_polls.read([db.session.get_one(Connector, number)], now)[number]


def titles(source: str = "clock") -> list[str]:
    db.session.rollback()
    return [event.title for event in reversed(queries.page(Filter(source=(source,))).events)]


def told() -> list[str]:
    """The events about how connectors do."""
    return [title for title in titles("painchain") if "Failing" in title or "Recovered" in title]


def lapses() -> list[tuple[str, datetime, datetime | None]]:
    db.session.rollback()
    return [(one.kind, one.since, one.until) for one in db.session.scalars(select(Lapse).order_by(Lapse.id))]


def strikes(*numbers: int, **more: Any) -> Strikes:
    return [{"number": number, "at": NOW.timestamp() - 60 + number, **more} for number in numbers]


@pytest.mark.both_databases
def test_what_is_found_is_on_the_timeline_like_any_other_event(
    inside: Flask, fake_server: FakeServer, clock_source: ClockSource
) -> None:
    clock_source.strikes = strikes(1, 2, author="Quasimodo", text="Ding dong")
    number = add(fake_server, tags="tower,paris")
    assert poll(NOW) == 2
    event = queries.page(Filter(source=("clock",))).events[0]
    assert (event.event_id, event.title, event.author, event.status) == (
        "strike-2",
        "[Strike] 2",
        "Quasimodo",
        "struck",
    )
    assert (event.connector_id, event.connector_name, event.tags) == (number, "Tower", ["tower", "paris"])
    assert (event.timestamp, event.recorded_at) == (NOW - 58 * SECOND, NOW)
    assert (event.description, event.metadata) == ({"text": "Ding dong"}, {"hour": 2})
    found = inside.test_client().get("/api/changes?q=quasimodo tag:paris ding type:strike").get_json()
    assert [one["event_id"] for one in found] == ["strike-2", "strike-1"]
    assert histogram.count(Filter(source=("clock",))) == 2


def test_polling_again_asks_from_the_cursor_on_and_doubles_nothing(
    inside: Flask, fake_server: FakeServer, clock_source: ClockSource
) -> None:
    number = add(fake_server)
    clock_source.strikes = strikes(1, 2)
    assert poll(NOW) == 2
    assert poll(NOW + 299 * SECOND) is None
    clock_source.strikes = strikes(1, 2, 3)
    assert poll(NOW + 300 * SECOND) == 1
    assert fake_server.paths == ["/strikes?after=0", "/strikes?after=2"]
    assert titles() == ["[Strike] 1", "[Strike] 2", "[Strike] 3"]
    with inside.app_context():  # a crash that lost the cursor
        state(number).cursor = {}
        db.session.commit()
    assert poll(NOW + HOUR) == 0
    assert fake_server.paths[-1] == "/strikes?after=0"
    assert len(titles()) == 3


@pytest.mark.both_databases
def test_only_one_of_many_that_try_at_once_has_the_turn(
    inside: Flask, fake_server: FakeServer, settings: Settings
) -> None:
    numbers = {add(fake_server, f"Tower {number}") for number in range(3)}
    other = create_app(settings)  # a second process, as far as the database knows
    taken: list[poll_leases.PollLease | None] = []
    barrier = threading.Barrier(6)

    def try_to(app: Flask) -> None:
        with app.app_context():
            barrier.wait(10)
            taken.extend(poll_leases.acquire(NOW) for _ in range(3))

    threads = [threading.Thread(target=try_to, args=(app,)) for app in (inside, other) * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    close(other)
    assert len(taken) == 18
    assert sorted(turn.connector_id for turn in taken if turn) == sorted(numbers)


def test_a_process_that_dies_loses_its_turn_with_time_and_nothing_else(
    inside: Flask, fake_server: FakeServer, clock_source: ClockSource
) -> None:
    clock_source.strikes = strikes(1)
    number = add(fake_server)
    lost = poll_leases.acquire(NOW)
    assert lost
    assert health(number, NOW).state == "polling"
    assert poll_leases.acquire(NOW + poll_leases.LEASE - SECOND) is None
    assert poll(NOW + poll_leases.LEASE) == 1
    # The process was only slow: what it found is not stored over what is newer.
    late = NOW + poll_leases.LEASE + SECOND
    with pytest.raises(poll_results.LeaseLost):
        poll_results.store(number, PollResult([found("late")], {"last": 0}), late, lost)
    assert (titles(), state(number).cursor) == (["[Strike] 1"], {"last": 1})


def found(event_id: str, **more: Any) -> SourceEvent:
    return SourceEvent(**{"event_id": event_id, "event_type": "Strike", "title": event_id, "timestamp": NOW, **more})


@pytest.mark.parametrize(
    "meanwhile",
    [
        lambda one, trail: connector_store.set_enabled(one, False, trail),
        lambda one, trail: (
            connector_store.set_enabled(one, False, trail) and connector_store.set_enabled(one, True, trail)
        ),
        connector_store.delete,
    ],
    ids=["disabled", "disabled and enabled", "deleted"],
)
def test_a_poll_stores_nothing_of_a_connector_that_was_switched_off_meanwhile(
    inside: Flask, fake_server: FakeServer, clock_source: ClockSource, meanwhile: Callable[[Connector, Trail], object]
) -> None:
    number = add(fake_server)
    clock_source.strikes = strikes(1)

    def act() -> None:
        with inside.app_context():
            change(number, NOW + SECOND, meanwhile)

    clock_source.before = act
    assert poll(NOW) == 0
    assert titles() == []
    db.session.rollback()
    left = db.session.get(PollState, number)
    assert left is None or (left.cursor == {} and left.taken_until == EPOCH)


def test_saving_and_enabling_make_a_connector_due_at_once_and_move_no_cursor(
    inside: Flask, fake_server: FakeServer, clock_source: ClockSource
) -> None:
    clock_source.strikes = strikes(1)
    number = add(fake_server, enabled=False)
    assert poll(NOW) is None
    switch(number, True, NOW)
    assert poll(NOW) == 1
    assert poll(NOW) is None
    change(number, NOW, lambda one, trail: connector_store.update(one, ConnectorEdit({"poll_interval": 600}), trail))
    assert state(number).cursor == {"last": 1}
    assert poll(NOW + SECOND) == 0
    assert state(number).due == NOW + 601 * SECOND
    change(number, NOW + MINUTE, lambda one, trail: polling.sync_now(one, trail))
    assert poll(NOW + MINUTE) == 0
    assert fake_server.paths == ["/strikes?after=0", "/strikes?after=1", "/strikes?after=1"]


def test_a_connector_that_is_renamed_during_its_poll_gives_its_events_the_new_name(
    inside: Flask, fake_server: FakeServer, clock_source: ClockSource
) -> None:
    number = add(fake_server, tags="old")
    clock_source.strikes = strikes(1)

    def rename() -> None:
        with inside.app_context():
            edit = ConnectorEdit({"name": "Belfry", "tags": ["new"]})
            change(number, NOW + SECOND, lambda connector, trail: connector_store.update(connector, edit, trail))

    clock_source.before = rename
    assert poll(NOW) == 1
    event = queries.page(Filter(source=("clock",))).events[0]
    assert (event.connector_name, event.tags) == ("Belfry", ["new"])
    assert state(number).due == NOW + SECOND


def test_sync_now_during_a_poll_has_it_polled_once_more(
    inside: Flask, fake_server: FakeServer, clock_source: ClockSource
) -> None:
    number = add(fake_server)

    def ask() -> None:
        with inside.app_context():
            change(number, NOW + SECOND, polling.sync_now)

    clock_source.before = ask
    assert poll(NOW) == 0
    assert state(number).due == NOW + SECOND


def test_a_disabled_connector_cannot_be_synced(inside: Flask, fake_server: FakeServer) -> None:
    number = add(fake_server, enabled=False)
    with pytest.raises(ChangeRefused, match="Enable it"):
        change(number, NOW, polling.sync_now)


def test_a_poll_makes_no_open_form_stale_and_wakes_no_open_page(
    inside: Flask, fake_server: FakeServer, clock_source: ClockSource
) -> None:
    number = add(fake_server)
    poll(NOW)
    before = (db.session.get_one(Connector, number).version, queries.head().revision)
    poll(NOW + HOUR)
    db.session.rollback()
    assert (db.session.get_one(Connector, number).version, queries.head().revision) == before


def test_failing_is_told_once_and_so_is_the_recovery(
    inside: Flask, fake_server: FakeServer, clock_source: ClockSource
) -> None:
    number = add(fake_server)
    poll(NOW)
    clock_source.reply = Reply(401)
    at = NOW
    pauses = []
    for _ in range(7):
        at = state(number).due
        assert poll(at) == 0
        pauses.append(state(number).due - at)
    for pause, longest in zip(pauses, (300, 600, 1200, 2400, 3600, 3600, 3600), strict=True):
        assert longest * 0.9 <= pause.total_seconds() <= longest
    failing = health(number, at)
    assert (failing.state, failing.failures, failing.last_success) == ("failing", 7, NOW)
    assert failing.error == "127.0.0.1 rejected the token (401). Enter a valid token."
    assert told() == ["[Connector Failing] Tower"]
    clock_source.reply, clock_source.strikes = None, strikes(1)
    back = state(number).due
    assert poll(back) == 1
    assert told() == ["[Connector Failing] Tower", "[Connector Recovered] Tower"]
    fine = health(number, back)
    assert (fine.state, fine.failures, fine.error, fine.failing_since) == ("fine", 0, None, None)
    assert lapses() == [("failing", NOW + 300 * SECOND, back)]
    event = queries.page(Filter(event_type=("ConnectorRecovered",))).events[0]
    assert (event.author, event.description["failures"]) == ("connector:Tower", 7)
    assert "after 7 polls that failed since 2026-03-10 12:05 UTC" in event.description["text"]


def test_a_failing_connector_that_is_disabled_and_enabled_fails_on_without_another_event(
    inside: Flask, fake_server: FakeServer, clock_source: ClockSource
) -> None:
    clock_source.reply = Reply(500)
    number = add(fake_server)
    poll(NOW)
    switch(number, False, NOW + MINUTE)
    assert health(number, NOW + MINUTE).state == "off"
    switch(number, True, NOW + HOUR)
    poll(NOW + HOUR)
    assert told() == ["[Connector Failing] Tower"]
    assert lapses() == [
        ("failing", NOW, NOW + MINUTE),
        ("disabled", NOW + MINUTE, NOW + HOUR),
        ("failing", NOW + HOUR, None),
    ]
    change(number, NOW + 2 * HOUR, connector_store.delete)
    assert lapses()[-1] == ("failing", NOW + HOUR, NOW + 2 * HOUR)


@pytest.mark.parametrize("status", [403, 429])
def test_a_rate_limit_postpones_and_is_no_failure(
    inside: Flask, fake_server: FakeServer, clock_source: ClockSource, status: int
) -> None:
    number = add(fake_server)
    clock_source.reply = as_json({}, status, retry_after="1800")
    poll(NOW)
    limited = health(number, NOW)
    assert (limited.state, limited.failures, limited.failing_since) == ("rate_limited", 0, None)
    assert limited.due
    assert NOW + 1800 * SECOND <= limited.due <= NOW + 1890 * SECOND
    clock_source.reply = None
    poll(limited.due)
    assert told() == []
    assert lapses() == [("rate_limited", NOW, limited.due)]
    assert health(number, limited.due).state == "fine"


def test_the_rate_limit_of_a_source_is_kept_and_waited_for(
    inside: Flask, fake_server: FakeServer, clock_source: ClockSource
) -> None:
    number = add(fake_server)
    resets = NOW + 40 * MINUTE
    clock_source.more = {"rate": [60, 0, resets.timestamp()], "note": "Half of it."}
    poll(NOW)
    kept = health(number, NOW)
    assert (kept.rate_limit, kept.rate_remaining, kept.rate_resets) == (60, 0, resets)
    assert (kept.due, kept.note) == (resets, "Half of it.")


def test_what_one_poll_does_not_take_follows_at_once_and_a_gap_is_told(
    inside: Flask, fake_server: FakeServer, clock_source: ClockSource
) -> None:
    number = add(fake_server)
    clock_source.more = {"more": True, "gap": [NOW.timestamp() - 60, NOW.timestamp()]}
    poll(NOW)
    assert state(number).due == NOW
    poll(NOW)
    assert lapses() == [("gap", NOW - MINUTE, NOW)]


def test_a_defect_of_a_type_is_told_in_words_and_touches_no_other(
    inside: Flask, fake_server: FakeServer, clock_source: ClockSource, caplog: pytest.LogCaptureFixture
) -> None:
    broken, fine = add(fake_server, "Broken"), add(fake_server, "Fine")
    clock_source.reply = as_json({"strikes": [{"nonsense": TOKEN}]})
    assert poll(NOW) == 0
    clock_source.reply, clock_source.strikes = None, strikes(1)
    assert poll(NOW) == 1
    assert health(broken, NOW).error == (
        "PainChain could not read the response. "
        "This is a bug in PainChain: please report it, with the details from the server log."
    )
    assert health(fine, NOW).state == "fine"
    assert "KeyError" in caplog.text
    assert TOKEN not in caplog.text
    assert "Broken" in told()[0]


def test_no_token_is_ever_stored(
    inside: Flask,
    fake_server: FakeServer,
    clock_source: ClockSource,
    caplog: pytest.LogCaptureFixture,
    settings: Settings,
) -> None:
    number = add(fake_server)
    hostile = f"see https://me:{TOKEN}@git.example/?token={TOKEN} and {TOKEN}\0\ud800"
    polled = PollResult(
        [
            found(
                "x",
                title=hostile,
                text=hostile,
                author=hostile,
                url=f"https://x.example/{TOKEN}",
                facts={"a": [hostile]},
            )
        ],
        {},
        note=hostile,
        gap=PollGap(NOW, NOW, hostile),
    )
    assert poll_results.store(number, polled, NOW) == 1
    plain = found("plain", title=f"Rotate {TOKEN}", timestamp=NOW - HOUR, facts={"branch": TOKEN})
    assert poll_results.store(number, PollResult([plain], {}), NOW) == 1
    poll_results.fail(number, PollError(hostile, ErrorKind.INVALID_RESPONSE), NOW)
    kept = [str(list(row)) for table in ("change_events", "poll_states", "lapses") for row in rows(table)]
    assert len(kept) >= 4
    assert [one for one in kept if TOKEN in one] == []
    assert TOKEN not in caplog.text
    event = queries.page(Filter(source=("clock",))).events[0]
    assert event.description["text"] == "see https://***@git.example/?token=*** and ***?"
    assert event.url is None


def rows(table: str) -> Sequence[Any]:
    db.session.rollback()
    return db.session.execute(select(db.metadata.tables[table])).all()


def test_odd_things_are_stored_with_what_they_have(inside: Flask, fake_server: FakeServer) -> None:
    number = add(fake_server)
    odd = [
        found("e" * 5000, title="t" * 5000, timestamp=None, author="", url="javascript:alert(1)", status=""),
        found("e" * 5000 + "2", timestamp=NOW.replace(tzinfo=None), facts={"n": float("nan"), "d": {"when": NOW}}),
        found("same"),
        found("same"),
    ]
    assert poll_results.store(number, PollResult(odd, {}), NOW) == 3
    assert poll_results.store(number, PollResult(odd, {}), NOW) == 0
    events = {event.title[:1]: event for event in queries.page(Filter(source=("clock",))).events}
    assert (len(events["t"].title), events["t"].author, events["t"].url, events["t"].status) == (
        500,
        "unknown",
        None,
        None,
    )
    assert events["e"].metadata == {"n": None, "d": {"when": str(NOW)}}


def test_no_event_is_later_than_now_or_absurdly_early(inside: Flask, fake_server: FakeServer) -> None:
    number = add(fake_server)
    times = {
        "year 1": datetime(1, 1, 1, tzinfo=UTC),
        "1970": EPOCH,
        "1980": datetime(1980, 1, 1, tzinfo=UTC),
        "old": datetime(1999, 12, 31, tzinfo=UTC),
        "just now": NOW,
        "soon": NOW + SECOND,
        "2099": datetime(2099, 1, 1, tzinfo=UTC),
    }
    reported = [found(name, timestamp=time) for name, time in times.items()]
    poll_results.store(number, PollResult(reported, {}), NOW)
    stored = {event.event_id: event.timestamp for event in queries.page(Filter(source=("clock",))).events}
    assert stored == {**dict.fromkeys(times, NOW), "old": times["old"]}


def test_each_event_of_a_poll_has_a_request_id_of_its_own(inside: Flask, fake_server: FakeServer) -> None:
    number = add(fake_server)
    poll_results.store(number, PollResult([found("a"), found("b")], {}), NOW)
    events = queries.page(Filter(source=("clock",))).events
    assert len({event.request_id for event in events}) == 2


@pytest.mark.both_databases
def test_events_that_an_older_version_stored_under_another_id_are_known(inside: Flask, fake_server: FakeServer) -> None:
    number, other = add(fake_server), add(fake_server, "Second")
    old = [found("old-timed"), found("old-untimed"), found("x" * 400), found("push:a:delivery 1")]
    poll_results.store(number, PollResult(old, {}), NOW)
    poll_results.store(other, PollResult([found("others")], {}), NOW)
    again = [
        found("timed", former_ids={"never": None, "old-timed": NOW}),
        found("untimed", timestamp=NOW - HOUR, former_ids={"old-untimed": None}),
        found("long", former_ids={"x" * 400: NOW}),
        found("at another time", former_ids={"old-timed": NOW - 2 * SECOND}),
        found("of another connector", former_ids={"others": NOW}),
        found("new", former_ids={"never": NOW}),
        found("a second later", former_ids={"old-timed": NOW - SECOND}),
        found("known by its beginning", former_ids={"push:a:*": NOW - 59 * SECOND}),
        found("an hour later", former_ids={"push:a:*": NOW - HOUR}),
        found("with another beginning", former_ids={"push:*": NOW}),
        found("since a poll", former_ids={"push:*:*": NOW + HOUR}, former_since=NOW - SECOND),
        found("before the poll", former_ids={"push:*:*": NOW + HOUR}, former_since=NOW + SECOND),
    ]
    new = [
        "an hour later",
        "at another time",
        "new",
        "of another connector",
        "with another beginning",
        "before the poll",
    ]
    with writer.writing() as event_log:
        connector = db.session.get_one(Connector, number)
        assert add_new(event_log, connector, again[:4], NOW) == 1
    assert poll_results.store(number, PollResult(again, {}), NOW) == 5
    assert sorted(titles()) == sorted([*(event.title for event in old), "others", *new])
    assert poll_results.store(number, PollResult(again, {}), NOW) == 0


@pytest.mark.both_databases
def test_many_are_stored_in_several_steps_and_a_crash_between_them_doubles_nothing(
    inside: Flask, fake_server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("painchain.ingestion.poll_results.STEP", 10)
    number = add(fake_server)
    many = [found(f"m-{one}", timestamp=NOW - one * SECOND) for one in range(35)]
    turn = poll_leases.acquire(NOW)
    writing, steps = writer.writing, []

    def crash_in_the_third() -> Any:
        steps.append(1)
        if len(steps) == 3:
            raise KeyboardInterrupt
        return writing()

    monkeypatch.setattr(writer, "writing", crash_in_the_third)
    with pytest.raises(KeyboardInterrupt):
        poll_results.store(number, PollResult(many, {"last": 35}), NOW, turn)
    monkeypatch.setattr(writer, "writing", writing)
    assert (len(titles()), state(number).cursor) == (20, {})
    later = NOW + poll_leases.LEASE
    assert poll_results.store(number, PollResult(many, {"last": 35}), later, poll_leases.acquire(later)) == 15
    assert (histogram.count(Filter(source=("clock",))), state(number).cursor) == (35, {"last": 35})


@pytest.mark.both_databases
def test_what_is_recorded_between_lookup_and_storing_is_not_recorded_again(
    inside: Flask, fake_server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("painchain.ingestion.poll_results.STEP", 3)
    number, writing = add(fake_server), writer.writing
    former_ids: list[dict[str, datetime | None]] = [{"provisional": NOW}, {"push:a:*": NOW}, {"push:b:*": NOW}, {}]
    polled = [
        *(found(f"in the first step {one}", former_ids=former) for one, former in enumerate(former_ids)),
        *(found(f"later {one}", former_ids=former) for one, former in enumerate(former_ids)),
        found("push:c:1", former_ids={"push:c:*": NOW}),
        *(found(str(one)) for one in range(3)),
        found("push:c:2", former_ids={"push:c:*": NOW}),
        found("later too", former_ids={"provisional too": NOW}),
    ]
    delivered = [found(f"later {3}"), found("provisional"), found("push:a:delivery 1"), found("provisional too")]

    def deliver_first() -> Any:
        monkeypatch.setattr(writer, "writing", writing)
        with writer.writing() as event_log:
            assert add_new(event_log, db.session.get_one(Connector, number), delivered, NOW) == 4
        return writing()

    monkeypatch.setattr(writer, "writing", deliver_first)
    assert poll_results.store(number, PollResult(polled, {}), NOW) == len(polled) - 6
    in_the_first_step, later = ["in the first step 2", "in the first step 3"], ["later 2"]
    pushes = ["push:c:1", "push:c:2"]
    expected = [*(event.title for event in delivered), *in_the_first_step, *later, *pushes, "0", "1", "2"]
    assert sorted(titles()) == sorted(expected)


def test_webhooks_add_what_polling_has_not_found_and_nothing_else(inside: Flask, fake_server: FakeServer) -> None:
    number = add(fake_server)
    assert poll_results.store(number, PollResult([found("a")], {}), NOW) == 1
    with writer.writing() as event_log:
        connector = db.session.get_one(Connector, number)
        assert add_new(event_log, connector, [found("a"), found("b")], NOW) == 1
    assert poll_results.store(number, PollResult([found("a"), found("b")], {}), NOW) == 0


def test_the_next_try_is_never_before_the_source_wants_to_be_asked() -> None:
    limited = PollError("", ErrorKind.RATE_LIMITED, NOW + 2 * HOUR)
    assert NOW + 2 * HOUR <= next_try(limited, 1, MINUTE, NOW) <= NOW + 2.1 * HOUR
    absurd = PollError("", ErrorKind.RATE_LIMITED, NOW + 9000 * HOUR)
    assert next_try(absurd, 1, MINUTE, NOW) <= NOW + 26 * HOUR
    past = PollError("", ErrorKind.RATE_LIMITED, NOW - HOUR)
    assert next_try(past, 1, MINUTE, NOW) > NOW
    away = PollError("", ErrorKind.SERVER_ERROR, NOW + MINUTE)
    assert next_try(away, 3, MINUTE, NOW) >= NOW + 4 * MINUTE


def test_a_test_of_a_connection_says_whose_token_it_is_or_what_is_wrong(
    fake_server: FakeServer, clock_source: ClockSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = {"base_url": fake_server.url, "token": TOKEN}
    clock_source.reply = as_json({"name": "Quasimodo", "sees": ["12 bells", f"a {TOKEN}"]})
    checked = connection_test.run_test("clock", wanted, NOW)
    assert (checked.ok, checked.identity, checked.sees) == (True, "Quasimodo", ["12 bells", "a ***"])
    clock_source.reply = Reply(401)
    assert connection_test.run_test("clock", wanted, NOW).missing == [
        "127.0.0.1 rejected the token (401). Enter a valid token."
    ]
    assert "This is a bug in PainChain" in connection_test.run_test("clock", {}, NOW).missing[0]
    assert "cannot be tested" in connection_test.run_test("painchain", {}, NOW).missing[0]
    monkeypatch.setattr(connection_test, "TEST_SECONDS", 0.05)
    go_on = threading.Event()
    clock_source.before = lambda: go_on.wait(10)
    assert "No response within" in connection_test.run_test("clock", wanted, NOW).missing[0]
    go_on.set()


def test_the_scheduler_polls_what_is_due_and_one_slow_source_delays_nobody(
    app: Flask, clock_source: ClockSource, fake_server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on, arrived = threading.Event(), threading.Semaphore(0)

    def slow(received: ReceivedRequest) -> Reply:
        arrived.release()
        go_on.wait(20)
        return as_json({"strikes": strikes(1)})

    clock_source.strikes = strikes(2)
    monkeypatch.setattr("painchain.workers.base.LOOK_SECONDS", 0.05)
    monkeypatch.setattr("painchain.workers.base.STOP_SECONDS", 0.2)
    scheduler = Scheduler(app)
    with run_fake_server(slow) as tower, app.app_context():
        now = datetime.now(UTC)
        slow_one = add(tower, "Slow", now)
        scheduler.start()
        assert arrived.acquire(timeout=20)
        quick = [add(fake_server, f"Quick {number}", now) for number in range(6)]
        wait_until(lambda: all(health(number, now).last_success for number in quick))
        assert health(slow_one, now).last_success is None
        # Stopping waits no longer for it; what it finds afterwards is not stored.
        scheduler.stop()
        go_on.set()
        wait_until(lambda: not any(thread.name.startswith("poller") for thread in threading.enumerate()))
        assert state(slow_one).cursor == {}
        assert state(slow_one).taken_until == EPOCH
        assert titles() == ["[Strike] 2"]


def wait_until(done: Callable[[], bool], seconds: float = 20) -> None:
    waiting = threading.Event()
    for _ in range(int(seconds / 0.02)):
        if done():
            return
        waiting.wait(0.02)
    raise AssertionError("it did not come to that")
