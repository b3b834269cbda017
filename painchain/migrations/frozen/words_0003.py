"""The words of an event and the index over them, as migration 0003 stores them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from hashlib import blake2b
from itertools import chain, islice
from typing import Any
from unicodedata import combining, normalize

from sqlalchemy import text
from sqlalchemy.engine import Connection

MAX_CHARACTERS, MAX_WORDS, MAX_LENGTH = 100_000, 10_000, 100

_UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_ASCII = re.compile(r"[a-z0-9]+")
_SIGNS = re.compile("[“”‘’„…–—→·−]+")
_ANY = re.compile(rf"[{_UNSPACED}]|[^\W_{_UNSPACED}]+")

_CREATE = {
    "sqlite": (
        "CREATE VIRTUAL TABLE event_words USING fts5("
        "words, content='change_events', content_rowid='id', columnsize=0, tokenize='ascii')",
        "INSERT INTO event_words (rowid, words) "
        "SELECT id, words FROM change_events WHERE id <= (SELECT counted FROM log_head) ORDER BY id",
    ),
    "postgresql": (
        "CREATE INDEX ix_change_events_words ON change_events USING gin (to_tsvector('simple', words)) "
        "WITH (fastupdate = off)",
    ),
}
_DROP = {"sqlite": "DROP TABLE event_words", "postgresql": "DROP INDEX ix_change_events_words"}


def create_index(connection: Connection) -> None:
    """Create the index over the words that events have."""
    for statement in _CREATE[connection.dialect.name]:
        connection.execute(text(statement))


def drop_index(connection: Connection) -> None:
    """Remove the index."""
    connection.execute(text(_DROP[connection.dialect.name]))


def words_of(event: Mapping[str, Any]) -> str:
    """Return the search terms and words of an event, given by the names of its columns."""
    description, metadata = event["description"], event["metadata"]
    own = (event["title"], event["connector_name"], event["author"], event["status"])
    texts = dict.fromkeys(_texts((own, description, metadata)))
    terms = chain(_search_terms(event, metadata), _tokens(" ".join(texts)[:MAX_CHARACTERS]))
    return " ".join(islice(terms, MAX_WORDS))


def _tokens(text: str) -> list[str]:
    if text.isascii() or (text := _SIGNS.sub(" ", text)).isascii():
        return [f"w{word[:MAX_LENGTH]}" for word in _ASCII.findall(text.lower())]
    folded = normalize("NFKD", normalize("NFKD", text).casefold())
    plain = "".join(character for character in folded if not combining(character))
    return [f"w{_in_ascii(word[:MAX_LENGTH])}" for word in _ANY.findall(plain)]


def _in_ascii(word: str) -> str:
    if word.isascii():
        return word
    return "".join(character if character.isascii() else f"u{ord(character):05x}" for character in word)


@lru_cache(4096)
def _search_term(name: str, value: str) -> str:
    text = normalize("NFKC", value.strip()).casefold()
    if name in ("type", "action", "field"):
        text = re.sub(r"[\s_-]+", "", text)
    return f"q{name[:2]}{blake2b(text.encode('utf-8', 'surrogatepass'), digest_size=8).hexdigest()}"


def _search_terms(event: Mapping[str, Any], metadata: Any) -> Iterator[str]:
    facts = metadata if isinstance(metadata, dict) else {}
    action, changes, description = facts.get("action"), facts.get("changes"), event["description"]
    number = event["connector_id"]
    qualifiers = (
        ("source", event["source"]),
        ("type", event["event_type"]),
        ("action", action if isinstance(action, str) else None),
        ("connector", event["connector_name"]),
        ("connector", None if number is None else str(number)),
        ("author", event["author"]),
        *(("tag", tag) for tag in event["tags"]),
    )
    yield "q"
    yield from (_search_term(name, value) for name, value in qualifiers if value)
    fields = (facts.get("field"), *(islice(changes, 1000) if isinstance(changes, dict) else ()))
    yield from (_search_term("field", value) for value in fields if isinstance(value, str) and value)
    if event["status"]:
        yield _search_term("status", event["status"])
    reason = description.get("reason") if isinstance(description, dict) else None
    if isinstance(reason, str):
        yield from (_search_term("reason", word) for word in _tokens(reason))


def _texts(value: Any) -> list[str]:
    """Return every text and number in a JSON value, without the names of members."""
    texts: list[str] = []
    waiting: list[Any] = [value]
    while waiting:
        item = waiting.pop()
        kind = type(item)
        if kind is int or kind is float:
            texts.append(str(item))
        elif isinstance(item, str):
            texts.append(item)
        elif isinstance(item, dict):
            waiting.extend(reversed(item.values()))
        elif isinstance(item, list | tuple):
            waiting.extend(reversed(item))
    return texts
