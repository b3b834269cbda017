"""Say how an event ended: the outcome of each status word of a source, and the tone of its colour."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property


class Outcome(StrEnum):
    """The outcome of an event. An event that neither succeeded nor failed nor still runs is neutral."""

    GOOD = "good"
    BAD = "bad"
    RUNNING = "running"
    NEUTRAL = "neutral"


TONES = {"good": "good", "bad": "bad", "running": "info", "open": "info", "neutral": "calm"}


def status_key(text: str) -> str:
    """Return a status in the form in which words are compared.

    >>> status_key("Timed_Out"), status_key("timed out"), status_key("pending-upgrade")
    ('timedout', 'timedout', 'pendingupgrade')
    """
    return re.sub(r"[\s_-]+", "", text).casefold()


@dataclass(frozen=True)
class StatusWords:
    """The status words of a source, as it writes them, separated by spaces.

    The words of `good`, `bad` and `running` have that outcome. `open` (it waits for a person) and `neutral` are known
    words with a neutral outcome; they differ in colour. Every other status is neutral.
    """

    good: str = ""
    bad: str = ""
    running: str = ""
    open: str = ""
    neutral: str = ""

    @cached_property
    def _kinds(self) -> dict[str, str]:
        return {status_key(word): kind for kind in TONES for word in getattr(self, kind).split()}

    def outcome(self, status: str | None) -> Outcome:
        """Return the outcome of a status. Case, spaces, dashes and underscores do not matter."""
        kind = self._kinds.get(status_key(status or ""), "neutral")
        return Outcome.NEUTRAL if kind == "open" else Outcome(kind)

    def tone(self, status: str) -> str | None:
        """Return the tone of the colour of a status; None if it is unknown."""
        kind = self._kinds.get(status_key(status))
        return TONES[kind] if kind else None

    def words(self, outcome: Outcome) -> Iterator[str]:
        """Yield the status words with an outcome, as the source writes them."""
        yield from getattr(self, outcome.value).split()


NO_WORDS = StatusWords()
