"""The background thread that checks the log daily and on demand, and posts checkpoints."""

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
from painchain.workers.base import AT_ONCE, Worker

BEAT_SECONDS = 1.0
# Seconds of pause for each second of work. Nobody waits for the daily check.
PAUSE_DAILY, PAUSE_ON_DEMAND = 9.0, 1.0


class Stopped(Exception):
    """The check ends, because the server stops or another one has taken over."""


class IntegrityWorker(Worker):
    """Checks the log and posts checkpoints. Another server restarts a check that was not finished."""

    name, task = "keeper", "Checking the log"

    def _begin(self) -> None:
        integrity_check.compare_newest_checkpoint()

    def _do(self) -> datetime:
        lease = check_job.acquire(self._clock())
        if lease:
            self._check(lease)
        latest_checkpoint.post_due(self._clock)
        return AT_ONCE if latest_checkpoint.is_waiting() else check_job.due_again() or AT_ONCE

    def _check(self, lease: CheckLease) -> None:
        """Check the log. Store the reason of a failure for the page. If that fails too, the check is retried."""
        try:
            integrity_check.run_check(lease, _Pace(lease, self._stopping, self._clock, self._post), self._clock)
        except Stopped:
            check_job.release(lease)
        except WrongKey:
            check_job.release(lease)
            raise
        except (SQLAlchemyError, WriteBusy):
            check_job.fail(lease, self._clock(), "The database did not answer.")
            raise
        except Exception as error:
            check_job.fail(lease, self._clock(), f"The events cannot be read ({type(error).__name__}).")
            raise

    def _post(self) -> None:
        latest_checkpoint.post_due(self._clock)


class _Pace:
    """Receives the progress of a check: stores it in the database, and pauses so that requests are not slowed down."""

    def __init__(
        self, lease: CheckLease, stopping: threading.Event, clock: Callable[[], datetime], between: Callable[[], None]
    ):
        self._lease, self._stopping, self._clock, self._between = lease, stopping, clock, between
        self._pause_factor = PAUSE_DAILY if lease.daily else PAUSE_ON_DEMAND
        self._resumed = self._reported = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if self._stopping.wait((now - self._resumed) * self._pause_factor if done < total else 0):
            raise Stopped
        if now - self._reported >= BEAT_SECONDS:
            self._reported = now
            if not check_job.report_progress(self._lease, done, total, self._clock()):
                raise Stopped
            self._between()
        self._resumed = time.monotonic()
