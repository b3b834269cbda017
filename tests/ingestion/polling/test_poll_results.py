"""What a poll finds is stored once and completely."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from painchain.connectors.contract import ErrorKind, PollError, PollGap, PollResult
from painchain.core.config import Settings
from painchain.database.models import Connector
from painchain.database.session import db
from painchain.database.types import EPOCH
from painchain.eventlog import writer
from painchain.ingestion import poll_results
from painchain.ingestion.source_events import add_new
from painchain.scheduling import poll_leases
from painchain.timeline import histogram, queries
from painchain.timeline.filter import Filter
from tests.counterparts import FakeServer
from tests.support.clock_source import HOUR, NOW, SECOND, TOKEN, ClockSource, add, found, poll, state, strikes, titles


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
