"""Turn what expressions give into members of a change event: texts, times, links, tags and data within its limits."""

from __future__ import annotations

import hashlib
import json
import math
import re
from datetime import UTC, datetime, timedelta
from typing import Any

from painchain.connectors.change_types import MAX_DATA
from painchain.connectors.contract import EARLIEST
from painchain.connectors.http_client import link
from painchain.connectors.webhook.expressions import Budget, ExpressionError
from painchain.core.redaction import holds_credentials
from painchain.core.text import is_blank

# The limits of a change event, in characters.
LIMITS = {
    "title": 300,
    "kind": 50,
    "service": 200,
    "environment": 200,
    "version": 200,
    "digest": 200,
    "repository": 200,
    "status": 60,
    "actor": 200,
    "url": 2_000,
    "description": 20_000,
    "external_id": 200,
    "group": 200,
}
MAX_TAGS, MAX_TAG = 50, 50
MAX_DATA_DEPTH = 30
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TOO_MANY_SECONDS = 1e11  # the year 5138: a larger number counts milliseconds, microseconds or nanoseconds
_SHA = re.compile(r"[0-9a-fA-F]{7,64}")
_NUMBER = re.compile(r"[0-9]{9,19}(\.[0-9]{1,9})?")
_NO_KIND = re.compile(r"[^a-z0-9]+")
_MAX_BITS = 1_024
_IDENTIFIERS = ("external_id", "group")


def member(name: str, value: Any, budget: Budget) -> Any:
    """Return a value as this member of a change event has it, None if there is none.

    Texts that are too long are cut; a link that is no http or https URL, or holds a password, and a hash that is no
    hash of a commit are left out: none of them is worth an event that is lost.

    :raises ExpressionError: if the value has another type than the member, or is too large for the budget.
    """
    if value is None:
        return None
    if name in ("time", "end_time"):
        return time(value)
    if name == "tags":
        return _tags(value) or None
    if name == "data":
        return _data(value, budget)
    found = text(value)
    if name == "description":
        return _cut(found.strip(), LIMITS[name]) or None
    found = " ".join(found.split())
    if name in _IDENTIFIERS:
        return identifier(found)
    if name == "kind":
        return _NO_KIND.sub("_", found.lower()).strip("_")[: LIMITS[name]].strip("_") or None
    if name == "sha":
        return found if _SHA.fullmatch(found) else None
    if name == "url":
        fits = len(found) <= LIMITS[name] and link(found) is not None and not holds_credentials(found)
        return found if fits else None
    return _cut(found, LIMITS[name]) or None


def text(value: Any) -> str:
    """Return a text, number or boolean as a text that can be stored; "" if nothing of it can be seen.

    :raises ExpressionError: if it is something else.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        _refuse_huge(value)
        return str(int(value) if isinstance(value, float) and value.is_integer() else value)
    if not isinstance(value, str):
        raise ExpressionError(f"gave {type_name(value)}, but text is needed")
    storable = _storable_text(value)
    return "" if is_blank(storable) else storable


def type_name(value: Any) -> str:
    """Return the type of a value in JMESPath's words, with its article."""
    names = {list: "an array", dict: "an object", str: "text", bool: "true or false", type(None): "null"}
    if isinstance(value, int | float) and not isinstance(value, bool):
        return "a number"
    return names.get(type(value), "an expression")


def identifier(found: str) -> str | None:
    """Return an id, with the hash of the whole in place of an end that is too long: two ids never become one."""
    if len(found) <= LIMITS["external_id"]:
        return found or None
    return f"{found[:135]}:{hashlib.sha256(found.encode()).hexdigest()}"


def time(value: Any) -> str | None:
    """Return a time as RFC 3339 in UTC; None for a time before 1990, which sources write for none.

    Sources write RFC 3339 (without an offset it is UTC), or seconds, milliseconds, microseconds or nanoseconds since
    1970, as a number or as text.

    :raises ExpressionError: if it is no time.
    """
    if isinstance(value, str) and not value.strip():
        return None
    try:
        found = _moment(value)
    except (ValueError, OverflowError):
        raise ExpressionError(
            f"gave {type_name(value)} that is no time: RFC 3339 or seconds since 1970 is needed"
        ) from None
    return found.isoformat().replace("+00:00", "Z") if found >= EARLIEST else None


def _moment(value: Any) -> datetime:
    if isinstance(value, str):
        value = value.strip()
        if not _NUMBER.fullmatch(value):
            found = datetime.fromisoformat(value)
            return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
        value = float(value) if "." in value else int(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("not a time")
    if not 0 <= value < 1e19:  # a larger number is later than 9999, in nanoseconds too; NaN is not in the range
        raise ValueError("not a time")
    microseconds = value * 1_000_000
    while microseconds >= _TOO_MANY_SECONDS * 1_000_000:
        microseconds = microseconds / 1_000 if isinstance(microseconds, float) else microseconds // 1_000
    return _EPOCH + timedelta(microseconds=microseconds)


def _tags(value: Any) -> list[str]:
    """Return tags: of an array of texts, or of a text with commas."""
    items = value.split(",", MAX_TAGS) if isinstance(value, str) else value
    if not isinstance(items, list):
        raise ExpressionError(f"gave {type_name(value)}, but an array of texts is needed")
    tags = (_cut(" ".join(text(item).split()), MAX_TAG) for item in items[:MAX_TAGS] if item is not None)
    return list(dict.fromkeys(filter(None, tags)))


def _data(value: Any, budget: Budget) -> Any:
    """Return a JSON value that can be stored, without members that are null.

    In place of one that is too large, say how large it was.
    """
    budget.spend_for_all(value)
    stored = _storable(value, MAX_DATA_DEPTH)
    if isinstance(stored, dict):
        stored = {key: item for key, item in stored.items() if item is not None}
    size = len(json.dumps(stored).encode())
    if size > MAX_DATA:
        return {"omitted": f"{size:,} bytes of JSON. At most {MAX_DATA:,} are stored."}
    return stored


def _storable(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return _storable_text(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, bool | int | float):
        _refuse_huge(value)
        return value
    if not isinstance(value, list | dict):
        raise ExpressionError("gave an expression, but a value is needed")
    if depth == 0:
        return "…"
    if isinstance(value, list):
        return [_storable(item, depth - 1) for item in value]
    return {_storable_text(key): _storable(item, depth - 1) for key, item in value.items()}


def _refuse_huge(value: Any) -> None:
    """Refuse an integer that Python may not write as text, such as the sum of two of 4,300 digits."""
    if isinstance(value, int) and value.bit_length() > _MAX_BITS:
        raise ExpressionError("gave a number that is too large")


def _storable_text(value: str) -> str:
    """Return a text without what no database stores: NUL, and halves of a surrogate pair."""
    return value.replace("\0", "").encode("utf-8", "replace").decode()


def _cut(value: str, limit: int) -> str:
    return value if len(value) <= limit else value[: limit - 1] + "…"
