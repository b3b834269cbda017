"""Make what a source sends safe to store and to show: no credentials, no secrets, limited length."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from hashlib import sha256
from typing import Any

from painchain.connectors.contract import SourceEvent
from painchain.connectors.http_client import link
from painchain.core.redaction import MASK, scrub
from painchain.database.types import stored_json
from painchain.eventlog.writer import NewEvent

MAX_ID, MAX_LINE, MAX_TEXT, MAX_ITEMS, MAX_DEPTH = 300, 500, 20_000, 1_000, 5
MAX_TOPIC = 60
MIN_SECRET = 6  # a shorter one would be found in ordinary words
MAX_PLAIN = 4_000  # characters up to which an event is looked at as a whole

# Parts of credentials, NUL in a text and in JSON, and numbers that JSON does not have.
_SUSPICIOUS = ("@", "=", "\0", "\\u0000", "NaN", "Infinity")
# What an event of a source raises that cannot be stored as it is.
UNSTORABLE = (TypeError, ValueError, AttributeError, RecursionError)


def sanitize(event: SourceEvent, secrets: Sequence[str]) -> SourceEvent:
    """Return an event of a source without credentials, without these secrets, and within the limits of lengths."""
    try:
        if is_safe(event, secrets, [stored_json(value) for value in (event.text, event.facts, event.details)]):
            return event
    except UNSTORABLE:
        pass
    return cleaned(event, secrets)


def is_safe(event: SourceEvent | NewEvent, secrets: Sequence[str], facts: Sequence[str]) -> bool:
    """Return whether an event is safe as it is. Most are. `facts` is the JSON of its text and of other stored members.

    :raises TypeError: when a value has the wrong type; see ``UNSTORABLE``.
    """
    lines = (event.title, event.author, event.event_type, event.status or "")
    text = "\n".join((*lines, event.url or "", *event.tags, *facts))
    text.encode()  # refuses halves of surrogate pairs
    if len(text) >= MAX_PLAIN:
        return False
    for sign in _SUSPICIOUS:
        if sign in text:
            return False
    is_escaped = "\\" in text
    for secret in secrets:
        if secret in text or (is_escaped and stored_json(secret)[1:-1] in text):  # a quote in it is written otherwise
            return False
    return _is_line(event.title) and _are_lines((*lines[1:], *event.tags))


@lru_cache(256)
def _are_lines(texts: tuple[str, ...]) -> bool:
    """Say whether these texts are lines. Events of a connector have few different authors, types and outcomes."""
    return all(map(_is_line, texts))


def _is_line(text: str) -> bool:
    return len(text) <= MAX_LINE and " ".join(text.split()) == text


def cleaned(event: SourceEvent, secrets: Sequence[str]) -> SourceEvent:
    """Return an event that is not safe as it is without credentials and secrets, and within the limits of lengths."""
    return replace(
        event,
        event_type=_line(event.event_type, secrets),
        title=_line(event.title, secrets),
        text=safe_text(event.text, secrets),
        facts=_safe_facts(event.facts, secrets),
        author=_line(event.author or "", secrets),
        status=_line(event.status or "", secrets),
        url=_safe_link(event.url, secrets),
        details=None if event.details is None else _safe_facts(event.details, secrets),
        tags=[_line(tag, secrets) for tag in event.tags],
    )


def safe_event_id(text: str) -> str:
    """Return an id that every database can store. A hash replaces the end of a very long one."""
    plain = storable(text)
    if len(plain) <= MAX_ID:
        return plain
    return f"{plain[:MAX_ID]}-{sha256(plain.encode()).hexdigest()[:32]}"


def safe_text(text: Any, secrets: Sequence[str], longest: int = MAX_TEXT) -> str:
    """Return a text that can be stored and shown to everybody: no credentials, `longest` characters at most."""
    plain = scrub(storable(str(text)))
    for secret in secrets:
        if len(secret) >= MIN_SECRET and secret in plain:
            plain = plain.replace(secret, MASK)
    return plain if len(plain) <= longest else plain[: longest - 1] + "…"


def safe_topic(topic: str) -> str:
    """Return the topic of a delivery without credentials and cut to length: it is not signed."""
    line = " ".join(scrub(topic).split())
    return "".join(character for character in line if character.isprintable())[:MAX_TOPIC]


def _line(text: Any, secrets: Sequence[str]) -> str:
    return safe_text(" ".join(str(text).split()), secrets, MAX_LINE)


def storable(text: str) -> str:
    """Return `text` without what a database refuses: NUL, and halves of surrogate pairs."""
    if "\0" not in text and text.isascii():
        return text
    return text.replace("\0", "").encode("utf-8", "replace").decode()


def _safe_link(address: str | None, secrets: Sequence[str]) -> str | None:
    address = link(address)
    return address if address is None or address == safe_text(address, secrets) else None


def _safe_facts(facts: Mapping[str, Any], secrets: Sequence[str]) -> dict[str, Any]:
    return {storable(str(key)): _safe(value, secrets) for key, value in facts.items()}


def _safe(value: Any, secrets: Sequence[str], depth: int = 0) -> Any:
    if isinstance(value, str):
        return safe_text(value, secrets)
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping) and depth < MAX_DEPTH:
        return {safe_text(key, secrets): _safe(item, secrets, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset) and depth < MAX_DEPTH:
        return [_safe(item, secrets, depth + 1) for item in list(value)[:MAX_ITEMS]]
    return safe_text(value, secrets)
