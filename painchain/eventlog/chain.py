"""The chain: each event carries a keyed hash over itself and the hash of the event before.

Whoever can write to the database but has not the key can make none of these hashes. So an event that was edited,
removed, inserted or moved shows, and so does an end that was cut off by hand, unless an older head was put back: only a
checkpoint kept elsewhere shows that (``painchain.checkpoints``).
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping, Sequence
from typing import Any

from painchain.core.crypto import Keyring
from painchain.database.types import microseconds

VERSION = 1
START = bytes(32)  # what stands before the first event

# What is hashed of an event, in this order; its number goes before. The words of the search are made from these.
FIELDS = (
    *("event_id", "source", "event_type", "connector_id", "connector_name", "connector_type", "title"),
    *("description", "metadata", "author", "status", "url", "tags", "request_id", "timestamp", "recorded_at"),
)

_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False).encode  # in ASCII


def canonical(event: Mapping[str, Any]) -> bytes:
    """Return the one form of an event's fields that is hashed: a JSON array of the version and each of ``FIELDS``.

    Members are sorted, nothing is between them, every character is ASCII; times are microseconds since 1970.
    """
    return spelt([event[name] for name in FIELDS])


def spelt(values: list[Any]) -> bytes:
    """Return the canonical form of the values of ``FIELDS``, in their order.

    :raises ValueError: or TypeError, when no event can have these values.
    """
    for place in (-2, -1):
        if not isinstance(values[place], int):
            values[place] = microseconds(values[place])
    return _encode([VERSION, *values]).encode()


class Chain:
    """What makes the hashes of the chain with the first of the keys.

    `key_id` names that key. Two purposes have keys of their own, so that no hash of one can stand for one of the other.
    """

    def __init__(self, keys: Keyring):
        self.key_id = keys.id
        self._links, self._seals = keys.derive("chain of events"), keys.derive("seals of the log")

    def link(self, previous: bytes, number: int, content: bytes) -> bytes:
        """Return the hash of event `number` whose canonical form is `content`, behind an event of hash `previous`."""
        return hmac.digest(self._links, previous + number.to_bytes(8, "big") + content, "sha256")

    def head(self, last_event: int, mac: bytes) -> bytes:
        """Return the seal of the end of the log: the last event and its hash."""
        return self._seal(b"head", last_event, mac)

    def run(self, first: int, last: int, mac: bytes) -> bytes:
        """Return the seal of a run of events that retention has removed: its ends, and the hash of the last."""
        return self._seal(b"run ", first, last.to_bytes(8, "big") + mac)

    def forked_head(self, mac: bytes) -> bytes:
        """Return what the next event is linked to where the head was changed by hand: so that it shows for ever."""
        return self._seal(b"torn", 0, mac)

    def _seal(self, what: bytes, number: int, rest: bytes) -> bytes:
        return hmac.digest(self._seals, what + number.to_bytes(8, "big") + rest, "sha256")


def chains(keys: Keyring) -> Sequence[Chain]:
    """Return the chain of every key, the newest first."""
    return [Chain(Keyring((root,))) for root in keys.roots]
