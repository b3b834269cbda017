"""The threads that poll sources, so that one slow source does not delay the others."""

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
    """The polling threads of one server. A lease is acquired only when a thread is free."""

    def __init__(self, app: Flask, clock: Callable[[], datetime], threads: int = THREADS):
        self._app = app
        self._clock = clock
        self._stopping = threading.Event()
        self._free = threading.Semaphore(0)
        self._leases: SimpleQueue[PollLease | None] = SimpleQueue()
        self._running: set[PollLease] = set()
        self._threads = [
            threading.Thread(target=self._run, name=f"poller-{number}", daemon=True) for number in range(1, threads + 1)
        ]

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()
            self._free.release()

    def start_due(self) -> None:
        """Acquire a lease for each free thread while polls are due. This needs an app context."""
        while not self._stopping.is_set() and self._free.acquire(blocking=False):
            lease = None
            try:
                lease = polling.acquire(self._clock())
            finally:
                if lease is None:
                    self._free.release()
            if lease is None:
                return
            self._running.add(lease)
            self._leases.put(lease)

    def stop(self, seconds: float) -> None:
        """Ask the running polls to stop, wait up to `seconds`, and release the leases of those that still run.

        Their results are not stored, and their cursors do not move.
        """
        self._stopping.set()
        for _ in self._threads:
            self._leases.put(None)
        end = time.monotonic() + seconds
        for thread in self._threads:
            if thread.is_alive():
                thread.join(max(0.0, end - time.monotonic()))
        try:
            with self._app.app_context():
                for lease in list(self._running):
                    poll_leases.release(lease, self._clock())
        except Exception as error:  # their leases expire later
            logs.log_failure(log, "Releasing the leases of running polls", error, logging.WARNING)

    def _run(self) -> None:
        while (lease := self._leases.get()) is not None:
            while lease is not None:
                lease = self._do(lease)
            self._free.release()

    def _do(self, lease: PollLease) -> PollLease | None:
        """Poll, and acquire the next lease that is due, if there is one."""
        next_lease = None
        logs.set_context(connector=lease.connector_id)
        try:
            with self._app.app_context():
                try:
                    polling.poll(lease, self._clock, self._stopping.is_set)
                    next_lease = None if self._stopping.is_set() else polling.acquire(self._clock())
                    if next_lease:
                        self._running.add(next_lease)
                finally:
                    db.session.remove()
        except Exception as error:  # the database does not respond; the lease expires later
            logs.log_failure(log, "Storing a poll", error)
        finally:
            self._running.discard(lease)
        return next_lease
