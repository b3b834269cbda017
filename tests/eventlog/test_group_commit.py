"""Threads that append to the log at the same time share a transaction: all are stored together, each fails alone."""

from __future__ import annotations

import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event, text
from sqlalchemy.engine import make_url

from painchain.audit.records import Subject
from painchain.audit.trail import Trail
from painchain.core import runtime
from painchain.database.session import db
from painchain.eventlog import writer
from painchain.eventlog.group_commit import MAX_MEMBERS
from painchain.eventlog.writer import EventLogWriter
from painchain.integrity import verification
from painchain.timeline import queries
from painchain.timeline.filter import Filter
from painchain.timeline.queries import Event
from tests.conftest import ON_SQLITE
from tests.support.statements import recorded_statements

LOG = "/api/painchain/log"
THREADS = 12
REFUSED = "refused"


def report(app: Flask, name: str) -> Any:
    """Report an event of a connector, and return the response."""
    body = {"event_type": "connector_enabled", "connector_name": name, "connector_type": "github"}
    return app.test_client().post(LOG, json=body)


def wait_for(app: Flask, threads: int) -> None:
    """Wait until that many threads wait for a transaction that they can join."""
    end = time.monotonic() + 60
    while runtime.of(app).group_commit.waiting < threads:
        assert time.monotonic() < end, f"only {runtime.of(app).group_commit.waiting} of {threads} threads wait"
        time.sleep(0.001)


def together(app: Flask, *writes: Callable[[], Any]) -> list[Future[Any]]:
    """Run `writes` in threads that all wait until another write transaction ends, and return how each of them ended."""
    with ThreadPoolExecutor(len(writes)) as pool, app.app_context(), writer.writing():
        futures = [pool.submit(writes[0])]
        while not runtime.of(app).group_commit.has_leader:
            time.sleep(0.001)
        for count, write in enumerate(writes[1:], 1):
            futures.append(pool.submit(write))
            wait_for(app, count)
    return futures


def report_together(app: Flask, *names: str) -> list[Any]:
    """Report an event of each of these connectors in threads that wait for each other, and return the responses."""
    return [future.result() for future in together(app, *(lambda name=name: report(app, name) for name in names))]


@contextmanager
def commits(app: Flask) -> Iterator[list[None]]:
    """Count the commits of write transactions."""
    counted: list[None] = []

    def count(connection: Any) -> None:
        if connection.get_execution_options().get("writes"):
            counted.append(None)

    with app.app_context():
        event.listen(db.engine, "commit", count)
        yield counted
        event.remove(db.engine, "commit", count)


def events_of(app: Flask) -> list[Event]:
    """Return the events of the log, oldest first, after checking that the log is intact."""
    with app.app_context():
        result = verification.verify_chain()
        events = list(queries.written_after(Filter(), 0, 500))
        assert (result.broken, result.last) == (None, events[-1].id)
    assert [event.id for event in events] == list(range(1, len(events) + 1))
    stamps = [event.event_id.rsplit("-", 1)[1] for event in events]
    assert stamps == sorted(set(stamps))
    return events


def reported(app: Flask) -> list[str | None]:
    """Return the connectors of the reported events, in the order of the log."""
    return [event.connector_name for event in events_of(app) if event.description.get("reported")]


TABLES = ("FROM connectors", "INTO change_events", "FROM log_head", "UPDATE log_head")
NAMES = [f"Connector {number}" for number in range(THREADS)]


def test_threads_that_wait_share_one_commit_and_keep_their_order(app):
    with commits(app) as counted:
        responses = report_together(app, *NAMES)
    assert [response.status_code for response in responses] == [201] * THREADS
    # One is that of the transaction they waited for. On a busy machine, the time of a group ends before all have come.
    assert 2 <= len(counted) <= 4
    assert reported(app) == NAMES
    events = events_of(app)[-THREADS:]
    assert [response.json["event_id"] for response in responses] == [event.event_id for event in events]
    assert [response.headers["X-Request-Id"] for response in responses] == [event.request_id for event in events]


@ON_SQLITE
def test_a_group_has_a_limit(app):
    names = [f"Connector {number}" for number in range(MAX_MEMBERS + 6)]
    with commits(app) as counted:
        responses = report_together(app, *names)
    assert {response.status_code for response in responses} == {201}
    assert 3 <= len(counted) <= 8
    assert reported(app) == names


def create_trigger(app: Flask, database: str, action: str) -> None:
    """Run an action of SQL for each new event."""
    create = "CREATE TRIGGER refuse BEFORE INSERT ON change_events"
    with app.app_context(), db.engine.begin() as connection:
        if database == "sqlite":
            connection.execute(text(f"{create} BEGIN {action}; END"))
        else:
            function = f"$$ BEGIN {action}; RETURN NEW; END $$"
            connection.execute(text(f"CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS {function}"))
            connection.execute(text(f"{create} FOR EACH ROW EXECUTE FUNCTION refuse()"))


