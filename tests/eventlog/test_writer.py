"""The log writer with unreliable clocks, concurrent writers and a failing database."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import hypothesis
import pytest
from flask import Flask
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from painchain.audit.records import Subject
from painchain.configuration import connector_store
from painchain.configuration.connector_edit import ConnectorEdit
from painchain.connectors import TYPES
from painchain.core.crypto import Keyring
from painchain.database.deadlines import LOCK_SECONDS
from painchain.database.session import BUSY_SECONDS, db
from painchain.database.types import moment
from painchain.eventlog.chain import START, Chain
from painchain.eventlog.writer import EventLogWriter
from painchain.integrity import verification
from painchain.startup import create_app
from painchain.timeline import queries
from painchain.timeline.filter import Filter
from painchain.timeline.queries import Event
from tests.conftest import close
from tests.eventlog.editing import audited_transaction, edit_in_threads, edit_on_another_server
from tests.support.server_process import FORKSERVER
from tests.support.thorough import examples

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
CHAIN = Chain(Keyring((b"1" * 32,)))
WORK = Subject("Work GitHub", "github")
THREADS, EDITS = 8, examples(30)
MICROSECOND = timedelta(microseconds=1)


def enable_at(app: Flask, *times: datetime) -> list[Event]:
    """Record one event at each of these times, each in its own transaction, and return them as written."""
    with app.app_context():
        before = queries.head().last_event
    for now in times:
        with audited_transaction(app, now) as trail:
            trail.log_connector_enabled(WORK)
    return events_after(app, before)


def events_after(app: Flask, number: int) -> list[Event]:
    """Return every event with a greater number, in commit order."""
    events: list[Event] = []
    with app.app_context():
        while batch := queries.written_after(Filter(), events[-1].id if events else number, 500):
            events.extend(batch)
    return events


def stamp(event: Event) -> str:
    """Return the time in an event id."""
    return str(event.event_id).rsplit("-", 1)[1]


def add(app: Flask, name: str) -> int:
    """Add a GitHub connector and return its number."""
    with audited_transaction(app) as trail:
        values = {"name": name, "token": "made-up"}
        return int(connector_store.create(TYPES["github"], values, False, trail).id)


def assert_ids_grow(events: list[Event]) -> None:
    """Assert that numbers are consecutive, and event ids unique and strictly increasing."""
    numbers = [event.id for event in events]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    stamps = [stamp(event) for event in events]
    assert all(stamp < following for stamp, following in itertools.pairwise(stamps))


LATER = datetime(2100, 1, 1, tzinfo=UTC)


def test_ids_grow_while_the_clock_stops(app):
    events = enable_at(app, *[LATER] * 20)
    assert_ids_grow(events)
    assert [event.timestamp for event in events] == [LATER + number * MICROSECOND for number in range(20)]


def test_ids_grow_within_one_action(app):
    with app.app_context():
        before = queries.head().last_event
    with audited_transaction(app, LATER) as trail:
        for _ in range(20):
            trail.log_connector_enabled(WORK)
    assert_ids_grow(events_after(app, before))


def test_ids_grow_when_the_clock_is_set_back_an_hour(app):
    earlier = LATER - timedelta(hours=1)
    events = enable_at(app, LATER, earlier, earlier, earlier + timedelta(minutes=30), LATER + timedelta(hours=1))
    assert_ids_grow(events)
    assert [event.timestamp for event in events] == [
        LATER,
        earlier,
        earlier,
        earlier + timedelta(minutes=30),
        LATER + timedelta(hours=1),
    ]
    assert [event.recorded_at for event in events] == [event.timestamp for event in events]
    assert stamp(events[-1]) == "4102448400.000000"


def test_newest_id_survives_a_restart(app, settings):
    [before] = enable_at(app, LATER)
    again = create_app(settings)
    [following] = enable_at(again, LATER)
    close(again)
    assert_ids_grow([before, following])


clock_times = st.integers(10**15, 7 * 10**15).map(moment)
near_times = st.integers(-3, 3).map(lambda steps: NOW + steps * MICROSECOND)


@hypothesis.settings(deadline=None, max_examples=examples(100))
@hypothesis.given(st.lists(clock_times | near_times, max_size=20))
def test_stamps_grow_and_times_stay_near_any_clock(clock):
    event_log = EventLogWriter(None, 0, 0, 0, 0, START, CHAIN)
    stamps = []
    for now in clock:
        number, timestamp = event_log.stamp(now)
        stamps.append(number)
        assert timedelta(0) <= timestamp - now < timedelta(seconds=1)
    assert stamps == sorted(set(stamps))


def test_event_numbers_are_not_reused(app):
    [last] = enable_at(app, LATER)
    run(app, f"DELETE FROM change_events WHERE id = {last.id}")
    [following] = enable_at(app, LATER)
    assert following.id == last.id + 1
    assert stamp(following) > stamp(last)


def test_connector_numbers_are_not_reused(app):
    first = add(app, "First")
    with audited_transaction(app) as trail:
        connector_store.delete(connector_store.get(first), trail)
    assert add(app, "Second") > first


def test_failed_action_leaves_no_events(app):
    number = add(app, "Work GitHub")
    before, revision = newest(app)

    def change_and_fail() -> None:
        with audited_transaction(app) as trail:
            connector_store.update(connector_store.get(number), ConnectorEdit({"poll_interval": 900}), trail)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        change_and_fail()
    assert events_after(app, before) == []
    assert newest(app) == (before, revision)
    assert poll_interval(app, number) == 300


def test_every_write_increments_the_revision(app):
    number = add(app, "Work GitHub")
    with audited_transaction(app) as trail:
        connector_store.set_enabled(connector_store.list_all(connector_type="painchain")[0], False, trail)
    before, revision = newest(app)
    with audited_transaction(app) as trail:
        connector_store.update(connector_store.get(number), ConnectorEdit({"poll_interval": 900}), trail)
    assert newest(app) == (before, revision + 1)


def assert_nothing_is_lost(app: Flask, before: int) -> None:
    """Assert that every edit is recorded, old values continue the new ones, and the chain is intact."""
    events = events_after(app, before)
    changed = [event for event in events if event.event_type == "ConfigChanged"]
    updated = [event for event in events if event.event_type == "ConnectorUpdated"]
    assert len(changed) == len(updated) == THREADS * EDITS
    assert len(events) == 2 * THREADS * EDITS
    assert_ids_grow(events)
    values: dict[tuple[int, str], list[tuple[Any, Any]]] = defaultdict(list)
    for event in changed:
        facts = event.description
        values[event.connector_id, facts["field"]].append((facts["old_value"], facts["new_value"]))
    for steps in values.values():
        assert [old for old, _ in steps[1:]] == [new for _, new in steps[:-1]]
    with app.app_context():
        for (number, key), steps in values.items():
            assert connector_store.values(connector_store.get(number))[key] == steps[-1][1]
        result = verification.verify_chain()
        assert (result.broken, result.last) == (None, events[-1].id)
        assert not verification.completeness().drift


def test_concurrent_threads_keep_every_event_and_one_chain(app):
    connectors = [add(app, f"Work {number}") for number in range(3)]
    before, _ = newest(app)
    edit_in_threads(app, connectors, range(THREADS), EDITS)
    assert_nothing_is_lost(app, before)


def test_two_servers_keep_every_event_and_one_chain(app, settings):
    connectors = [add(app, f"Work {number}") for number in range(3)]
    before, _ = newest(app)
    shares = [range(THREADS // 2), range(THREADS // 2, THREADS)]
    with ProcessPoolExecutor(2, FORKSERVER) as servers:
        for done in [servers.submit(edit_on_another_server, settings, connectors, share, EDITS) for share in shares]:
            done.result()
    assert_nothing_is_lost(app, before)


def test_writer_waits_at_most_ten_seconds(app, database):
    query = {"sqlite": "PRAGMA busy_timeout", "postgresql": "SHOW lock_timeout"}[database]
    with audited_transaction(app):
        assert db.session.scalar(text(query)) in (BUSY_SECONDS * 1000, f"{LOCK_SECONDS}s")


@pytest.fixture
def events_are_refused(app: Flask, database: str) -> Iterator[None]:
    """Make the database refuse new events."""
    if database == "sqlite":
        run(
            app,
            "CREATE TRIGGER refuse BEFORE INSERT ON change_events BEGIN SELECT RAISE(ABORT, 'no room for events'); END",
        )
    else:
        run(
            app,
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'no room for events'; END $$",
            "CREATE TRIGGER refuse BEFORE INSERT ON change_events FOR EACH ROW EXECUTE FUNCTION refuse()",
        )
    yield
    run(app, "DROP TRIGGER IF EXISTS refuse" + ("" if database == "sqlite" else " ON change_events"))


def test_change_is_rolled_back_if_its_event_cannot_be_written(app, database, request):
    number = add(app, "Work GitHub")
    before, stored = newest(app), row(app, number)
    request.getfixturevalue("events_are_refused")
    for act in (
        lambda trail: connector_store.update(
            connector_store.get(number), ConnectorEdit({"poll_interval": 900, "token": "new"}), trail
        ),
        lambda trail: connector_store.set_enabled(connector_store.get(number), True, trail),
        lambda trail: connector_store.set_visible(
            connector_store.get(number), ConnectorEdit(visibility={("Commit", "sha"): False}), trail
        ),
        lambda trail: connector_store.delete(connector_store.get(number), trail),
    ):
        with pytest.raises(DBAPIError, match="no room for events"), audited_transaction(app) as trail:
            act(trail)
        assert row(app, number) == stored
        assert newest(app) == before
    run(app, "DROP TRIGGER refuse" + ("" if database == "sqlite" else " ON change_events"))
    with audited_transaction(app) as trail:
        connector_store.update(connector_store.get(number), ConnectorEdit({"poll_interval": 900}), trail)
    assert poll_interval(app, number) == 900
    assert [event.event_type for event in events_after(app, before[0])] == ["ConfigChanged", "ConnectorUpdated"]


@pytest.mark.usefixtures("events_are_refused")
def test_connector_is_not_created_if_its_event_cannot_be_written(app):
    with pytest.raises(DBAPIError, match="no room for events"):
        add(app, "Work GitHub")
    with app.app_context():
        assert [connector.type for connector in connector_store.list_all()] == ["painchain"]


@pytest.mark.usefixtures("events_are_refused")
def test_api_reports_a_failed_write_and_can_still_read(client):
    body = {"event_type": "connector_enabled", "connector_name": "Work", "connector_type": "github"}
    refused = client.post("/api/painchain/log", json=body)
    assert refused.status_code == 503
    assert refused.json["success"] is False
    assert "no room for events" in refused.json["message"]
    assert client.get("/api/changes").status_code == 200


def run(app: Flask, *statements: str) -> None:
    """Run statements directly on the database."""
    with app.app_context(), db.engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))


def row(app: Flask, number: int) -> Any:
    """Return a connector and its hidden fields as stored."""
    with app.app_context(), db.engine.connect() as connection:
        stored = connection.execute(text("SELECT * FROM connectors WHERE id = :id"), {"id": number}).one()
        return stored, connection.execute(text("SELECT * FROM hidden_fields")).all()


def newest(app: Flask) -> tuple[int, int]:
    """Return the number of the newest event and the revision."""
    with app.app_context():
        head = queries.head()
        return head.last_event, head.revision


def poll_interval(app: Flask, number: int) -> Any:
    """Return the stored poll interval of a connector."""
    with app.app_context():
        return connector_store.values(connector_store.get(number))["poll_interval"]
