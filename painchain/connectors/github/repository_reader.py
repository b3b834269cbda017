"""Read what is new in one repository on GitHub."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from painchain.connectors.code_hosts import dig, parse_time, strings, text
from painchain.connectors.contract import SourceEvent
from painchain.connectors.github import details
from painchain.connectors.github.backlog import Backlog, Task
from painchain.connectors.github.events import deployments, releases
from painchain.connectors.github.pagination import ListPosition, PollSession, cursor_time, read_since
from painchain.connectors.github.pull_reader import PullReader
from painchain.connectors.github.push_reader import PushReader
from painchain.connectors.github.repository import Repository
from painchain.connectors.github.run_reader import RunReader
from painchain.connectors.github.sweep import Note, Sweep

MAX_RELEASES = 20  # the newest releases, whose deletion is noticed
MAX_PRERELEASES = 200  # whose promotion is noticed
MAX_CHECKED = 5  # releases of one poll that may be deleted
KEPT = ("id", "environment", "ref", "sha", "description", "created_at", "updated_at")


class RepositoryReader:
    """Reads one repository. `state` is its part of the cursor."""

    def __init__(self, session: PollSession, repository: Repository, state: dict[str, Any]):
        self._session = session
        self._repository = repository
        self._state = state
        self._now = session.context.now
        self._begin = parse_time(state, "begin") or read_since({"since": state["seen"]})
        self._backlog = Backlog(session, state)
        self._pulls = PullReader(session, repository, state, self._backlog)
        self._runs = RunReader(session, repository, state, self._backlog, self._begin)
        self._pushes = PushReader(session, repository, state, self._backlog)

    def read_all(self) -> None:
        """Read everything that is new, then what takes more requests for each item."""
        name = self._repository.name
        parts: dict[str, Callable[[], None]] = {
            "pull requests": lambda: self._pulls.read(self._position("pulls")),
            "workflow runs": lambda: self._runs.read(self._position("runs")),
            "releases": self._read_releases,
            "deployments": self._read_deployments,
            "pushes": lambda: self._pushes.read(self._position("activity")),
        }
        for part, read in parts.items():
            with self._session.attempt(f"{part} of {name}"):
                read()
        if self._pulls.has_news:
            with self._session.attempt(f"reopened pull requests of {name}"):
                self._pulls.read_issues(self._position("issues"))
        self._sweep()
        kinds = {
            "pull": (self._pulls.read_task, self._pulls.add_task),
            "run": (self._runs.read_task, self._runs.add_task),
            "deployment": (self._read_statuses, self._add_deployment),
            "push": (self._pushes.read_task, self._pushes.add_task),
        }
        self._backlog.work(kinds, name)
        self._state["seen"] = cursor_time(self._now)

    def _position(self, kind: str) -> ListPosition:
        positions: dict[str, ListPosition] = self._state.setdefault("lists", {})
        return positions.setdefault(kind, {"since": self._state["seen"]})

    def _sweep(self) -> None:
        path = self._repository.path
        lists: dict[str, tuple[str, str, Note]] = {
            "runs": (f"{path}/actions/runs", "workflow_runs", self._runs.note),
            "deployments": (f"{path}/deployments", "", self._note_deployment),
            "releases": (f"{path}/releases", "", self._note_release),
        }
        sweep = Sweep(self._session, self._state, lists)
        with self._session.attempt(f"older items of {self._repository.name}", counts_as_list=False):
            sweep.read()

    def _read_releases(self) -> None:
        position, path, listed = self._position("releases"), f"{self._repository.path}/releases", list[Any]()
        is_resumed, since = "next" in position, read_since(position)
        if "releases" not in self._state:
            self._session.api.forget_etags(path)  # an older version did not note which releases there are

        def changed_at(release: Any) -> datetime | None:
            if all(other is not release for other in listed):
                listed.append(release)
            return self._released_at(release)

        for release in self._session.newest_first(position, path, details.MANY, changed_at):
            self._note_release(release, since)
        if path not in self._session.unchanged and not is_resumed:
            self._check_deleted(path, listed)

    def _note_release(self, release: Any, since: datetime) -> None:
        """Record a release that was published or promoted since a time."""
        promoted_at = (parse_time(release, "updated_at") or self._now) if self._is_promoted(release) else None
        published_at = parse_time(release, "published_at")
        if promoted_at or published_at is None or published_at >= since:
            self._session.add(*releases.published(self._repository, release, self._now, promoted_at, since))
        number = text(release, "id")
        others = [other for other in strings(self._state, "prereleases") if other != number]
        is_prerelease = number and not releases.is_draft(release) and releases.status_of(release) == "prerelease"
        self._state["prereleases"] = [*others, number][-MAX_PRERELEASES:] if is_prerelease else others

    def _is_promoted(self, release: Any) -> bool:
        """Say whether a release was a pre-release when it was read last."""
        is_known = text(release, "id") in strings(self._state, "prereleases")
        return is_known and not releases.is_draft(release) and releases.status_of(release) == "published"

    def _released_at(self, release: Any) -> datetime | None:
        """Return when a release last changed; None for a draft, which is no news."""
        if releases.is_draft(release):
            return None
        if self._is_promoted(release):
            return self._now
        times = [parse_time(release, key) for key in ("published_at", "updated_at")]
        return max((time for time in times if time), default=parse_time(release, "created_at"))

    def _check_deleted(self, path: str, listed: list[Any]) -> None:
        """Record which of the newest releases are gone, and remember the newest ones and all pre-releases."""
        known = dig(self._state, "releases")
        current = {text(release, "id"): release for release in listed if not releases.is_draft(release)}
        missing = [number for number in known if number not in current] if isinstance(known, dict) else []
        for number in missing[:MAX_CHECKED]:
            if self._session.api.get_optional(f"{path}/{number}") is None:
                gone = {"id": number, "tag_name": text(known, number)}
                is_prerelease = number in strings(self._state, "prereleases")
                self._session.add(
                    releases.deleted(self._repository, {**gone, "prerelease": is_prerelease}, "", self._now)
                )
        newest = list(current.items())[:MAX_RELEASES]
        self._state["releases"] = {number: text(release, "tag_name") for number, release in newest if number}
        for number, release in current.items():
            if number not in strings(self._state, "prereleases") and releases.status_of(release) == "prerelease":
                self._state["prereleases"] = [*strings(self._state, "prereleases"), number][-MAX_PRERELEASES:]

    def _read_deployments(self) -> None:
        position, path = self._position("deployments"), f"{self._repository.path}/deployments"
        since = read_since(position)
        for item in self._session.newest_first(position, path, details.MANY, _deployed_at):
            self._note_deployment(item, since)

    def _note_deployment(self, deployment: Any, since: datetime) -> None:
        time = text(deployment, "updated_at") or cursor_time(self._now)
        if number := text(deployment, "id"):
            texts = {key: text(deployment, key)[:500] for key in KEPT if text(deployment, key)}
            compact = {**texts, "creator": {"login": text(deployment, "creator", "login")}}
            self._backlog.add("deployment", number, time, deployment=compact, since=cursor_time(since))
        else:
            self._add_deployment({"deployment": deployment, "since": cursor_time(since)})

    def _read_statuses(self, task: Task) -> None:
        """Record a deployment and each of its states."""
        deployment, number = task["deployment"], text(task, "key")
        path = f"{self._repository.path}/deployments/{number}/statuses"
        statuses = details.read_list(self._session.api, path) or []
        self._add_deployment(task)
        for status in reversed(statuses):
            self._add_recent(deployments.reached(self._repository, deployment, status, self._now), task)

    def _add_deployment(self, task: Task) -> None:
        self._add_recent(deployments.requested(self._repository, task["deployment"], self._now), task)

    def _add_recent(self, event: SourceEvent, task: Task) -> None:
        """Record an event of a deployment unless a previous poll has read it, which may have been deleted since."""
        if event.timestamp >= max(self._begin, parse_time(task, "since") or self._begin):
            self._session.add(event)


def _deployed_at(deployment: Any) -> datetime | None:
    return parse_time(deployment, "updated_at") or parse_time(deployment, "created_at")
