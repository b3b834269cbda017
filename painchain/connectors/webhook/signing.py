"""Verify that a delivery was sent with the connector's secret: by HMAC, token or Standard Webhooks."""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from painchain.connectors import standard_webhooks
from painchain.connectors.contract import Delivery, InvalidSignature
from painchain.core.redaction import looks_secret

ALGORITHMS = ("sha256", "sha512", "sha1")
ENCODINGS = ("hex", "base64")
MAX_SIGNATURES = 10  # of one delivery
_SCHEMES = ("bearer", "token")
# Lower-case names of headers with a secret or a signature, beside names that look secret anywhere. X-Event-Key names an
# event, and Idempotency-Key a request.
_SECRET_HEADER = re.compile(r"auth|cookie|session|signature|hmac|jwt|assertion|(?<!event-)(?<!idempotency-)key")


class Method(StrEnum):
    """How a source proves that it knows the secret."""

    HMAC = "hmac"
    TOKEN = "token"  # noqa: S105  a method, not a token
    STANDARD = "standard"


@dataclass(frozen=True)
class Signing:
    """How deliveries are signed.

    With HMAC, `header` has the `prefix` and the HMAC of the raw body with `algorithm`, in `encoding`. If there is a
    `timestamp_header` and the delivery has it, its value and a colon are signed before the body. A header can have
    several signatures, separated by commas. With a token, `header` has the secret: alone, after `Bearer` or `Token`, or
    as the password of Basic authentication. Standard Webhooks have their own headers.
    """

    method: Method = Method.TOKEN
    header: str = "Authorization"
    algorithm: str = "sha256"
    prefix: str = ""
    encoding: str = "hex"
    timestamp_header: str = ""


def verify(signing: Signing, delivery: Delivery, secret: str, now: datetime) -> None:
    """Verify that a delivery was sent with the secret, in constant time.

    :raises InvalidSignature: if the signature or token is missing or wrong, or the time of the signature is not now.
    """
    checks = {Method.HMAC: _has_hmac, Method.TOKEN: _has_token, Method.STANDARD: _is_standard}
    if not secret or not checks[signing.method](signing, delivery, secret, now):
        raise InvalidSignature(_PROBLEMS[signing.method].format(header=signing.header))


_PROBLEMS = {
    Method.HMAC: "The signature in {header} is missing or wrong.",
    Method.TOKEN: "The token in {header} is missing or wrong.",
    Method.STANDARD: "webhook-id, webhook-timestamp or webhook-signature is missing or wrong.",
}


def public_headers(signing: Signing, headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers of a delivery that mappings and pages may see, by lower-case name: none can hold a secret.

    >>> public_headers(Signing(header="X-Shared"), {"X-Shared": "a", "Cookie": "b", "X-Event-Key": "push"})
    {'x-event-key': 'push'}
    """
    lower = {name.lower(): value for name, value in headers.items()}
    return {
        name: value for name, value in lower.items() if not (name == signing.header.lower() or _can_be_secret(name))
    }


def _can_be_secret(header: str) -> bool:
    return looks_secret(header) or _SECRET_HEADER.search(header) is not None


def _has_hmac(signing: Signing, delivery: Delivery, secret: str, now: datetime) -> bool:
    signed = delivery.body
    timestamp = delivery.headers.get(signing.timestamp_header.lower(), "") if signing.timestamp_header else ""
    if timestamp:
        if not standard_webhooks.is_recent(timestamp, now):
            return False
        signed = f"{timestamp}:".encode() + signed
    digest = hmac.new(secret.encode(), signed, signing.algorithm).digest()
    right = digest.hex() if signing.encoding == "hex" else base64.b64encode(digest).decode()
    signatures = delivery.headers.get(signing.header.lower(), "").split(",", MAX_SIGNATURES)
    found = [hmac.compare_digest(_bare(each, signing).encode(), right.encode()) for each in signatures]
    return any(found)


def _bare(signature: str, signing: Signing) -> str:
    """Return a signature as the digest alone. `sha256=` is fine before it, whatever the prefix is."""
    digest = signature.strip().removeprefix(signing.prefix).removeprefix(f"{signing.algorithm}=")
    return digest.lower() if signing.encoding == "hex" else digest


def _has_token(signing: Signing, delivery: Delivery, secret: str, now: datetime) -> bool:
    value = delivery.headers.get(signing.header.lower(), "")
    found = [hmac.compare_digest(token.encode(), secret.encode()) for token in _tokens(value)]
    return any(found)


def _tokens(value: str) -> Iterator[str]:
    """Yield the tokens that a header can mean."""
    yield value
    scheme, _, rest = value.partition(" ")
    if scheme.lower() in _SCHEMES:
        yield rest.strip()
    elif scheme.lower() == "basic":
        try:
            decoded = base64.b64decode(rest.strip(), validate=True).decode()
        except (binascii.Error, ValueError):
            return
        yield decoded.partition(":")[2]


def _is_standard(signing: Signing, delivery: Delivery, secret: str, now: datetime) -> bool:
    key = secret if secret.startswith(standard_webhooks.SIGNING_PREFIX) else standard_webhooks.SIGNING_PREFIX + secret
    return standard_webhooks.is_signed(delivery, key, now)
