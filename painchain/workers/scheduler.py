"""The scheduler thread: it starts polls, prunes once a day, and keeps the write-ahead log and the memory small."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import datetime

from flask import Flask

from painchain.audit import trail as audit_trail
from painchain.audit.trail import Trail
from painchain.core import memory
from painchain.database import write_ahead_log
from painchain.database.types import EPOCH
from painchain.eventlog import writer
from painchain.retention import pruning
from painchain.retention import rules as retention_rules
from painchain.retention.rules import RetentionRefused
from painchain.scheduling import poll_leases
from painchain.workers import base as worker_base
from painchain.workers.base import AT_ONCE, ON_CHANGE, Worker
from painchain.workers.poll_pool import PollPool

MEMORY_SECONDS = 10.0
WORK_SECONDS = 0.05  # of processor time: a server without requests has nothing to return

log = logging.getLogger(__name__)


class Scheduler(Worker):
    """Starts polls, deletes expired events once a day, and keeps the write-ahead log and the memory small."""

    name, task = "scheduler", "The background work"

    def __init__(self, app: Flask, clock: Callable[[], datetime] = worker_base.clock):
        super().__init__(app, clock)
        self._pollers = PollPool(app, clock)
        self._memory_returned, self._worked = time.monotonic(), time.process_time()

    def start(self) -> None:
        """Start the threads."""
        self._pollers.start()
        super().start()

    def stop(self) -> None:
        """Stop after the current step. Another server continues the unfinished work."""
        started = time.monotonic()
        super().stop()
        self._pollers.stop(max(0.0, worker_base.STOP_SECONDS - (time.monotonic() - started)))

    def look(self) -> None:
        """Keep the write-ahead log and the memory small, and do the work that is due now."""
        write_ahead_log.shorten(self._engine)
        now, worked = time.monotonic(), time.process_time()
        if now - self._memory_returned >= MEMORY_SECONDS and worked - self._worked >= WORK_SECONDS:
            memory.return_unused()
            self._memory_returned, self._worked = now, worked
        super().look()

    def _do(self) -> datetime:
        self._pollers.start_due()
        schedule_daily_prune(self._clock())
        while not self._stopping.is_set() and self._prune_next():
            memory.return_unused()
        if pruning.has_orders():
            return AT_ONCE
        return min(retention_rules.due(), poll_leases.next_due(self._clock()) or ON_CHANGE)

    def _prune_next(self) -> bool:
        """Carry out one prune order, at a pace that leaves at least half of the time to other writers."""
        if not pruning.has_orders() or not audit_trail.auditing().on:
            return False
        beat = self._clock()
        order_id = pruning.acquire(beat)
        if order_id is None:
            return False
        try:
            for step in pruning.run(order_id, beat, self._clock):
                self._pollers.start_due()
                if step.has_more and self._stopping.wait(step.seconds):
                    return False
        except RetentionRefused as refusal:
            log.warning("Pruning stops. %s", refusal)
        return True


def schedule_daily_prune(now: datetime) -> None:
    """Schedule the daily prune if it is due.

    :raises painchain.database.session.WrongKey: when the key was replaced, so this process cannot write.
    """
    if not retention_rules.is_due(now):
        return
    writer.check_key()
    if not retention_rules.acquire_daily_lease(now):
        return
    expired = [
        source_events
        for source_events in retention_rules.prunable(retention_rules.rules(), now)
        if source_events.events
    ]
    if not expired:
        return
    try:
        with writer.writing() as event_log:
            trail = Trail(event_log, audit_trail.SYSTEM, writer.new_request_id(now), now)
            retention_rules.schedule_prune(expired, retention_rules.DAILY, trail, EPOCH)
    except RetentionRefused as refusal:
        log.warning("The daily prune is skipped. %s", refusal)
