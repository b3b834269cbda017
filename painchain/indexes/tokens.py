"""What of an event can be found: its texts as words, and its qualifiers as marks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from hashlib import blake2b
from itertools import chain, islice
from typing import Any
from unicodedata import combining, normalize

MAX_CHARACTERS, MAX_WORDS, MAX_LENGTH = 100_000, 10_000, 100

# A mark that every event has, so that a search can say what it is not.
EVERY = "q"
REASON = "reason"
# Names that mean the same with or without blanks: "Config Changed", "config_changed" and "ConfigChanged".
_RUN_TOGETHER = ("type", "action", "field")

# Scripts that put no blanks between words: each character is found by itself, several as a phrase.
_UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_ASCII = re.compile(r"[a-z0-9]+")
_SIGNS = re.compile("[“”‘’„…–—→·−]+")  # between words as our own sentences have them
_ANY = re.compile(rf"[{_UNSPACED}]|[^\W_{_UNSPACED}]+")


def tokens(text: str) -> list[str]:
    """Return the words of a text as they are stored and looked up: no case, no accents.

    They are letters and digits of ASCII only, so that every database takes them as they are.

    >>> tokens("Größe of poll_interval: 300 →")
    ['wgrosse', 'wof', 'wpoll', 'winterval', 'w300']
    """
    if text.isascii() or (text := _SIGNS.sub(" ", text)).isascii():
        return [f"w{word[:MAX_LENGTH]}" for word in _ASCII.findall(text.lower())]
    folded = normalize("NFKD", normalize("NFKD", text).casefold())
    plain = "".join(character for character in folded if not combining(character))
    return [f"w{_spelt(word[:MAX_LENGTH])}" for word in _ANY.findall(plain)]


def _spelt(word: str) -> str:
    if word.isascii():
        return word
    return "".join(one if one.isascii() else f"u{ord(one):05x}" for one in word)


@lru_cache(4096)
def search_term(name: str, value: str) -> str:
    """Return what stands for one value of a qualifier, whatever its case."""
    text = normalize("NFKC", value.strip()).casefold()
    if name in _RUN_TOGETHER:
        text = re.sub(r"[\s_-]+", "", text)
    return f"q{name[:2]}{blake2b(text.encode('utf-8', 'surrogatepass'), digest_size=8).hexdigest()}"


def of_event(event: Mapping[str, Any]) -> str:
    """Return the words and marks of an event, given by the names of its columns: texts and values, not their keys."""
    description, metadata = event["description"], event["metadata"]
    own = (event["title"], event["connector_name"], event["author"], event["status"])
    texts = dict.fromkeys(_texts((own, description, metadata)))
    found = chain(_marks(event, metadata), tokens(" ".join(texts)[:MAX_CHARACTERS]))
    return " ".join(islice(found, MAX_WORDS))


def reasons(text: str) -> Iterator[str]:
    """Return a mark for each word of a reason; they stand one behind the other as the words do."""
    return (search_term(REASON, word) for word in tokens(text))


def _marks(event: Mapping[str, Any], metadata: Any) -> Iterator[str]:
    facts = metadata if isinstance(metadata, dict) else {}
    action, changes, status = facts.get("action"), facts.get("changes"), event["status"]
    yield from _own_marks(
        event["source"],
        event["event_type"],
        action if isinstance(action, str) else None,
        event["connector_name"],
        event["connector_id"],
        event["author"],
        tuple(event["tags"]),
    )
    fields = (facts.get("field"), *(islice(changes, 1000) if isinstance(changes, dict) else ()))
    yield from (search_term("field", value) for value in fields if isinstance(value, str) and value)
    if status:
        yield search_term("status", status)
    reason = event["description"].get("reason") if isinstance(event["description"], dict) else None
    if isinstance(reason, str):
        yield from reasons(reason)


@lru_cache(4096)
def _own_marks(
    source: str,
    event_type: str,
    action: str | None,
    connector: str | None,
    number: int | None,
    author: str,
    tags: tuple[str, ...],
) -> tuple[str, ...]:
    """Return the marks that the events of one connector and author have in common."""
    named = (
        ("source", source),
        ("type", event_type),
        ("action", action),
        ("connector", connector),
        ("connector", None if number is None else str(number)),
        ("author", author),
        *(("tag", tag) for tag in tags),
    )
    return (EVERY, *(search_term(name, value) for name, value in named if value))


def _texts(value: Any) -> Iterable[str]:
    """Return every text and number in a JSON value, without the names of members."""
    found: list[str] = []
    waiting: list[Any] = [value]
    while waiting:
        one = waiting.pop()
        kind = type(one)
        if kind is str:
            found.append(one)
        elif kind is int or kind is float:
            found.append(str(one))
        elif isinstance(one, dict):
            waiting.extend(reversed(one.values()))
        elif isinstance(one, list | tuple):
            waiting.extend(reversed(one))
        elif isinstance(one, str):
            found.append(one)
    return found
