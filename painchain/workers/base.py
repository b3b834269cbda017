"""A thread that looks for work once a second, beside everything else, whatever went wrong the last time."""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from datetime import UTC, datetime

from flask import Flask

from painchain.core import logs
from painchain.database.session import WriteBusy, db

LOOK_SECONDS = 1.0
STOP_SECONDS = 2.0
RETRY_SECONDS = 30.0

log = logging.getLogger(__name__)


def clock() -> datetime:
    """Return the time."""
    return datetime.now(UTC)


class Worker(ABC):
    """The thread of one server. Several servers share the work through the database.

    `name` is the thread's, `task` what it does, for the log. What goes wrong is logged, and tried again later.
    """

    name: str
    task: str

    def __init__(self, app: Flask, clock: Callable[[], datetime] = clock):
        self._app = app
        self._clock = clock
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)

    def start(self) -> None:
        """Begin to look for work, once a second."""
        self._thread.start()

    def stop(self) -> None:
        """Stop after the step that is being done; the next server goes on with what is left, or begins it anew."""
        self._stopping.set()
        self._thread.join(STOP_SECONDS)

    def run_once(self) -> None:
        """Do what there is to do now."""
        self._in_app(self._do)

    def _begin(self) -> None:  # noqa: B027  most have nothing to begin with
        """Do what is done once, at the start."""

    @abstractmethod
    def _do(self) -> None:
        """Do what there is to do now, inside the app."""

    def _run(self) -> None:
        self._try(self._begin)
        while not self._stopping.wait(LOOK_SECONDS):
            self._try(self._do)

    def _try(self, work: Callable[[], None]) -> None:
        try:
            self._in_app(work)
        except WriteBusy as error:
            log.error("%s waits for the database: %s.", self.task, error)
            self._stopping.wait(RETRY_SECONDS)
        except Exception as error:  # whatever it is, the next day comes
            logs.log_failure(log, self.task, error)
            self._stopping.wait(RETRY_SECONDS)

    def _in_app(self, work: Callable[[], None]) -> None:
        with self._app.app_context():
            try:
                work()
            finally:
                db.session.remove()
