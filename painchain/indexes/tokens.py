"""Compute the search terms of an event: the words of its texts, and one term for each value of a qualifier."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from hashlib import blake2b
from itertools import islice, product
from typing import Any
from unicodedata import combining, normalize

MAX_CHARACTERS, MAX_WORDS, MAX_LENGTH = 100_000, 10_000, 100

# Words contain letters and digits only, so no word is a term of a qualifier.
_QUALIFIER = "_"
# A term that every event has: a search with negated terms only needs one to start from.
EVERY_EVENT = _QUALIFIER
# Each two characters of a stored term stand for 10 bits, as in base 32 (RFC 4648).
_PAIRS = ["".join(pair) for pair in product("abcdefghijklmnopqrstuvwxyz234567", repeat=2)]
CONNECTOR, REASON, REPOSITORY = "connector", "reason", "repo"
# Qualifiers that find a fact, whatever the source of the event: the key of the fact.
JOIN_KEYS = {"service": "service", "env": "environment", "version": "version"}
# Older versions stored the name of a repository only in the id of an event, between its kind and its number.
_NAME = r"([\w.-]+(?:/[\w.-]+)+)"
_FORMER_ID = re.compile(
    rf"(?:pr|mr|pipeline|deployment)-{_NAME}-\d+-[a-z_]+|workflow-{_NAME}-\d+-\d+-[a-z_]+"
    rf"|commit-{_NAME}-[0-9a-f]{{7,64}}|release-{_NAME}-\d{{5,}}",
    re.ASCII,
)
# Qualifiers whose values are the same with or without spaces: "Config Changed", "config_changed" and "ConfigChanged".
_RUN_TOGETHER = ("type", "action", "field")

# Scripts without spaces between words: each character is a word, several are a phrase.
_UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
# ASCII letters in lower case and digits; spaces instead of everything else.
_ASCII = bytes(ord(chr(code).lower()) if code < 128 and chr(code).isalnum() else ord(" ") for code in range(256))
_SIGNS = re.compile("[“”‘’„…–—→·−]+")  # punctuation that PainChain's own sentences use between words
_ANY = re.compile(rf"[{_UNSPACED}]|[^\W_{_UNSPACED}]+")


def tokens(text: str) -> list[str]:
    """Return the words of a text in their indexed form, without case and accents.

    They contain ASCII letters and digits only, so that no database changes them.

    >>> tokens("Größe of poll_interval: 300 →")
    ['grosse', 'of', 'poll', 'interval', '300']
    """
    return _joined(text).split()


def _joined(text: str) -> str:
    """Return the tokens of a text with spaces in between."""
    if text.isascii() or (text := _SIGNS.sub(" ", text)).isascii():
        words = text.encode().translate(_ASCII).split()
        if max(map(len, words), default=0) > MAX_LENGTH:
            words = [word[:MAX_LENGTH] for word in words]
        return b" ".join(words).decode()
    plain = "".join(map(_plain, text))
    return " ".join([_ascii(word[:MAX_LENGTH]) for word in _ANY.findall(plain)])


@lru_cache(4096)
def _plain(character: str) -> str:
    """Return a character without case and accents.

    Characters are normalised one by one, because Python takes the square of the time for more accents on one letter:
    10 seconds for 100,000.
    """
    folded = normalize("NFKD", normalize("NFKD", character).casefold())
    return "".join(part for part in folded if not combining(part))


def _ascii(word: str) -> str:
    if word.isascii():
        return word
    return "".join(character if character.isascii() else f"u{ord(character):05x}" for character in word)


@lru_cache(4096)
def search_term(name: str, value: str) -> str:
    """Return the term for one value of a qualifier, ignoring case: eight characters stand for the value.

    >>> search_term("author", "Ann") == search_term("author", "ann"), len(search_term("author", "ann"))
    (True, 9)
    """
    text = normalize("NFKC", value.strip()).casefold()
    if name in _RUN_TOGETHER:
        text = re.sub(r"[\s_-]+", "", text)
    kind = "rp" if name == REPOSITORY else name[:2]  # "re" is the reason's
    return shortened(f"q{kind}{blake2b(text.encode('utf-8', 'surrogatepass'), digest_size=8).hexdigest()}")


def shortened(term: str) -> str:
    """Return the stored form of a qualifier's term. Earlier versions stored `term` itself, at twice the length."""
    bits = int.from_bytes(blake2b(term.encode(), digest_size=5).digest())
    return _QUALIFIER + _PAIRS[bits >> 30] + _PAIRS[bits >> 20 & 1023] + _PAIRS[bits >> 10 & 1023] + _PAIRS[bits & 1023]


