"""The thread that sends what is to be told at once, beside everything else, so that nobody waits for it."""

from __future__ import annotations

from painchain.notifications import sender
from painchain.workers.base import Worker


class NotificationWorker(Worker):
    """Sends messages. One that is just being sent when it stops may be sent once more by the next server."""

    name, task = "messenger", "Sending a message"

    def _do(self) -> None:
        while not self._stopping.is_set() and sender.send_due(self._clock):
            pass