@pytest.fixture
def events_named_refused_are_refused(app: Flask, database: str) -> None:
    """Make the database refuse the events of one connector."""
    if database == "sqlite":
        action = f"SELECT RAISE(ABORT, 'not this one') WHERE NEW.connector_name = '{REFUSED}'"
    else:
        action = f"IF NEW.connector_name = '{REFUSED}' THEN RAISE EXCEPTION 'not this one'; END IF"
    create_trigger(app, database, action)


@pytest.mark.usefixtures("events_named_refused_are_refused")
@pytest.mark.parametrize("place", [0, 5, THREADS - 1])
def test_a_refused_event_fails_alone(app, place):
    names = [*NAMES[:place], REFUSED, *NAMES[place + 1 :]]
    responses = report_together(app, *names)
    assert [response.status_code for response in responses] == [503 if name == REFUSED else 201 for name in names]
    assert "not this one" in responses[place].json["message"]
    assert sorted(map(str, reported(app))) == sorted(set(names) - {REFUSED})


@pytest.mark.parametrize(("error", "place"), [(ZeroDivisionError, 0), (ZeroDivisionError, 5), (KeyboardInterrupt, 0)])
def test_an_exception_of_one_member_is_raised_in_its_thread_only(app, error, place):
    def append_and_fail() -> None:
        with app.app_context():
            runtime.of(app).group_commit.append(fail)

    def fail(event_log: EventLogWriter) -> None:
        Trail(event_log, "operator", "one-action", datetime.now(UTC)).log_connector_enabled(Subject("Lost", "github"))
        raise error

    names = NAMES[1:]
    writes: list[Callable[[], Any]] = [lambda name=name: report(app, name) for name in names]
    futures = together(app, *writes[:place], append_and_fail, *writes[place:])
    assert isinstance(futures.pop(place).exception(), error)
    assert [future.result().status_code for future in futures] == [201] * len(names)
    assert sorted(map(str, reported(app))) == sorted(names)
    assert "Lost" not in {event.connector_name for event in events_of(app)}


def test_a_failed_commit_saves_nothing_and_everyone_is_told(app, database):
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(text("CREATE TABLE parents (id INTEGER PRIMARY KEY)"))
        reference = "REFERENCES parents (id) DEFERRABLE INITIALLY DEFERRED"
        connection.execute(text(f"CREATE TABLE children (parent INTEGER {reference})"))
    create_trigger(app, database, "INSERT INTO children VALUES (1)")
    before = [event.id for event in events_of(app)]
    with commits(app) as counted:
        responses = report_together(app, *NAMES)
    assert [response.status_code for response in responses] == [503] * THREADS
    assert all(response.json["message"].startswith("Not saved: ") for response in responses)
    assert len(counted) == 2  # nobody tries again after a commit that may have been carried out
    assert [event.id for event in events_of(app)] == before
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(text("INSERT INTO parents VALUES (1)"))
    assert [response.status_code for response in report_together(app, *NAMES)] == [201] * THREADS
    assert reported(app) == NAMES


@ON_SQLITE
def test_everyone_who_waits_is_told_that_another_process_holds_the_lock(app):
    with app.app_context():
        db.session.remove()
        db.engine.dispose()
        event.listen(db.engine, "connect", lambda raw, record: raw.execute("PRAGMA busy_timeout = 300"))
        file = make_url(str(db.engine.url)).database or ""
    with closing(sqlite3.connect(file, isolation_level=None)) as other, ThreadPoolExecutor(THREADS) as pool:
        other.execute("BEGIN EXCLUSIVE")
        responses = list(pool.map(lambda name: report(app, name), NAMES))
        assert [response.status_code for response in responses] == [503] * THREADS
        assert {"locked by another process" in response.json["message"] for response in responses} == {True}
        other.execute("ROLLBACK")
        assert report(app, "Later").status_code == 201
    assert reported(app) == ["Later"]


def test_a_group_needs_as_many_statements_as_one_event(app, make_connector):
    number = make_connector()
    with recorded_statements(app) as statements:
        responses = report_together(app, *["Work GitHub"] * THREADS)
    assert [response.status_code for response in responses] == [201] * THREADS
    assert [event.connector_id for event in events_of(app)[-THREADS:]] == [number] * THREADS
    sql = [statement.replace("COPY ", "INTO ") for statement in statements]  # PostgreSQL
    counts = Counter(table for statement in sql for table in TABLES if table in statement)
    assert counts == {
        "FROM connectors": 1,
        "INTO change_events": 1,
        "FROM log_head": 2,  # one is that of the transaction they waited for
        "UPDATE log_head": 2,
    }
