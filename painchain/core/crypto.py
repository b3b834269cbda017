"""Derive keys from the root keys, and encrypt stored secrets."""

from __future__ import annotations

import base64
import contextlib
import hmac
import os
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.fernet import Fernet

KEY_BYTES = 32


class KeyUnusable(Exception):
    """The key file cannot be read, created or used; the message says what to do."""


class Box:
    """Encrypts and decrypts stored secrets with Fernet, which is imported on first use: it takes 7 MB of memory."""

    def __init__(self, key: bytes):
        self._key = key

    @cached_property
    def _fernet(self) -> Fernet:
        from cryptography.fernet import Fernet

        return Fernet(base64.urlsafe_b64encode(self._key))

    def opens(self, sealed: bytes) -> bool:
        """Return whether this key decrypts `sealed`, without decrypting it, which would import the library.

        A Fernet token ends with an HMAC-SHA256 over the rest of it. The first half of the key is the key of that.
        """
        try:
            token = base64.urlsafe_b64decode(sealed)
        except ValueError:
            return False
        return hmac.compare_digest(hmac.digest(self._key[:16], token[:-32], "sha256"), token[-32:])

    def encrypt(self, secret: bytes) -> bytes:
        """Return `secret` encrypted."""
        return self._fernet.encrypt(secret)

    def decrypt(self, sealed: bytes) -> bytes:
        """Return the decrypted secret.

        :raises cryptography.fernet.InvalidToken: if another key encrypted it.
        """
        return self._fernet.decrypt(sealed)


@dataclass(frozen=True)
class Keyring:
    """The keys derived from the root keys, one for each purpose.

    The first root encrypts, decrypts and signs everything. The other roots are retired: they only verify the part of
    the log that was written with them.
    """

    roots: tuple[bytes, ...] = field(repr=False)

    @property
    def id(self) -> str:
        """The public id of the first root."""
        return self.ids[0]

    @cached_property
    def ids(self) -> tuple[str, ...]:
        """The public id of each root."""
        return tuple(key[:8].hex() for key in self.derived("name of the key"))

    def derive(self, purpose: str) -> bytes:
        """Return the 32-byte key for `purpose` (HKDF-SHA256 of the first root)."""
        return _derived(self.roots[0], purpose)

    def derived(self, purpose: str) -> list[bytes]:
        """Return the key for `purpose` of every root, the newest first."""
        return [_derived(root, purpose) for root in self.roots]

    def box(self) -> Box:
        """Return the box for stored secrets. A key rotation encrypts all of them again, so one key is enough."""
        return Box(self.derive("stored secrets"))

    def led_by(self, name: str) -> Keyring:
        """Return the same keys with the root of this id first.

        :raises KeyUnusable: if no root has this id.
        """
        if name not in self.ids:
            raise KeyUnusable(
                "The key is not the one that signed the log and encrypted the stored tokens. "
                "Put the right secret.key back (or the previous value of PAINCHAIN_SECRET_KEY). "
                "If another server created or replaced the key, copy it from there. "
                "If the key is permanently lost, run: painchain rotate-key --lost."
            )
        first = self.roots[self.ids.index(name)]
        return Keyring((first, *(root for root in self.roots if root != first)))


def _derived(root: bytes, purpose: str) -> bytes:
    """Return the key for `purpose`: HKDF-SHA256 (RFC 5869) without salt, whose first block is the key."""
    pseudorandom_key = hmac.digest(bytes(KEY_BYTES), root, "sha256")
    return hmac.digest(pseudorandom_key, f"painchain {purpose}\x01".encode(), "sha256")


def new_key() -> str:
    """Return a new root key in the format of the key file."""
    return base64.urlsafe_b64encode(os.urandom(KEY_BYTES)).decode()


def parse_key(text: str, where: str) -> Keyring:
    """Parse root keys, newest first, separated by white space.

    :raises KeyUnusable: if there is no key, or one is not 32 bytes in URL-safe base64.
    """
    with contextlib.suppress(ValueError):
        roots = [base64.b64decode(word, altchars=b"-_", validate=True) for word in text.split()]
        if roots and all(len(root) == KEY_BYTES for root in roots):
            return Keyring(tuple(dict.fromkeys(roots)))
    raise KeyUnusable(
        f"{where} does not contain a valid key (32 bytes in URL-safe base64). Restore the key from a backup."
    )


def seal(box: Box, secret: str) -> str:
    """Return `secret` encrypted, as text."""
    return box.encrypt(secret.encode()).decode()


def open_sealed(box: Box, sealed: str) -> str:
    """Return the decrypted secret.

    :raises KeyUnusable: if another key encrypted it.
    """
    from cryptography.fernet import InvalidToken

    try:
        return box.decrypt(sealed.encode()).decode()
    except InvalidToken:
        raise _other_key() from None


def check_sealed(box: Box, sealed: str) -> None:
    """Check that `open_sealed` decrypts the secret.

    :raises KeyUnusable: if another key encrypted it.
    """
    if not box.opens(sealed.encode()):
        raise _other_key()


def _other_key() -> KeyUnusable:
    return KeyUnusable(
        "The key does not decrypt the stored tokens: another key encrypted them. If the key was just replaced, "
        "restart PainChain. "
        "Otherwise put the right secret.key back (or the previous value of PAINCHAIN_SECRET_KEY)."
    )
