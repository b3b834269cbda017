"""Read the releases of a GitLab project."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from painchain.connectors.code_hosts import objects, text
from painchain.connectors.gitlab import events
from painchain.connectors.gitlab.client import OVERLAP, PAGE, GitLabClient, has_next_page
from painchain.connectors.gitlab.payloads import Project, parse_moment

ORDERS = ("created_at", "released_at")
State = dict[str, Any]


def read(api: GitLabClient, project: Project, state: State) -> None:
    """Add the new releases.

    The list can be ordered by creation, which shows a release whose date lies in the past, or by date, which shows one
    that was created long ago for a date that has come. The polls take turns, and read both if there is anything new.
    `state` stores how far each order has been read, and the one that is `next`.
    """
    first = state.get("next", ORDERS[0])
    second = ORDERS[first == ORDERS[0]]
    if _read_order(api, project, state.setdefault(first, _upgraded(state)), first):
        _read_order(api, project, state.setdefault(second, _upgraded(state)), second)
    state["next"] = second
    for key in ("at", "etag"):
        state.pop(key, None)


def _upgraded(state: State) -> State:
    """Return the state of one order: an older version read only one, and stored its time in the state itself."""
    return {"at": state["at"]} if "at" in state else {}


def _read_order(api: GitLabClient, project: Project, state: State, order: str) -> bool:
    """Add the releases since the stored time, the newest first. Return whether the list has changed."""
    now = api.context.now
    start = parse_moment(state.get("at")) or api.context.since
    params, number = {"order_by": order, "sort": "desc", "per_page": PAGE}, 1
    answer = api.get(f"projects/{project.id}/releases", params, state.get("etag"))
    if answer.is_unchanged and not _is_reached(state.get("upcoming"), now):
        return False
    if answer.is_unchanged:
        answer = api.get(f"projects/{project.id}/releases", params)
    etag, newest, upcoming = answer.headers.get("etag"), start, list[datetime]()
    while True:
        rows = [(item, parse_moment(item.get(order))) for item in objects(answer.value)]
        for item, when in rows:
            if when and when > now:
                upcoming.append(when)
            elif when is None or when >= start - OVERLAP:
                api.add(events.release(project, item, now))
                newest = max(newest, when or newest)
        if not has_next_page(answer) or any(when and when < start - OVERLAP for _, when in rows):
            break
        number += 1
        answer = api.get(f"projects/{project.id}/releases", {**params, "page": number})
    state |= {"at": newest.isoformat(), "etag": etag, "upcoming": min(upcoming).isoformat() if upcoming else None}
    return True


def _is_reached(upcoming: Any, now: datetime) -> bool:
    when = parse_moment(text(upcoming))
    return when is not None and when <= now
