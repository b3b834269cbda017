"""The shape of the cursor of GitHub polls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from painchain.connectors.stored import (
    Malformed,
    anything,
    by_key,
    each,
    etag,
    number,
    read,
    record,
    state_counts,
    text,
    time,
)

POSITION = record({"since": time}, next=text, top=time, done=each(text))
IMAGES = record({"since": time}, tags=by_key(by_key(each(text))))
PLACE = record({"began": time}, since=time, page=number, last=number)
OBJECT = by_key(anything)
TASKS = {
    "pull": record({"key": text, "pull": OBJECT}, changes=each(anything), time=text),
    "run": record({"key": text, "run": OBJECT}, attempts_since=time, time=text),
    "deployment": record({"key": text, "deployment": OBJECT}, since=time, time=text),
    "push": record(
        {"key": text, "time": time, "since": time}, next=text, others=each(time), later=each(time), compared_at=time
    ),
}


def _task(value: Any) -> dict[str, Any]:
    kind = value.get("kind") if isinstance(value, dict) else None
    if not isinstance(kind, str) or kind not in TASKS:
        raise Malformed
    task: dict[str, Any] = TASKS[kind](value)
    return task


STATE = record(
    {"seen": time},
    begin=time,
    about=OBJECT,
    lists=by_key(POSITION),
    backlog=each(_task),
    open=each(text),
    runs=state_counts,
    older=each(text),
    sweep=record(kind=text, runs=PLACE, deployments=PLACE, releases=PLACE),
    prereleases=each(text),
    published=each(text),
    releases=by_key(text),
    missing=by_key(text),
    heads=by_key(text),
    no_activity=time,
)
NAMES = by_key(text)
CURSOR = record(
    base=text, server=text, repos=by_key(STATE), names=NAMES, images=by_key(IMAGES), etags=by_key(etag), began=time
)


def read_cursor(cursor: Any) -> dict[str, Any]:
    """Return a stored cursor without its malformed parts, which are read as if for the first time."""
    return read(CURSOR, cursor)


def read_names(cursor: Any) -> dict[str, str]:
    """Return the numbers of the repositories by their names in the settings."""
    return read(NAMES, cursor.get("names") if isinstance(cursor, Mapping) else None)
