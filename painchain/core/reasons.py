"""The reason for a change: one line that is stored with every event of the change."""

from __future__ import annotations

from painchain.core.redaction import scrub
from painchain.core.text import unprintable

MAX_LENGTH = 500


class ReasonTooLong(ValueError):
    """A reason that is too long to store."""

    def __init__(self) -> None:
        super().__init__(f"The reason can have at most {MAX_LENGTH} characters.")


def normalize(text: str) -> str:
    """Return a reason as it is stored: in one line, without credentials in addresses.

    >>> normalize(" the incident\\n of today ")
    'the incident of today'

    :raises ReasonTooLong: when it is too long.
    """
    characters = (" " if unprintable(character) else character for character in text[: 20 * MAX_LENGTH])
    line = " ".join("".join(characters).split())
    if len(line) > MAX_LENGTH or len(text) > 20 * MAX_LENGTH:
        raise ReasonTooLong
    return scrub(line)
