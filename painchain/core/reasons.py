"""Why somebody makes a change: one line that goes with everything that is recorded of it."""

from __future__ import annotations

from painchain.core.redaction import scrub
from painchain.core.text import unprintable

LONGEST = 500


class ReasonTooLong(ValueError):
    """A reason that is longer than is kept."""

    def __init__(self) -> None:
        super().__init__(f"The reason can have at most {LONGEST} characters.")


def normalize(text: str) -> str:
    """Return a reason as it is kept: in one line, without credentials in addresses.

    >>> normalize(" the incident\\n of today ")
    'the incident of today'

    :raises ReasonTooLong: when it is longer than is kept.
    """
    line = " ".join("".join(" " if unprintable(one) else one for one in text[: 20 * LONGEST]).split())
    if len(line) > LONGEST or len(text) > 20 * LONGEST:
        raise ReasonTooLong
    return scrub(line)
