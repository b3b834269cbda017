"""The events of pushes and of their commits."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from painchain.connectors.code_hosts import dig, first_line, integer, non_empty, objects, parse_time, strings, text
from painchain.connectors.contract import SourceEvent
from painchain.connectors.github.events.pulls import file_facts
from painchain.connectors.github.repository import Repository
from painchain.connectors.http_client import link

NO_COMMIT = "0" * 40
STATUS = {"force_push": "forced", "branch_creation": "created", "branch_deletion": "deleted"}
SHORT = 12  # digits of a commit in an id


@dataclass(frozen=True)
class Push:
    """One move of a branch from `before` to `after`; "" stands for no commit.

    `status` is pushed, forced, created or deleted; "" if only the commits can say whether it was forced.
    """

    branch: str
    before: str
    after: str
    time: datetime
    status: str = ""
    pusher: str = ""

    @property
    def key(self) -> tuple[str, str]:
        """What two moves have in common that only their time tells apart."""
        return self.branch, self.after


def activity_push(activity: Any) -> Push | None:
    """Return the push in an entry of the list of repository activities; None if the entry is not about a branch."""
    ref = text(activity, "ref")
    branch = ref.removeprefix("refs/heads/")
    time = activity_time(activity)
    if not branch or time is None or (ref.startswith("refs/") and branch == ref):
        return None
    kind = text(activity, "activity_type") or text(activity, "push_type")
    pusher = text(activity, "actor", "login") or text(activity, "pusher", "login")
    return moved(branch, text(activity, "before"), text(activity, "after"), time, STATUS.get(kind, "pushed"), pusher)


def activity_time(activity: Any) -> datetime | None:
    """Return the time of an entry of the list of repository activities, of a branch or not."""
    return parse_time(activity, "timestamp") or parse_time(activity, "pushed_at")


def delivered_push(payload: Any, now: datetime) -> Push | None:
    """Return the push of a webhook delivery; None if the push is not to a branch."""
    ref = text(payload, "ref")
    branch = ref.removeprefix("refs/heads/")
    if not branch or branch == ref:
        return None
    status = next((word for word in ("deleted", "created", "forced") if dig(payload, word) is True), "pushed")
    time = parse_time(payload, "repository", "pushed_at") or now
    pusher = text(payload, "sender", "login") or text(payload, "pusher", "name")
    return moved(branch, text(payload, "before"), text(payload, "after"), time, status, pusher)


def moved(branch: str, before: str, after: str, time: datetime, status: str = "", pusher: str = "") -> Push:
    """Return the move of a branch; its ends decide whether it was created or deleted."""
    before, after = ("" if sha.strip("0") == "" else sha for sha in (before, after))
    if not after:
        status = "deleted"
    elif not before:
        status = "created"
    return Push(branch, before, after, time, status, pusher)


def identity(push: Push) -> tuple[str, str, str]:
    """Return the parts of a push's id before its time.

    The head before is no part of it: where heads are compared, moves in between are not seen.
    """
    return "push", push.branch, (push.after or NO_COMMIT)[:SHORT]


def push_event(
    repository: Repository,
    push: Push,
    others: Collection[datetime] | None = None,
    comparison: Any = None,
    details: Mapping[str, Any] | None = None,
    occurrence: str = "",
) -> SourceEvent:
    """Return the event of a push.

    `others` are the times of other moves of this branch to this commit, None if they are not known. `comparison` is
    GitHub's comparison of both ends, which has the number of commits and the address of a page. `occurrence` identifies
    the push if its time is not known.
    """
    status = push.status or ("forced" if text(comparison, "status") in ("diverged", "behind") else "pushed")
    return SourceEvent(
        event_id=repository.event_id(*identity(push), occurrence or push.time),
        event_type="Push",
        title=f"[Push] {push.branch}",
        timestamp=push.time,
        author=push.pusher or "unknown",
        status=status,
        url=link(dig(comparison, "html_url")) or _branch_url(repository, push),
        facts=non_empty(
            repository=repository.name,
            branch=push.branch,
            before=push.before,
            after=push.after,
            commits=integer(comparison, "total_commits"),
            pusher=push.pusher,
            forced=status == "forced",
        ),
        former_ids={} if occurrence else repository.nearby_ids(push.time, others, *identity(push)),
        details=details,
    )


def listed_commit(repository: Repository, item: Any, push: Push, files: Any = None) -> SourceEvent:
    """Return the event of a commit from the API. Only the response for a single commit has lines and files.

    `files` are the files of all pages of that response; None if they are not known.
    """
    lines = non_empty(additions=integer(item, "stats", "additions"), deletions=integer(item, "stats", "deletions"))
    if isinstance(files, list):
        lines["files"] = len(files)
    author = text(item, "author", "login") or text(item, "commit", "author", "name")
    committed_at = parse_time(item, "commit", "committer", "date") or parse_time(item, "commit", "author", "date")
    message, url = text(item, "commit", "message"), dig(item, "html_url")
    event = _commit(repository, text(item, "sha"), push, committed_at, author, message, url)
    return replace(event, facts={**event.facts, **non_empty(changes=lines), **file_facts(files or [], None)})


def delivered_commit(
    repository: Repository, item: Any, push: Push, details: Mapping[str, Any] | None = None
) -> SourceEvent:
    """Return the event of a commit in the delivery of a push."""
    files = [name for key in ("added", "removed", "modified") for name in strings(item, key)]
    author = text(item, "author", "username") or text(item, "author", "name")
    committed_at, message, url = parse_time(item, "timestamp"), text(item, "message"), dig(item, "url")
    event = _commit(repository, text(item, "id"), push, committed_at, author, message, url)
    facts = {**event.facts, **file_facts([{"filename": name} for name in files], None)}
    return replace(event, facts={**facts, **({"changes": {"files": len(files)}} if files else {})}, details=details)


def delivered_commits(payload: Any) -> list[Any]:
    """Return the commits in the delivery of a push."""
    return [commit for commit in objects(payload, "commits") if text(commit, "id")]


def _commit(
    repository: Repository, sha: str, push: Push, committed_at: datetime | None, author: str, message: str, url: Any
) -> SourceEvent:
    committed = committed_at.astimezone(UTC).isoformat(timespec="seconds") if committed_at else ""
    return SourceEvent(
        event_id=repository.event_id("commit", sha),
        event_type="Commit",
        title=f"[Commit] {first_line(message)}".strip(),
        timestamp=push.time,
        author=author or "unknown",
        status="committed",
        url=link(url),
        text=message,
        facts=non_empty(
            repository=repository.name,
            branch=push.branch,
            sha=sha,
            committed_at=committed.replace("+00:00", "Z"),
            push=push.after,
        ),
        former_ids=repository.former_ids("commit", sha, None),
    )


def _branch_url(repository: Repository, push: Push) -> str | None:
    if not repository.web_url or not push.after:
        return None
    return link(f"{repository.web_url}/commits/{push.after}")
