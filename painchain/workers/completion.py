"""The background threads that complete webhook events through the API of their source."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime

from flask import Flask

from painchain.core import logs
from painchain.database.session import db
from painchain.ingestion import completion, pending_events
from painchain.ingestion.pending_events import ClaimedEvent
from painchain.workers import base as worker_base
from painchain.workers.base import AT_ONCE, ON_CHANGE, Worker

THREADS = 6
THREADS_OF_CONNECTOR = 3  # so that a slow source does not delay the others

log = logging.getLogger(__name__)


class CompletionWorker(Worker):
    """Completes pending events, a few at the same time. Another server continues those that are left when it stops."""

    name, task = "completer", "Completing a webhook event"

    def __init__(self, app: Flask, clock: Callable[[], datetime] = worker_base.clock):
        super().__init__(app, clock)
        self._changed = threading.Condition()  # guards what follows
        self._running: dict[int, ClaimedEvent] = {}
        self._threads = 0

    def stop(self) -> None:
        """Wait a moment for the events that are being completed, then let another server continue with them."""
        deadline = time.monotonic() + worker_base.STOP_SECONDS
        super().stop()
        self._wait(max(0.0, deadline - time.monotonic()))
        with self._changed:
            unfinished = list(self._running)
        if unfinished:
            try:
                self._in_app(lambda: pending_events.release(unfinished))
            except Exception as error:  # their leases expire later
                logs.log_failure(log, "Releasing webhook events", error, logging.WARNING)

    def run_once(self) -> None:
        """Complete the events that are due now, and wait for them."""
        super().run_once()
        self._wait(pending_events.LEASE.total_seconds())

    def _do(self) -> datetime:
        while claimed := self._claim():
            name = f"{self.name}-{claimed.id}"
            with self._changed:
                self._threads += 1
            threading.Thread(target=self._work, args=(claimed,), name=name, daemon=True).start()
        return AT_ONCE if pending_events.has_events() else ON_CHANGE

    def _claim(self) -> ClaimedEvent | None:
        """Claim the next event, unless this server completes enough of them already."""
        with self._changed:
            running = Counter(claimed.origin.id for claimed in self._running.values())
        if self._stopping.is_set() or running.total() >= THREADS:
            return None
        busy = [connector_id for connector_id, threads in running.items() if threads >= THREADS_OF_CONNECTOR]
        claimed = pending_events.claim(self._clock(), busy)
        if claimed:
            with self._changed:
                self._running[claimed.id] = claimed
        return claimed

    def _work(self, claimed: ClaimedEvent | None) -> None:
        """Complete this event, and then others while there are any."""
        try:
            with self._app.app_context():
                while claimed:
                    self._complete(claimed)
                    claimed = self._claim()
        except Exception as error:  # the database does not respond; the leases expire later
            logs.log_failure(log, self.task, error)
        finally:
            with self._changed:
                self._threads -= 1
                self._changed.notify_all()

    def _complete(self, claimed: ClaimedEvent) -> None:
        logs.set_context(connector=claimed.origin.id)
        try:
            completion.complete(claimed, self._clock)
        finally:
            db.session.remove()
            with self._changed:
                self._running.pop(claimed.id, None)  # gone if it was claimed twice because its lease expired

    def _wait(self, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: not self._threads, seconds)
