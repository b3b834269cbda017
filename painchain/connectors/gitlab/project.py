"""Read what is new in one GitLab project."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from painchain.connectors.code_hosts import integer, objects, text
from painchain.connectors.contract import PollError
from painchain.connectors.gitlab import commits, events, images
from painchain.connectors.gitlab.client import MAX_FILES, PAGE, REFUSED, SERVER_ERRORS, GitLabClient, has_next_page, iso
from painchain.connectors.gitlab.events import Item, Project, moment

OVERLAP = timedelta(minutes=2)  # changes can become visible out of order
INSTANT = timedelta(milliseconds=1)  # GitLab sends milliseconds but stores smaller parts
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

    @property
    def lists(self) -> int:
        """The number of lists of a project."""
        return len(self._lists())

    def read(self) -> dict[str, PollError]:
        """Read every list. Return the errors of the lists that do not exist or that the token cannot read.

        One list may fail with a server error; at the second one the poll fails.

        :raises PollError: if GitLab as a whole fails.
        """
        refused: dict[str, PollError] = {}
        for name, read in self._lists().items():
            try:
                read()
            except PollError as error:
                if error.kind not in REFUSED and (
                    error.kind not in SERVER_ERRORS or any(one.kind in SERVER_ERRORS for one in refused.values())
                ):
                    raise
                refused[name] = error
        return refused

    def _lists(self) -> dict[str, Callable[[], None]]:
        return {
            "merge requests": self._merge_requests,
            "pipelines": self._pipelines,
            "releases": self._releases,
            "commits": lambda: commits.read(
                self.api, self.project, self.branches, self.state.setdefault("commits", {})
            ),
            "deployments": self._deployments,
            "images": lambda: images.read(self.api, self.project, self.state.setdefault("images", {})),
        }

    def _wanted(self, branch: Any) -> bool:
        return not self.branches or branch in self.branches

    # Lists that can be filtered by the time of the change

    def _changed(self, name: str, read: Callable[[Item, State, datetime], None]) -> None:
        """Read a list in the order of its changes, from where the previous poll stopped.

        `at` is how far the list has been read. `from` is where the current pass started: events since then are new.
        `done` are the events within the overlap, which are listed again.
        """
        state = self.state.setdefault(name, {})
        after = (moment(state.get("at")) or self.context.since) - OVERLAP
        since = moment(state.setdefault("from", (after + OVERLAP).isoformat())) or after
        state.setdefault("done", {})
        order, page = {"order_by": "updated_at", "sort": "asc", "per_page": PAGE}, 1
        while True:
            params = {**order, "updated_after": iso(after), "page": page}
            answer = self.api.get(f"{self.path}/{name}", params)
            for item in objects(answer.value):
                read(item, state, since - OVERLAP)
                self.api.made_progress |= _advance(state, moment(item.get("updated_at")))
            if not has_next_page(answer):
                break
            # Items that change during the pass move to the end and shift the pages, so continue from the last item.
            last = (moment(state.get("at")) or after) - INSTANT
            after, page = (last, 1) if last > after else (after, page + 1)
        state["from"] = state.setdefault("at", state["from"])
        edge = (moment(state["at"]) or self.context.since) - OVERLAP
        state["done"] = {key: when for key, when in state["done"].items() if (moment(when) or edge) >= edge}

    def _done(self, event_id: str, item: Item, state: State) -> None:
        state["done"][event_id] = text(item, "updated_at") or self.context.now.isoformat()

    def _merge_requests(self) -> None:
        self._changed("merge_requests", self._merge_request)
        try:
            self._reopened()
        except PollError as error:
            if error.kind not in REFUSED:
                raise

    def _merge_request(self, item: Item, state: State, since: datetime) -> None:
        if integer(item, "iid") is None or not self._wanted(item.get("target_branch")):
            return
        if (moment(item.get("created_at")) or self.context.now) < since:
            self.state["reopened"] = {**self.state.get("reopened", {}), "due": True}
        details = cache(lambda: self._details(item["iid"]))
        for at, when, author in events.states(item):
            event_id = events.merge_request_id(self.project, item, at)
            if (when is None or when >= since) and event_id not in state["done"]:
                changed_at = when or moment(item.get("updated_at")) or self.context.now
                self.api.add(events.merge_request(self.project, item, at, changed_at, author, details()))
                self._done(event_id, item, state)

    def _details(self, iid: int) -> dict[str, Any]:
        path = f"{self.path}/merge_requests/{iid}"
        facts = events.approvals(self.api.get_optional(f"{path}/approvals"))
        diffs = self.api.get_optional(f"{path}/diffs", {"per_page": MAX_FILES})
        return {**facts, "files_changed": None if diffs is None else events.files(diffs)}

    def _reopened(self) -> None:
        """Read who closed and reopened merge requests. A reopened one no longer has that itself."""
        state = self.state.setdefault("reopened", {})
        since = (moment(state.get("at")) or self.context.since) - OVERLAP
        if state.get("due"):
            newest = since + OVERLAP
            day = (since - timedelta(days=1)).date().isoformat()  # "after" takes days
            for page in self.api.pages(f"{self.path}/events", {"target_type": "merge_request", "after": day}):
                times = [when for event in page if (when := moment(event.get("created_at")))]
                newest = max([newest, *times])
                for event in page:
                    self._event(event, since)
                if times and min(times) < since:
                    break
            state |= {"at": newest.isoformat(), "due": False}

    def _event(self, event: Item, since: datetime) -> None:
        action, when = text(event, "action_name"), moment(event.get("created_at"))
        if action not in ("reopened", "closed") or not when or when < since:
            return
        event_id = events.merge_request_id(self.project, {"iid": event.get("target_iid")}, action)
        if event_id in self.api.events or event_id in self.state["merge_requests"]["done"]:
            return
        item = self._get_item(f"merge_requests/{integer(event.get('target_iid'))}")
        if item and self._wanted(item.get("target_branch")):
            author = events.name(event.get("author"))
            self.api.add(events.merge_request(self.project, item, action, when, author, self._details(item["iid"])))
            self._done(event_id, item, self.state["merge_requests"])

    def _get_item(self, path: str) -> Item | None:
        try:
            value = self.api.get(f"{self.path}/{path}").value
        except PollError as error:
            if error.kind in REFUSED:
                return None
            raise
        return value if isinstance(value, Mapping) else None

    def _pipelines(self) -> None:
        self._changed("pipelines", self._pipeline)

    def _pipeline(self, item: Item, state: State, since: datetime) -> None:
        event_id = events.pipeline_id(self.project, item)
        if event_id is None or not self._wanted(item.get("ref")) or event_id in state["done"]:
            return
        path = f"{self.path}/pipelines/{item['id']}"
        details = self.api.get_optional(path)
        # It can change between the two requests; the event has the status from the list.
        whole_item = {**item, **details, "status": item["status"]} if isinstance(details, Mapping) else item
        failed = None
        if item["status"] == "failed":
            jobs = self.api.get_optional(f"{path}/jobs", {"scope[]": "failed", "per_page": PAGE})
            failed = None if jobs is None else events.failed_jobs(jobs)
        event = events.pipeline(self.project, whole_item, whole_item.get("user"), failed, self.context.now)
        if event and event.timestamp >= since:
            self.api.add(event)
        self._done(event_id, item, state)

    def _deployments(self) -> None:
        self._changed("deployments", self._deployment)

    def _deployment(self, item: Item, state: State, since: datetime) -> None:
        event = events.deployment(self.project, item, self.context.now)
        if event and self._wanted(item.get("ref")) and event.timestamp >= since:
            self.api.add(event)

    # Lists that cannot

    def _releases(self) -> None:
        state = self.state.setdefault("releases", {})
        since = (moment(state.get("at")) or self.context.since) - OVERLAP
        params = {"order_by": "created_at", "sort": "desc", "per_page": PAGE}
        answer = self.api.get(f"{self.path}/releases", params, state.get("etag"))
        if answer.is_unchanged:
            return
        etag, newest, page = answer.headers.get("etag"), since + OVERLAP, 1
        while True:
            made = [(item, moment(item.get("created_at"))) for item in objects(answer.value)]
            for item, when in made:
                if when is None or when >= since:
                    self.api.add(events.release(self.project, item, self.context.now))
            newest = max([newest, *(when for _, when in made if when)])
            if not has_next_page(answer) or any(when and when < since for _, when in made):
                break
            page += 1
            answer = self.api.get(f"{self.path}/releases", {**params, "page": page})
        state |= {"at": newest.isoformat(), "etag": etag}


def _advance(state: State, when: datetime | None) -> bool:
    """Advance the position to a time, and say whether it moved."""
    before = moment(state.get("at"))
    if when is None or (before and when <= before):
        return False
    state["at"] = when.isoformat()
    return True
