"""Redact secrets: credentials in URLs, and values whose names look secret."""

from __future__ import annotations

import re
from typing import Any

MASK = "***"

_USERINFO = re.compile(r"(://)[^\s/?#]*@")
_QUERY = re.compile(
    r"([?&;#](?:[a-z_-]{0,40}(?:token|secret|password|passwd|signature|api[_-]?key)|key|sig|auth)=)[^&;\s#\"'<>]+",
    re.IGNORECASE,
)
# Only for fields that no connector type defines (POST /api/painchain/log takes any name). The definition of a field
# says whether the field is secret.
_SECRET_NAME = re.compile(
    r"token|secret|passw|passphrase|credential|private[_-]?key|api[_-]?key|authorization", re.IGNORECASE
)


def scrub(text: str) -> str:
    """Return `text` without credentials in URLs.

    >>> scrub("clone https://me:hunter2@git.example/x?private_token=abc&page=2")
    'clone https://***@git.example/x?private_token=***&page=2'
    """
    if "=" not in text and "@" not in text:
        return text
    return _QUERY.sub(rf"\g<1>{MASK}", _USERINFO.sub(rf"\g<1>{MASK}@", text))


def holds_credentials(text: str) -> bool:
    """Return whether `text` contains credentials in a URL, or the mask that has replaced them.

    >>> [holds_credentials(text) for text in ("mailto://a:b@c", "mailto://***@c", "a@c", "?token=x")]
    [True, True, False, True]
    """
    return ("@" in text or "=" in text) and bool(_USERINFO.search(text) or _QUERY.search(text))


def looks_secret(name: str) -> bool:
    """Return whether a field that no connector type defines is treated as secret because of its name."""
    return _SECRET_NAME.search(name) is not None


def scrub_value(value: Any) -> Any:
    """Return a JSON value with every text in it scrubbed and every secret-looking member masked.

    >>> scrub_value({"url": "http://a:b@c/", "api_key": "x", "pages": [1, None]})
    {'url': 'http://***@c/', 'api_key': '***', 'pages': [1, None]}
    """
    if isinstance(value, str):
        return scrub(value)
    if isinstance(value, list):
        return [scrub_value(item) for item in value]
    if isinstance(value, dict):
        return {scrub(key): MASK if looks_secret(key) and item else scrub_value(item) for key, item in value.items()}
    return value
