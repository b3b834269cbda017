"""The search term of the environment of an event, as migration 0029 stores it."""

from __future__ import annotations

from base64 import b32encode
from hashlib import blake2b
from typing import Any
from unicodedata import normalize

MAX_WORDS = 10_000


def words_of(facts: Any, words: str) -> str:
    """Return the search terms of an event with that of the environment in its facts, if they name one."""
    environment = facts.get("environment") if isinstance(facts, dict) else None
    if not isinstance(environment, str) or not environment:
        return words
    name = normalize("NFKC", environment.strip()).casefold()
    former = f"qen{blake2b(name.encode('utf-8', 'surrogatepass'), digest_size=8).hexdigest()}"
    term = "_" + b32encode(blake2b(former.encode(), digest_size=5).digest()).decode().lower()
    terms = words.split(" ")
    return words if terms[0] == term else " ".join([term, *terms][:MAX_WORDS])
