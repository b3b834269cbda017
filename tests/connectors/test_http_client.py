"""The HTTP client sends the token only to its host, and limits every wait."""

from __future__ import annotations

import gzip
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from painchain.connectors.contract import ErrorKind, PollError
from painchain.connectors.http_client import HttpClient
from tests.counterparts import ReceivedRequest, Reply, as_json, path_of, run_fake_server
from tests.support.http_client import NOW, SIGNED, TOKEN, client, failure


def by_path(**answers: Reply) -> Callable[[ReceivedRequest], Reply]:
    return lambda received: answers[path_of(received).strip("/")]


def moved(status: int, location: str) -> Reply:
    return Reply(status, b"", {"Location": location})


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_another_host_is_refused_and_never_sees_the_token(status: int) -> None:
    with (
        run_fake_server(as_json([])) as other,
        run_fake_server(lambda received: moved(status, f"{other.url}/things")) as fake_server,
    ):
        error = failure(fake_server)
    assert other.requests == []
    assert str(error) == (
        f"127.0.0.1 redirects to another address ({other.url}). PainChain does not send the token there. "
        "If the new address is right, enter it as the URL."
    )
    assert error.kind is ErrorKind.SETTINGS


@pytest.mark.parametrize(
    "location",
    [
        "//localhost:{port}/things",
        "https://127.0.0.1:{port}/things",
        "http://127.0.0.1:1/things",
        "http://127.0.0.1:{port}@localhost/things",
        "http://localhost:{port}\\@127.0.0.1:{port}/things",
        "ftp://127.0.0.1:{port}/things",
        "http://[::1",
        "http://\x7f/",
    ],
)
def test_a_disguised_address_does_not_get_the_token(location: str) -> None:
    def answer(received: ReceivedRequest) -> Reply:
        return moved(302, location.format(port=fake_server.port)) if path_of(received) == "/begin" else as_json([])

    with run_fake_server(answer) as fake_server:
        assert failure(fake_server, "begin").kind in (ErrorKind.SETTINGS, ErrorKind.INVALID_RESPONSE)
        assert fake_server.paths == ["/begin"]


def test_a_redirect_within_the_host_is_followed_with_the_token() -> None:
    with (
        run_fake_server(by_path(old=moved(301, "/new?page=2"), new=as_json([1]))) as fake_server,
        client(fake_server) as http,
    ):
        answer = http.get("old", {"q": "x"})
    assert (answer.value, answer.url) == ([1], f"{fake_server.url}/new?page=2")
    assert fake_server.paths == ["/old?q=x", "/new?page=2"]
    assert {received.headers["authorization"] for received in fake_server.requests} == {f"Bearer {TOKEN}"}


def test_an_endless_redirect_is_an_error() -> None:
    with run_fake_server(moved(302, "/again")) as fake_server:
        assert str(failure(fake_server)) == "127.0.0.1 redirects too many times. Check the URL."
    assert len(fake_server.requests) == 4


def test_all_pages_of_a_list_are_read_and_only_from_the_same_host() -> None:
    def answer(received: ReceivedRequest) -> Reply:
        page = int(received.path.rpartition("=")[2])
        following = {1: "?a=1,2&page=2", 2: f"{fake_server.url}/list?page=3"}.get(page)
        return as_json([page], link=f'<x>; rel="prev", <{following}>; rel="next"') if following else as_json([page])

    with run_fake_server(answer) as fake_server, client(fake_server) as http:
        assert [page.value for page in http.pages("list", {"page": 1})] == [[1], [2], [3]]
        assert fake_server.paths == ["/list?page=1", "/list?a=1,2&page=2", "/list?page=3"]
        assert [page.value for page in http.pages("list", {"page": 1}, limit=2)] == [[1], [2]]
        assert len(fake_server.requests) == 5
    with run_fake_server(as_json([])) as other:
        with (
            run_fake_server(as_json([1], link=f"<{other.url}/list>; rel=next")) as fake_server,
            client(fake_server) as http,
        ):
            pages = http.pages("list")
            assert next(pages).value == [1]
            with pytest.raises(PollError, match="redirects to another address"):
                next(pages)
        assert other.requests == []


