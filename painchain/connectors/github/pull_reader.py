"""Read pull requests: when each was opened, merged, closed and reopened, however often."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from painchain.connectors.code_hosts import dig, parse_time, text
from painchain.connectors.github import details
from painchain.connectors.github.backlog import Backlog, Task
from painchain.connectors.github.events import pulls
from painchain.connectors.github.events.pulls import StateChange
from painchain.connectors.github.pagination import ListPosition, PollSession, cursor_time, read_since
from painchain.connectors.github.repository import Repository, is_wanted_branch

FEW = {"per_page": 20}
ISSUE_STATES = ("closed", "reopened", "merged")  # events of an issue that are recorded
KEPT = ("number", "node_id", "title", "state", "html_url", "created_at", "updated_at", "closed_at", "merged_at")


class PullReader:
    """Reads the pull requests of one repository. `state` is its part of the cursor."""

    def __init__(self, session: PollSession, repository: Repository, state: dict[str, Any], backlog: Backlog):
        self._session = session
        self._repository = repository
        self._state = state
        self._backlog = backlog

    @property
    def has_news(self) -> bool:
        """Whether a pull request has changed since the events of issues were read."""
        return bool(self._state.get("issues_due"))

    def read(self, position: ListPosition) -> None:
        """Read the pull requests that have changed."""
        since, path = read_since(position), f"{self._repository.path}/pulls"
        params = {"state": "all", "sort": "updated", "direction": "desc", **FEW}
        for pull in self._session.newest_first(position, path, params, lambda pull: parse_time(pull, "updated_at")):
            self._state["issues_due"] = True
            if is_wanted_branch(text(pull, "base", "ref"), self._session.context.settings):
                changes = pulls.state_changes(pull)
                self._note(pull, [change for change in changes if change[1] is None or change[1] >= since])

    def read_issues(self, position: ListPosition) -> None:
        """Read who closed and reopened pull requests, and when: their list has the last time only.

        A pull request that was closed or reopened is at the top of their list, so nothing is read without news there.
        """
        path = f"{self._repository.path}/issues/events"
        for item in self._session.newest_first(
            position, path, details.MANY, lambda item: parse_time(item, "created_at")
        ):
            state, issue = text(item, "event"), dig(item, "issue")
            if state in ISSUE_STATES and isinstance(dig(issue, "pull_request"), dict):
                change = (state, parse_time(item, "created_at"), text(item, "actor", "login"))
                self._note(issue, [change])
        self._state.pop("issues_due")

    def read_task(self, task: Task) -> None:
        """Read a pull request with its reviews and files, and record its changes."""
        pull, more = details.pull_request(self._session.api, self._repository, text(task, "key"))
        self._add(task, {**task["pull"], **pull}, more)

    def add_task(self, task: Task) -> None:
        """Record the changes of a pull request with what its list has."""
        self._add(task, task["pull"], {})

    def _note(self, pull: Any, changes: list[StateChange]) -> None:
        number = text(pull, "number")
        if not changes:
            return
        if not number:
            self._add_changes(pull, changes, {})
            return
        known = self._backlog.get("pull", number) or {}
        stored = [[state, time and cursor_time(time), author] for state, time, author in changes]
        both = [*known.get("changes", []), *stored]
        times = [change[1] for change in both if change[1]]
        compact = {**known.get("pull", {}), **_compact(pull)}
        self._backlog.add("pull", number, max(times, default=""), pull=compact, changes=both)

    def _add(self, task: Task, pull: Any, more: dict[str, Any]) -> None:
        if is_wanted_branch(text(pull, "base", "ref"), self._session.context.settings):
            changes = [(text(row, 0), parse_time(row, 1), text(row, 2)) for row in task.get("changes", [])]
            self._add_changes(pull, changes, more)

    def _add_changes(self, pull: Any, changes: Iterable[StateChange], more: dict[str, Any]) -> None:
        resolved = pulls.resolve_changes(pull, changes)
        for change in resolved:
            others = [time for state, time, _ in resolved if state == change[0] and time and time != change[1]]
            now = self._session.context.now
            self._session.add(pulls.pull_request(self._repository, pull, change, now, others, more))


def _compact(pull: Any) -> dict[str, Any]:
    """Return what events of a pull request are made of, without its text."""
    short = {key: text(pull, key)[:500] for key in KEPT if text(pull, key)}
    branches = {end: {"ref": text(pull, end, "ref")} for end in ("head", "base") if text(pull, end, "ref")}
    author = {"user": {"login": text(pull, "user", "login")}} if text(pull, "user", "login") else {}
    merged = {"merged": True} if dig(pull, "merged") is True else {}
    return {**short, **branches, **author, **merged}
