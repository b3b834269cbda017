"""Read the releases of a GitLab project."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from painchain.connectors.code_hosts import objects, text
from painchain.connectors.contract import ErrorKind, PollError
from painchain.connectors.gitlab import events
from painchain.connectors.gitlab.client import OVERLAP, PAGE, GitLabClient, has_next_page, quote_path
from painchain.connectors.gitlab.payloads import Item, Project, parse_moment

ORDERS = ("created_at", "released_at")
MAX_RELEASES = 20  # the newest releases, whose deletion is noticed
INSTANT = timedelta(milliseconds=1)
State = dict[str, Any]


def read(api: GitLabClient, project: Project, state: State) -> None:
    """Add the new releases.

    The list can be ordered by creation, which shows a release whose date lies in the past, or by date, which shows one
    that was created long ago for a date that has come. The polls take turns, and read both if there is anything new.
    `state` stores how far each order has been read, the one that is `next`, and which of the newest releases are
    `known`: when each was created, and its name, by its tag.
    """
    if "known" not in state:
        for order in ORDERS:  # an older version did not note them
            state.get(order, {}).pop("etag", None)
    first = state.get("next", ORDERS[0])
    second = ORDERS[first == ORDERS[0]]
    if _read_order(api, project, state, first):
        _read_order(api, project, state, second)
    state["next"] = second
    for key in ("at", "etag"):
        state.pop(key, None)


def _upgraded(state: State) -> State:
    """Return the state of one order: an older version read only one, and stored its time in the state itself."""
    return {"at": state["at"]} if "at" in state else {}


def _read_order(api: GitLabClient, project: Project, releases: State, order: str) -> bool:
    """Add the releases since the stored time, the newest first. Return whether the list has changed."""
    now, state = api.context.now, releases.setdefault(order, _upgraded(releases))
    start = parse_moment(state.get("at")) or api.context.since
    params, number = {"order_by": order, "sort": "desc", "per_page": PAGE}, 1
    answer = api.get(f"projects/{project.id}/releases", params, state.get("etag"))
    if answer.is_unchanged and not _is_reached(state.get("upcoming"), now):
        return False
    if answer.is_unchanged:
        answer = api.get(f"projects/{project.id}/releases", params)
    if order == ORDERS[0] and isinstance(answer.value, list):
        _add_deleted(api, project, releases, objects(answer.value))
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


def _add_deleted(api: GitLabClient, project: Project, state: State, listed: list[Any]) -> None:
    """Add the known releases that are gone, and note the newest ones that are listed.

    When a release was deleted is not known. If there is another one with its tag, it was before that was created.
    """
    current = {text(item, "tag_name"): item for item in listed if text(item, "tag_name") and text(item, "created_at")}
    known: dict[str, tuple[str, str]] = state.get("known", {})
    for tag, (created, name) in known.items():
        item = current.get(tag) or _release(api, project, tag)
        if item and text(item, "created_at") == created:
            continue
        successor = parse_moment(item.get("created_at")) if item else None
        when = min(api.context.now, successor - INSTANT) if successor else api.context.now
        api.add(events.deleted_release(project, {"tag": tag, "name": name, "created_at": created}, when))
    newest = list(current.items())[:MAX_RELEASES]
    state["known"] = {tag: (text(item, "created_at"), text(item, "name")) for tag, item in newest}


def _release(api: GitLabClient, project: Project, tag: str) -> Item | None:
    """Return a release; None if it does not exist."""
    try:
        value = api.get(f"projects/{project.id}/releases/{quote_path(tag)}").value
    except PollError as error:
        if error.kind is not ErrorKind.NOT_FOUND:
            raise
        return None
    return value if isinstance(value, Mapping) else None


def _is_reached(upcoming: Any, now: datetime) -> bool:
    when = parse_moment(text(upcoming))
    return when is not None and when <= now
