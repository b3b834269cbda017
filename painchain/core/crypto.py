"""Keep secrets secret: keys, encryption at rest and the scrubbing of texts."""

from __future__ import annotations

import base64
import contextlib
import os
import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_BYTES = 32
MASK = "***"

_USERINFO = re.compile(r"(://)[^\s/?#]*@")
_QUERY = re.compile(
    r"([?&;#](?:[a-z_-]{0,40}(?:token|secret|password|passwd|signature|api[_-]?key)|key|sig|auth)=)[^&;\s#\"'<>]+",
    re.IGNORECASE,
)
# For fields that no connector type defines (POST /api/painchain/log takes any name): a defined field is redacted by
# its definition, never by its name.
_SECRET_NAME = re.compile(
    r"token|secret|passw|passphrase|credential|private[_-]?key|api[_-]?key|authorization", re.IGNORECASE
)


class KeyUnusable(Exception):
    """The key file cannot be read, made or used; the message says what to do."""


# What seals and opens stored secrets.
Box = Fernet


@dataclass(frozen=True)
class Keyring:
    """The keys derived from the root keys: each purpose has its own.

    Everything is made and opened with the first root. Those behind it are retired: the log up to their end is verified
    with them, and nothing else.
    """

    roots: tuple[bytes, ...] = field(repr=False)

    @property
    def id(self) -> str:
        """The name of the first root: it may be seen by anybody."""
        return self.ids[0]

    @cached_property
    def ids(self) -> tuple[str, ...]:
        """The name of each root."""
        return tuple(key[:8].hex() for key in self.derived("name of the key"))

    def derive(self, purpose: str) -> bytes:
        """Return the 32-byte key for `purpose` (HKDF-SHA256 of the first root)."""
        return _derived(self.roots[0], purpose)

    def derived(self, purpose: str) -> list[bytes]:
        """Return the key for `purpose` of every root, the newest first."""
        return [_derived(root, purpose) for root in self.roots]

    def box(self) -> Box:
        """Return the box that seals and opens stored secrets: a rotation seals all of them anew, so one key will do."""
        return Fernet(base64.urlsafe_b64encode(self.derive("stored secrets")))

    def led_by(self, name: str) -> Keyring:
        """Return the same keys with the one of this name first.

        :raises KeyUnusable: when none has this name.
        """
        if name not in self.ids:
            raise KeyUnusable(
                "The key is not the one that the log and the stored tokens were written with. "
                "Put the right secret.key back (or what PAINCHAIN_SECRET_KEY was); if another server made or "
                "replaced it, copy it from there. "
                "If it is lost for good: painchain rotate-key --lost."
            )
        first = self.roots[self.ids.index(name)]
        return Keyring((first, *(root for root in self.roots if root != first)))


def _derived(root: bytes, purpose: str) -> bytes:
    return HKDF(hashes.SHA256(), KEY_BYTES, salt=None, info=f"painchain {purpose}".encode()).derive(root)


def new_key() -> str:
    """Return a fresh root key in the form the key file has."""
    return base64.urlsafe_b64encode(os.urandom(KEY_BYTES)).decode()


def parse_key(text: str, where: str) -> Keyring:
    """Read root keys, the newest first, with white space between them.

    :raises KeyUnusable: when one is not 32 bytes in URL-safe base64, or there is none.
    """
    with contextlib.suppress(ValueError):
        roots = [base64.b64decode(one, altchars=b"-_", validate=True) for one in text.split()]
        if roots and all(len(root) == KEY_BYTES for root in roots):
            return Keyring(tuple(dict.fromkeys(roots)))
    raise KeyUnusable(
        f"{where} does not hold a key (32 bytes in URL-safe base64). Put the right key back from a backup."
    )


def seal(box: Box, secret: str) -> str:
    """Return `secret` encrypted, as text."""
    return box.encrypt(secret.encode()).decode()


def open_sealed(box: Box, sealed: str) -> str:
    """Return the secret inside `sealed`.

    :raises KeyUnusable: when the key is not the one it was sealed with.
    """
    try:
        return box.decrypt(sealed.encode()).decode()
    except InvalidToken:
        raise KeyUnusable(
            "The key does not open the stored tokens: it is not the one they were stored with. If it was replaced just "
            "now, start PainChain again. Otherwise put the right secret.key back (or what PAINCHAIN_SECRET_KEY was)."
        ) from None


def scrub(text: str) -> str:
    """Return `text` without credentials in URLs.

    >>> scrub("clone https://me:hunter2@git.example/x?private_token=abc&page=2")
    'clone https://***@git.example/x?private_token=***&page=2'
    """
    if "=" not in text and "@" not in text:
        return text
    return _QUERY.sub(rf"\g<1>{MASK}", _USERINFO.sub(rf"\g<1>{MASK}@", text))


def looks_secret(name: str) -> bool:
    """Say whether a field of this name, defined by no connector type, is treated as a secret."""
    return _SECRET_NAME.search(name) is not None


def scrub_value(value: Any) -> Any:
    """Return a JSON value with every text in it scrubbed and every secret-looking member masked.

    >>> scrub_value({"url": "http://a:b@c/", "api_key": "x", "pages": [1, None]})
    {'url': 'http://***@c/', 'api_key': '***', 'pages': [1, None]}
    """
    if isinstance(value, str):
        return scrub(value)
    if isinstance(value, list):
        return [scrub_value(item) for item in value]
    if isinstance(value, dict):
        return {scrub(key): MASK if looks_secret(key) and item else scrub_value(item) for key, item in value.items()}
    return value
