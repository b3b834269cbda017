"""Read pushes and their commits: from the list of activities, or else by comparing the heads of branches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from painchain.connectors.code_hosts import dig, integer, objects, parse_time, strings, text, unread_commits
from painchain.connectors.contract import ErrorKind, PollError, SourceEvent
from painchain.connectors.github import details
from painchain.connectors.github.backlog import MAX_TRIES, Backlog, Task
from painchain.connectors.github.client import REFUSED
from painchain.connectors.github.events import pushes
from painchain.connectors.github.events.pushes import Push
from painchain.connectors.github.heads import HeadReader
from painchain.connectors.github.pagination import ListPosition, PollSession, cursor_time, read_since
from painchain.connectors.github.repository import Repository, is_wanted_branch

SOME = {"per_page": 50}  # each commit takes another request
MAX_NEW_COMMITS = 500  # of a default branch that is new
RETRY_ACTIVITY = timedelta(days=1)  # how often a server without a list of activities is asked for it
MAX_DONE = 100  # pushes of the last minute that are remembered
LATEST_DELIVERY = timedelta(minutes=10)  # how long after a push its delivery has the time of a later push
MAX_LATER, MAX_NEAR = 5, 200  # later pushes whose time is looked for, and entries of the list among which they are
BROKEN = (ErrorKind.SERVER_ERROR, ErrorKind.INVALID_RESPONSE)  # errors that can concern one commit


class PushReader:
    """Reads the pushes of one repository. `state` is its part of the cursor."""

    def __init__(self, session: PollSession, repository: Repository, state: dict[str, Any], backlog: Backlog):
        self._session = session
        self._repository = repository
        self._state = state
        self._backlog = backlog
        self._settings = session.context.settings
        self._now = session.context.now

    def read(self, position: ListPosition) -> None:
        """Read the pushes since the previous poll."""
        tried_at = parse_time(self._state, "no_activity")
        if tried_at and tried_at > self._now - RETRY_ACTIVITY:
            self._read_heads(position)
            return
        try:
            self._read_activities(position)
            for key in ("no_activity", "no_references", "heads"):
                self._state.pop(key, None)
        except PollError as error:
            if error.kind not in REFUSED or "next" in position:
                raise
            self._state["no_activity"] = cursor_time(self._now)
            self._state.pop("no_references", None)
            self._read_heads(position)

    def read_task(self, task: Task) -> None:
        """Record a push, and its commits if its branch is followed."""
        push, others = _push(task), [time for row in strings(task, "others") if (time := parse_time(row))]
        is_followed = push.branch in self._followed()
        if task.get("is_first"):
            self._read_commits(task, push, self._branch_pages(task, push))
            return
        if not is_followed or not push.after:
            comparison = details.comparison(self._session.api, self._repository, push)
            self._session.add(self._push_event(task, push, others, comparison))
            return
        event = self._push_event(task, push, others, task.get("comparison"))
        path = details.comparison_path(self._repository, push)
        pages = self._compared_pages(task, push, path) if path else self._branch_pages(task, push)
        self._session.add(event)
        try:
            self._read_commits(task, push, pages)
        except Exception:
            self._session.remove(event)  # until its commits have been read, or cannot be
            raise
        self._session.put(self._push_event(task, push, others, task.get("comparison")))

    def add_task(self, task: Task) -> None:
        """Record a push with what its list has, and that commits of a followed branch are missing."""
        push, comparison = _push(task), task.get("comparison")
        if task.get("is_first"):
            since = parse_time(task, "since")
            self._session.give_up(since, f"commits of the branch {push.branch} of {self._repository.name}")
            return
        event = self._push_event(task, push, None, comparison)
        if push.after and push.branch in self._followed():
            missing = unread_commits(integer(comparison, "total_commits"), has_some=comparison is not None)
            event = replace(event, facts={**event.facts, "commits": missing})
        self._session.add(event)

    def _followed(self) -> list[str]:
        return self._settings.get("branches") or [self._repository.branch]

    def _read_activities(self, position: ListPosition) -> None:
        path, times = f"{self._repository.path}/activity", dict[tuple[str, str], list[datetime]]()
        recent, listed = dict[str, datetime](), list[datetime]()

        def happened_at(item: Any) -> datetime | None:
            push = pushes.activity_push(item)
            listed.extend([time] if (time := pushes.activity_time(item)) else [])
            if push and push.time not in times.setdefault(push.key, []):
                times[push.key].append(push.time)
            return push.time if push else None

        since, done = position["since"], strings(position, "done")
        for item in self._session.newest_first(position, path, details.MANY, happened_at):
            push = pushes.activity_push(item)
            if push and is_wanted_branch(push.branch, self._settings):
                key = text(item, "id") or f"{push.branch} {push.after} {cursor_time(push.time)}"
                recent[key] = push.time
                if key not in done:
                    others = [time for time in times[push.key] if time != push.time]
                    near = {time for time in listed[-MAX_NEAR:] if push.time < time <= push.time + LATEST_DELIVERY}
                    self._add_task(key, push, since, others, sorted(near.difference(others))[:MAX_LATER])
        if recent:
            # A poll reads the last minute of the previous one again, and must not read its commits again.
            position["done"] = [key for key, time in recent.items() if time >= read_since(position)][:MAX_DONE]

    def _read_heads(self, position: ListPosition) -> None:
        """Compare the heads of branches with those of the previous poll."""
        time, since = self._pushed_at(position), position["since"]
        reader = HeadReader(self._session.api, self._repository, self._state, self._followed())
        for push, is_first in reader.read(time):
            if is_wanted_branch(push.branch, self._settings):
                key = f"{push.branch} {push.after} {cursor_time(time)}"
                self._add_task(key, push, since, [], [], is_first=is_first, compared_at=cursor_time(self._now))
        position["since"] = cursor_time(self._now)

    def _pushed_at(self, position: ListPosition) -> datetime:
        """Return the time of the last push to the repository if it is since the previous poll; else now."""
        pushed_at = self._repository.pushed_at
        return pushed_at if pushed_at and read_since(position) <= pushed_at <= self._now else self._now

    def _add_task(
        self, key: str, push: Push, since: str, others: list[datetime], later: list[datetime], **more: Any
    ) -> None:
        for name, times in (("others", others), ("later", later)):
            if times:
                more[name] = [cursor_time(time) for time in times]
        self._backlog.add(
            "push",
            key,
            cursor_time(push.time),
            **{"branch": push.branch, "before": push.before, "after": push.after, "status": push.status},
            **{"pusher": push.pusher, "since": since, **more},
        )

    def _push_event(self, task: Task, push: Push, others: list[datetime] | None, comparison: Any) -> SourceEvent:
        """Return the event of a push.

        If heads were compared, a webhook can have reported it at any time since the previous poll.
        """
        event = pushes.push_event(self._repository, push, others, comparison)
        if later := [time for row in strings(task, "later") if (time := parse_time(row))]:
            # A delivery has the time of the repository's last push, which can be a later one.
            later_ids = self._repository.later_ids(later, others or [], *pushes.identity(push))
            event = replace(event, former_ids={**event.former_ids, **later_ids})
        if compared_at := parse_time(task, "compared_at"):
            beginning = self._repository.event_id(*pushes.identity(push))
            # A time has three parts, the id of a delivery one.
            any_ids = {f"{beginning}:*:*:*": compared_at, f"{beginning}:*": compared_at}
            event = replace(event, former_ids={**event.former_ids, **any_ids}, former_since=read_since(task))
        return event

    def _compared_pages(self, task: Task, push: Push, path: str) -> Iterator[list[Any]]:
        """Yield the commits between both ends of a push, and store in the task what the comparison says of the push."""
        try:
            for value in self._session.values(task, path, {**SOME, "page": 1}):
                task["comparison"] = {key: dig(value, key) for key in ("total_commits", "html_url", "status")}
                yield objects(value, "commits")
            return
        except PollError as error:
            if error.kind is not ErrorKind.NOT_FOUND:
                raise
        # One end no longer exists, or both have no history in common.
        yield from self._branch_pages(task, push, text(task, "since"))

    def _branch_pages(self, task: Task, push: Push, since: str = "") -> Iterator[list[Any]]:
        """Yield the commits of a branch: since a time, or the newest."""
        since = since or (text(task, "since") if task.get("is_first") else "")
        params = {"sha": push.after, **({"since": since} if since else {}), **SOME}
        count = 0
        for value in self._session.values(task, f"{self._repository.path}/commits", params):
            yield objects(value)
            count += len(objects(value))
            if count >= MAX_NEW_COMMITS and not since:
                self._session.note(f"Only the first {count} commits of {self._repository.name} are recorded.")
                return

    def _read_commits(self, task: Task, push: Push, pages: Iterator[list[Any]]) -> None:
        is_last_try = (integer(task, "tries") or 0) >= MAX_TRIES - 1
        for page in pages:
            for item in page:
                pushed = push
                if task.get("is_first") and (committed := _committed_at(item)) and committed < push.time:
                    pushed = Push(push.branch, "", push.after, committed)  # when it was pushed is not known
                try:
                    event = details.commit(self._session.api, self._repository, text(item, "sha"), pushed, item)
                except PollError as error:
                    if not is_last_try or error.kind not in BROKEN:
                        raise
                    event = pushes.listed_commit(self._repository, item, pushed)
                self._session.add(event)


def _committed_at(item: Any) -> datetime | None:
    return parse_time(item, "commit", "committer", "date") or parse_time(item, "commit", "author", "date")


def _push(task: Task) -> Push:
    """Return the push of a task."""
    time = parse_time(task, "time")
    assert time is not None  # noqa: S101  written by this class
    ends = (text(task, "branch"), text(task, "before"), text(task, "after"))
    return Push(*ends, time, text(task, "status"), text(task, "pusher"))
