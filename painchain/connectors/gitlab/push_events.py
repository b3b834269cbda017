"""Turn GitLab's pushes and commits into events. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from painchain.connectors.code_hosts import first_line, integer, non_empty, objects, text, unread_commits
from painchain.connectors.contract import SourceEvent
from painchain.connectors.gitlab.payloads import UNKNOWN, Item, Project, first_time, parse_moment, person_name
from painchain.connectors.http_client import link

NO_COMMIT = "0" * 40  # what webhooks send as the head of a branch that does not exist
BRANCH_PREFIX = "refs/heads/"


@dataclass(frozen=True)
class Push:
    """One push to a branch. `before` and `after` are its heads; "" if the branch did not exist, or does not any more.

    `branch` is "" for a push to so many branches that GitLab does not list them: then `branches` is their number.
    `action` is GitLab's word: created, removed or pushed.
    """

    branch: str
    before: str
    after: str
    when: datetime | None = None
    author: str = UNKNOWN
    commits: int | None = None
    title: str = ""
    branches: int | None = None
    action: str = ""

    @property
    def move(self) -> tuple[str, str, str]:
        """The branch and its heads: a webhook tells these and no number, so that its delivery identifies the push."""
        return self.branch, self.before, self.after

    @property
    def status(self) -> str:
        """What happened to the branch, without knowing whether it was forced."""
        if self.action == "created" or (self.after and not self.before):
            return "created"
        return "deleted" if self.action == "removed" or (self.before and not self.after) else "pushed"


def from_activity(item: Item) -> Push | None:
    """Return the push in an entry of a project's list of events; None if it is none, or not to a branch."""
    pushed = item.get("push_data")
    if not isinstance(pushed, Mapping) or text(pushed, "ref_type") != "branch":
        return None
    return Push(
        branch=text(pushed, "ref"),
        before=text(pushed, "commit_from"),
        after=text(pushed, "commit_to"),
        when=parse_moment(item.get("created_at")),
        author=person_name(item.get("author") or {"username": item.get("author_username")}),
        commits=integer(pushed, "commit_count"),
        title=text(pushed, "commit_title"),
        branches=integer(pushed, "ref_count"),
        action=text(pushed, "action"),
    )


def from_webhook(body: Item) -> Push | None:
    """Return the push in a webhook; None if it is not to a branch."""
    ref = text(body, "ref")
    branch = ref.removeprefix(BRANCH_PREFIX)
    if branch in (ref, ""):
        return None
    before, after = (head if (head := text(body, key)) != NO_COMMIT else "" for key in ("before", "after"))
    commits = objects(body, "commits")
    return Push(
        branch=branch,
        before=before,
        after=after,
        author=text(body, "user_username") or text(body, "user_name") or UNKNOWN,
        commits=integer(body, "total_commits_count"),
        title=first_line(text(commits, -1, "message")),
    )


def push_event(
    project: Project, push: Push, is_forced: bool | None, when: datetime, *occurrence: str | int
) -> SourceEvent:
    """Return the event of a push. `is_forced` is None if that is not known."""
    status = "forced" if is_forced else push.status
    facts = {
        "repository": project.path,
        "branch": push.branch,
        "before": push.before,
        "after": push.after,
        "commits": push.commits if push.after and push.branch else None,
        "pusher": push.author if push.author != UNKNOWN else None,
        "forced": is_forced,
    }
    return SourceEvent(
        event_id=project.event_id("push", *occurrence),
        event_type="Push",
        title=f"[Push] {push.branch or f'{push.branches} branches'}",
        timestamp=when,
        author=push.author,
        status=status,
        url=_push_url(project, push),
        text=push.title,
        facts=non_empty(**facts),
        former_ids={f"{project.event_id('push', *push.move)}:*": when},
    )


def without_commits(event: SourceEvent, push: Push, has_some: bool) -> SourceEvent:
    """Return the event of a push that says that all or some of its commits could not be read."""
    if push.commits == 0:
        return event
    return replace(event, facts={**event.facts, "commits": unread_commits(push.commits, has_some)})


def _push_url(project: Project, push: Push) -> str | None:
    if not project.url or not push.after:
        return None
    if push.before:
        return link(f"{project.url}/-/compare/{push.before}...{push.after}")
    return link(f"{project.url}/-/commits/{push.after}")


def commit_event(
    project: Project, item: Item, push: Push, files: dict[str, Any] | None, when: datetime
) -> SourceEvent | None:
    """Return the event of a pushed commit; None if it has no id. `files` are the facts about its files, if known."""
    sha = text(item, "id")
    if not sha:
        return None
    message = text(item.get("message") or item.get("title"))
    committed = first_time(item, "committed_date", "timestamp", "created_at")
    stats = {key: integer(item, "stats", key) for key in ("additions", "deletions")}
    stats["files"] = integer(files, "files_total")
    if files and "files_changed" in files and "files_total" not in files:
        stats["files"] = len(files["files_changed"])
    facts = {
        "repository": project.path,
        "branch": push.branch,
        "sha": sha,
        "committed_at": committed and f"{committed:%Y-%m-%dT%H:%M:%SZ}",
        "push": push.after,
        "changes": non_empty(**stats),
        **(files or {}),
    }
    return SourceEvent(
        event_id=project.event_id("commit", sha),
        event_type="Commit",
        title=f"[Commit] {first_line(message) or sha}",
        timestamp=when,
        author=text(item, "author_name") or person_name(item.get("author")),
        status="committed",
        url=link(item.get("web_url") or item.get("url")),
        text=message,
        facts=non_empty(**facts),
        former_ids={f"commit-{project.path}-{sha}": None},
    )
