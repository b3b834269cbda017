"""The shape of the cursor of GitLab polls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from painchain.connectors.stored import (
    anything,
    by_key,
    each,
    etag,
    maybe,
    number,
    one_of,
    pair,
    read,
    record,
    state_counts,
    text,
    time,
)

ETAG = maybe(etag)
LIST = record(None, **{"at": time, "from": time, "done": by_key(text), "runs": state_counts})
ORDER = record(at=time, etag=ETAG, upcoming=maybe(time))
TAGS = record(
    read_at=time,
    known=each(text),
    checked=by_key(pair(text)),
    digests=by_key(text),
    moves=by_key(number),
)
UNREAD = record({"ref": text})
LISTED = record({"ref": text, "id": text, "path": text, "branch": text, "url": maybe(text)})
BRANCH = record(head=text, to=text, page=number, etag=ETAG, next_etag=ETAG, moves=number, seen=time)


def _branch(value: Any) -> dict[str, Any]:
    """Read how far the commits of a branch have been read: `to` and `page` belong together."""
    state: dict[str, Any] = BRANCH(value)
    if not state.get("to") or not state.get("page"):
        state.pop("to", None)
        state.pop("page", None)
    return state


def _entry(value: Any) -> dict[str, Any]:
    """Read a project that is left to read: one in the settings, or one that the token's user is a member of."""
    entry: dict[str, Any] = LISTED(value) if isinstance(value, dict) and "path" in value else UNREAD(value)
    return entry


PROJECT = record(
    merge_requests=LIST,
    pipelines=LIST,
    deployments=LIST,
    releases=record(
        next=one_of("created_at", "released_at"),
        created_at=ORDER,
        released_at=ORDER,
        at=time,
        etag=ETAG,
        known=by_key(pair(text)),
    ),
    activity=record({"at": time}, etag=ETAG, done=by_key(text), refused=maybe(time)),
    images=record(known=by_key(TAGS), asked=each(text)),
    commits=by_key(_branch),
)
NAMES = by_key(record({"id": text, "path": text}))
CURSOR = record(
    base=text,
    server=text,
    asked=anything,
    todo=each(_entry),
    projects=by_key(PROJECT),
    names=NAMES,
    missing=each(text),
    refused=each(text),
    read=each(text),
)
ROUND = ("todo", "names", "projects", "missing", "refused", "read")  # the members of a round in progress


def read_cursor(cursor: Any) -> dict[str, Any]:
    """Return a stored cursor without its malformed parts, which are read as if for the first time."""
    return read(CURSOR, cursor)


def read_names(cursor: Any) -> dict[str, dict[str, str]]:
    """Return the id and path of each project by its name in the settings, or by its id."""
    return read(NAMES, cursor.get("names") if isinstance(cursor, Mapping) else None)
