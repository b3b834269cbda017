"""The HTTP server refuses invalid requests with a message, and every response has the security headers."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http.client import HTTPConnection

import pytest
from flask import Flask

from painchain.core.config import Settings
from painchain.startup import create_app
from painchain.web.common.security_headers import SECURITY
from painchain.web.serving.server import MAX_HEADER_BYTES
from tests.conftest import ON_SQLITE, close, settings_for
from tests.web.sockets import CANARY, END, app_with_address, send, serve

pytestmark = ON_SQLITE
SECURITY_HEADERS = {name.lower(): value.lower() for name, value in SECURITY.items()}


@pytest.fixture(params=["0", "1"], ids=["no proxy", "one proxy"])
def running_server(request: pytest.FixtureRequest, settings: Settings) -> Iterator[tuple[int, bool]]:
    """The port of a server, and whether it trusts a proxy."""
    app = app_with_address(create_app(own := settings_for(settings.instance, trusted_proxies=request.param)))
    for port in serve(app, own):
        yield port, request.param == "1"
    close(app)


INVALID_REQUESTS = [
    ("not http", b"nonsense " + CANARY + b"\r\n\r\n", 400, b"Malformed request"),
    ("header", b"GET / HTTP/1.1\r\n" + CANARY + b"\r\n" + END, 400, b"Malformed request"),
    ("length", b"POST / HTTP/1.1\r\nContent-Length: " + CANARY + b"\r\n" + END, 400, b"Malformed request"),
    ("two lengths", b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n" + END, 400, b"Malformed request"),
    ("digits", b"POST / HTTP/1.1\r\nContent-Length: " + b"9" * 5000 + b"\r\n" + END, 400, b"Malformed request"),
    (
        "both",
        b"POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n" + END,
        400,
        b"Malformed request",
    ),
    ("old", b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n" + END + CANARY, 400, b"Malformed request"),
    ("bracket", b"GET http://[" + CANARY + b" HTTP/1.1\r\n" + END, 400, b"Malformed request"),
    ("line feeds", b"GET / HTTP/1.1\nHost: localhost\nX: " + CANARY + b"\n\n", 400, b"Malformed request"),
    ("a line feed", b"GET / HTTP/1.1\r\nHost: localhost\n\r\n", 400, b"Malformed request"),
    ("the last line feed", b"GET / HTTP/1.1\r\nHost: localhost\r\n\n", 400, b"Malformed request"),
    ("coding", b"POST / HTTP/1.1\r\nTransfer-Encoding: " + CANARY + b"\r\n" + END, 501, b"does not support"),
    ("headers", (b"GET / HTTP/1.1\r\nX: " + CANARY * 10_000)[:MAX_HEADER_BYTES], 431, b"64 KiB"),
    ("address", (b"GET /?q=" + CANARY * 10_000)[:MAX_HEADER_BYTES], 431, b"64 KiB"),
    ("body", b"POST / HTTP/1.1\r\nContent-Length: 999999999\r\n" + END, 413, b"Nothing was saved"),
]


@pytest.mark.parametrize("running_server", ["0"], indirect=True)
def test_an_invalid_request_is_refused_without_repeating_its_text(
    running_server: tuple[int, bool], caplog: pytest.LogCaptureFixture
) -> None:
    for name, raw, expected, words in INVALID_REQUESTS:
        status, headers, body = send(running_server[0], raw)
        assert (status, words in body) == (expected, True), (name, body)
        assert CANARY not in body
        assert b"waitress" not in body
        assert "server" not in headers
        assert headers.items() >= SECURITY_HEADERS.items()
        assert headers["cache-control"] == "no-store"
    events = [record.members for record in caplog.records if record.name == "painchain.security"]  # type: ignore[attr-defined]
    assert events == [
        {"event": "unreadable_request", "address": "127.0.0.1", "status": expected}
        for _, _, expected, _ in INVALID_REQUESTS
    ]
    assert CANARY.decode() not in caplog.text


@pytest.mark.parametrize("running_server", ["0"], indirect=True)
def test_an_error_that_leaves_the_app_is_logged_as_an_error_and_not_as_an_attack(
    running_server: tuple[int, bool], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object) -> None:
        raise RuntimeError(CANARY.decode())

    monkeypatch.setattr(Flask, "full_dispatch_request", fail)
    monkeypatch.setattr(Flask, "handle_exception", fail)
    status, _, body = send(running_server[0], b"GET /sign-in HTTP/1.1\r\n" + END)
    assert (status, b"This is a bug in PainChain" in body) == (500, True)
    records = [record for record in caplog.records if record.name != "waitress.queue"]  # a busy machine makes one wait
    assert {record.levelname for record in records} == {"ERROR"}
    assert "painchain.security" not in {record.name for record in records}


def test_proxy_headers_reach_the_app_only_if_the_proxy_is_trusted(running_server: tuple[int, bool]) -> None:
    port, trusting = running_server
    forwarded = b"X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: localhost:9\r\n"
    _, headers, body = send(port, b"GET /client HTTP/1.1\r\n" + forwarded + END)
    assert body.decode() == ("https localhost:9 203.0.113.9" if trusting else "http localhost 127.0.0.1")
    assert "server" not in headers


@pytest.mark.parametrize("running_server", ["0"], indirect=True)
def test_every_kind_of_response_has_the_security_headers(running_server: tuple[int, bool]) -> None:
    """Pages, files, unchanged files, redirects, refusals, errors, webhooks, and polls without updates."""
    port = running_server[0]

    def get(what: bytes, headers: bytes = b"") -> tuple[int, dict[str, str], bytes]:
        return send(port, what + b" HTTP/1.1\r\n" + headers + END)

    _, file, _ = get(b"GET /static/icon.svg")
    etag = b"If-None-Match: " + file["etag"].encode() + b"\r\n"
    answers: dict[int | str, Callable[[], tuple[int, dict[str, str], bytes]]] = {
        200: lambda: get(b"GET /"),
        304: lambda: get(b"GET /static/icon.svg", etag),
        416: lambda: get(b"GET /static/icon.svg", b"Range: bytes=999999999-\r\n"),
        414: lambda: get(b"GET /" + b"a" * 5_000),
        303: lambda: get(b"GET /sign-in"),
        404: lambda: get(b"GET /nowhere"),
        405: lambda: get(b"DELETE /"),
        500: lambda: get(b"GET /static/fail"),
        400: lambda: send(port, b"GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n"),
    }
    for expected, ask in answers.items():
        status, headers, body = ask()
        assert status == expected
        assert headers.items() >= SECURITY_HEADERS.items(), status
        assert ("no-store" in headers["cache-control"]) == (status != 304)
        assert CANARY not in body
    for what in (
        b"POST /hooks/github/1",
        b"GET /static/nowhere",
        b"GET /api/nowhere",
        b"GET /health",
        b"GET /news?after=1",
        b"OPTIONS /",
    ):
        _, headers, _ = get(what)
        assert headers.items() >= SECURITY_HEADERS.items(), what
        assert headers["cache-control"] == "no-store", what


Pairs = list[tuple[str, str]]


def head_of(port: int, method: str, path: str, headers: dict[str, str]) -> tuple[int, Pairs, bool]:
    """Return the status and the headers of a response, and whether the connection stays open after it."""
    connection = HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request(method, path, headers={"Host": "localhost", **headers})
        response = connection.getresponse()
        response.read()
        stays_open = response.getheader("Connection") != "close"
        if stays_open:
            connection.sock.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert connection.sock.recv(65536).startswith(b"HTTP/1.1 200 OK\r\n")
    finally:
        connection.close()
    [date] = [parsedate_to_datetime(value) for name, value in response.getheaders() if name.lower() == "date"]
    assert abs(date - datetime.now(UTC)) < timedelta(minutes=1)
    own = ("connection", "date", "x-request-id")
    pairs = sorted((name.lower(), value) for name, value in response.getheaders() if name.lower() not in own)
    return response.status, pairs, stays_open


@pytest.mark.parametrize("running_server", ["0"], indirect=True)
def test_a_response_has_the_same_headers_whether_or_not_its_connection_stays_open(
    running_server: tuple[int, bool],
) -> None:
    """If the connection closes, the headers are those of waitress."""
    port = running_server[0]
    etag = dict(head_of(port, "GET", "/static/icon.svg", {})[1])["etag"]
    for method, path, more, expected, lasts, delimiter in (
        ("GET", "/", {}, 200, True, "content-length"),
        ("HEAD", "/", {}, 200, True, "content-length"),
        ("GET", "/health", {}, 200, True, "content-length"),
        ("GET", "/nowhere", {}, 404, True, "content-length"),
        ("GET", "/static/icon.svg", {}, 200, True, "content-length"),
        ("GET", "/help/dev/packages.svg", {}, 200, True, "content-length"),  # waitress sends the file
        ("GET", "/static/icon.svg", {"If-None-Match": etag}, 304, True, ""),
        ("POST", "/api/export", {}, 200, False, "transfer-encoding"),
    ):
        status, pairs, stays_open = head_of(port, method, path, {**more, "Connection": "keep-alive"})
        assert (status, stays_open) == (expected, lasts), path
        delimiters = [name for name, _ in pairs if name in ("content-length", "transfer-encoding")]
        assert delimiters == [delimiter] * bool(delimiter), path
        assert head_of(port, method, path, {**more, "Connection": "close"}) == (status, pairs, False), path


@pytest.mark.parametrize("running_server", ["0"], indirect=True)
def test_probes_without_a_host_name_or_by_address_are_answered(running_server: tuple[int, bool]) -> None:
    port = running_server[0]
    for probe in (
        b"GET /health HTTP/1.0\r\n\r\n",
        b"GET /health HTTP/1.1\r\nConnection: close\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: 10.0.0.5:8000\r\nConnection: close\r\n\r\n",
    ):
        status, _, body = send(port, probe)
        assert (status, b'"status":"ok"' in body) == (200, True), body
    status, _, body = send(port, b"GET / HTTP/1.0\r\n\r\n")
    assert (status, b"has no valid host name" in body, b"waitress" in body) == (400, True, False)


@pytest.mark.parametrize("running_server", ["0"], indirect=True)
def test_silent_connections_do_not_block_others(running_server: tuple[int, bool]) -> None:
    with ExitStack() as idle:
        for _ in range(150):
            idle.enter_context(socket.create_connection(("127.0.0.1", running_server[0]))).sendall(b"GET / HT")
        assert send(running_server[0], b"GET /health HTTP/1.1\r\n" + END)[0] == 200
