"""The few threads that poll, so that one slow source delays nobody."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import datetime
from queue import SimpleQueue

from flask import Flask

from painchain.core import logs
from painchain.database.session import db
from painchain.ingestion import polling
from painchain.scheduling import poll_leases
from painchain.scheduling.poll_leases import PollLease

THREADS = 4

log = logging.getLogger(__name__)


class PollPool:
    """The threads of one server. A turn is taken only when a thread is free for it."""

    def __init__(self, app: Flask, clock: Callable[[], datetime], threads: int = THREADS):
        self._app = app
        self._clock = clock
        self._stopping = threading.Event()
        self._free = threading.Semaphore(0)
        self._turns: SimpleQueue[PollLease | None] = SimpleQueue()
        self._doing: set[PollLease] = set()
        self._threads = [
            threading.Thread(target=self._run, name=f"poller-{number}", daemon=True) for number in range(1, threads + 1)
        ]

    def start(self) -> None:
        """Wait for turns."""
        for thread in self._threads:
            thread.start()
            self._free.release()

    def start_due(self) -> None:
        """Take the turns that are due, as many as there are free threads. It needs an app context."""
        while not self._stopping.is_set() and self._free.acquire(blocking=False):
            turn = None
            try:
                turn = polling.acquire(self._clock())
            finally:
                if turn is None:
                    self._free.release()
            if turn is None:
                return
            self._doing.add(turn)
            self._turns.put(turn)

    def stop(self, seconds: float) -> None:
        """Ask the polls that are going on to come to an end, wait so long, and give back those that do not.

        What they find afterwards is not stored: their cursors stay where they were.
        """
        self._stopping.set()
        for _ in self._threads:
            self._turns.put(None)
        end = time.monotonic() + seconds
        for thread in self._threads:
            if thread.is_alive():
                thread.join(max(0.0, end - time.monotonic()))
        try:
            with self._app.app_context():
                for turn in list(self._doing):
                    poll_leases.release(turn, self._clock())
        except Exception as error:  # they are free again when their leases are over
            logs.log_failure(log, "Giving back the polls that were going on", error, logging.WARNING)

    def _run(self) -> None:
        while (turn := self._turns.get()) is not None:
            while turn is not None:
                turn = self._do(turn)
            self._free.release()

    def _do(self, turn: PollLease) -> PollLease | None:
        """Poll, and take the turn that is due next, if there is one."""
        following = None
        logs.set_context(connector=turn.connector_id)
        try:
            with self._app.app_context():
                try:
                    polling.poll(turn, self._clock, self._stopping.is_set)
                    following = None if self._stopping.is_set() else polling.acquire(self._clock())
                    if following:
                        self._doing.add(following)
                finally:
                    db.session.remove()
        except Exception as error:  # the database does not answer: the turn is free again when its lease is over
            logs.log_failure(log, "Storing a poll", error)
        finally:
            self._doing.discard(turn)
        return following
