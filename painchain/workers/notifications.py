"""The background thread that sends notifications, so that no request waits for them."""

from __future__ import annotations

from datetime import datetime

from painchain.eventlog import outbox
from painchain.notifications import sender
from painchain.workers.base import AT_ONCE, ON_CHANGE, Worker


class NotificationWorker(Worker):
    """Sends notifications. One that is being sent when the worker stops may be sent again by another server."""

    name, task = "messenger", "Sending a message"

    def _do(self) -> datetime:
        while not self._stopping.is_set() and sender.send_due(self._clock):
            pass
        return AT_ONCE if outbox.has_notices() else ON_CHANGE
