"""The base class of background threads, which look for work once a second and retry after errors."""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from datetime import UTC, datetime

from flask import Flask

from painchain.core import logs
from painchain.database import edited_json
from painchain.database.session import WriteBusy, db

LOOK_SECONDS = 1.0
STOP_SECONDS = 2.0
RETRY_SECONDS = 30.0

log = logging.getLogger(__name__)


def clock() -> datetime:
    """Return the current time in UTC."""
    return datetime.now(UTC)


class Worker(ABC):
    """A background thread. Several servers share the work through the database.

    `name` is the name of the thread, `task` describes its work in the log. Errors are logged and the work is retried.
    """

    name: str
    task: str

    def __init__(self, app: Flask, clock: Callable[[], datetime] = clock):
        self._app = app
        self._clock = clock
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop after the current step. Another server continues or repeats the unfinished work."""
        self._stopping.set()
        self._thread.join(STOP_SECONDS)

    def run_once(self) -> None:
        """Do the work that is due now."""
        self._in_app(self._do)

    def _begin(self) -> None:  # noqa: B027  most workers have nothing to prepare
        """Prepare the work, once at the start."""

    @abstractmethod
    def _do(self) -> None:
        """Do the work that is due now, in the app context."""

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
        except Exception as error:  # the work is retried, whatever the error
            logs.log_failure(log, self.task, error)
            self._log_edited()
            self._stopping.wait(RETRY_SECONDS)

    def _log_edited(self) -> None:
        """Log a value that was edited by hand, which may be the cause of an error."""
        with self._app.app_context():
            if edited := edited_json.first():
                log.error("%s", edited)

    def _in_app(self, work: Callable[[], None]) -> None:
        with self._app.app_context():
            try:
                work()
            finally:
                db.session.remove()
