"""Whether a stored time has come, also when the clock was put back since it was stored."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, or_

APART = timedelta(minutes=5)  # so much the clocks of servers may differ; a clock that is put back by less does no harm


def reached(moment: ColumnElement[datetime], now: datetime, longest: timedelta) -> ColumnElement[bool]:
    """Say in a query whether a time has come that is at most `longest` ahead when it is stored.

    One that is farther ahead was stored before the clock was put back: nobody waits for it.
    """
    return or_(moment <= now, moment > now + longest + APART)


def is_reached(moment: datetime, now: datetime, longest: timedelta) -> bool:
    """Say the same of a time that was read.

    >>> noon, hour = datetime(2026, 1, 15, 12), timedelta(hours=1)
    >>> [is_reached(noon + ahead, noon, hour) for ahead in (-hour, hour, 2 * hour)]
    [True, False, True]
    """
    return moment <= now or moment > now + longest + APART


def is_lost(beat: ColumnElement[datetime], now: datetime, lost: timedelta) -> ColumnElement[bool]:
    """Say in a query whether a beat is so old, or so far ahead, that nobody is behind it any more."""
    return or_(beat <= now - lost, beat > now + APART)
