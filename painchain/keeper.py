"""The thread that checks the log once a day and on demand, beside everything else, and posts its checkpoints."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

from painchain import keeping, last_checkpoint, log_check
from painchain.db import WriteBusy, WrongKey, db
from painchain.log_check import Turn

LOOK_SECONDS = 1.0
STOP_SECONDS = 2.0
RETRY_SECONDS = 30.0
BEAT_SECONDS = 1.0
# How long it rests for each second that it works. Nobody waits for the daily check.
REST_DAILY, REST_ON_DEMAND = 9.0, 1.0

log = logging.getLogger(__name__)


class Stopped(Exception):
    """The check ends here: the server stops, or another one has taken it over."""


class Keeper:
    """The thread of one server. Several servers share the work through the database."""

    def __init__(self, app: Flask, clock: Callable[[], datetime] = lambda: datetime.now(UTC)):
        self._app = app
        self._clock = clock
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="keeper", daemon=True)

    def start(self) -> None:
        """Begin to look for work, once a second."""
        self._thread.start()

    def stop(self) -> None:
        """Stop; a check that is going on begins anew with the next server."""
        self._stopping.set()
        self._thread.join(STOP_SECONDS)

    def look(self) -> None:
        """Do what there is to do now."""
        with self._app.app_context():
            try:
                turn = log_check.take(self._clock())
                if turn:
                    self._check(turn)
                last_checkpoint.post_due(self._clock)
            finally:
                db.session.remove()

    def _run(self) -> None:
        self._try(self._begin)
        while not self._stopping.wait(LOOK_SECONDS):
            self._try(self.look)

    def _begin(self) -> None:
        with self._app.app_context():
            keeping.at_start()

    def _try(self, work: Callable[[], None]) -> None:
        try:
            work()
        except WriteBusy as error:
            log.error("Checking the log waits for the database: %s.", error)
            self._stopping.wait(RETRY_SECONDS)
        except Exception as error:  # whatever it is, the next day comes
            log.error("Checking the log failed: %s", type(error).__name__)
            self._stopping.wait(RETRY_SECONDS)

    def _check(self, turn: Turn) -> None:
        """Check the log. What is in the way is stored, for the page; where even that fails, it is tried again."""
        try:
            keeping.check(turn, _Pace(turn, self._stopping, self._clock, self._post), self._clock)
        except Stopped:
            log_check.give_back(turn)
        except WrongKey:
            log_check.give_back(turn)
            raise
        except (SQLAlchemyError, WriteBusy):
            log_check.fail(turn, self._clock(), "The database did not answer.")
            raise
        except Exception as error:
            log_check.fail(turn, self._clock(), f"The events cannot be read ({type(error).__name__}).")
            raise

    def _post(self) -> None:
        last_checkpoint.post_due(self._clock)


class _Pace:
    """What a check hears of its progress: it says so in the database, and rests, so that requests have the machine."""

    def __init__(
        self, turn: Turn, stopping: threading.Event, clock: Callable[[], datetime], between: Callable[[], None]
    ):
        self._turn, self._stopping, self._clock, self._between = turn, stopping, clock, between
        self._rest = REST_DAILY if turn.daily else REST_ON_DEMAND
        self._woke = self._said = time.monotonic()

    def __call__(self, reached: int, whole: int) -> None:
        now = time.monotonic()
        if self._stopping.wait((now - self._woke) * self._rest if reached < whole else 0):
            raise Stopped
        if now - self._said >= BEAT_SECONDS:
            self._said = now
            if not log_check.beat(self._turn, reached, whole, self._clock()):
                raise Stopped
            self._between()
        self._woke = time.monotonic()
