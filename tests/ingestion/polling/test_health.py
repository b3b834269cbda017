"""Failures, rate limits and gaps of polls are told in words, once."""

from __future__ import annotations

import pytest
from flask import Flask

from painchain.configuration import connector_store
from painchain.connectors.contract import ErrorKind, PollError
from painchain.ingestion.poll_results import next_try
from painchain.timeline import queries
from painchain.timeline.filter import Filter
from tests.counterparts import FakeServer, Reply, as_json
from tests.support.clock_source import (
    HOUR,
    MINUTE,
    NOW,
    SECOND,
    TOKEN,
    ClockSource,
    add,
    change,
    health,
    lapses,
    poll,
    state,
    strikes,
    switch,
    told,
)


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


def test_the_next_try_is_never_before_the_source_wants_to_be_asked() -> None:
    limited = PollError("", ErrorKind.RATE_LIMITED, NOW + 2 * HOUR)
    assert NOW + 2 * HOUR <= next_try(limited, 1, MINUTE, NOW) <= NOW + 2.1 * HOUR
    absurd = PollError("", ErrorKind.RATE_LIMITED, NOW + 9000 * HOUR)
    assert next_try(absurd, 1, MINUTE, NOW) <= NOW + 26 * HOUR
    past = PollError("", ErrorKind.RATE_LIMITED, NOW - HOUR)
    assert next_try(past, 1, MINUTE, NOW) > NOW
    away = PollError("", ErrorKind.SERVER_ERROR, NOW + MINUTE)
    assert next_try(away, 3, MINUTE, NOW) >= NOW + 4 * MINUTE
