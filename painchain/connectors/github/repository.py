"""Read what is new in one repository on GitHub."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from painchain.connectors.code_hosts import dig, moment, rows, text, words
from painchain.connectors.contract import ErrorKind, PollError
from painchain.connectors.github import events
from painchain.connectors.github.pagination import Place, PollSession, since_of, stamp
from painchain.connectors.github.webhook import of_branch
from painchain.connectors.http_client import Answer

MOST_OPEN = 50  # runs that have not ended, by repository
MANY = {"per_page": 100}
# To a page, where each item takes up to three more requests: a whole page must fit into one poll.
FEW = {"per_page": 20}
SOME = {"per_page": 50}


@dataclass(frozen=True)
class Repo:
    """A repository: `name` as GitHub spells it, its default branch, and who owns it."""

    name: str
    branch: str
    owner: str
    organization: bool


class Reading:
    """Reads one repository. `state` is what the cursor has of it."""

    def __init__(self, walk: PollSession, repo: Repo, state: dict[str, Any]):
        self._walk = walk
        self._repo = repo
        self._state = state
        self._path = f"repos/{repo.name}"
        self._settings = walk.turn.settings
        self._now = walk.turn.now
        self._who: dict[tuple[str, str], str] = {}

    def everything(self) -> None:
        """Read all that is new."""
        parts = {
            "reopened pull requests": self._reopened,
            "pull requests": self._pulls,
            "workflow runs": self._runs,
            "releases": self._releases,
            "deployments": self._deployments,
        }
        for what, read in parts.items():
            with self._walk.reading(f"{what} of {self._repo.name}"):
                read()
        for branch in self._settings.get("branches") or [self._repo.branch]:
            with self._walk.reading(f"commits of {self._repo.name} on {branch}"):
                self._commits(branch)
        self._state["seen"] = stamp(self._now)

    def _place(self, kind: str) -> Place:
        places: dict[str, Place] = self._state.setdefault("lists", {})
        return places.setdefault(kind, {"since": self._state["seen"]})

    def _reopened(self) -> None:
        """The list of pull requests does not tell that one was reopened, nor who closed it."""
        place = self._place("issues")
        path = f"{self._path}/issues/events"
        for told in self._walk.newest_first(place, path, SOME, lambda told: moment(told, "created_at")):
            number, who = text(told, "issue", "number"), text(told, "actor", "login")
            self._who.setdefault((number, text(told, "event")), who)
            if number and text(told, "event") == "reopened" and isinstance(dig(told, "issue", "pull_request"), dict):
                pull, more = self._details(told["issue"], number)
                if of_branch(text(pull, "base", "ref"), self._settings):
                    when = moment(told, "created_at") or self._now
                    self._walk.add(events.pull_request(self._repo.name, pull, "reopened", when, who, more))

    def _pulls(self) -> None:
        place = self._place("pulls")
        since = since_of(place)
        params = {"state": "all", "sort": "updated", "direction": "desc", **FEW}
        path = f"{self._path}/pulls"
        for pull in self._walk.newest_first(place, path, params, lambda pull: moment(pull, "updated_at")):
            if not of_branch(text(pull, "base", "ref"), self._settings):
                continue
            told = events.pull_request_changes(pull)
            if new := [(state, when) for state, when, _ in told if when is None or when >= since]:
                self._pull(pull, new)

    def _pull(self, pull: Any, new: list[tuple[str, datetime | None]]) -> None:
        number = text(pull, "number")
        full, more = self._details(pull, number) if number else (pull, {})
        by = {state: who for state, _, who in events.pull_request_changes(full)}
        for state, when in new:
            moment_ = when or moment(pull, "updated_at") or self._now
            who = by.get(state) or self._who.get((number, state), "")
            self._walk.add(events.pull_request(self._repo.name, full, state, moment_, who, more))

    def _details(self, pull: Any, number: str) -> tuple[Any, dict[str, Any]]:
        """Return a pull request with all that it tells itself, and what its reviews and files tell."""
        path = f"{self._path}/pulls/{number}"
        full = self._walk.optional(path)
        full = {**pull, **full} if isinstance(full, dict) else pull
        more = events.review_facts(full, rows(self._walk.optional(f"{path}/reviews", MANY)))
        files = [name for one in rows(self._walk.optional(f"{path}/files", MANY)) if (name := text(one, "filename"))]
        return full, {**more, "files_changed": files} if files else more

    def _runs(self) -> None:
        """Runs are listed by when they began: those that had not ended are asked for when they are far down by now."""
        place, path = self._place("runs"), f"{self._path}/actions/runs"
        since, listed_runs = since_of(place), set[str]()

        def touched(run: Any) -> datetime | None:
            listed_runs.add(text(run, "id"))
            return moment(run, "updated_at")

        for run in self._walk.newest_first(place, path, SOME, touched, "workflow_runs"):
            self._run(run, since)
        for number in [one for one in words(self._state, "open") if listed_runs and one not in listed_runs]:
            run = self._walk.optional(f"{path}/{number}")
            self._run(run if isinstance(run, dict) else {"id": number, "conclusion": "gone"}, None)

    def _run(self, run: Any, since: datetime | None) -> None:
        number, ended = text(run, "id"), bool(text(run, "conclusion"))
        still = [one for one in words(self._state, "open") if one != number]
        self._state["open"] = (still if ended or not number else [*still, number])[-MOST_OPEN:]
        if run.get("conclusion") == "gone" or not of_branch(text(run, "head_branch"), self._settings):
            return
        jobs: list[str] = []
        if events.run_status(run) in events.BROKEN and number:
            attempt = text(run, "run_attempt") or "1"
            path = f"{self._path}/actions/runs/{number}/attempts/{attempt}/jobs"
            jobs = events.failed_jobs(rows(self._walk.optional(path, MANY), "jobs"))
        new = events.run_changes(self._repo.name, run, self._now, jobs)
        self._walk.add(*(one for one in new if since is None or one.timestamp >= since))

    def _releases(self) -> None:
        place = self._place("releases")
        for told in self._walk.newest_first(place, f"{self._path}/releases", SOME, _released):
            self._walk.add(*events.release(self._repo.name, told, self._now))

    def _deployments(self) -> None:
        place, path = self._place("deployments"), f"{self._path}/deployments"
        since = since_of(place)
        for told in self._walk.newest_first(place, path, SOME, _deployed):
            new = [events.deployment(self._repo.name, told, self._now)]
            if number := text(told, "id"):
                statuses = rows(self._walk.optional(f"{path}/{number}/statuses", MANY))
                new += [events.deployment_status(self._repo.name, told, one, self._now) for one in reversed(statuses)]
            self._walk.add(*(one for one in new if one.timestamp >= since))

    def _commits(self, branch: str) -> None:
        """Commits are told by what the branch leads to now and led to before: their dates can be of any time."""
        place, key = self._place(f"commits {branch}"), f"{self._path}/commits {branch}"
        head = None
        if "next" not in place:
            head = self._head(branch, key)
            if head is None or head.unchanged:
                return
            place["to"] = text(head.value, 0, "sha")
        if place.get("to") and place["to"] != place.get("head"):
            for page in self._new_commits(place, branch):
                for told in page:
                    self._commit(told, branch)
            place["head"], place["since"] = place["to"], stamp(self._now)
        place.pop("to", None)
        if head:
            self._walk.asking.store_etag(key, head)

    def _commit(self, told: Any, branch: str) -> None:
        sha = text(told, "sha")
        full = self._walk.optional(f"{self._path}/commits/{sha}") if sha else None
        self._walk.add(events.commit(self._repo.name, full if text(full, "sha") else told, branch, self._now))

    def _head(self, branch: str, key: str) -> Answer | None:
        """Return what the branch leads to; None in a repository without any commit."""
        try:
            return self._walk.asking.get_changed(key, f"{self._path}/commits", {"sha": branch, "per_page": 1})
        except PollError as error:
            if error.status == 409:
                return None
            raise

    def _new_commits(self, place: Place, branch: str) -> Iterator[list[Any]]:
        if place.get("head"):
            path = f"{self._path}/compare/{place['head']}...{place['to']}"
            try:
                yield from self._walk.pages(place, path, {**SOME, "page": 1}, "commits")
                return
            except PollError as error:
                if error.trouble is not ErrorKind.MISSING:
                    raise
        # A branch that is read for the first time, or whose old head is gone.
        params = {"sha": branch, "since": place["since"], **SOME}
        yield from self._walk.pages(place, f"{self._path}/commits", params)


def _released(told: Any) -> datetime | None:
    return None if told.get("draft") is True else moment(told, "published_at") or moment(told, "created_at")


def _deployed(told: Any) -> datetime | None:
    return moment(told, "updated_at") or moment(told, "created_at")
