"""The one background thread: it gives out polls, takes the daily turn, and carries out what was ordered."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

from flask import Flask

from painchain import audit, ledger, logs, pruning, retention
from painchain.audit import Trail
from painchain.db import EPOCH, WriteBusy, db
from painchain.pollers import Pollers
from painchain.retention import Refused

LOOK_SECONDS = 1.0
STOP_SECONDS = 2.0
RETRY_SECONDS = 30.0

log = logging.getLogger(__name__)


def clock() -> datetime:
    """Return the time."""
    return datetime.now(UTC)


class Scheduler:
    """The thread of one server. Several servers share the work through the database."""

    def __init__(self, app: Flask, clock: Callable[[], datetime] = clock):
        self._app = app
        self._clock = clock
        self._pollers = Pollers(app, clock)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="scheduler", daemon=True)

    def start(self) -> None:
        """Begin to look for work, once a second."""
        self._pollers.start()
        self._thread.start()

    def stop(self) -> None:
        """Stop after the step that is being done; what is left goes on with the next server."""
        self._stopping.set()
        begun = time.monotonic()
        self._thread.join(STOP_SECONDS)
        self._pollers.stop(max(0.0, STOP_SECONDS - (time.monotonic() - begun)))

    def look(self) -> None:
        """Do what there is to do now."""
        with self._app.app_context():
            try:
                self._pollers.give_out()
                order_daily(self._clock())
                while not self._stopping.is_set() and self._carry_out():
                    pass
            finally:
                db.session.remove()

    def _run(self) -> None:
        while not self._stopping.wait(LOOK_SECONDS):
            try:
                self.look()
            except WriteBusy as error:
                log.error("The background work waits for the database: %s.", error)
                self._stopping.wait(RETRY_SECONDS)
            except Exception as error:  # whatever it is, the next day comes
                logs.failed(log, "The background work", error)
                self._stopping.wait(RETRY_SECONDS)

    def _carry_out(self) -> bool:
        """Carry out one order, at a pace that leaves at least half of the time to other writers."""
        if not audit.auditing().on:
            return False
        beat = self._clock()
        number = pruning.take(beat)
        if number is None:
            return False
        try:
            for step in pruning.carry_out(number, beat, self._clock):
                self._pollers.give_out()
                if step.more and self._stopping.wait(step.seconds):
                    return False
        except Refused as refusal:
            log.warning("Pruning stops. %s", refusal)
        return True


def order_daily(now: datetime) -> None:
    """Take the daily turn if it is due, and order what the rules remove.

    :raises WrongKey: when the key was replaced, so that this process can order nothing.
    """
    is_due = retention.is_due(now)
    db.session.rollback()
    if not is_due:
        return
    ledger.check_key()
    if not retention.take_turn(now):
        return
    going = [one for one in retention.going(retention.rules(), now) if one.events]
    if not going:
        return
    try:
        with ledger.writing() as book:
            trail = Trail(book, audit.SYSTEM, ledger.new_request_id(now), now)
            retention.begin(going, retention.DAILY, trail, EPOCH)
    except Refused as refusal:
        log.warning("The daily prune is left out. %s", refusal)
