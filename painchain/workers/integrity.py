"""The thread that checks the log once a day and on demand, beside everything else, and posts its checkpoints."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime

from sqlalchemy.exc import SQLAlchemyError

from painchain.database.session import WriteBusy, WrongKey
from painchain.integrity import check as integrity_check
from painchain.integrity import check_job, latest_checkpoint
from painchain.integrity.check_job import CheckLease
from painchain.workers.base import Worker

BEAT_SECONDS = 1.0
# How long it rests for each second that it works. Nobody waits for the daily check.
REST_DAILY, REST_ON_DEMAND = 9.0, 1.0


class Stopped(Exception):
    """The check ends here: the server stops, or another one has taken it over."""


class IntegrityWorker(Worker):
    """Checks the log, and posts checkpoints. A check that it leaves begins anew with the next server."""

    name, task = "keeper", "Checking the log"

    def _begin(self) -> None:
        integrity_check.compare_newest_checkpoint()

    def _do(self) -> None:
        turn = check_job.acquire(self._clock())
        if turn:
            self._check(turn)
        latest_checkpoint.post_due(self._clock)

    def _check(self, turn: CheckLease) -> None:
        """Check the log. What is in the way is stored, for the page; where even that fails, it is tried again."""
        try:
            integrity_check.run_check(turn, _Pace(turn, self._stopping, self._clock, self._post), self._clock)
        except Stopped:
            check_job.release(turn)
        except WrongKey:
            check_job.release(turn)
            raise
        except (SQLAlchemyError, WriteBusy):
            check_job.fail(turn, self._clock(), "The database did not answer.")
            raise
        except Exception as error:
            check_job.fail(turn, self._clock(), f"The events cannot be read ({type(error).__name__}).")
            raise

    def _post(self) -> None:
        latest_checkpoint.post_due(self._clock)


class _Pace:
    """What a check hears of its progress: it says so in the database, and rests, so that requests have the machine."""

    def __init__(
        self, turn: CheckLease, stopping: threading.Event, clock: Callable[[], datetime], between: Callable[[], None]
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
            if not check_job.report_progress(self._turn, reached, whole, self._clock()):
                raise Stopped
            self._between()
        self._woke = time.monotonic()
