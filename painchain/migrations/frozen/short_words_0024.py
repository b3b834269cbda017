"""Shorter search terms, as migration 0024 stores them."""

from __future__ import annotations

import json
from base64 import b32encode
from functools import lru_cache
from hashlib import blake2b

WORD, QUALIFIER = "w", "_"


def words(former: str) -> str:
    """Return the search terms of an event in their shorter form.

    Words lose their first letter. The terms of qualifiers, 16 hexadecimal digits of a hash, become eight characters.

    >>> words("q qau0123456789abcdef wdeploy w300")
    '_ _a27hzqfz deploy 300'
    """
    return " ".join([term[1:] if term[:1] == WORD else _qualifier(term) for term in former.split(" ")])


@lru_cache(100_000)
def _qualifier(term: str) -> str:
    if len(term) < 2:
        return term and QUALIFIER  # the term that every event has; or there is none
    return QUALIFIER + b32encode(blake2b(term.encode(), digest_size=5).digest()).decode().lower()


def json_list(former: str) -> str:
    """Return a JSON list without spaces, in UTF-8, in which a text can be found.

    >>> json_list('["a", "caf\\\\u00e9"]')
    '["a","café"]'
    """
    return json.dumps(json.loads(former), ensure_ascii=False, separators=(",", ":"))
