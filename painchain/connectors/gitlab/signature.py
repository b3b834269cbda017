"""Verify GitLab's webhooks: by secret token, or by signature with a signing token (Standard Webhooks)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from datetime import datetime, timedelta

from painchain.connectors.contract import Delivery, InvalidSignature

SIGNING_PREFIX = "whsec_"
VERSION_PREFIX = "v1,"
# From the time of the signature. GitLab signs each retry again.
TOLERANCE = timedelta(minutes=5)


def verify(delivery: Delivery, secret: str, now: datetime) -> None:
    """Verify that a delivery was sent with the secret, in constant time.

    GitLab sends a secret token as it is, in ``X-Gitlab-Token``. A signing token signs the delivery instead, in
    ``webhook-signature``. The secret can have been entered at GitLab as either.

    :raises InvalidSignature: if both are missing or wrong.
    """
    token = delivery.headers.get("x-gitlab-token", "")
    has_token = bool(secret) and hmac.compare_digest(token.encode(), secret.encode())
    if not has_token and not _is_signed(delivery, secret, now):
        raise InvalidSignature("X-Gitlab-Token and webhook-signature are missing or wrong.")


def _is_signed(delivery: Delivery, secret: str, now: datetime) -> bool:
    """Return whether one of the signatures is right and recent: HMAC-SHA256 over ``{id}.{timestamp}.{body}``."""
    key = _signing_key(secret)
    message_id, timestamp = (delivery.headers.get(f"webhook-{name}", "") for name in ("id", "timestamp"))
    if not key or not message_id or not _is_recent(timestamp, now):
        return False
    signed = f"{message_id}.{timestamp}.".encode() + delivery.body
    right = VERSION_PREFIX + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    signatures = delivery.headers.get("webhook-signature", "").split()
    return any(hmac.compare_digest(signature.encode(), right.encode()) for signature in signatures)


def _signing_key(secret: str) -> bytes:
    """Return the key in a signing token; b"" if the secret is none."""
    if not secret.startswith(SIGNING_PREFIX):
        return b""
    try:
        return base64.b64decode(secret.removeprefix(SIGNING_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        return b""


def _is_recent(timestamp: str, now: datetime) -> bool:
    """Return whether a time in seconds since 1970 is close to now."""
    if not (timestamp.isascii() and timestamp.isdecimal() and len(timestamp) <= 12):
        return False
    return abs(now.timestamp() - int(timestamp)) <= TOLERANCE.total_seconds()
