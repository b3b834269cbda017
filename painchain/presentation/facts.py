"""Parse the facts of an event by their shape, and format them as text."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from painchain import connectors
from painchain.connectors.base import Shape
from painchain.core.text import format_value, unprintable

SHOWN_ITEMS, MAX_ITEMS = 5, 200  # items of a list that are shown at once, and that can be expanded
MAX_QUANTITY = 10**15  # seconds or bytes; a larger number is shown as plain text
_SHA = re.compile(r"(?:sha(?:1|256|512):)?[0-9a-fA-F]{7,128}")
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))

CALM = "calm"


@dataclass(frozen=True)
class Status:
    """A status: its text and the tone of its colour. `is_known` means that a source's table has the word."""

    text: str
    tone: str
    is_known: bool = True


@dataclass(frozen=True)
class Link:
    """A web address and its host."""

    address: str
    host: str


@dataclass(frozen=True)
class Branches:
    """The source and the target branch of a change."""

    head: str | None
    base: str | None


@dataclass(frozen=True)
class Lines:
    """The number of lines that a change adds and removes, and the number of files."""

    additions: int | None
    deletions: int | None
    files: int | None


@dataclass(frozen=True)
class ValueChange:
    """The old and the new value of a named item. None means that the item did not exist."""

    name: str
    old: Any
    new: Any


@dataclass(frozen=True)
class Quantity:
    """A number with its unit: rounded for reading, and exact."""

    text: str
    exact: str


@dataclass(frozen=True)
class TruncatedList:
    """A list: the items shown at once, the items that can be expanded, and the number of further items."""

    first: Sequence[Any]
    rest: Sequence[Any] = ()
    beyond: int = 0


@dataclass(frozen=True)
class Fact:
    """A parsed value. The shape is TEXT if the value does not have the shape of its field."""

    shape: Shape
    value: Any


def fact(shape: Shape, value: Any, source: str = "") -> Fact:
    """Parse a recorded value of a source. A value that does not have this shape becomes text."""
    parsed = status(value, source) if shape is Shape.STATUS else _PARSERS[shape](value) if shape in _PARSERS else None
    return Fact(Shape.TEXT, value) if parsed is None else Fact(shape, parsed)


def format_fact(fact: Fact) -> str:
    """Return a fact as one line of plain text. Of a list, this is the first item and the number of the others.

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
        further = len(value.first) + len(value.rest) + value.beyond - 1
        return _format_item(value.first[0]) + (f" and {further:,} more" if further else "")
    if isinstance(value, Branches):
        return " → ".join(name for name in (value.head, value.base) if name)
    if isinstance(value, Lines):
        signs = (("+", value.additions), ("−", value.deletions))
        counts = " ".join(f"{sign}{number:,}" for sign, number in signs if number is not None)
        files = "" if value.files is None else f"{value.files:,} file{'' if value.files == 1 else 's'}"
        return " in ".join(words for words in (counts, files) if words)
    if isinstance(value, Quantity | Status):
        return value.text
    return value.address if isinstance(value, Link) else str(value)


def _format_item(item: Any) -> str:
    if not isinstance(item, ValueChange):
        return str(item)
    return f"{item.name}: {' → '.join(str(side) for side in (item.old, item.new) if side is not None)}"


def link(value: Any) -> Link | None:
    """Return a web address, or None if it is not safe to show as a link."""
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


def status(value: Any, source: str = "") -> Status | None:
    """Return a status with its colour, or None if the value is not a short text.

    The table of the source decides on the colour; without a known source, the first table that has the word.
    """
    if not isinstance(value, str) or not value.strip() or len(value) > 60:
        return None
    types = [connectors.TYPES[source]] if source in connectors.TYPES else connectors.TYPES.values()
    tone = next((tone for connector_type in types if (tone := connector_type.statuses.tone(value))), None)
    return Status(value.strip().replace("_", " "), tone or CALM, tone is not None)


def _quantity(value: Any, words: Callable[[float], str], unit: str) -> Quantity | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < MAX_QUANTITY:
        return None
    return Quantity(words(value), f"{value:,} {unit}") if math.isfinite(value) else None


def spell_seconds(value: float) -> str:
    """Return a duration in seconds as text, in its two largest units.

    >>> spell_seconds(252), spell_seconds(0.4), spell_seconds(7200), spell_seconds(90061)
    ('4 min 12 s', '0.4 s', '2 h', '1 d 1 h')
    """
    if value < 10 and value != int(value):
        return f"{value:.1f} s"
    remaining, parts = round(value), list[tuple[int, str]]()
    for size, unit in _UNITS:
        number, remaining = divmod(remaining, size)
        if parts or number:
            parts.append((number, unit))
    return " ".join(f"{number} {unit}" for number, unit in parts[:2] if number) or "0 s"


def spell_bytes(value: float) -> str:
    """Return a size in bytes as text, with a suitable unit.

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
    return _quantity(value, spell_seconds, "seconds")


def _bytes(value: Any) -> Quantity | None:
    return _quantity(value, spell_bytes, "bytes")


def _yes_no(value: Any) -> str | None:
    return ("yes" if value else "no") if isinstance(value, bool) else None


def _sha(value: Any) -> str | None:
    return value if isinstance(value, str) and _SHA.fullmatch(value) else None


def _list(value: Any) -> TruncatedList | None:
    if not isinstance(value, list) or not value or not all(isinstance(item, str | int | float) for item in value):
        return None
    return _truncated(value)


def _truncated(items: Sequence[Any]) -> TruncatedList:
    return TruncatedList(items[:SHOWN_ITEMS], items[SHOWN_ITEMS:MAX_ITEMS], max(len(items) - MAX_ITEMS, 0))


def _branches(value: Any) -> Branches | None:
    if not _has_only(value, "head", "base") or not all(isinstance(name, str | None) for name in value.values()):
        return None
    head, base = value.get("head") or None, value.get("base") or None
    return Branches(head, base) if head or base else None


def _lines(value: Any) -> Lines | None:
    if not _has_only(value, "additions", "deletions", "files"):
        return None
    numbers = [value.get(name) for name in ("additions", "deletions", "files")]
    if not all(number is None or (type(number) is int and 0 <= number < MAX_QUANTITY) for number in numbers):
        return None
    return Lines(*numbers) if any(number is not None for number in numbers) else None


def _value_changes(value: Any) -> TruncatedList | None:
    if not isinstance(value, list) or not value or not all(_is_value_change(item) for item in value):
        return None
    return _truncated([ValueChange(item["name"], item.get("old"), item.get("new")) for item in value])


def _is_value_change(value: Any) -> bool:
    if not _has_only(value, "name", "old", "new") or not isinstance(value.get("name"), str):
        return False
    return all(isinstance(value.get(side), str | int | float | None) for side in ("old", "new"))


def _has_only(value: Any, *keys: str) -> bool:
    return isinstance(value, Mapping) and bool(value) and set(value) <= set(keys)


_PARSERS: dict[Shape, Callable[[Any], Any]] = {
    Shape.SECONDS: _seconds,
    Shape.BYTES: _bytes,
    Shape.YES_NO: _yes_no,
    Shape.SHA: _sha,
    Shape.LINK: link,
    Shape.LIST: _list,
    Shape.BRANCHES: _branches,
    Shape.LINES: _lines,
    Shape.MOVES: _value_changes,
}
