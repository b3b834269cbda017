"""The events of pull requests: opened, merged, closed and reopened."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from painchain.connectors.code_hosts import dig, integer, non_empty, objects, parse_time, text
from painchain.connectors.contract import SourceEvent
from painchain.connectors.github.repository import TOLERANCE, Repository, item_id
from painchain.connectors.http_client import link

STATUS = {"opened": "open", "merged": "merged", "closed": "closed", "reopened": "open"}
ONCE = ("opened", "merged")  # what happens to a pull request at most once
MAX_FILES = 300  # names of files in one event

StateChange = tuple[str, datetime | None, str]  # the state, its time and who made the change


def state_changes(pull: Any) -> list[StateChange]:
    """Return the state changes in a pull request's own payload."""
    changes = [("opened", parse_time(pull, "created_at"), text(pull, "user", "login"))]
    if is_merged(pull):
        changes.append(("merged", parse_time(pull, "merged_at"), text(pull, "merged_by", "login")))
    elif text(pull, "state") == "closed":
        changes.append(("closed", parse_time(pull, "closed_at"), ""))
    return changes


def is_merged(pull: Any) -> bool:
    """Return whether a pull request was merged."""
    return parse_time(pull, "merged_at") is not None or dig(pull, "merged") is True


def resolve_changes(pull: Any, changes: Iterable[StateChange]) -> list[StateChange]:
    """Return each change once, with its author, from what the pull request and the events of its issue say of it.

    Both say when it was closed, and the times can differ by a second. A merge also closes the pull request.
    """
    merged_at, closed_at = parse_time(pull, "merged_at"), parse_time(pull, "closed_at")
    authors = {state: author for state, _, author in state_changes(pull)}
    resolved: dict[tuple[str, datetime | None], str] = {}
    for state, time, author in changes:
        if state in ("closed", "merged") and time and merged_at and time >= merged_at - timedelta(seconds=TOLERANCE):
            state, time = "merged", merged_at
        elif state == "closed" and time and closed_at and is_near(time, closed_at):
            time = closed_at
        if state in ONCE:
            author, time = authors.get(state) or author, None if state == "opened" else time
        key = (state, parse_time(pull, "created_at") if state == "opened" else time)
        resolved[key] = resolved.get(key) or author
    return [(state, time, author) for (state, time), author in resolved.items()]


def is_near(time: datetime, other: datetime) -> bool:
    """Return whether two times can be those of one occurrence."""
    return abs(time - other) <= timedelta(seconds=TOLERANCE)


def pull_request(
    repository: Repository,
    pull: Any,
    change: StateChange,
    now: datetime,
    others: Collection[datetime] | None = None,
    more: Mapping[str, Any] | None = None,
    details: Mapping[str, Any] | None = None,
    occurrence: str = "unknown",
) -> SourceEvent:
    """Return the event of an opened, merged, closed or reopened pull request.

    `others` are the times of other changes to the same state, None if they are not known. `more` are facts of other
    requests. `occurrence` identifies the change if its time is not known.
    """
    state, time, author = change
    number = item_id(pull, "number")
    identity: tuple[str | int | datetime, ...] = (number, state)
    former = repository.former_ids("pr", f"{number}-{state}", time)
    if state not in ONCE:
        identity = (number, state, time or occurrence)
        former |= repository.nearby_ids(time, others, "pr", number, state) if time else {}
    return SourceEvent(
        event_id=repository.event_id("pr", *identity),
        event_type="PullRequest",
        title=f"[PR] {text(pull, 'title')}".strip(),
        timestamp=time or parse_time(pull, "updated_at") or now,
        author=author or "unknown",
        status=STATUS[state],
        url=link(dig(pull, "html_url")),
        text=text(pull, "body"),
        facts={**pull_facts(repository.name, pull, state), **(more or {})},
        former_ids=former,
        details=details,
    )


def pull_facts(repository: str, pull: Any, state: str) -> dict[str, Any]:
    """Return the facts in a pull request's own payload."""
    lines = non_empty(
        additions=integer(pull, "additions"), deletions=integer(pull, "deletions"), files=integer(pull, "changed_files")
    )
    comments = [number for key in ("comments", "review_comments") if (number := integer(pull, key)) is not None]
    return non_empty(
        repository=repository,
        branches=non_empty(head=text(pull, "head", "ref"), base=text(pull, "base", "ref")),
        changes=lines,
        reviewers=_requested(pull),
        comments=sum(comments) if comments else None,
        merged=state == "merged",
    )


def review_facts(pull: Any, reviews: Iterable[Any] | None) -> dict[str, Any]:
    """Return the reviewers and the number of approvals and change requests. The last review of each person counts.

    Without `reviews` the numbers are not known.
    """
    if reviews is None:
        return {}
    last: dict[str, str] = {}
    for review in reviews:
        name, state = text(review, "user", "login") or "unknown", text(review, "state").upper()
        if state in ("APPROVED", "CHANGES_REQUESTED", "DISMISSED") or name not in last:
            last[name] = state
    states = list(last.values())
    return non_empty(
        reviewers=[name for name in dict.fromkeys((*_requested(pull), *last)) if name],
        approvals=states.count("APPROVED"),
        changes_requested=states.count("CHANGES_REQUESTED"),
    )


def file_facts(files: Iterable[Any], total: int | None) -> dict[str, Any]:
    """Return the names of changed files, and their `total` number if the list is cut.

    >>> file_facts([{"filename": "a"}] * 301, 1204)["files_total"]
    'first 300 of 1,204 files'
    """
    names = [name for file in files if (name := text(file, "filename"))]
    is_cut = len(names) > MAX_FILES or (total or 0) > len(names) >= MAX_FILES
    if not is_cut:
        return {"files_changed": names} if names else {}
    known = max(total or 0, len(names))
    return {"files_changed": names[:MAX_FILES], "files_total": f"first {MAX_FILES} of {known:,} files"}


def _requested(pull: Any) -> list[str]:
    people = [text(person, "login") for person in objects(pull, "requested_reviewers")]
    teams = [text(team, "name") for team in objects(pull, "requested_teams")]
    return [name for name in (*people, *teams) if name]
