"""Read the list of events of a GitLab project: pushes, and merge requests that were closed and reopened."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from painchain.connectors.code_hosts import objects, text
from painchain.connectors.gitlab.client import OVERLAP, PAGE, GitLabClient, has_next_page
from painchain.connectors.gitlab.payloads import Item, Project, parse_moment

UPGRADE_WINDOW = timedelta(days=7)  # how far the first reading of the list looks back if other lists were read before
State = dict[str, Any]


def list_params(since: datetime) -> dict[str, Any]:
    """Return the parameters for the events since a time.

    GitLab's "after" takes a day in the time zone of the server, and leaves out that day.
    """
    return {"after": (since - timedelta(days=2)).date().isoformat(), "per_page": PAGE}


def read(api: GitLabClient, project: Project, state: State, handle: Callable[[Item, datetime], None]) -> None:
    """Call `handle` with each new event and its time, the oldest first.

    GitLab lists the newest first. `state` stores `at`, how far the list has been read, and `done`, the events within
    the overlap, so that the next poll can continue after each event.

    :raises painchain.connectors.contract.PollError: if the list cannot be read.
    """
    since = (parse_moment(state["at"]) or api.context.since) - OVERLAP
    params, number = list_params(since), 1
    answer = api.get(f"projects/{project.id}/events", params, state.get("etag"))
    if answer.is_unchanged:
        return
    etag = answer.headers.get("etag")
    fresh: dict[str, tuple[datetime, Item]] = {}
    while True:
        entries = [(when, item) for item in objects(answer.value) if (when := parse_moment(item.get("created_at")))]
        fresh |= {_key(item): (when, item) for when, item in entries if when >= since}
        if not has_next_page(answer) or any(when < since for when, _ in entries):
            break
        number += 1
        answer = api.get(f"projects/{project.id}/events", {**params, "page": number})
    done: dict[str, str] = state.setdefault("done", {})
    for key, (when, item) in sorted(fresh.items(), key=lambda entry: (entry[1][0], _number(entry[1][1]))):
        if key not in done:
            handle(item, when)
            done[key] = when.isoformat()
            state["at"] = max(when, parse_moment(state["at"]) or when).isoformat()
            api.made_progress = True
    edge = (parse_moment(state["at"]) or since) - OVERLAP
    state |= {"etag": etag, "done": {key: at for key, at in done.items() if (parse_moment(at) or edge) >= edge}}


def _key(item: Item) -> str:
    return text(item, "id") or f"{text(item, 'created_at')} {text(item, 'target_iid')}"


def _number(item: Item) -> int:
    number = item.get("id")
    return number if isinstance(number, int) else 0
