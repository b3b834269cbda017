"""The HTTP client sends the token only to its host, limits every wait, and gives instructions in its errors."""

from __future__ import annotations

import gzip
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from painchain.connectors.contract import ErrorKind, PollError
from painchain.connectors.http_client import HttpClient
from tests.counterparts import FakeServer, ReceivedRequest, Reply, as_json, path_of, run_fake_server

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
TOKEN = "canary-token-1234567890"
SIGNED = {"Authorization": f"Bearer {TOKEN}"}


def client(fake_server: FakeServer | str, **limits: Any) -> HttpClient:
    return HttpClient(fake_server if isinstance(fake_server, str) else fake_server.url, SIGNED, NOW, **limits)


def failure(fake_server: FakeServer | str, path: str = "things", **limits: Any) -> PollError:
    """Send a request, and return its error, which must not contain the token."""
    with pytest.raises(PollError) as caught, client(fake_server, **limits) as http:
        http.get(path)
    assert TOKEN not in str(caught.value)
    return caught.value


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


LATER = "Tue, 10 Mar 2026 12:30:00 GMT"
HALF_PAST = NOW + timedelta(minutes=30)
LIMITED = "Rate limit of 127.0.0.1 reached. Polling resumes at {} UTC."


@pytest.mark.parametrize(
    ("reply", "trouble", "words", "retry_at"),
    [
        (
            as_json({}, 401),
            ErrorKind.AUTHENTICATION,
            "127.0.0.1 rejected the token (401). Enter a valid token.",
            None,
        ),
        (
            as_json({"message": "no"}, 403),
            ErrorKind.PERMISSION,
            "The token cannot read /things (403). Grant it that permission.",
            None,
        ),
        (
            as_json({}, 403, x_ratelimit_remaining="0", x_ratelimit_reset=str(int(HALF_PAST.timestamp()))),
            ErrorKind.RATE_LIMITED,
            LIMITED.format("12:30:00"),
            HALF_PAST,
        ),
        (
            as_json({"message": "You have exceeded a secondary rate limit"}, 403),
            ErrorKind.RATE_LIMITED,
            LIMITED.format("12:01:00"),
            NOW + timedelta(minutes=1),
        ),
        (
            as_json({}, 429, retry_after="90"),
            ErrorKind.RATE_LIMITED,
            LIMITED.format("12:01:30"),
            NOW + timedelta(0, 90),
        ),
        (as_json({}, 429, retry_after=LATER), ErrorKind.RATE_LIMITED, LIMITED.format("12:30:00"), HALF_PAST),
        (
            as_json({}, 429, retry_after="9" * 5000),
            ErrorKind.RATE_LIMITED,
            LIMITED.format("2026-03-11 12:00:00"),
            NOW + timedelta(days=1),
        ),
        (
            as_json({}, 429, retry_after="Fri, 31 Dec 9999 23:59:59 GMT"),
            ErrorKind.RATE_LIMITED,
            None,
            NOW + timedelta(days=1),
        ),
        (as_json({}, 429, retry_after="Mon, 01 Jan 1990 00:00:00 GMT"), ErrorKind.RATE_LIMITED, None, NOW),
        (as_json({}, 429, retry_after="-5"), ErrorKind.RATE_LIMITED, None, NOW + timedelta(minutes=1)),
        (as_json({}, 429, retry_after="soon"), ErrorKind.RATE_LIMITED, None, NOW + timedelta(minutes=1)),
        (
            as_json({}, 429, ratelimit_remaining="0", ratelimit_reset="9" * 30),
            ErrorKind.RATE_LIMITED,
            None,
            NOW + timedelta(days=1),
        ),
        (
            as_json({}, 404),
            ErrorKind.NOT_FOUND,
            "127.0.0.1 has nothing at /things (404), or the token cannot access it. Check the URL and the names.",
            None,
        ),
        (as_json({}, 410), ErrorKind.NOT_FOUND, None, None),
        (
            as_json({}, 418),
            ErrorKind.INVALID_RESPONSE,
            "127.0.0.1 rejected the request for /things (418). Check the URL.",
            None,
        ),
        (
            as_json({}, 500),
            ErrorKind.SERVER_ERROR,
            "127.0.0.1 returned a server error (500). PainChain will retry.",
            None,
        ),
        (as_json({}, 502), ErrorKind.SERVER_ERROR, None, None),
        (as_json({}, 503, retry_after=LATER), ErrorKind.SERVER_ERROR, None, HALF_PAST),
        (
            Reply(200, b'{"half": [1, 2'),
            ErrorKind.INVALID_RESPONSE,
            "127.0.0.1 sent invalid or incomplete JSON. Check that this is the URL of the API.",
            None,
        ),
        (Reply(200, b"<html>Sign in</html>"), ErrorKind.INVALID_RESPONSE, None, None),
        (Reply(200, b"[" * 100_000), ErrorKind.INVALID_RESPONSE, None, None),
        (Reply(200, b"\xff\xfe"), ErrorKind.INVALID_RESPONSE, None, None),
        (
            Reply(200, b""),
            ErrorKind.INVALID_RESPONSE,
            "127.0.0.1 sent an empty response. Check that this is the URL of the API.",
            None,
        ),
        (
            Reply(200, b"[1, 2", {"Content-Length": "999"}),
            ErrorKind.UNREACHABLE,
            "The connection to 127.0.0.1 was lost. PainChain will retry.",
            None,
        ),
        (
            Reply(200, b"no gzip", {"Content-Encoding": "gzip"}),
            ErrorKind.INVALID_RESPONSE,
            "127.0.0.1 sent a response that cannot be decompressed. Check the URL.",
            None,
        ),
    ],
)
def test_an_unexpected_response_is_explained(
    reply: Reply, trouble: ErrorKind, words: str | None, retry_at: datetime | None
) -> None:
    with run_fake_server(reply) as fake_server:
        error = failure(fake_server)
    assert (error.kind, error.retry_at) == (trouble, retry_at)
    assert words in (None, str(error))


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


