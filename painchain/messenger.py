"""The thread that sends what is to be told at once, beside everything else, so that nobody waits for it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime

from flask import Flask

from painchain import logs, notify
from painchain.db import WriteBusy, db

LOOK_SECONDS = 1.0
STOP_SECONDS = 1.0
RETRY_SECONDS = 30.0

log = logging.getLogger(__name__)


class Messenger:
    """The thread of one server. Several servers share the work through the database."""

    def __init__(self, app: Flask, clock: Callable[[], datetime] = lambda: datetime.now(UTC)):
        self._app = app
        self._clock = clock
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="messenger", daemon=True)

    def start(self) -> None:
        """Begin to look for messages, once a second."""
        self._thread.start()

    def stop(self) -> None:
        """Stop; a message that is just being sent may be sent once more by the next server."""
        self._stopping.set()
        self._thread.join(STOP_SECONDS)

    def look(self) -> None:
        """Send what is due now."""
        with self._app.app_context():
            try:
                while not self._stopping.is_set() and notify.send_due(self._clock):
                    pass
            finally:
                db.session.remove()

    def _run(self) -> None:
        while not self._stopping.wait(LOOK_SECONDS):
            try:
                self.look()
            except WriteBusy as error:
                log.error("Messages wait for the database: %s.", error)
                self._stopping.wait(RETRY_SECONDS)
            except Exception as error:  # whatever it is, the next message is tried
                logs.failed(log, "Sending a message", error)
                self._stopping.wait(RETRY_SECONDS)
