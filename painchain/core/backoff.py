"""How long to wait before something that failed is tried again."""

from __future__ import annotations

from datetime import timedelta

FIRST_DELAY, MAX_DELAY = timedelta(seconds=30), timedelta(hours=1)


def delay_after(failures: int) -> timedelta:
    """Return how long to wait after one more failure, when `failures` tries had failed before it.

    >>> [str(delay_after(failures)) for failures in (0, 1, 2, 9)]
    ['0:00:30', '0:01:00', '0:02:00', '1:00:00']
    """
    return min(FIRST_DELAY * int(2**failures), MAX_DELAY)


def delay_before(failures: int) -> timedelta:
    """Return how long the next try has to wait when `failures` tries have failed: the first one is due at once."""
    return delay_after(failures - 1) if failures else timedelta()
