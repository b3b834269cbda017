"""What a poll still has to read in detail: it is part of the cursor, so that a later poll can continue."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from painchain.connectors.code_hosts import integer, objects, text
from painchain.connectors.github.pagination import PollSession

MAX_TRIES = 3  # after which an item that cannot be read is recorded with what is known of it

STARTS = ("since", "attempts_since")  # members of a task: the time from which it reads

LABELS = {"pull": "pull request", "run": "workflow run"}  # of kinds, in messages

Task = dict[str, Any]
Handler = Callable[[Task], None]


class Backlog:
    """The tasks of one repository, oldest first. A task is JSON with a `kind`, a `key` and a `time`."""

    def __init__(self, session: PollSession, state: dict[str, Any]):
        self._session = session
        self._state = state

    def add(self, kind: str, key: str, time: str, **more: Any) -> None:
        """Add a task, or replace the one with this key; it then goes back as far as that one."""
        replaced = self.get(kind, key) or {}
        for start in STARTS:
            if start in replaced:
                more[start] = min(text(replaced, start), text(more, start) or text(replaced, start))
        tasks = [task for task in self._tasks() if (task.get("kind"), task.get("key")) != (kind, key)]
        self._state["backlog"] = [*tasks, {"kind": kind, "key": key, "time": time, **more}]

    def get(self, kind: str, key: str) -> Task | None:
        """Return the task with this key."""
        return next((task for task in self._tasks() if (task.get("kind"), task.get("key")) == (kind, key)), None)

    def work(self, kinds: Mapping[str, tuple[Handler, Handler]], name: str) -> None:
        """Do the tasks, oldest first: each kind has a function that reads everything, and one that sends no request.

        What fails is tried again by the next poll; the last try is left to the function that sends no request.
        """
        for task in sorted(self._tasks(), key=lambda task: text(task, "time")):
            kind, tries = text(task, "kind"), integer(task, "tries") or 0
            is_done = kind not in kinds or tries >= MAX_TRIES
            self._session.check_room()
            with self._session.attempt(f"{LABELS.get(kind, kind)} {text(task, 'key')} of {name}", counts_as_list=False):
                if kind in kinds:
                    read_all, read_none = kinds[kind]
                    (read_all if tries < MAX_TRIES else read_none)(task)
                is_done = True
            if is_done:
                self._remove(task)
            else:
                task["tries"] = tries + 1

    def _tasks(self) -> list[Task]:
        return objects(self._state, "backlog")

    def _remove(self, task: Task) -> None:
        left = [other for other in self._tasks() if other is not task]
        if left:
            self._state["backlog"] = left
        else:
            self._state.pop("backlog", None)
