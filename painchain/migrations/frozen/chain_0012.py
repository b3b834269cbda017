"""The hashes of the chain, as migration 0012 makes them."""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping
from typing import Any

VERSION = 1
START = bytes(32)  # the hash before the first event
FIELDS = (
    *("event_id", "source", "event_type", "connector_id", "connector_name", "connector_type", "title"),
    *("description", "metadata", "author", "status", "url", "tags", "request_id", "timestamp", "recorded_at"),
)

_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False).encode  # in ASCII


def canonical(event: Mapping[str, Any]) -> bytes:
    """Return the form of an event that is hashed. Its times are microseconds since 1970."""
    return _encode([VERSION, *(event[name] for name in FIELDS)]).encode()


class Chain:
    """The two keys of the chain: `links` for the events, `seals` for the end of the log and for removed ranges."""

    def __init__(self, links: bytes, seals: bytes):
        self._links, self._seals = links, seals

    def link(self, previous: bytes, number: int, content: bytes) -> bytes:
        """Return the hash of event `number`, whose canonical form is `content`, after an event of hash `previous`."""
        return hmac.digest(self._links, previous + number.to_bytes(8, "big") + content, "sha256")

    def head(self, last_event: int, mac: bytes) -> bytes:
        """Return the seal of the end of the log: the number of the last event and its hash."""
        return self._seal(b"head", last_event, mac)

    def run(self, first: int, last: int, mac: bytes) -> bytes:
        """Return the seal of a range of removed events: its first and last number, and the hash of the last."""
        return self._seal(b"run ", first, last.to_bytes(8, "big") + mac)

    def _seal(self, what: bytes, number: int, rest: bytes) -> bytes:
        return hmac.digest(self._seals, what + number.to_bytes(8, "big") + rest, "sha256")
