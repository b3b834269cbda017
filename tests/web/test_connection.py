"""Clients that read slowly or send nothing do not keep others waiting."""

from __future__ import annotations

import json
import math
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from flask import Flask
from sqlalchemy import text

from painchain.core.config import Settings
from painchain.database.session import write_transaction
from painchain.eventlog.writer import NewEvent, writing
from painchain.exports.slots import OF_ONE_ACCOUNT
from painchain.web.serving.connection import DEFAULT_LIMITS, Limits
from painchain.web.serving.server import server_for
from tests.conftest import ON_SQLITE
from tests.web.sockets import END, send, serve

PATIENCE = 30
LARGE = 2000  # events of 4 kB: more parts of an export than the buffers of two sockets take
EXPORT = b"POST /api/export HTTP/1.1\r\n" + END
EXPORT_NOTHING = b"POST /api/export?author=nobody HTTP/1.1\r\n" + END
HEALTH = b"GET /health HTTP/1.1\r\n" + END
LATER = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"  # the connection stays open
CUT_OFF = "A response was cut off: 127.0.0.1 read too little for 0.5 seconds."

Serve = Callable[[Limits], int]

pytestmark = ON_SQLITE


@pytest.fixture
def serve_with(app: Flask, settings: Settings) -> Iterator[Serve]:
    """Return a function that serves the app with a single thread, and returns the port."""
    with ExitStack() as servers:
        yield lambda limits: servers.enter_context(contextmanager(serve)(app, settings, threads=1, limits=limits))


def log_large_events(app: Flask) -> None:
    now = datetime.now(UTC)
    with app.app_context(), writing() as event_log:
        for number in range(LARGE):
            values = {"title": "Large", "description": {"text": "x" * 4_000}, "metadata": {}}
            author = {"author": "script", "request_id": "r", "timestamp": now, "recorded_at": now}
            event_log.append(NewEvent(f"large-{number}", "github", "Push", **values, **author))  # type: ignore[arg-type]


def connect(port: int, raw: bytes, source: str = "127.0.0.1") -> socket.socket:
    """Send bytes from an address, and read nothing."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    connection.settimeout(PATIENCE)
    connection.bind((source, 0))
    connection.connect(("127.0.0.1", int(port)))
    connection.sendall(raw)
    return connection


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for what other threads do."""
    for _ in range(PATIENCE * 10):
        if condition():
            return
        time.sleep(0.1)
    pytest.fail("this took too long")


