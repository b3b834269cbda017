"""A server that stops answers what it has begun, and loses no event."""

from __future__ import annotations

import http.client
import json
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

import pytest

from tests.support.started_server import PATIENCE, REPORT, Server, request, rows

pytestmark = pytest.mark.usefixtures("used_instance")


def test_sigterm_loses_no_acknowledged_event(start: Callable[..., Server], instance: Path) -> None:
    server = start()
    answered: list[str] = []

    def report(_: int) -> None:
        with suppress(OSError, http.client.HTTPException):  # the server has stopped
            for _ in range(500):
                status, answer = server.ask("POST", "/api/painchain/log", REPORT)
                assert status == 201
                answered.append(answer["event_id"])
                if len(answered) == 20:
                    server.send_sigterm()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(report, range(4)))
    assert server.process.wait(PATIENCE) == 0
    assert 20 <= len(answered) < 2000
    assert set(answered) <= {event_id for (event_id,) in rows(instance, "SELECT event_id FROM change_events")}
    again = start()
    assert {again.ask("GET", f"/api/changes/{event_id}")[0] for event_id in answered} == {200}


@pytest.fixture
def in_progress(
    start: Callable[..., Server], instance: Path
) -> Iterator[tuple[Server, sqlite3.Connection, http.client.HTTPConnection]]:
    """A server, a write lock that blocks it, and the connection of a request that waits for the lock."""
    server = start()
    with closing(sqlite3.connect(instance / "painchain.db", isolation_level=None)) as lock:
        lock.execute("BEGIN IMMEDIATE")
        with closing(server.connect()) as connection:
            request(connection, "POST", "/api/painchain/log", REPORT)
            # Requests are accepted in order: once a later one is answered, this one is in progress.
            assert server.ask("GET", "/api/connector-types")[0] == 200
            yield server, lock, connection


def test_a_running_request_is_answered_before_the_server_stops(
    in_progress: tuple[Server, sqlite3.Connection, http.client.HTTPConnection], instance: Path
) -> None:
    server, lock, connection = in_progress
    server.send_sigterm()
    lock.execute("ROLLBACK")
    answer = connection.getresponse()
    assert answer.status == 201
    event_id = json.loads(answer.read())["event_id"]
    assert server.process.wait(PATIENCE) == 0
    assert rows(instance, "SELECT event_id FROM change_events ORDER BY id DESC LIMIT 1") == [(event_id,)]


def test_a_hanging_request_does_not_delay_the_stop(
    in_progress: tuple[Server, sqlite3.Connection, http.client.HTTPConnection], instance: Path
) -> None:
    server, lock, connection = in_progress
    server.send_sigterm()
    assert server.process.wait(PATIENCE) == 0
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        connection.getresponse()
    # After 5 seconds waitress would have logged that it gives up waiting.
    assert server.err.read_text() == ""
    lock.execute("ROLLBACK")
    assert rows(instance, "SELECT event_type FROM change_events") == [("ConnectorCreated",)]


def test_a_second_stop_signal_has_no_effect(start: Callable[..., Server]) -> None:
    server = start()
    server.send_sigterm()
    server.stop()
    assert server.err.read_text() == ""
