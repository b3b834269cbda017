"""Compare stored times with the clock, also after the clock was set back."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, or_

# How far the clocks of servers may differ. A clock that is set back by less has no effect.
MAX_CLOCK_SKEW = timedelta(minutes=5)


def reached_condition(moment: ColumnElement[datetime], now: datetime, max_ahead: timedelta) -> ColumnElement[bool]:
    """Return the SQL condition that a stored time has come.

    A time is stored at most `max_ahead` in the future. A time further ahead was stored before the clock was set back,
    and counts as reached.
    """
    return or_(moment <= now, moment > now + max_ahead + MAX_CLOCK_SKEW)


def is_reached(moment: datetime, now: datetime, max_ahead: timedelta) -> bool:
    """Return whether a time has come, as ``reached_condition`` does.

    >>> noon, hour = datetime(2026, 1, 15, 12), timedelta(hours=1)
    >>> [is_reached(noon + ahead, noon, hour) for ahead in (-hour, hour, 2 * hour)]
    [True, False, True]
    """
    return moment <= now or moment > now + max_ahead + MAX_CLOCK_SKEW


def lost_condition(beat: ColumnElement[datetime], now: datetime, timeout: timedelta) -> ColumnElement[bool]:
    """Return the SQL condition that a heartbeat is older than `timeout`, or too far in the future to be true."""
    return or_(beat <= now - timeout, beat > now + MAX_CLOCK_SKEW)
