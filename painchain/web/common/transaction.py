"""Open the write transaction of a request: its changes and their events are saved together."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from flask import g

from painchain.audit.trail import Trail
from painchain.core import runtime
from painchain.core.roles import LOCAL
from painchain.database.commit import OutcomeUnknown
from painchain.eventlog import writer
from painchain.eventlog.writer import EventLogWriter

LOST = "If it was saved, {} is lost, because it is shown only once: replace it with a new one."
NO_ACCOUNTS = "no accounts yet"  # the recorded cause of a change that was made before the first account exists


Result = TypeVar("Result")


class NoLongerAllowed(Exception):
    """The request may not change anything: what allowed it does not hold any more. Nothing is changed."""


@contextmanager
def audited_transaction(shows_once: str = "") -> Iterator[Trail]:
    """Open the write transaction of this request; its changes and their events are saved together or not at all.

    `shows_once` names the secret that the transaction makes and the response shows once, such as "the token".

    :raises painchain.database.commit.OutcomeUnknown: when they may be saved; its advice says what became of the secret.
    """
    try:
        with writer.writing() as event_log:
            yield _trail()(event_log)
    except OutcomeUnknown as unknown:
        unknown.advice = LOST.format(shows_once) if shows_once else ""
        raise
    g.reason = ""  # the reason belongs to this change, not to the next one made on the same page


def append_audited(record: Callable[[Trail], Result]) -> Result:
    """Record events of this request that change nothing else, in a transaction that other requests may share.

    `record` may run twice, and in another thread (see `GroupCommit.append`). ``g.only_while``, if set, is what allows
    the request. It is checked in the transaction, once for all requests that share it.

    :raises NoLongerAllowed: if that does not hold.
    """
    trail, only_while = _trail(), g.get("only_while")

    def write(event_log: EventLogWriter) -> Result:
        if only_while and not event_log.holds(only_while):
            raise NoLongerAllowed
        return record(trail(event_log))

    result = runtime.current().group_commit.append(write)
    g.reason = ""
    return result


def _trail() -> Callable[[EventLogWriter], Trail]:
    """Return what makes the trail of this request, for use outside of it."""
    values = g._get_current_object()  # access through the proxy is slow
    cause = NO_ACCOUNTS if values.who is LOCAL else ""
    author, request_id, now, reason = values.actor, values.request_id, values.now, values.reason
    return lambda event_log: Trail(event_log, author, request_id, now, reason=reason, cause=cause)