def rest(connection: socket.socket) -> bytes:
    """Return what else arrives, until the server closes the connection."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1_000_000)  # from now on, it reads fast
    parts = []
    with suppress(ConnectionError):
        while part := connection.recv(1_000_000):
            parts.append(part)
    return b"".join(parts)


def test_exports_that_nobody_reads_hold_no_thread_and_arrive_whole_later(app: Flask, serve_with: Serve) -> None:
    log_large_events(app)
    port = serve_with(DEFAULT_LIMITS)
    with ExitStack() as open_connections:
        exports = [open_connections.enter_context(connect(port, EXPORT)) for _ in range(OF_ONE_ACCOUNT)]
        heads = [connection.recv(12) for connection in exports]
        assert heads == [b"HTTP/1.1 200"] * OF_ONE_ACCOUNT
        assert send(port, HEALTH)[0] == 200
        status, headers, body = send(port, EXPORT)
        assert (status, headers["retry-after"]) == (429, "10")
        assert json.loads(body)["message"].startswith(f"{OF_ONE_ACCOUNT} exports of yours are running")
        bodies = [rest(connection) for connection in exports]
    for body in bodies:
        assert body.count(b'"title":"Large"') == LARGE
        assert body.endswith(b"\r\n0\r\n\r\n")
    assert send(port, EXPORT)[0] == 200


def test_a_reader_that_stands_still_is_cut_off_and_sees_that_the_file_is_incomplete(
    app: Flask, serve_with: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    log_large_events(app)
    port = serve_with(Limits(unread_seconds=0.5))
    with ExitStack() as open_connections:
        exports = [open_connections.enter_context(connect(port, EXPORT)) for _ in range(OF_ONE_ACCOUNT)]
        wait_until(lambda: caplog.messages.count(CUT_OFF) == OF_ONE_ACCOUNT)
        for connection in exports:
            body = rest(connection)
            assert not body.endswith(b"\r\n0\r\n\r\n")
            assert body.count(b'"title":"Large"') < LARGE
    wait_until(lambda: send(port, EXPORT_NOTHING)[0] == 200)


def test_a_reader_that_is_too_slow_is_cut_off(app: Flask, settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    log_large_events(app)
    limits = Limits(least_bytes=10**9)
    server = server_for(app, replace(settings, host="127.0.0.1", port=0, threads=1), limits)
    server._next_look = math.inf  # only this test looks
    server.adj.asyncore_loop_timeout = 0.05  # seconds until the loop sees that the server is closed
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    with connect(server.effective_port, EXPORT) as client:
        wait_until(lambda: any(each._waits for each in server.active_channels.values()))
        [connection] = server.active_channels.values()
        connection.check(time.monotonic())
        sent = connection._read
        while connection._read == sent:
            client.recv(4_096)  # it does read
        wait_until(lambda: connection._waits)
        connection.check(time.monotonic() + limits.unread_seconds)
        assert not rest(client).endswith(b"\r\n0\r\n\r\n")
    cut_off = "A response was cut off: 127.0.0.1 read too little for 60 seconds."
    assert caplog.messages.count(cut_off) == 1
    wait_until(lambda: connection._response is None)  # its body has ended
    server.close()
    server.task_dispatcher.shutdown()
    thread.join(5)


def test_an_export_that_fails_in_the_middle_does_not_look_complete_in_http_1_0(app: Flask, serve_with: Serve) -> None:
    log_large_events(app)
    port = serve_with(DEFAULT_LIMITS)
    with connect(port, b"POST /api/export HTTP/1.0\r\nHost: localhost\r\n\r\n") as connection:
        assert connection.recv(12) == b"HTTP/1.0 200"
        assert send(port, HEALTH)[0] == 200  # the only thread has left the export
        with app.app_context(), write_transaction() as database:
            database.execute(text("ALTER TABLE change_events RENAME TO elsewhere"))
        with pytest.raises(ConnectionResetError):
            list(iter(lambda: connection.recv(1_000_000), b""))


def test_requests_that_a_client_sends_without_reading_wait_for_it_without_a_thread(serve_with: Serve) -> None:
    port = serve_with(DEFAULT_LIMITS)
    file = b"GET /static/vendor/htmx.min.js HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with connect(port, file * 150 + HEALTH) as connection:
        assert send(port, HEALTH)[0] == 200
        assert rest(connection).count(b"HTTP/1.1 200 OK\r\n") == 151


def test_connections_without_a_request_give_way_to_new_ones(
    serve_with: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    port = serve_with(Limits(connections=20))
    with ExitStack() as open_connections:
        first = open_connections.enter_context(connect(port, LATER))
        assert first.recv(12) == b"HTTP/1.1 200"
        idle = [
            open_connections.enter_context(connect(port, (b"", b"GET / HT")[number % 2], "127.0.0.2"))
            for number in range(60)
        ]
        assert send(port, HEALTH)[0] == 200
        assert rest(idle[0]) == rest(idle[39]) == b""
        first.sendall(HEALTH)  # it is the oldest, but of an address that has fewer
        assert rest(first).count(b"HTTP/1.1 200 OK\r\n") == 1
    assert (
        caplog.messages.count("20 connections are open. Those that have waited longest are closed for new ones.") == 1
    )


def test_a_connection_closes_if_no_whole_request_arrives(serve_with: Serve) -> None:
    port = serve_with(Limits(head_seconds=0.5))
    silent, partial, kept = (connect(port, raw) for raw in (b"", b"GET / HTTP/1.1\r\nHost: ", LATER))
    with silent, partial, kept:
        assert rest(silent) == rest(partial) == b""
        kept.sendall(HEALTH)
        assert rest(kept).count(b"HTTP/1.1 200 OK\r\n") == 2
