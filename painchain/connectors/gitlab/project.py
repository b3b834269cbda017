"""Read what is new in one GitLab project."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from painchain.connectors.code_hosts import count_state, integer, objects, text, unreadable
from painchain.connectors.contract import PollError
from painchain.connectors.gitlab import activity, details, events, images, releases
from painchain.connectors.gitlab.client import (
    OVERLAP,
    PAGE,
    REFUSED,
    SERVER_ERRORS,
    GitLabClient,
    has_next_page,
    iso,
)
from painchain.connectors.gitlab.payloads import Item, Project, parse_moment, person_name
from painchain.connectors.gitlab.pushes import PushReader
from painchain.connectors.poll_budget import PollBudgetExceeded

INSTANT = timedelta(milliseconds=1)  # GitLab sends milliseconds but stores smaller parts
MAX_OPEN_PIPELINES = 100  # pipelines that have not ended, whose statuses are counted
REFUSED_PAUSE = timedelta(days=1)  # until a list of events that the token may not read is requested again
State = dict[str, Any]


class ProjectReader:
    """Reads one project; `state` stores how far each of its lists has been read.

    Lists are read in the order of changes and the state advances with each item, so a poll can stop anywhere and the
    next one continues there.
    """

    def __init__(self, api: GitLabClient, project: Project, branches: Sequence[str], state: State):
        self.api, self.project, self.branches, self.state = api, project, tuple(branches), state
        self.context = api.context
        self.path = f"projects/{project.id}"
        self.pushes = PushReader(api, project, self.branches, state.setdefault("commits", {}))
        self.details = cache(lambda iid: details.merge_request_facts(api, project, iid))

    @property
    def lists(self) -> int:
        """The number of lists of a project."""
        return len(self._lists())

    def read(self) -> dict[str, PollError]:
        """Read every list. Return the errors of the lists that do not exist or that the token cannot read.

        One list may fail with a server error; at the second one the poll fails.

        :raises PollError: if GitLab as a whole fails.
        """
        self.state.setdefault("activity", {"at": self._activity_start().isoformat()})
        refused: dict[str, PollError] = {}
        for name, read in self._lists().items():
            try:
                read()
            except PollBudgetExceeded:
                raise
            except Exception as problem:  # one odd item must not stop the other lists
                if not isinstance(problem, PollError):
                    refused[name] = unreadable(problem, f"{name} of project {self.project.id}")
                    continue
                error = problem
                if error.kind not in REFUSED and (
                    error.kind not in SERVER_ERRORS or any(other.kind in SERVER_ERRORS for other in refused.values())
                ):
                    raise
                refused[name] = error
        return refused

    def _lists(self) -> dict[str, Callable[[], None]]:
        return {
            "merge requests": lambda: self._changed("merge_requests", self._merge_request),
            "pipelines": lambda: self._changed("pipelines", self._pipeline),
            "releases": lambda: releases.read(self.api, self.project, self.state.setdefault("releases", {})),
            "pushes": self._activity,
            "deployments": lambda: self._changed("deployments", self._deployment),
            "images": lambda: images.read(self.api, self.project, self.state.setdefault("images", {})),
        }

    def _follows(self, branch: Any) -> bool:
        return not self.branches or branch in self.branches

    # Lists that can be filtered by the time of the change

    def _changed(self, name: str, read: Callable[[Item, State, datetime], None]) -> None:
        """Read a list in the order of its changes, from where the previous poll stopped.

        `at` is how far the list has been read. `from` is where the current pass started: events since then are new.
        `done` are the events within the overlap, which are listed again.
        """
        state = self.state.setdefault(name, {})
        after = (parse_moment(state.get("at")) or self.context.since) - OVERLAP
        since = parse_moment(state.setdefault("from", (after + OVERLAP).isoformat())) or after
        state.setdefault("done", {})
        order, page = {"order_by": "updated_at", "sort": "asc", "per_page": PAGE}, 1
        while True:
            params = {**order, "updated_after": iso(after), "page": page}
            answer = self.api.get(f"{self.path}/{name}", params)
            for item in objects(answer.value):
                read(item, state, since - OVERLAP)
                self.api.made_progress |= _advance(state, parse_moment(item.get("updated_at")))
            if not has_next_page(answer):
                break
            # Items that change during the pass move to the end and shift the pages, so continue from the last item.
            last = (parse_moment(state.get("at")) or after) - INSTANT
            after, page = (last, 1) if last > after else (after, page + 1)
        state["from"] = state.setdefault("at", state["from"])
        edge = (parse_moment(state["at"]) or self.context.since) - OVERLAP
        state["done"] = {key: when for key, when in state["done"].items() if (parse_moment(when) or edge) >= edge}

    def _done(self, key: str, item: Item, state: State) -> None:
        state["done"][key] = text(item, "updated_at") or self.context.now.isoformat()

    def _merge_request(self, item: Item, state: State, since: datetime) -> None:
        iid = integer(item, "iid")
        if iid is None or not self._follows(item.get("target_branch")):
            return
        for status, when, author in events.states(item):
            key = events.merge_request_id(self.project, iid, status, when)
            if (when is None or when >= since) and key not in state["done"]:
                changed = when or parse_moment(item.get("updated_at")) or self.context.now
                self.api.add(
                    events.merge_request(self.project, item, status, changed, author, self.details(item["iid"]))
                )
                self._done(key, item, state)

    def _pipeline(self, item: Item, state: State, since: datetime) -> None:
        key = f"pipeline {item.get('id')} {item.get('status')} {item.get('updated_at')}"
        if events.pipeline_id(self.project, item) is None or not self._follows(item.get("ref")) or key in state["done"]:
            return
        whole = self._whole_pipeline(item)
        failed = None
        if whole["status"] == "failed":
            failed = details.failed_jobs(self.api, self.project, item["id"])
        states: State = state.setdefault("runs", {})
        occurrence = count_state(states, text(item, "id"), text(whole, "status"))
        if whole["status"] in events.FINAL_STATUSES:
            del states[text(item, "id")]
            occurrence = 1
        state["runs"] = dict(list(states.items())[-MAX_OPEN_PIPELINES:])
        event = events.pipeline(self.project, whole, whole.get("user"), failed, self.context.now, occurrence)
        if event and event.timestamp >= since:
            self.api.add(event)
        self._done(key, item, state)

    def _whole_pipeline(self, item: Item) -> Item:
        """Return a pipeline with the members that the list leaves out.

        It can change between the two requests. An end that the list shows is kept if the pipeline only runs again.
        """
        whole = self.api.get_optional(f"{self.path}/pipelines/{item['id']}")
        if not isinstance(whole, Mapping):
            return item
        has_ended = item["status"] in events.FINAL_STATUSES and whole.get("status") not in events.FINAL_STATUSES
        status = item["status"] if has_ended or "status" not in whole else whole["status"]
        return {**item, **whole, "status": status}

    def _deployment(self, item: Item, state: State, since: datetime) -> None:
        event = events.deployment(self.project, item, self.context.now)
        if event and self._follows(item.get("ref")) and event.timestamp >= since:
            self.api.add(event)

    # Pushes, and merge requests that were closed and reopened

    def _activity(self) -> None:
        state = self.state["activity"]
        refused = parse_moment(state.get("refused"))
        if refused is None or self.context.now - refused >= REFUSED_PAUSE:
            try:
                activity.read(self.api, self.project, state, self._handle_activity)
                state["refused"] = None
                return
            except PollError as error:
                if error.kind not in REFUSED:
                    raise
                state["refused"] = self.context.now.isoformat()
        self.api.note("GitLab does not list the events of some projects for this token: their pushes have no author.")
        self.pushes.add_moved_heads()
        state["at"] = self.context.now.isoformat()  # if the list can be read later, it starts here

    def _activity_start(self) -> datetime:
        """Return where the first reading starts: an older version has read the other lists up to some time."""
        times = [parse_moment(state.get("at")) for state in self.state.values() if isinstance(state, dict)]
        newest = max((when for when in times if when), default=self.context.since)
        return max(min(newest, self.context.since), self.context.now - activity.UPGRADE_WINDOW)

    def _handle_activity(self, item: Item, when: datetime) -> None:
        if isinstance(item.get("push_data"), Mapping):
            self.pushes.add(item, when)
        elif text(item, "target_type") == "MergeRequest" and item.get("action_name") in ("closed", "reopened"):
            self._state_change(item, when)

    def _state_change(self, item: Item, when: datetime) -> None:
        iid, status = integer(item, "target_iid"), text(item, "action_name")
        key = events.merge_request_id(self.project, iid or 0, status, when)
        if iid is None or key in self.api.events or key in self.state["merge_requests"]["done"]:
            return
        merge_request = self.api.get_optional(f"{self.path}/merge_requests/{iid}")
        if isinstance(merge_request, Mapping) and self._follows(merge_request.get("target_branch")):
            author = person_name(item.get("author"))
            self.api.add(events.merge_request(self.project, merge_request, status, when, author, self.details(iid)))


def _advance(state: State, when: datetime | None) -> bool:
    """Advance the position to a time, and say whether it moved."""
    before = parse_moment(state.get("at"))
    if when is None or (before and when <= before):
        return False
    state["at"] = when.isoformat()
    return True
