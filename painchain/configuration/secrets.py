"""Encrypt and decrypt the secrets of connectors with the key of this process."""

from __future__ import annotations

from painchain.core import runtime
from painchain.core.crypto import Box, check_sealed, open_sealed, seal
from painchain.database import encrypted_columns
from painchain.database.models import Connector
from painchain.database.session import read_transaction


def encrypt(text: str) -> str:
    """Return a secret as it is stored."""
    return seal(_box(), text)


def decrypt(stored: str) -> str:
    """Return a stored secret in plain text.

    :raises painchain.core.crypto.KeyUnusable: when the key does not decrypt it.
    """
    return open_sealed(_box(), stored)


def decrypted_secrets(connector: Connector) -> dict[str, str]:
    """Return the secrets of a connector in plain text, by field key.

    :raises painchain.core.crypto.KeyUnusable: when the key does not decrypt them.
    """
    return {key: decrypt(stored) for key, stored in connector.secrets.items()}


def check_key() -> None:
    """Check that the key decrypts every stored secret.

    :raises painchain.core.crypto.KeyUnusable: when the key does not decrypt them.
    :raises painchain.database.encrypted_columns.UnreadableSecret: when one was edited by hand.
    """
    with read_transaction() as connection:
        for stored in encrypted_columns.encrypted_texts(connection):
            check_sealed(_box(), stored)


def _box() -> Box:
    box: Box = runtime.current().box
    return box
