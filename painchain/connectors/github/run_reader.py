"""Read workflow runs: new ones, unfinished ones, and those that were run again."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from painchain.connectors.code_hosts import count_state, integer, parse_time, strings, text
from painchain.connectors.github import details
from painchain.connectors.github.backlog import Backlog, Task
from painchain.connectors.github.events import runs
from painchain.connectors.github.pagination import ListPosition, PollSession, cursor_time, read_since
from painchain.connectors.github.repository import Repository, is_wanted_branch

MAX_OPEN_RUNS = 50  # unfinished runs that are tracked, per repository
MAX_ATTEMPTS = 10  # earlier attempts of one run that are read
TEXTS = ("id", "node_id", "name", "path", "display_title", "head_branch", "head_sha", "event", "status", "conclusion")
TIMES = ("run_started_at", "created_at", "updated_at", "html_url")
NUMBERS = ("run_attempt", "run_number")


class RunReader:
    """Reads the workflow runs of one repository. `state` is its part of the cursor, `begin` where it starts."""

    def __init__(
        self, session: PollSession, repository: Repository, state: dict[str, Any], backlog: Backlog, begin: datetime
    ):
        self._session = session
        self._repository = repository
        self._state = state
        self._backlog = backlog
        self._begin = begin
        self._path = f"{repository.path}/actions/runs"

    def read(self, position: ListPosition) -> None:
        """Read the runs that have changed. The list is sorted by creation; unfinished runs are requested one by one."""
        since, listed_runs = read_since(position), set[str]()

        def changed_at(run: Any) -> datetime | None:
            listed_runs.add(text(run, "id"))
            return parse_time(run, "updated_at")

        for run in self._session.newest_first(position, self._path, details.MANY, changed_at, "workflow_runs"):
            self.note(run, since)
        for number in [number for number in strings(self._state, "open") if listed_runs and number not in listed_runs]:
            run = self._session.api.get_optional(f"{self._path}/{number}")
            self.note(run if isinstance(run, dict) else {"id": number, "conclusion": "gone"}, since)

    def note(self, run: Any, since: datetime) -> None:
        """Record a run that has changed since a time; what needs more requests is left to the backlog."""
        number, is_finished = text(run, "id"), bool(text(run, "conclusion"))
        others = [other for other in strings(self._state, "open") if other != number]
        self._state["open"] = (others if is_finished or not number else [*others, number])[-MAX_OPEN_RUNS:]
        states: dict[str, Any] = self._state.setdefault("runs", {})
        occurrence = count_state(states, number, runs.run_status(run), runs.attempt_of(run))
        self._state["runs"] = {key: state for key, state in states.items() if key in self._state["open"]}
        settings = self._session.context.settings
        if run.get("conclusion") == "gone" or not is_wanted_branch(text(run, "head_branch"), settings):
            return
        started_at = parse_time(run, "run_started_at")
        has_attempts = runs.attempt_of(run) > 1 and (started_at is None or started_at >= since)
        if number and (has_attempts or runs.is_broken(run)):
            time = text(run, "updated_at") or cursor_time(self._session.context.now)
            more = {"attempts_since": cursor_time(since)} if has_attempts else {}
            self._backlog.add("run", number, time, run=_compact(run), occurrence=occurrence, **more)
        else:
            self._add(run, [], occurrence)

    def read_task(self, task: Task) -> None:
        """Read the failed jobs of a run, and its earlier attempts."""
        run, number = task["run"], text(task, "key")
        attempt, since = runs.attempt_of(run), parse_time(task, "attempts_since")
        for earlier in range(max(1, attempt - MAX_ATTEMPTS), attempt) if since else ():
            previous = self._session.api.get_optional(f"{self._path}/{number}/attempts/{earlier}")
            ended_at = parse_time(previous, "updated_at")
            if runs.attempt_of(previous) == earlier and (ended_at is None or since is None or ended_at >= since):
                self._add(previous, details.failed_jobs(self._session.api, self._repository, previous))
        self._add(run, details.failed_jobs(self._session.api, self._repository, run), integer(task, "occurrence") or 1)

    def add_task(self, task: Task) -> None:
        """Record a run with what its list has, and that its earlier attempts are missing."""
        self._add(task["run"], [], integer(task, "occurrence") or 1)
        if since := parse_time(task, "attempts_since"):
            what = f"earlier attempts of the workflow run {text(task, 'key')} of {self._repository.name}"
            self._session.give_up(since, what)

    def _add(self, run: Any, failed_jobs: list[str], occurrence: int = 1) -> None:
        changes = runs.run_changes(self._repository, run, self._session.context.now, failed_jobs, occurrence)
        self._session.add(*(event for event in changes if event.timestamp >= self._begin))


def _compact(run: Any) -> dict[str, Any]:
    """Return what events of a run are made of."""
    short = {key: text(run, key)[:500] for key in (*TEXTS, *TIMES) if text(run, key)}
    numbers = {key: integer(run, key) for key in NUMBERS if integer(run, key) is not None}
    people = {key: {"login": text(run, key, "login")} for key in ("actor", "triggering_actor") if run.get(key)}
    return {**short, **numbers, **people}
