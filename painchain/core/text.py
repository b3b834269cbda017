"""Format text for display: invisible characters, long texts, and values in sentences."""

from __future__ import annotations

import hashlib
import json
import unicodedata
from typing import Any


def unprintable(character: str) -> bool:
    """Return whether a character is invisible or controls the display: control, zero-width, bidi, surrogate."""
    return character not in "\n\t" and unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp")


def printable(value: Any) -> str:
    """Return a text in which invisible and reordering characters are escaped.

    >>> printable("admin\\u202enimda")
    'admin\\\\u202enimda'
    """
    text = str(value)
    if text.isprintable():
        return text
    return "".join(ascii(character)[1:-1] if unprintable(character) else character for character in text)


# Letters and marks without a shape of their own.
_FILLERS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")


def is_blank(text: str) -> bool:
    """Return whether nothing of a text can be seen.

    >>> is_blank("\\u200b \\u3164\\ufe0f"), is_blank("a\\u200b"), is_blank("\\u0301")
    (True, False, True)
    """
    if "!" <= text[:1] <= "~":  # as nearly all texts
        return False
    return all(
        character in _FILLERS or unicodedata.category(character) in ("Cc", "Cf", "Cs", "Mn", "Zl", "Zp", "Zs")
        for character in text
    )


SHOWN_CHARACTERS = 120


def clipped(text: str) -> str:
    """Return a text, shortened for display. Two different texts never look the same.

    >>> clipped("a" * 200) == clipped("a" * 201)
    False
    """
    if len(text) <= SHOWN_CHARACTERS:
        return text
    return f"{text[:SHOWN_CHARACTERS]}… ({len(text):,} characters, sha256 {fingerprint(text)})"


def fingerprint(text: str) -> str:
    """Return the beginning of a text's SHA-256, enough to tell two texts apart."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def format_value(value: Any) -> str:
    """Return a value as part of a sentence, with texts in quotes.

    >>> format_value(300), format_value("300"), format_value(["a", "b"]), format_value(True), format_value(None)
    ('300', '“300”', '“a”, “b”', 'on', 'nothing')
    """
    if value is None or value == "" or value == [] or value == {}:
        return "nothing"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, int):
        return clipped(str(value))
    if isinstance(value, list) and all(isinstance(item, str) and not set(item) & set("“”") for item in value):
        return clipped(", ".join(format_value(item) for item in value))
    return f"“{clipped(value)}”" if isinstance(value, str) else clipped(json.dumps(value, ensure_ascii=False))
