"""Read one fact of an event by its shape, so that it can be shown as people say it."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from painchain.connectors.base import Shape
from painchain.core.text import format_value, unprintable

SHOWN, MOST = 5, 200  # of a list: what stands there at once, and what can be unfolded
LONGEST = 10**15  # seconds or bytes: more is no measure of anything
_SHA = re.compile(r"(?:sha(?:1|256|512):)?[0-9a-fA-F]{7,128}")
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))

# The colour of an outcome, for every source: by its word in lower case without blanks, dashes and underscores.
TONES = {
    word: tone
    for tone, words in {
        "good": "success successful succeeded passed complete completed merged published approved active ready healthy "
        "finished fixed released",
        "bad": "failure failed error errored timedout startupfailure broken unhealthy crashloopbackoff oomkilled "
        "evicted imagepullbackoff errimagepull invalidimagename createcontainerconfigerror createcontainererror "
        "runcontainererror containercannotrun backofflimitexceeded deadlineexceeded failedscheduling unschedulable "
        "nodelost",
        "info": "running inprogress pending queued waiting requested preparing waitingforresource waitingforcallback "
        "scheduled manual actionrequired open opened reopened prerelease draft suspended",
        "calm": "cancelled canceled canceling skipped closed neutral inactive stale stopped destroyed",
    }.items()
    for word in words.split()
}
CALM = "calm"


@dataclass(frozen=True)
class Status:
    """An outcome: its words and the tone of its colour; whether it is one that is `known`."""

    words: str
    tone: str
    known: bool = True


@dataclass(frozen=True)
class Link:
    """A web address and the host that it leads to."""

    address: str
    host: str


@dataclass(frozen=True)
class Branches:
    """Where a change comes from and where it goes."""

    head: str | None
    base: str | None


@dataclass(frozen=True)
class Lines:
    """How many lines a change adds and removes, in how many files."""

    additions: int | None
    deletions: int | None
    files: int | None


@dataclass(frozen=True)
class ValueChange:
    """What one thing was and what it is; None: it was not there, or is there no more."""

    name: str
    old: Any
    new: Any


@dataclass(frozen=True)
class Quantity:
    """A number in the words of people, and exactly."""

    words: str
    exact: str


@dataclass(frozen=True)
class TruncatedList:
    """A list: what is shown at once, what can be unfolded, and how many more the record has."""

    first: Sequence[Any]
    rest: Sequence[Any] = ()
    beyond: int = 0


@dataclass(frozen=True)
class Fact:
    """A value as it is shown. The shape is TEXT where the value is of another shape than its field."""

    shape: Shape
    value: Any


def fact(shape: Shape, value: Any) -> Fact:
    """Return a recorded value by its shape; whatever is of another shape is text, and never an error."""
    parsed = _READERS[shape](value) if shape in _READERS else None
    return Fact(Shape.TEXT, value) if parsed is None else Fact(shape, parsed)


def format_fact(fact: Fact) -> str:
    """Return a fact as a line of plain text says it: of several the first, and how many more there are.

    >>> format_fact(fact(Shape.LINES, {"additions": 120, "deletions": 8, "files": 5}))
    '+120 −8 in 5 files'
    >>> images = [{"name": "web", "old": "web:1", "new": "web:2"}, {"name": "log", "new": "log:3"}]
    >>> format_fact(fact(Shape.MOVES, images))
    'web: web:1 → web:2 and 1 more'
    """
    value = fact.value
    if fact.shape is Shape.TEXT:
        return format_value(value) if not isinstance(value, str) else value
    if isinstance(value, TruncatedList):
        more = len(value.first) + len(value.rest) + value.beyond - 1
        return _item_in_words(value.first[0]) + (f" and {more:,} more" if more else "")
    if isinstance(value, Branches):
        return " → ".join(name for name in (value.head, value.base) if name)
    if isinstance(value, Lines):
        signs = (("+", value.additions), ("−", value.deletions))
        counts = " ".join(f"{sign}{number:,}" for sign, number in signs if number is not None)
        files = "" if value.files is None else f"{value.files:,} file{'' if value.files == 1 else 's'}"
        return " in ".join(words for words in (counts, files) if words)
    if isinstance(value, Quantity | Status):
        return value.words
    return value.address if isinstance(value, Link) else str(value)


def _item_in_words(item: Any) -> str:
    if not isinstance(item, ValueChange):
        return str(item)
    return f"{item.name}: {' → '.join(str(side) for side in (item.old, item.new) if side is not None)}"


def link(value: Any) -> Link | None:
    """Return a web address, if it is one that can be shown to a person."""
    if not isinstance(value, str) or any(character.isspace() or unprintable(character) for character in value):
        return None
    try:
        parts = urlsplit(value)
        host = parts.hostname
    except ValueError:
        return None
    # A user name before the host makes an address look like another.
    is_usable = parts.scheme in ("http", "https") and host and "@" not in parts.netloc
    return Link(value, str(host)) if is_usable else None


def status(value: Any) -> Status | None:
    """Return an outcome with its colour, if it is a word."""
    if not isinstance(value, str) or not value.strip() or len(value) > 60:
        return None
    words = value.strip().replace("_", " ")
    tone = TONES.get(re.sub(r"[\s-]+", "", words).casefold())
    return Status(words, tone or CALM, tone is not None)


def _measure(value: Any, words: Callable[[float], str], unit: str) -> Quantity | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < LONGEST:
        return None
    return Quantity(words(value), f"{value:,} {unit}") if math.isfinite(value) else None


def spell_seconds(value: float) -> str:
    """Return a duration in its two largest units.

    >>> spell_seconds(252), spell_seconds(0.4), spell_seconds(7200), spell_seconds(90061)
    ('4 min 12 s', '0.4 s', '2 h', '1 d 1 h')
    """
    if value < 10 and value != int(value):
        return f"{value:.1f} s"
    left, parts = round(value), list[tuple[int, str]]()
    for size, unit in _UNITS:
        number, left = divmod(left, size)
        if parts or number:
            parts.append((number, unit))
    return " ".join(f"{number} {unit}" for number, unit in parts[:2] if number) or "0 s"


def spell_bytes(value: float) -> str:
    """Return a size in the unit that makes it short.

    >>> spell_bytes(12_345_678), spell_bytes(512), spell_bytes(999_999)
    ('12.3 MB', '512 B', '1.0 MB')
    """
    unit = "B"
    for larger in ("kB", "MB", "GB", "TB", "PB"):
        if round(value, 1 if unit != "B" else None) < 1000:
            break
        value, unit = value / 1000, larger
    return f"{value:.0f} B" if unit == "B" else f"{value:.1f} {unit}"


def _seconds(value: Any) -> Quantity | None:
    return _measure(value, spell_seconds, "seconds")


def _bytes(value: Any) -> Quantity | None:
    return _measure(value, spell_bytes, "bytes")


def _yes_no(value: Any) -> str | None:
    return ("yes" if value else "no") if isinstance(value, bool) else None


def _sha(value: Any) -> str | None:
    return value if isinstance(value, str) and _SHA.fullmatch(value) else None


def _list(value: Any) -> TruncatedList | None:
    if not isinstance(value, list) or not value or not all(isinstance(item, str | int | float) for item in value):
        return None
    return _several(value)


def _several(items: Sequence[Any]) -> TruncatedList:
    return TruncatedList(items[:SHOWN], items[SHOWN:MOST], max(len(items) - MOST, 0))


def _branches(value: Any) -> Branches | None:
    if not _has_only(value, "head", "base") or not all(isinstance(name, str | None) for name in value.values()):
        return None
    head, base = value.get("head") or None, value.get("base") or None
    return Branches(head, base) if head or base else None


def _lines(value: Any) -> Lines | None:
    if not _has_only(value, "additions", "deletions", "files"):
        return None
    numbers = [value.get(name) for name in ("additions", "deletions", "files")]
    if not all(number is None or (type(number) is int and 0 <= number < LONGEST) for number in numbers):
        return None
    return Lines(*numbers) if any(number is not None for number in numbers) else None


def _moves(value: Any) -> TruncatedList | None:
    if not isinstance(value, list) or not value or not all(_is_move(item) for item in value):
        return None
    return _several([ValueChange(item["name"], item.get("old"), item.get("new")) for item in value])


def _is_move(value: Any) -> bool:
    if not _has_only(value, "name", "old", "new") or not isinstance(value.get("name"), str):
        return False
    return all(isinstance(value.get(side), str | int | float | None) for side in ("old", "new"))


def _has_only(value: Any, *keys: str) -> bool:
    return isinstance(value, Mapping) and bool(value) and set(value) <= set(keys)


_READERS: dict[Shape, Callable[[Any], Any]] = {
    Shape.SECONDS: _seconds,
    Shape.BYTES: _bytes,
    Shape.YES_NO: _yes_no,
    Shape.SHA: _sha,
    Shape.LINK: link,
    Shape.STATUS: status,
    Shape.LIST: _list,
    Shape.BRANCHES: _branches,
    Shape.LINES: _lines,
    Shape.MOVES: _moves,
}
