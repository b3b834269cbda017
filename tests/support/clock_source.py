"""A made-up connector type that polls a clock, its server, and what its polls store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from painchain import connectors
from painchain.audit.trail import SYSTEM, Trail
from painchain.configuration import connector_store
from painchain.connectors.contract import SourceEvent
from painchain.database.models import Connector, Lapse, PollState
from painchain.database.session import db
from painchain.eventlog import writer
from painchain.ingestion import health as connector_polls
from painchain.ingestion import polling
from painchain.timeline import queries
from painchain.timeline.filter import Filter
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


def found(event_id: str, **more: Any) -> SourceEvent:
    return SourceEvent(**{"event_id": event_id, "event_type": "Strike", "title": event_id, "timestamp": NOW, **more})
