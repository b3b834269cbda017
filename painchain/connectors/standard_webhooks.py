"""Verify deliveries that are signed as Standard Webhooks: https://www.standardwebhooks.com."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from datetime import datetime, timedelta

from painchain.connectors.contract import Delivery

SIGNING_PREFIX = "whsec_"
VERSION_PREFIX = "v1,"
TOLERANCE = timedelta(minutes=5)  # from the time of the signature


def is_signed(delivery: Delivery, secret: str, now: datetime) -> bool:
    """Return whether one of the signatures is right and recent: HMAC-SHA256 over ``{id}.{timestamp}.{body}``."""
    key = _signing_key(secret)
    message_id, timestamp = (delivery.headers.get(f"webhook-{name}", "") for name in ("id", "timestamp"))
    if not key or not message_id or not is_recent(timestamp, now):
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


def is_recent(timestamp: str, now: datetime) -> bool:
    """Return whether a time in seconds since 1970 is close to now."""
    if not (timestamp.isascii() and timestamp.isdecimal() and len(timestamp) <= 12):
        return False
    return abs(now.timestamp() - int(timestamp)) <= TOLERANCE.total_seconds()
