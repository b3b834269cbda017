"""The loop that serves connections looks only at those whose request it reads or answers."""

from __future__ import annotations

import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from selectors import EVENT_WRITE
from typing import Any

import pytest
from flask import Flask

from painchain.core.config import Settings
from painchain.web.serving.connection import Connection
from painchain.web.serving.event_loop import EventLoop
from tests.conftest import ON_SQLITE
from tests.web.sockets import END, send, serve

HEALTH = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
LAST = b"GET /health HTTP/1.1\r\n" + END
SLOW = b"GET /static/slow HTTP/1.1\r\nHost: localhost\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\n"

pytestmark = ON_SQLITE


class Gate:
    """What a slow view waits for."""

    def __init__(self) -> None:
        self.reached, self.opened = threading.Event(), threading.Event()


@pytest.fixture
def gate(app: Flask) -> Gate:
    """The gate of /static/slow."""
    gate = Gate()

    @app.get("/static/slow")
    def slow() -> str:
        gate.reached.set()
        assert gate.opened.wait(20)
        return "slow"

    return gate


@pytest.fixture
def port(app: Flask, settings: Settings, gate: Gate) -> Iterator[int]:
    with contextmanager(serve)(app, settings) as port:
        yield port


def rest(connection: socket.socket) -> bytes:
    """Return what arrives until the server closes the connection."""
    return b"".join(iter(lambda: connection.recv(65_536), b""))


def ask(connection: socket.socket) -> None:
    """Send a request, and read the whole response."""
    connection.sendall(HEALTH)
    answer = b""
    while not answer.endswith(b"}\n"):
        answer += connection.recv(65_536)
    assert answer.startswith(OK)


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=20)


def test_a_request_costs_nothing_for_each_other_open_connection(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with ExitStack() as open_connections:
        idle = [open_connections.enter_context(connect(port)) for _ in range(30)]
        for connection in idle:
            ask(connection)
        looks: Counter[tuple[str, int]] = Counter()

        def readable(connection: Any) -> bool:
            looks[connection.addr] += 1
            return own_readable(connection)

        own_readable = Connection.readable
        monkeypatch.setattr(Connection, "readable", readable)
        for _ in range(10):
            ask(idle[0])
        monkeypatch.undo()
    assert looks.keys() == {looks.most_common(1)[0][0]}


def test_head_and_body_of_a_response_are_sent_together(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[bytes] = []

    def send_and_note(connection: Any, data: bytes, *arguments: Any, **more: Any) -> Any:
        sent.append(data)
        return own_send(connection, data, *arguments, **more)

    own_send = Connection.send
    monkeypatch.setattr(Connection, "send", send_and_note)
    assert send(port, LAST)[0] == 200
    assert [data.startswith(OK) and data.endswith(b"}\n") for data in sent] == [True]


def test_what_arrives_during_a_request_is_answered_after_it(port: int, gate: Gate) -> None:
    with connect(port) as connection:
        connection.sendall(SLOW)
        assert gate.reached.wait(20)
        connection.sendall(LAST)
        assert send(port, LAST)[0] == 200  # the loop has seen both
        gate.opened.set()
        body = rest(connection)
    assert body.count(OK) == 2
    assert body.index(b"slow") < body.index(b'"status"')


def test_what_arrives_during_a_request_does_not_keep_the_loop_busy(
    port: int, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    served: list[Any] = []
    own_serve = EventLoop._serve
    monkeypatch.setattr(
        EventLoop, "_serve", lambda loop, each, events: (served.append(each), own_serve(loop, each, events))
    )
    with connect(port) as connection:
        connection.sendall(SLOW)
        assert gate.reached.wait(20)
        connection.sendall(LAST)
        for _ in range(5):
            assert send(port, LAST)[0] == 200
        own = connection.getsockname()
        assert sum(getattr(each, "addr", None) == own for each in served) <= 2  # once for each request
        gate.opened.set()
        assert rest(connection).count(OK) == 2


def test_the_next_request_does_not_make_the_loop_write_what_its_thread_is_writing(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes: list[int] = []
    own_serve = EventLoop._serve

    def serve_and_note(loop: EventLoop, each: Any, events: int) -> None:
        writes.append(events & EVENT_WRITE)
        own_serve(loop, each, events)

    monkeypatch.setattr(EventLoop, "_serve", serve_and_note)
    with connect(port) as connection:
        for _ in range(200):  # each follows as soon as the response before has arrived
            ask(connection)
    assert len(writes) >= 200
    assert sum(writes) == 0


def test_a_client_that_leaves_during_its_request_is_forgotten(port: int, gate: Gate) -> None:
    with connect(port) as connection:
        connection.sendall(SLOW)
        assert gate.reached.wait(20)
    assert send(port, LAST)[0] == 200
    gate.opened.set()
    assert send(port, LAST)[0] == 200


def test_a_body_that_waits_for_permission_gets_it_also_behind_another_request(port: int, gate: Gate) -> None:
    gate.opened.set()
    head = b"POST /api/painchain/log HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    body = b'{"event_type": "config_changed", "connector_name": "a", "field": "b"}'
    head += b"Expect: 100-continue\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body)
    with connect(port) as connection:
        connection.sendall(SLOW + head)
        answer = b""
        while b"100 Continue" not in answer:
            answer += connection.recv(65_536)
        connection.sendall(body)
        assert (answer + rest(connection)).count(b"HTTP/1.1 ") == 3