def of_event(event: Mapping[str, Any]) -> str:
    """Return the search terms of an event, given as a mapping of its columns. Keys of JSON objects are left out."""
    description, metadata = event["description"], event["metadata"]
    own = (event["title"], event["connector_name"], event["author"], event["status"])
    texts = " ".join(_texts([*own, description, metadata]))[:MAX_CHARACTERS]
    terms = " ".join([*_qualifier_terms(event, metadata), _joined(texts)]).rstrip()
    return terms if terms.count(" ") < MAX_WORDS else " ".join(terms.split()[:MAX_WORDS])


def former_repository(event_id: str) -> str:
    """Return the repository that the id of an event names, as older versions built it; "" if it names none.

    >>> former_repository("pr-acme/api-2-12-merged"), former_repository("other:3:4711:pr:12:merged")
    ('acme/api-2', '')
    """
    match = _FORMER_ID.fullmatch(event_id)
    return match[match.lastindex or 0] if match else ""


def reasons(text: str) -> Iterator[str]:
    """Return a term for each word of a reason, in the order of the words."""
    return (search_term(REASON, f"w{word}") for word in tokens(text))  # as stored terms of words once began


def _qualifier_terms(event: Mapping[str, Any], metadata: Any) -> list[str]:
    facts = metadata if isinstance(metadata, dict) else {}
    terms = [
        search_term(name, value)
        for name, key in JOIN_KEYS.items()
        if isinstance(value := facts.get(key), str) and value
    ]
    action, changes, status = facts.get("action"), facts.get("changes"), event["status"]
    repository = facts.get("repository") or former_repository(event["event_id"])
    if isinstance(repository, str) and repository:
        terms.append(search_term(REPOSITORY, repository))
    common = _common_terms(
        event["source"],
        event["event_type"],
        action if isinstance(action, str) else None,
        event["connector_name"],
        event["connector_id"],
        event["author"],
        tuple(event["tags"]),
    )
    terms.append(common)
    fields = (facts.get("field"), *(islice(changes, 1000) if isinstance(changes, dict) else ()))
    terms += [search_term("field", value) for value in fields if isinstance(value, str) and value]
    if status:
        terms.append(search_term("status", status))
    reason = event["description"].get("reason") if isinstance(event["description"], dict) else None
    if isinstance(reason, str):
        terms += reasons(reason)
    return terms


@lru_cache(4096)
def _common_terms(
    source: str,
    event_type: str,
    action: str | None,
    connector: str | None,
    number: int | None,
    author: str,
    tags: tuple[str, ...],
) -> str:
    """Return the terms that all events of the same type, connector and author share, with spaces in between."""
    named = (
        ("source", source),
        ("type", event_type),
        ("action", action),
        ("connector", connector),
        ("connector", None if number is None else str(number)),
        ("author", author),
        *(("tag", tag) for tag in tags),
    )
    return " ".join([EVERY_EVENT, *(search_term(name, value) for name, value in named if value)])


def _texts(values: Iterable[Any]) -> dict[str, None]:
    """Return every text and number in JSON values once, in order, without the keys of objects."""
    texts: dict[str, None] = {}
    items, outer = iter(values), []
    while True:
        for item in items:
            kind = type(item)
            if kind is str:
                texts[item] = None
            elif kind is int or kind is float:
                texts[str(item)] = None
            elif kind is bool or item is None:
                continue
            elif isinstance(item, dict):
                outer.append(items)
                items = iter(item.values())
                break
            elif kind is list or isinstance(item, list | tuple):
                outer.append(items)
                items = iter(item)
                break
            elif isinstance(item, str):
                texts[item] = None
        else:
            if not outer:
                return texts
            items = outer.pop()
