"""Divide a range of time into bins that begin at round times of a time zone, also where its clocks change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property, lru_cache
from itertools import groupby, pairwise
from zoneinfo import ZoneInfo

MAX_BINS = 60  # one more may be needed, because the first and the last are only partly in the range

# Bin widths in seconds, all of them round: from a second to a thousand years.
WIDTHS = (
    *(1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200),
    *(86400 * days for days in (1, 2, 7, 14, 30, 90, 365, 3650, 36500, 365000)),
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Run:
    """Consecutive bins of one width: the number of the first, its start, the width of each, and the end of the last."""

    index: int
    start: int
    width: int
    end: int


@dataclass(frozen=True)
class TimeBins:
    """Consecutive bins. `borders` are their starts and the end of the last one, in seconds since 1970.

    `width` is the width of a bin in which the clocks do not change, in seconds.
    """

    borders: Sequence[int]
    width: int

    def __len__(self) -> int:
        return len(self.borders) - 1

    @cached_property
    def runs(self) -> list[Run]:
        """The bins, in runs of equal width: a single run if the clocks do not change."""
        bins = [(index, start, end) for index, (start, end) in enumerate(pairwise(self.borders))]
        runs = [list(run) for _, run in groupby(bins, key=lambda bin: bin[2] - bin[1])]
        return [Run(run[0][0], run[0][1], run[0][2] - run[0][1], run[-1][2]) for run in runs]


def time_bins(start: datetime, end: datetime, zone: ZoneInfo) -> TimeBins:
    """Return the narrowest bins of a round width that cover a range with at most ``MAX_BINS`` + 1 bins.

    >>> change = datetime(2026, 3, 29, tzinfo=ZoneInfo("Europe/Berlin"))
    >>> bins = time_bins(change - timedelta(days=29), change + timedelta(days=2), change.tzinfo)
    >>> [(run.index, run.width // 3600) for run in bins.runs]
    [(0, 24), (29, 23), (30, 24)]
    """
    seconds = (end - start).total_seconds()
    for width in WIDTHS:
        if seconds / width <= MAX_BINS:
            bins = TimeBins(_borders(start, end, width, zone), width)
            if len(bins) <= MAX_BINS + 1:
                return bins
    return TimeBins(_borders(start, end, WIDTHS[-1], zone), WIDTHS[-1])


def _borders(start: datetime, end: datetime, width: int, zone: ZoneInfo) -> list[int]:
    """Return borders at equal distances if all of them are round local times; else at every round local time."""
    offset = _offset(int(start.timestamp()), zone)
    first = (int(start.timestamp()) + offset) // width * width
    equal = list(range(first - offset, _ceiling(end) + width, width))
    while equal[-2] >= end.timestamp():
        equal.pop()
    if _are_round(equal[0], equal[-1], width, zone):
        return equal
    borders = [_instant(first, zone, offset)]
    while borders[-1] < end.timestamp():
        first += width
        instant = _instant(first, zone, offset)
        if instant > borders[-1]:  # at the date line, clocks have skipped whole days
            borders.append(instant)
    return borders


@lru_cache(256)
def _are_round(first: int, last: int, width: int, zone: ZoneInfo) -> bool:
    """Return whether times at equal distances, from the first to the last, are round local times."""
    return all((border + _offset(border, zone)) % width == 0 for border in range(first, last + 1, width))


def _ceiling(moment: datetime) -> int:
    return -int(-moment.timestamp() // 1)


def _offset(seconds: int, zone: ZoneInfo) -> int:
    """Return by how many seconds the zone's clocks differ from UTC at a time; 0 beyond the calendar."""
    try:
        return int(((_EPOCH + timedelta(seconds=seconds)).astimezone(zone).utcoffset() or timedelta()).total_seconds())
    except (OverflowError, ValueError):
        return 0


def _instant(local: int, zone: ZoneInfo, offset: int) -> int:
    """Return the time at which the zone's clocks first show a local time (in seconds since 1970 by these clocks).

    If the clocks skip it, return the time at which they do.
    """
    try:
        clock_time = (_EPOCH + timedelta(seconds=local)).replace(tzinfo=zone)
        return int(clock_time.timestamp())
    except (OverflowError, ValueError):
        return local - offset
