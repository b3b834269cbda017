"""Read stored JSON, such as the cursors of polls: parts that do not have the expected shape are forgotten."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from painchain.connectors.code_hosts import parse_time

Reader = Callable[[Any], Any]

MAX_ETAG = 100  # characters


class Malformed(ValueError):
    """A value that does not have the expected shape."""


def read(reader: Reader, value: Any) -> dict[str, Any]:
    """Return a stored object as its reader reads it; {} if it is none.

    >>> read(record(at=time, done=each(text)), {"at": "soon", "done": ["a", 1], "more": 2})
    {'done': ['a'], 'more': 2}
    """
    try:
        found = reader(value)
    except Malformed:
        return {}
    return found if isinstance(found, dict) else {}


def record(required: dict[str, Reader] | None = None, **optional: Reader) -> Reader:
    """Return a reader of an object. Malformed optional members are forgotten; other members stay as they are.

    Without a required member, the object is malformed.
    """

    def read_record(value: Any) -> dict[str, Any]:
        members = dict(_checked(value, dict))
        for key, reader in (required or {}).items():
            members[key] = reader(members.get(key))
        for key in optional.keys() & members.keys():
            try:
                members[key] = optional[key](members[key])
            except Malformed:
                del members[key]
        return members

    return read_record


def by_key(reader: Reader) -> Reader:
    """Return a reader of an object whose members all have one shape. Malformed members are forgotten."""

    def read_members(value: Any) -> dict[str, Any]:
        members = {}
        for key, member in _checked(value, dict).items():
            try:
                members[text(key)] = reader(member)
            except Malformed:
                continue
        return members

    return read_members


def each(reader: Reader) -> Reader:
    """Return a reader of a list whose items all have one shape. Malformed items are forgotten."""

    def read_items(value: Any) -> list[Any]:
        items = []
        for item in _checked(value, list):
            try:
                items.append(reader(item))
            except Malformed:
                continue
        return items

    return read_items


def pair(reader: Reader) -> Reader:
    """Return a reader of a list of two items."""

    def read_pair(value: Any) -> list[Any]:
        if len(_checked(value, list)) != 2:
            raise Malformed
        return [reader(item) for item in value]

    return read_pair


def maybe(reader: Reader) -> Reader:
    """Return a reader that accepts None too."""
    return lambda value: None if value is None else reader(value)


def one_of(*words: str) -> Reader:
    """Return a reader of one of the words."""

    def read_word(value: Any) -> str:
        if value not in words:
            raise Malformed
        return str(value)

    return read_word


def state_counts(value: Any) -> dict[str, Any]:
    """Read the states of the runs that have not ended (``painchain.connectors.code_hosts.count_state``)."""
    runs: dict[str, Any] = _STATES(value)
    return runs


def text(value: Any) -> str:
    """Read a string that can be part of a URL."""
    try:
        _checked(value, str).encode()
    except UnicodeEncodeError:
        raise Malformed from None
    return str(value)


def time(value: Any) -> str:
    """Read a time in ISO 8601."""
    if parse_time(text(value)) is None:
        raise Malformed
    return str(value)


def etag(value: Any) -> str:
    """Read an ETag, which is sent as a header."""
    tag = text(value)
    if not (0 < len(tag) <= MAX_ETAG and tag.isascii() and tag.isprintable()):
        raise Malformed
    return tag


def number(value: Any) -> int:
    """Read an integer that is at least 0."""
    if isinstance(value, bool) or _checked(value, int) < 0:
        raise Malformed
    return int(value)


def anything(value: Any) -> Any:
    """Read a value of any shape."""
    return value


def _checked(value: Any, kind: type) -> Any:
    if not isinstance(value, kind):
        raise Malformed
    return value


_STATES = by_key(record({"attempt": number, "status": text, "counts": by_key(number)}))
