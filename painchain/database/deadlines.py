"""Limit how long a thread waits for the database server. The limits of SQLite are its own."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from math import inf
from time import monotonic

# A request has REQUEST_SECONDS for its statements, LAST_SECONDS more for its COMMIT, as much to look up whether it was
# carried out, and as much for what the response then shows: less than 15 seconds in total.
REQUEST_SECONDS, LAST_SECONDS = 8.0, 2.0
LOCK_SECONDS = 7  # for which a statement waits for a lock: less than a request has
QUICK_SECONDS = 2.5  # for requests that programs repeat
SHORTEST_SECONDS = 1.0  # for any statement: on a busy machine a request can be late although the server answers
STATEMENT_SECONDS = 300.0  # for one statement of a server's background work, or one batch of an export
COMMIT_SECONDS = 30.0


class _Limits(threading.local):
    """When the statements of a thread must have been answered, by the clock of `monotonic`."""

    until = inf
    commits = False


class _Process:
    """The limit for each statement of a process."""

    statement_seconds = inf


_limits = _Limits()


def limit_statements() -> None:
    """Limit each statement of this process. Commands have no limit: an upgrade, a backup or a check may take long."""
    _Process.statement_seconds = STATEMENT_SECONDS


def are_statements_limited() -> bool:
    """Return whether each statement of this process is limited. Then the server ends it, too."""
    return _Process.statement_seconds < inf


def expiry() -> float:
    """Return when a statement that begins now must have been answered, by the clock of `monotonic`."""
    now = monotonic()
    if _limits.commits:
        return min(max(_limits.until, now + LAST_SECONDS), now + COMMIT_SECONDS)
    shortest = now if _limits.until == -inf else now + SHORTEST_SECONDS
    return min(max(_limits.until, shortest), now + _Process.statement_seconds)


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Let all statements of the block end within `seconds` of its start."""
    outer, _limits.until = _limits.until, monotonic() + seconds
    try:
        yield
    finally:
        _limits.until = outer


def extend() -> None:
    """Give the rest of the request some time, even if little is left."""
    _limits.until = max(_limits.until, monotonic() + LAST_SECONDS)


def give_up() -> None:
    """Let the rest of the request wait no longer: the server does not answer."""
    if _limits.until < inf:
        _limits.until = -inf


def begin_commit() -> None:
    """Give the COMMIT that follows some time, even if little is left."""
    _limits.commits = True


def end_commit() -> None:
    """End what `begin_commit` began."""
    _limits.commits = False
    extend()