def test_an_unreachable_host_and_an_unknown_name_have_different_messages() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    refused = failure(f"http://127.0.0.1:{port}")
    assert str(refused) == "Could not connect to 127.0.0.1. Check the URL and whether the server is running."
    unknown = failure("http://nowhere.invalid")
    assert str(unknown) == "Could not resolve nowhere.invalid. Check the URL and this server's DNS."
    assert (refused.kind, unknown.kind) == (ErrorKind.UNREACHABLE, ErrorKind.UNREACHABLE)


def test_an_invalid_url_or_token_is_rejected_before_any_request() -> None:
    for url in ("", "https://", "nonsense", "http://[::1"):
        with pytest.raises(PollError, match="not an address"):
            HttpClient(url, SIGNED, NOW)
    for token in ("tökén", "two\nlines"):
        with pytest.raises(PollError, match="invalid characters") as caught:
            HttpClient("https://host.example", {"Authorization": token}, NOW)
        assert token not in str(caught.value)


@pytest.fixture(scope="module")
def self_signed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for 127.0.0.1 with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("tls") / "both.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return file


def test_a_server_with_an_untrusted_certificate_does_not_get_the_token(self_signed: Path) -> None:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(self_signed)
    trusting = ssl.create_default_context(cafile=str(self_signed))
    with run_fake_server(as_json([1]), tls=server) as fake_server:
        error = failure(fake_server)
        assert str(error) == (
            "The TLS certificate of 127.0.0.1 could not be verified. Check the URL and the issuer of the certificate."
        )
        assert failure(fake_server, verify=trusting).kind is ErrorKind.TLS  # trusted, but for another host
        assert fake_server.requests == []
        with client(fake_server.url.replace("127.0.0.1", "localhost"), verify=trusting) as http:
            assert http.get("things").value == [1]
        with client(fake_server, verify=False) as http:
            assert http.get("things").value == [1]


def test_a_source_without_tls_has_its_own_message() -> None:
    with run_fake_server(as_json([])) as fake_server:
        error = failure(fake_server.url.replace("http:", "https:"))
    assert str(error).startswith(
        "The TLS handshake with 127.0.0.1 failed. Check whether the URL should start with http://"
    )


def test_no_request_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with run_fake_server(as_json([])) as fake_server, client(fake_server) as http:
        http.get("things", {"private": "name"})
    assert [record for record in caplog.records if "http" in record.name] == []
