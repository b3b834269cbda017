"""Read what is new in one repository on GitHub."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from painchain.connectors.code_hosts import dig, objects, parse_time, strings, text
from painchain.connectors.contract import ErrorKind, PollError
from painchain.connectors.github import events
from painchain.connectors.github.pagination import ListPosition, PollSession, cursor_time, read_since
from painchain.connectors.github.webhook import is_wanted_branch
from painchain.connectors.http_client import Response

MAX_OPEN_RUNS = 50  # unfinished runs that are tracked, per repository
MANY = {"per_page": 100}
# Small pages, because each item takes up to three more requests and a whole page must fit into one poll.
FEW = {"per_page": 20}
SOME = {"per_page": 50}


@dataclass(frozen=True)
class Repository:
    """A repository: `name` as GitHub spells it, its default branch, and who owns it."""

    name: str
    branch: str
    owner: str
    organization: bool


class RepositoryReader:
    """Reads one repository. `state` is its part of the cursor."""

    def __init__(self, session: PollSession, repo: Repository, state: dict[str, Any]):
        self._session = session
        self._repo = repo
        self._state = state
        self._path = f"repos/{repo.name}"
        self._settings = session.context.settings
        self._now = session.context.now
        self._who: dict[tuple[str, str], str] = {}

    def read_all(self) -> None:
        """Read everything that is new."""
        parts = {
            "reopened pull requests": self._reopened,
            "pull requests": self._pulls,
            "workflow runs": self._runs,
            "releases": self._releases,
            "deployments": self._deployments,
        }
        for what, read in parts.items():
            with self._session.attempt(f"{what} of {self._repo.name}"):
                read()
        for branch in self._settings.get("branches") or [self._repo.branch]:
            with self._session.attempt(f"commits of {self._repo.name} on {branch}"):
                self._commits(branch)
        self._state["seen"] = cursor_time(self._now)

    def _position(self, kind: str) -> ListPosition:
        positions: dict[str, ListPosition] = self._state.setdefault("lists", {})
        return positions.setdefault(kind, {"since": self._state["seen"]})

    def _reopened(self) -> None:
        """Read who reopened and closed pull requests, which their list does not contain."""
        position = self._position("issues")
        path = f"{self._path}/issues/events"
        for item in self._session.newest_first(position, path, SOME, lambda item: parse_time(item, "created_at")):
            number, author = text(item, "issue", "number"), text(item, "actor", "login")
            self._who.setdefault((number, text(item, "event")), author)
            if number and text(item, "event") == "reopened" and isinstance(dig(item, "issue", "pull_request"), dict):
                pull, more = self._details(item["issue"], number)
                if is_wanted_branch(text(pull, "base", "ref"), self._settings):
                    when = parse_time(item, "created_at") or self._now
                    self._session.add(events.pull_request(self._repo.name, pull, "reopened", when, author, more))

    def _pulls(self) -> None:
        position = self._position("pulls")
        since = read_since(position)
        params = {"state": "all", "sort": "updated", "direction": "desc", **FEW}
        path = f"{self._path}/pulls"
        for pull in self._session.newest_first(position, path, params, lambda pull: parse_time(pull, "updated_at")):
            if not is_wanted_branch(text(pull, "base", "ref"), self._settings):
                continue
            changes = events.pull_request_changes(pull)
            if new := [(state, when) for state, when, _ in changes if when is None or when >= since]:
                self._pull(pull, new)

    def _pull(self, pull: Any, new: list[tuple[str, datetime | None]]) -> None:
        number = text(pull, "number")
        full, more = self._details(pull, number) if number else (pull, {})
        by = {state: author for state, _, author in events.pull_request_changes(full)}
        for state, when in new:
            changed_at = when or parse_time(pull, "updated_at") or self._now
            author = by.get(state) or self._who.get((number, state), "")
            self._session.add(events.pull_request(self._repo.name, full, state, changed_at, author, more))

    def _details(self, pull: Any, number: str) -> tuple[Any, dict[str, Any]]:
        """Return a pull request with all its details, and the facts of its reviews and files."""
        path = f"{self._path}/pulls/{number}"
        full = self._session.get_optional(path)
        full = {**pull, **full} if isinstance(full, dict) else pull
        more = events.review_facts(full, objects(self._session.get_optional(f"{path}/reviews", MANY)))
        files = [
            name
            for one in objects(self._session.get_optional(f"{path}/files", MANY))
            if (name := text(one, "filename"))
        ]
        return full, {**more, "files_changed": files} if files else more

    def _runs(self) -> None:
        """Read runs. The list is sorted by start, so older unfinished runs are requested one by one."""
        position, path = self._position("runs"), f"{self._path}/actions/runs"
        since, listed_runs = read_since(position), set[str]()

        def touched(run: Any) -> datetime | None:
            listed_runs.add(text(run, "id"))
            return parse_time(run, "updated_at")

        for run in self._session.newest_first(position, path, SOME, touched, "workflow_runs"):
            self._run(run, since)
        for number in [one for one in strings(self._state, "open") if listed_runs and one not in listed_runs]:
            run = self._session.get_optional(f"{path}/{number}")
            self._run(run if isinstance(run, dict) else {"id": number, "conclusion": "gone"}, None)

    def _run(self, run: Any, since: datetime | None) -> None:
        number, ended = text(run, "id"), bool(text(run, "conclusion"))
        still = [one for one in strings(self._state, "open") if one != number]
        self._state["open"] = (still if ended or not number else [*still, number])[-MAX_OPEN_RUNS:]
        if run.get("conclusion") == "gone" or not is_wanted_branch(text(run, "head_branch"), self._settings):
            return
        jobs: list[str] = []
        if events.run_status(run) in events.BROKEN and number:
            attempt = text(run, "run_attempt") or "1"
            path = f"{self._path}/actions/runs/{number}/attempts/{attempt}/jobs"
            jobs = events.failed_jobs(objects(self._session.get_optional(path, MANY), "jobs"))
        new = events.run_changes(self._repo.name, run, self._now, jobs)
        self._session.add(*(one for one in new if since is None or one.timestamp >= since))

    def _releases(self) -> None:
        position = self._position("releases")
        for item in self._session.newest_first(position, f"{self._path}/releases", SOME, _released):
            self._session.add(*events.release(self._repo.name, item, self._now))

    def _deployments(self) -> None:
        position, path = self._position("deployments"), f"{self._path}/deployments"
        since = read_since(position)
        for item in self._session.newest_first(position, path, SOME, _deployed):
            new = [events.deployment(self._repo.name, item, self._now)]
            if number := text(item, "id"):
                statuses = objects(self._session.get_optional(f"{path}/{number}/statuses", MANY))
                new += [events.deployment_status(self._repo.name, item, one, self._now) for one in reversed(statuses)]
            self._session.add(*(one for one in new if one.timestamp >= since))

    def _commits(self, branch: str) -> None:
        """Read commits between the previous and the current head of a branch: commit dates can be arbitrary."""
        position, key = self._position(f"commits {branch}"), f"{self._path}/commits {branch}"
        head = None
        if "next" not in position:
            head = self._head(branch, key)
            if head is None or head.is_unchanged:
                return
            position["to"] = text(head.value, 0, "sha")
        if position.get("to") and position["to"] != position.get("head"):
            for page in self._new_commits(position, branch):
                for item in page:
                    self._commit(item, branch)
            position["head"], position["since"] = position["to"], cursor_time(self._now)
        position.pop("to", None)
        if head:
            self._session.api.store_etag(key, head)

    def _commit(self, item: Any, branch: str) -> None:
        sha = text(item, "sha")
        full = self._session.get_optional(f"{self._path}/commits/{sha}") if sha else None
        self._session.add(events.commit(self._repo.name, full if text(full, "sha") else item, branch, self._now))

    def _head(self, branch: str, key: str) -> Response | None:
        """Return the head of the branch, or None in an empty repository."""
        try:
            return self._session.api.get_changed(key, f"{self._path}/commits", {"sha": branch, "per_page": 1})
        except PollError as error:
            if error.status == 409:
                return None
            raise

    def _new_commits(self, position: ListPosition, branch: str) -> Iterator[list[Any]]:
        if position.get("head"):
            path = f"{self._path}/compare/{position['head']}...{position['to']}"
            try:
                yield from self._session.pages(position, path, {**SOME, "page": 1}, "commits")
                return
            except PollError as error:
                if error.kind is not ErrorKind.NOT_FOUND:
                    raise
        # The branch is read for the first time, or its previous head no longer exists.
        params = {"sha": branch, "since": position["since"], **SOME}
        yield from self._session.pages(position, f"{self._path}/commits", params)


def _released(item: Any) -> datetime | None:
    return None if item.get("draft") is True else parse_time(item, "published_at") or parse_time(item, "created_at")


def _deployed(item: Any) -> datetime | None:
    return parse_time(item, "updated_at") or parse_time(item, "created_at")
