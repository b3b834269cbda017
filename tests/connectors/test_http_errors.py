"""The errors of the HTTP client say what went wrong and what to do."""

from __future__ import annotations

import socket
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from painchain.connectors.contract import ErrorKind
from tests.counterparts import Reply, as_json, run_fake_server
from tests.support.http_client import NOW, client, failure

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


def test_an_unreachable_host_and_an_unknown_name_have_different_messages() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    refused = failure(f"http://127.0.0.1:{port}")
    assert str(refused) == "Could not connect to 127.0.0.1. Check the URL and whether the server is running."
    unknown = failure("http://nowhere.invalid")
    assert str(unknown) == "Could not resolve nowhere.invalid. Check the URL and this server's DNS."
    assert (refused.kind, unknown.kind) == (ErrorKind.UNREACHABLE, ErrorKind.UNREACHABLE)


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
