"""The base class of background threads, which look for work once a second if there can be any, and retry errors."""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable
from datetime import UTC, datetime
from typing import TypeVar

from flask import Flask

from painchain.core import logs, runtime
from painchain.database import edited_json
from painchain.database.session import WriteBusy, db
from painchain.database.types import EPOCH

LOOK_SECONDS = 1.0
STOP_SECONDS = 2.0
RETRY_SECONDS = 30.0
AT_ONCE, ON_CHANGE = EPOCH, datetime.max.replace(tzinfo=UTC)  # when a worker looks for work again

log = logging.getLogger(__name__)
Value = TypeVar("Value")


def clock() -> datetime:
    """Return the current time in UTC."""
    return datetime.now(UTC)


class Worker(ABC):
    """A background thread. Several servers share the work through the database.

    `name` is the name of the thread, `task` describes its work in the log. Errors are logged and the work is retried.
    Once a second, the thread asks whether the database has changed. If not, and it is too early for what was there,
    nothing can be due.
    """

    name: str
    task: str

    def __init__(self, app: Flask, clock: Callable[[], datetime] = clock):
        self._app = app
        self._clock = clock
        with app.app_context():
            self._engine = db.engine
        self._stopping = threading.Event()
        self._version: Hashable = None  # of the database when it looked last, at `_looked`
        self._looked = self._again = EPOCH
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
    def _do(self) -> datetime:
        """Do the work that is due now, in the app context. Return when more can be due, if nothing changes until then.

        That is `AT_ONCE` if it is not known, and `ON_CHANGE` if there is no other work.
        """

    def _run(self) -> None:
        self._try(lambda: self._in_app(self._begin))
        while not self._stopping.wait(LOOK_SECONDS):
            self._try(self.look)

    def look(self) -> None:
        """Do the work that is due now, unless there cannot be any."""
        version, now = runtime.of(self._app).changes.version(self._engine), self._clock()
        if version == self._version and self._looked <= now < self._again:
            return
        self._version = None
        self._again = self._in_app(self._do)
        self._version, self._looked = version, now

    def _try(self, work: Callable[[], object]) -> None:
        try:
            work()
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

    def _in_app(self, work: Callable[[], Value]) -> Value:
        with self._app.app_context():
            try:
                return work()
            finally:
                db.session.remove()