def test_a_conditional_request_returns_nothing_when_nothing_changed() -> None:
    def answer(received: ReceivedRequest) -> Reply:
        is_cached = received.headers.get("if-none-match") == '"v1"'
        return Reply(304, b"", {"Content-Length": "0"}) if is_cached else as_json([1], etag='"v1"')

    with run_fake_server(answer) as fake_server, client(fake_server) as http:
        first = http.get("things")
        again = http.get("things", etag=first.headers["etag"])
    assert (first.value, first.is_unchanged, again.value, again.is_unchanged) == ([1], False, None, True)


def test_a_compressed_response_is_decompressed_and_an_empty_one_has_no_value() -> None:
    answers = by_path(
        packed=Reply(200, gzip.compress(b"[1]"), {"Content-Encoding": "gzip"}),
        nothing=Reply(204, b"", {"Content-Length": "0"}),
    )
    with run_fake_server(answers) as fake_server, client(fake_server) as http:
        assert http.get("packed").value == [1]
        assert http.get("nothing").value is None


@pytest.mark.parametrize("packed", [False, True])
def test_a_response_that_is_too_large_is_aborted(packed: bool) -> None:
    """The response is too large as sent, or only after it is decompressed."""
    piece = b" " * 2**16

    def endless() -> Iterator[bytes]:
        while True:
            sent_parts.append(1)
            yield piece

    sent_parts: list[int] = []
    bomb = Reply(200, gzip.compress(piece * 512), {"Content-Encoding": "gzip"})
    with run_fake_server(lambda received: bomb if packed else Reply(200, parts=endless())) as fake_server:
        error = failure(fake_server, max_bytes=2**20)
    assert str(error) == "127.0.0.1 sent a response of more than 1 MiB."
    assert len(sent_parts) < 1000


def test_a_response_that_is_too_slow_is_aborted() -> None:
    stop = threading.Event()

    def drip() -> Iterator[bytes]:
        while not stop.wait(0.01):
            yield b" "

    with run_fake_server(lambda received: Reply(200, parts=drip())) as fake_server:
        error = failure(fake_server, step_seconds=5, response_seconds=0.2)
        stop.set()
    assert str(error) == "127.0.0.1 did not respond in time. PainChain will retry."
    assert error.kind is ErrorKind.UNREACHABLE


@contextmanager
def run_slow_server(content: bytes | None) -> Iterator[str]:
    """Run a server that sends nothing, or the bytes of `content` one by one, and never completes its response."""
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def talk() -> None:
            connection, _ = listener.accept()
            with connection:
                for byte in content or b"":
                    if stop.wait(0.01):
                        return
                    try:
                        connection.sendall(bytes([byte]))
                    except OSError:
                        return
                stop.wait(20)

        thread = threading.Thread(target=talk, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        stop.set()
        thread.join(20)


@pytest.mark.parametrize("content", [None, b"HTTP/1.1 200 OK\r\n" + b"X-Name: value\r\n" * 2000])
def test_a_source_that_never_responds_times_out(content: bytes | None) -> None:
    """Every single byte of a header arrives in time, but the headers never end."""
    with run_slow_server(content) as url:
        assert (
            failure(url, step_seconds=0.2 if content is None else 5, response_seconds=0.4).kind is ErrorKind.UNREACHABLE
        )


def test_an_earlier_deadline_of_the_caller_applies() -> None:
    with run_slow_server(None) as url, client(url) as http, pytest.raises(PollError, match="did not respond in time"):
        http.get("things", deadline=time.monotonic() + 0.1)


def test_an_invalid_url_or_token_is_rejected_before_any_request() -> None:
    for url in ("", "https://", "nonsense", "http://[::1"):
        with pytest.raises(PollError, match="not an address"):
            HttpClient(url, SIGNED, NOW)
    for token in ("tökén", "two\nlines"):
        with pytest.raises(PollError, match="invalid characters") as caught:
            HttpClient("https://host.example", {"Authorization": token}, NOW)
        assert token not in str(caught.value)


def test_no_request_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with run_fake_server(as_json([])) as fake_server, client(fake_server) as http:
        http.get("things", {"private": "name"})
    assert [record for record in caplog.records if "http" in record.name] == []
