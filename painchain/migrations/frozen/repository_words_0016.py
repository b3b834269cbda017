"""The search term of an event's repository, as migration 0016 stores it."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any
from unicodedata import normalize

MAX_WORDS = 10_000


def words_of(event: Mapping[str, Any]) -> str:
    """Return the words of an event with the term of its repository, given by the names of its columns."""
    metadata, words = event["metadata"], event["words"]
    repository = metadata.get("repository") if isinstance(metadata, dict) else None
    if not (isinstance(repository, str) and repository):
        return str(words)
    name = normalize("NFKC", repository.strip()).casefold()
    term = f"qrp{blake2b(name.encode('utf-8', 'surrogatepass'), digest_size=8).hexdigest()}"
    terms = words.split(" ")
    return str(words) if terms[0] == term else " ".join([term, *terms][:MAX_WORDS])
