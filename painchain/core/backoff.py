"""Exponential backoff: how long to wait before a retry."""

from __future__ import annotations

from datetime import timedelta

FIRST_DELAY, MAX_DELAY = timedelta(seconds=30), timedelta(hours=1)


def delay_after(failures: int) -> timedelta:
    """Return the delay after a failed try that follows `failures` failed ones.

    >>> [str(delay_after(failures)) for failures in (0, 1, 2, 9)]
    ['0:00:30', '0:01:00', '0:02:00', '1:00:00']
    """
    return min(FIRST_DELAY * int(2**failures), MAX_DELAY)


def delay_before(failures: int) -> timedelta:
    """Return the delay before the next try after `failures` failed ones. The first try is due at once."""
    return delay_after(failures - 1) if failures else timedelta()
