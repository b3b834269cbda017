"""Read the JSON of a Kubernetes object, of which any part may be missing or malformed. Pure functions."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any

Fingerprint = Callable[[Any], str]

MAX_LINES = 100
MAX_CHARACTERS = 300


def fingerprinter(salt: str) -> Fingerprint:
    """Return a function that computes fingerprints (truncated keyed hashes) with a connector's own salt."""
    key = salt.encode()

    def fingerprint(value: Any) -> str:
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=6, key=key).digest()
        return urlsafe_b64encode(digest).decode()

    return fingerprint


def as_dict(value: Any) -> dict[str, Any]:
    """Return `value` if it is a JSON object, else {}: a malformed item must not stop a poll."""
    return value if isinstance(value, dict) else {}


def as_list(value: Any) -> list[Any]:
    """Return `value` if it is a list, else []."""
    return value if isinstance(value, list) else []


def as_dicts(value: Any) -> list[dict[str, Any]]:
    """Return the items of a list; {} in place of each item that is no JSON object."""
    return [as_dict(item) for item in as_list(value)]


def as_text(value: Any) -> str | None:
    """Return a string or number as text, cut to its limit; None for anything else and for ""."""
    return str(value)[:MAX_CHARACTERS] if isinstance(value, str | int) and value != "" else None


def as_number(value: Any) -> int | None:
    """Return `value` if it is an integer, else None."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def as_lines(texts: Iterable[Any]) -> list[str]:
    """Return texts, cut to the limits of a list in an event."""
    return [str(text)[:MAX_CHARACTERS] for text in texts][:MAX_LINES]


def parse_time(value: Any) -> datetime | None:
    """Return a time of Kubernetes in UTC, or None.

    >>> parse_time("2026-03-10T12:00:00Z"), parse_time("soon"), parse_time(None)
    (datetime.datetime(2026, 3, 10, 12, 0, tzinfo=datetime.timezone.utc), None, None)
    """
    try:
        moment = datetime.fromisoformat(value)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        return None
