"""The search term of the repository that the id of an older event names, as migration 0027 stores it."""

from __future__ import annotations

import re
from base64 import b32encode
from hashlib import blake2b
from unicodedata import normalize

MAX_WORDS = 10_000
_NAME = r"([\w.-]+(?:/[\w.-]+)+)"
_FORMER_ID = re.compile(
    rf"(?:pr|mr|pipeline|deployment)-{_NAME}-\d+-[a-z_]+|workflow-{_NAME}-\d+-\d+-[a-z_]+"
    rf"|commit-{_NAME}-[0-9a-f]{{7,64}}|release-{_NAME}-\d{{5,}}",
    re.ASCII,
)


def words_of(event_id: str, words: str) -> str:
    """Return the search terms of an event with that of the repository in its id, if the id names one."""
    match = _FORMER_ID.fullmatch(event_id)
    if match is None:
        return words
    name = normalize("NFKC", next(filter(None, match.groups()))).casefold()
    former = f"qrp{blake2b(name.encode(), digest_size=8).hexdigest()}"
    term = "_" + b32encode(blake2b(former.encode(), digest_size=5).digest()).decode().lower()
    terms = words.split(" ")
    return words if terms[0] == term else " ".join([term, *terms][:MAX_WORDS])
