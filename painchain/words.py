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
    text = _SIGNS.sub(" ", text)
    if text.isascii():
        return [f"w{word[:MAX_LENGTH]}" for word in _ASCII.findall(text.lower())]
    folded = normalize("NFKD", normalize("NFKD", text).casefold())
    plain = "".join(character for character in folded if not combining(character))
    return [f"w{_spelt(word[:MAX_LENGTH])}" for word in _ANY.findall(plain)]


def _spelt(word: str) -> str:
    if word.isascii():
        return word
    return "".join(one if one.isascii() else f"u{ord(one):05x}" for one in word)


@lru_cache(4096)
def mark(name: str, value: str) -> str:
    """Return what stands for one value of a qualifier, whatever its case."""
    text = normalize("NFKC", value.strip()).casefold()
    if name in _RUN_TOGETHER:
        text = re.sub(r"[\s_-]+", "", text)
    return f"q{name[:2]}{blake2b(text.encode('utf-8', 'surrogatepass'), digest_size=8).hexdigest()}"


def of_event(event: Mapping[str, Any]) -> str:
    """Return the words and marks of an event, given by the names of its columns: texts and values, not their keys."""
    description, metadata = event["description"], event["metadata"]
    own = (event["title"], event["connector_name"], event["author"], event["status"])
    texts = dict.fromkeys(chain(_texts(own), _texts(description), _texts(metadata)))
    found = chain(_marks(event, metadata), tokens(" ".join(texts)[:MAX_CHARACTERS]))
    return " ".join(islice(found, MAX_WORDS))


def _marks(event: Mapping[str, Any], metadata: Any) -> Iterator[str]:
    yield EVERY
    facts = metadata if isinstance(metadata, dict) else {}
    changes = facts.get("changes")
    number = event["connector_id"]
    for name, values in (
        ("source", (event["source"],)),
        ("type", (event["event_type"],)),
        ("action", (facts.get("action"),)),
        ("connector", (event["connector_name"], None if number is None else str(number))),
        ("author", (event["author"],)),
        ("tag", event["tags"]),
        ("field", (facts.get("field"), *(islice(changes, 1000) if isinstance(changes, dict) else ()))),
        ("status", (event["status"],)),
    ):
        yield from (mark(name, value) for value in values if isinstance(value, str) and value)


def _texts(value: Any) -> Iterable[str]:
    """Return every text and number in a JSON value, without the names of members."""
    found: list[str] = []
    waiting: list[Any] = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            found.append(one)
        elif isinstance(one, dict):
            waiting.extend(reversed(one.values()))
        elif isinstance(one, list | tuple):
            waiting.extend(reversed(one))
        elif isinstance(one, int | float) and not isinstance(one, bool):
            found.append(str(one))
    return found
