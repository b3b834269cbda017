"""A connector is silent if it usually has events at this time of day, but has none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask

from painchain.database.models import Connector, PollState
from painchain.database.session import db
from painchain.eventlog.writer import new_request_id, writing
from painchain.timeline import silent_connectors
from painchain.timeline.filter import Filter
from tests.support.sample_events import new
from tests.support.statements import recorded_statements

NOW = datetime(2026, 3, 10, 16, 0, tzinfo=UTC)  # a Tuesday
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def connector(make_connector) -> int:
    """An enabled connector."""
    return int(make_connector(enabled=True))


def write_events(app: Flask, number: int, *times: datetime) -> None:
    """Write events of a connector at these times."""
    with app.app_context(), writing() as event_log:
        for when in times:
            about: dict[str, Any] = {"connector_id": number, "connector_name": "Work GitHub"}
            event_log.append(new(event_log.last_event, timestamp=when, request_id=new_request_id(when), **about))


def every(gap: timedelta, start: datetime, end: datetime) -> list[datetime]:
    return [start + count * gap for count in range((end - start) // gap + 1)]


def silent(app: Flask, now: datetime = NOW, event_filter: Filter | None = None) -> list[silent_connectors.Silence]:
    with app.app_context():
        return silent_connectors.find_silent(now, event_filter)


def test_a_connector_whose_events_stopped_is_silent(app, connector):
    write_events(app, connector, *every(12 * MINUTE, NOW - 8 * HOUR, NOW - 2 * HOUR))
    [silence] = silent(app)
    assert (silence.name, silence.last, silence.usual) == ("Work GitHub", NOW - 2 * HOUR, 12 * MINUTE)


def test_a_silence_is_computed_once_a_minute_until_an_event_ends_it(app, connector):
    write_events(app, connector, *every(12 * MINUTE, NOW - 8 * HOUR, NOW - 2 * HOUR))
    with recorded_statements(app) as statements:
        assert len(silent(app)) == 1
        first = len(statements)
        assert silent(app, NOW + timedelta(seconds=30)) == silent(app)
        assert len(statements) - first <= 4  # two reads of the connectors
        assert silent(app, NOW + MINUTE) != []
        assert len(statements) > first + 4
    write_events(app, connector, NOW - MINUTE)
    assert silent(app) == []


def test_three_usual_gaps_are_not_yet_a_silence(app, connector):
    write_events(app, connector, *every(12 * MINUTE, NOW - 8 * HOUR, NOW - 36 * MINUTE))
    assert silent(app) == []


def test_a_connector_with_few_events_is_never_silent(app, connector):
    write_events(app, connector, *every(12 * MINUTE, NOW - 8 * HOUR, NOW - 5 * HOUR))  # sixteen events
    assert silent(app) == []


@pytest.mark.parametrize(("hour", "is_silent"), [(14, True), (23, False)])
def test_a_quiet_night_is_not_reported_but_a_silent_afternoon_is(app, connector, hour, is_silent):
    now = NOW.replace(hour=hour)
    days = [now.replace(hour=8) - back * DAY for back in range(1, 12)]
    last = min(now.replace(hour=18), now - 3 * HOUR)
    write_events(app, connector, *(when for day in days for when in every(15 * MINUTE, day, day + 10 * HOUR)))
    write_events(app, connector, *every(15 * MINUTE, now.replace(hour=8), last))
    assert bool(silent(app, now)) is is_silent


def test_a_quiet_sunday_is_not_reported(app, connector):
    sunday = NOW - 2 * DAY
    working = [NOW.replace(hour=8) - back * DAY for back in range(3, 20) if (NOW - back * DAY).weekday() < 5]
    write_events(app, connector, *(when for day in working for when in every(20 * MINUTE, day, day + 10 * HOUR)))
    assert silent(app, sunday) == []


@pytest.mark.parametrize("how", ["disabled", "failing"])
def test_a_disabled_or_failing_connector_is_not_reported(app, connector, how):
    write_events(app, connector, *every(12 * MINUTE, NOW - 8 * HOUR, NOW - 2 * HOUR))
    with app.app_context():
        if how == "disabled":
            db.session.get(Connector, connector).enabled = False
        else:
            db.session.merge(
                PollState(connector_id=connector, due=NOW, taken_until=NOW, failures=3, cursor={}, note="")
            )
        db.session.commit()
    assert silent(app) == []


def test_only_connectors_of_the_filter_are_reported(app, connector):
    write_events(app, connector, *every(12 * MINUTE, NOW - 8 * HOUR, NOW - 2 * HOUR))
    assert (
        silent(app, event_filter=Filter(source=("gitlab",)))
        == silent(app, event_filter=Filter(connector=("Other",)))
        == []
    )
    assert len(silent(app, event_filter=Filter(source=("github",), connector=(str(connector),)))) == 1
