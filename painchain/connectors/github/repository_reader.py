"""Read what is new in one repository on GitHub."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from painchain.connectors.code_hosts import parse_time, text
from painchain.connectors.contract import SourceEvent
from painchain.connectors.github import details
from painchain.connectors.github.backlog import Backlog, Task
from painchain.connectors.github.events import deployments
from painchain.connectors.github.pagination import ListPosition, PollSession, cursor_time, read_since
from painchain.connectors.github.pull_reader import PullReader
from painchain.connectors.github.push_reader import PushReader
from painchain.connectors.github.release_reader import ReleaseReader
from painchain.connectors.github.repository import Repository
from painchain.connectors.github.run_reader import RunReader
from painchain.connectors.github.sweep import Note, Sweep

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
        self._releases = ReleaseReader(session, repository, state)
        self._pushes = PushReader(session, repository, state, self._backlog)

    def read_all(self) -> None:
        """Read everything that is new, then what takes more requests for each item."""
        name = self._repository.name
        parts: dict[str, Callable[[], None]] = {
            "pull requests": lambda: self._pulls.read(self._position("pulls")),
            "workflow runs": lambda: self._runs.read(self._position("runs")),
            "releases": lambda: self._releases.read(self._position("releases")),
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
            "deployment": (self._read_statuses, self._give_up_statuses),
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
            "releases": (f"{path}/releases", "", self._releases.note),
        }
        sweep = Sweep(self._session, self._state, lists)
        with self._session.attempt(f"older items of {self._repository.name}", counts_as_list=False):
            sweep.read()

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

    def _give_up_statuses(self, task: Task) -> None:
        self._add_deployment(task)
        what = f"the states of the deployment {text(task, 'key')} of {self._repository.name}"
        self._session.give_up(parse_time(task, "since"), what)

    def _add_recent(self, event: SourceEvent, task: Task) -> None:
        """Record an event of a deployment unless a previous poll has read it, which may have been deleted since."""
        if event.timestamp >= max(self._begin, parse_time(task, "since") or self._begin):
            self._session.add(event)


def _deployed_at(deployment: Any) -> datetime | None:
    return parse_time(deployment, "updated_at") or parse_time(deployment, "created_at")
