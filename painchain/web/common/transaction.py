"""Open the write transaction of a request: its changes and their events are saved together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from flask import g

from painchain.audit.trail import Trail
from painchain.core.roles import LOCAL
from painchain.eventlog import writer

NO_ACCOUNTS = "no accounts yet"  # the recorded cause of a change that was made before the first account exists


@contextmanager
def audited_transaction() -> Iterator[Trail]:
    """Open the write transaction of this request; its changes and their events are saved together or not at all."""
    with writer.writing() as event_log:
        cause = NO_ACCOUNTS if g.who is LOCAL else ""
        yield Trail(event_log, g.actor, g.request_id, g.now, reason=g.reason, cause=cause)
    g.reason = ""  # the reason belongs to this change, not to the next one made on the same page
