"""The chain: each event carries a keyed hash over itself and the hash of the event before.

Someone who can write to the database but does not have the key cannot compute these hashes. Verification therefore
detects an event that was edited, removed, inserted or moved. It also detects a log cut off at the end, unless an older
head was restored with it: only a checkpoint stored elsewhere detects that (``painchain.integrity.checkpoints``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

from painchain.core.crypto import Keyring
from painchain.core.json_encoder import json_encoder
from painchain.database.types import microseconds

VERSION = 1
START = bytes(32)  # the hash before the first event

# The fields of an event that are hashed, in this order, after its number. The search index is built from them too.
FIELDS = (
    *("event_id", "source", "event_type", "connector_id", "connector_name", "connector_type", "title"),
    *("description", "metadata", "author", "status", "url", "tags", "request_id", "timestamp", "recorded_at"),
)

# In ASCII. Values are never circular, so that is not checked.
encode = json_encoder(sort_keys=True, allow_nan=False)


def canonical(event: Mapping[str, Any]) -> bytes:
    """Return the bytes of an event that are hashed: a JSON array of the version and each of ``FIELDS``.

    Object members are sorted, without whitespace, in ASCII; times are microseconds since 1970.
    """
    return canonical_form([event[name] for name in FIELDS])


def canonical_form(values: list[Any]) -> bytes:
    """Return the canonical form of the values of ``FIELDS``, in their order.

    :raises ValueError: when the values are not those of an event; also TypeError.
    """
    for index in (-2, -1):  # timestamp, recorded_at
        if not isinstance(values[index], int):
            values[index] = microseconds(values[index])
    return encode([VERSION, *values]).encode()


class _Hmac:
    """HMAC-SHA256 (RFC 2104) with a key that is hashed once, which takes half of the time for short contents."""

    def __init__(self, key: bytes):
        padded = key.ljust(64, b"\0")  # derived keys have 32 bytes
        self._inner = sha256(bytes(byte ^ 0x36 for byte in padded))
        self._outer = sha256(bytes(byte ^ 0x5C for byte in padded))

    def digest(self, content: bytes) -> bytes:
        """Return the same as ``hmac.digest(key, content, "sha256")``."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(content)
        outer.update(inner.digest())
        return outer.digest()


class Chain:
    """Compute the hashes and seals of the chain with the newest of the keys, named `key_id`.

    Hashes and seals have separate derived keys, so that one can never be used as the other.
    """

    def __init__(self, keys: Keyring):
        self.key_id = keys.id
        self._links, self._seals = _Hmac(keys.derive("chain of events")), _Hmac(keys.derive("seals of the log"))

    def link(self, previous: bytes, number: int, content: bytes) -> bytes:
        """Return the hash of event `number` with canonical form `content`, after an event with hash `previous`."""
        return self._links.digest(previous + number.to_bytes(8, "big") + content)

    def seal_head(self, last_event: int, mac: bytes) -> bytes:
        """Return the seal of the end of the log: the last event and its hash."""
        return self._seal(b"head", last_event, mac)

    def seal_run(self, first: int, last: int, mac: bytes) -> bytes:
        """Return the seal of a run of pruned events: first and last number, and the hash of the last."""
        return self._seal(b"run ", first, last.to_bytes(8, "big") + mac)

    def forked_head(self, mac: bytes) -> bytes:
        """Return the hash that the next event links to if the head was tampered with: verification always finds it."""
        return self._seal(b"torn", 0, mac)

    def _seal(self, kind: bytes, number: int, content: bytes) -> bytes:
        return self._seals.digest(kind + number.to_bytes(8, "big") + content)


def chains(keys: Keyring) -> Sequence[Chain]:
    """Return one chain for each key, the newest key first."""
    return [Chain(Keyring((root,))) for root in keys.roots]
