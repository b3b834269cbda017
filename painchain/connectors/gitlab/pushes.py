"""Read the pushes to the branches of a GitLab project, and their commits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from painchain.connectors.code_hosts import text
from painchain.connectors.contract import ErrorKind, PollError, SourceEvent
from painchain.connectors.gitlab import details, push_events
from painchain.connectors.gitlab.client import REFUSED, GitLabClient, iso, quote_path
from painchain.connectors.gitlab.payloads import Item, Project, first_time, parse_moment
from painchain.connectors.gitlab.push_events import Push

COMMITS_WITH_FILES = 20  # of each push; each takes one request
NEW_BRANCH_WINDOW = timedelta(days=1)  # a new default branch can contain the commits of many years
State = dict[str, Any]


class PushReader:
    """Adds the pushes to a project and the commits of the followed branches.

    `state` stores for each followed branch its `head`, and `page`, where reading the commits up to `to` continues if
    they take several polls. Commit dates do not matter: a commit can be much older than its push. While heads are
    compared, it also stores the `etag` of the branch, how many `moves` were found, and when it was last `seen`.
    """

    def __init__(self, api: GitLabClient, project: Project, branches: Sequence[str], state: State):
        self.api, self.project, self.branches, self.state = api, project, branches, state
        self.followed = [branch for branch in branches or (project.branch,) if branch]
        self.path = f"projects/{project.id}/repository"

    def add(self, item: Item, when: datetime) -> None:
        """Add a push from the project's list of events, with its commits."""
        push = push_events.from_activity(item)
        if push is None:
            return
        occurrence = text(item, "id") or f"{push.branch}:{push.before}:{push.after}:{when.isoformat()}"
        if not push.branch:
            self._add_many(push, when, occurrence)
        elif not self.branches or push.branch in self.branches:
            forced = details.is_forced(self.api, self.project, push)
            event = push_events.push_event(self.project, push, forced, when, occurrence)
            self.api.add(event)
            if push.branch in self.followed:
                self._add_commits(push, when, event)

    def _add_many(self, push: Push, when: datetime, occurrence: str) -> None:
        """Add a push to so many branches that GitLab does not list them: their heads show which ones moved."""
        if not self.branches:
            self.api.add(push_events.push_event(self.project, push, None, when, occurrence))
        for branch in self.followed:
            head, known = self._head(branch), self.state.get(branch, {}).get("head", "")
            if head and head != known:
                event = None
                moved = replace(push, branch=branch, before=known, after=head, commits=None, action="")
                if self.branches and known:
                    forced = details.is_forced(self.api, self.project, moved)
                    event = push_events.push_event(self.project, moved, forced, when, occurrence, branch)
                    self.api.add(event)
                self._add_commits(moved, when, event)

    def add_moved_heads(self) -> None:
        """Compare the heads of the followed branches, for a GitLab that does not list its events to this token.

        Who pushed, and when, is not known then.
        """
        for branch in self.followed:
            state = self.state.setdefault(branch, {})
            push = self._push_in_progress(branch) or self._moved(branch)
            if push is None:
                state["seen"] = self.api.context.now.isoformat()
                continue
            event = None
            if push.before:
                forced = details.is_forced(self.api, self.project, push)
                moves = state.get("moves", 0)
                occurrence = (branch, push.before, push.after, moves)
                event = push_events.push_event(self.project, push, forced, self.api.context.now, *occurrence)
                event = self._known_from_webhooks(event, push, parse_moment(state.get("seen")))
                self.api.add(event)
            self._add_commits(push, None, event)
            state |= {"etag": state.pop("next_etag", None), "moves": state.get("moves", 0) + 1}
            state["seen"] = self.api.context.now.isoformat()

    def _known_from_webhooks(self, event: SourceEvent, push: Push, last_poll: datetime | None) -> SourceEvent:
        """Return an event that is a duplicate if webhooks reported a push to the same head since the last poll.

        Several pushes between two polls look like one, so that `before` can be different.
        """
        any_push = f"{self.project.event_id('push', push.branch)}:*:{push.after}:*"
        return replace(event, former_ids={any_push: event.timestamp}, former_since=last_poll)

    def _push_in_progress(self, branch: str) -> Push | None:
        state = self.state[branch]
        return Push(branch, state.get("head", ""), state["to"]) if "to" in state else None

    def _moved(self, branch: str) -> Push | None:
        state = self.state[branch]
        head = self._head(branch, state)
        if not head or head == state.get("head"):
            return None
        return Push(branch, state.get("head", ""), head)

    def _head(self, branch: str, state: State | None = None) -> str:
        """Return the head of a branch; "" if it does not exist, or is the same as the `etag` of `state` refers to."""
        try:
            answer = self.api.get(f"{self.path}/branches/{quote_path(branch)}", etag=(state or {}).get("etag"))
        except PollError as error:
            if error.kind is ErrorKind.NOT_FOUND:
                return ""  # not every project has every branch
            raise
        if state is not None and not answer.is_unchanged:
            state["next_etag"] = answer.headers.get("etag")
        return text(answer.value, "commit", "id")

    def _add_commits(self, push: Push, when: datetime | None, event: SourceEvent | None) -> None:
        """Add the commits of a push, and store the new head. Without a time, commits get their own.

        If they are gone or forbidden, the `event` of the push says so. If GitLab does not answer, the next poll reads
        them.
        """
        state = self.state.setdefault(push.branch, {})
        if not push.after:
            del self.state[push.branch]
            return
        if state.get("to") != push.after:
            state |= {"to": push.after, "page": 1}
        since = {"ref_name": push.after, "since": iso((when or self.api.context.now) - NEW_BRANCH_WINDOW)}
        base = state.get("head") or push.before or (self.project.branch if push.branch != self.project.branch else "")
        is_read = has_some = False
        # The second is for a branch that was rewritten: the known commit is gone. It can miss some commits.
        for number, params in enumerate([{"ref_name": f"{base}..{push.after}"}, since] if base else [since]):
            try:
                found = self._read_commits(push, params, when)
                is_read, has_some = number == 0 or found >= (push.commits or 0), has_some or found > 0
                break
            except PollError as error:
                if error.kind not in REFUSED:
                    raise
                has_some = has_some or state["page"] > 1
                state["page"] = 1
        if not is_read:
            self.api.note(f"Could not read: commits of {self.project.path}.")
            self.api.put(event and push_events.without_commits(event, push, has_some))
        state["head"] = state.pop("to")
        del state["page"]

    def _read_commits(self, push: Push, params: dict[str, Any], when: datetime | None) -> int:
        """Add the commits of a list, and return how many those are."""
        state, now, count = self.state[push.branch], self.api.context.now, 0
        left = COMMITS_WITH_FILES if state["page"] == 1 else 0
        for page in self.api.pages(f"{self.path}/commits", {**params, "with_stats": "true"}, state["page"]):
            for item in page:
                sha = text(item, "id")
                files = details.commit_files(self.api, self.project, sha) if left > 0 and sha else None
                left -= 1
                pushed = when or self._pushed_between_polls(item, push)
                self.api.add(push_events.commit_event(self.project, item, push, files, min(pushed, now)))
            count += len(page)
            state["page"] += 1
            self.api.made_progress = True
        return count

    def _pushed_between_polls(self, item: Item, push: Push) -> datetime:
        """Return when a commit was pushed if nothing tells: at its own time, or now if the last poll was later."""
        now = self.api.context.now
        committed = first_time(item, "committed_date", "created_at")
        last_poll = parse_moment(self.state[push.branch].get("seen"))
        return committed if committed and (last_poll is None or committed >= last_poll) else now
