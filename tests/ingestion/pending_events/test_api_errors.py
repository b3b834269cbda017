"""An API that fails or limits requests delays events, and loses none."""

from __future__ import annotations

import pytest
from flask import Flask

from painchain.ingestion import pending_events
from painchain.workers.completion import THREADS_OF_CONNECTOR
from tests.counterparts import FakeServer, Reply, as_json
from tests.ingestion.pending_events.forge import SECOND, Events, Forge, Hook, metals, pending, work


def test_an_api_that_fails_for_a_moment_is_asked_again(
    app: Flask, events: Events, forge: Forge, fake_server: FakeServer, hook: Hook
) -> None:
    for status in (500, 404):
        forge.reply = Reply(status)
        hook.deliver(str(status))
        work(app)
        assert metals(events).keys() <= {"500"}
        forge.reply = None
        work(app, 2 * SECOND)
        assert metals(events)[str(status)] == "bronze"
    assert len(fake_server.paths) == 4


def test_an_api_that_keeps_failing_is_asked_for_thirty_seconds(
    app: Flask, events: Events, forge: Forge, fake_server: FakeServer, hook: Hook
) -> None:
    forge.reply = Reply(503)
    hook.deliver("bell")
    for second in range(30):
        work(app, second * SECOND)
    assert (metals(events), len(fake_server.paths)) == ({}, 5), "after 0, 1, 3, 7 and 15 seconds"
    work(app, 31 * SECOND)
    assert (metals(events), pending(app)) == ({"bell": None}, 0)


@pytest.mark.parametrize("reply", [Reply(401), Reply(403), Reply(200, b"no JSON"), as_json({})])
def test_an_error_that_does_not_go_away_leaves_the_event_as_it_was_delivered(
    app: Flask, events: Events, forge: Forge, hook: Hook, reply: Reply
) -> None:
    forge.reply = reply
    hook.deliver("bell")
    work(app)
    assert (metals(events), pending(app)) == ({"bell": None}, 0)


def test_a_rate_limit_postpones_the_events_of_a_connector(
    app: Flask, events: Events, forge: Forge, fake_server: FakeServer, hook: Hook
) -> None:
    casts = list(map(str, range(10)))
    forge.reply = Reply(429, headers={"Retry-After": "600"})
    hook.deliver(*casts)
    work(app)
    work(app, 300 * SECOND)
    requests = len(fake_server.paths)
    assert (metals(events), pending(app)) == ({}, 10)
    assert requests <= THREADS_OF_CONNECTOR, "the others are not asked about"
    forge.reply = None
    work(app, 602 * SECOND)
    assert (metals(events), pending(app)) == (dict.fromkeys(casts, "bronze"), 0)
    assert len(fake_server.paths) == requests + 10


def test_events_wait_for_a_rate_limit_for_a_bounded_time(
    app: Flask, events: Events, forge: Forge, fake_server: FakeServer, hook: Hook
) -> None:
    casts = list(map(str, range(10)))
    forge.reply = Reply(429, headers={"Retry-After": "7200"})
    hook.deliver(*casts)
    work(app)
    assert pending(app) == 10
    work(app, pending_events.MAX_POSTPONEMENT + 5 * SECOND)
    assert (metals(events), pending(app)) == (dict.fromkeys(casts), 0)
    assert len(fake_server.paths) <= 2 * THREADS_OF_CONNECTOR


def test_overdue_events_of_an_api_that_fails_are_recorded_without_a_request_for_each(
    app: Flask, events: Events, forge: Forge, fake_server: FakeServer, hook: Hook
) -> None:
    casts = list(map(str, range(20)))
    forge.reply = Reply(503)
    hook.deliver(*casts)
    work(app, pending_events.MAX_AGE + SECOND)
    assert (metals(events), pending(app)) == (dict.fromkeys(casts), 0)
    assert len(fake_server.paths) <= THREADS_OF_CONNECTOR
