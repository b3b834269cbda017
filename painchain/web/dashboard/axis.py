"""The ticks of the chart's axis: round local times at their real positions, also across changes of the clock."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from painchain.timeline.histogram import Histogram
from painchain.web.dashboard.chart import percent_of_axis

MAX_TICKS = 8
EDGE = 3.0  # percent of the axis at which a label no longer fits around its tick
ROOM = 16.0  # percent of the axis that a label at the edge needs on a phone
# The steps between ticks: seconds within a day, then days (a week starts on Monday), then months.
SECONDS = (1, 5, 15, 30, 60, 300, 900, 1800, 3600, 7200, 10800, 21600, 43200)
DAYS = (1, 2, 7, 14)
MONTHS = (1, 2, 3, 6, 12, 24, 60, 120, 600, 1200, 6000, 12000)


@dataclass(frozen=True)
class Tick:
    """One tick: its position in percent of the axis, its label, and where the label is attached to it.

    A tick at the edge has no label if the label would touch the next one.
    """

    position: float
    label: str
    anchor: str


def ticks(histogram: Histogram, zone: ZoneInfo) -> list[Tick]:
    """Return the ticks of a chart, `MAX_TICKS` at most."""
    start, end = histogram.start, histogram.end
    moments = _moments(start, end, zone)
    within_a_day = end - start <= timedelta(days=1, hours=1)
    positions = [round(percent_of_axis(histogram, moment), 2) for moment in moments]
    result = []
    for moment, position in zip(moments, positions, strict=True):
        anchor = "start" if position < EDGE else "end" if position > 100 - EDGE else "middle"
        next_position = {"start": positions[1:2], "end": positions[-2:-1]}.get(anchor, [])
        has_room = all(abs(position - other) >= ROOM for other in next_position)
        label = _label(moment.astimezone(zone), within_a_day, end - start) if has_room else ""
        result.append(Tick(position, label, anchor))
    return result


@lru_cache(64)
def _moments(start: datetime, end: datetime, zone: ZoneInfo) -> list[datetime]:
    """Return the times of the ticks. They stay the same until the first bin of a chart is another one."""
    return next(moments for moments in _candidates(start, end, zone) if len(moments) <= MAX_TICKS)


def _label(local: datetime, within_a_day: bool, length: timedelta) -> str:
    if local.time() == time() and not within_a_day:
        return f"{local:%b %Y}" if length > timedelta(days=400) else f"{local:%-d %b}"
    return f"{local:%H:%M:%S}" if local.second or length < timedelta(minutes=5) else f"{local:%H:%M}"


def _candidates(start: datetime, end: datetime, zone: ZoneInfo) -> Iterator[list[datetime]]:
    """Yield the round times between `start` and `end`, with wider and wider steps."""
    length = end - start
    for seconds in SECONDS:
        if length / timedelta(seconds=seconds) <= 2 * MAX_TICKS:
            yield _times(start, end, zone, seconds)
    for days in DAYS:
        if length / timedelta(days=days) <= 2 * MAX_TICKS:
            dates = (day for day in _dates(start, end, zone) if day.toordinal() % days == 1 % days)
            yield _midnights(dates, start, end, zone)
    for months in MONTHS:
        if length / timedelta(days=28 * months) <= 2 * MAX_TICKS:
            yield _midnights(_months(start, end, zone, months), start, end, zone)
    yield []


def _times(start: datetime, end: datetime, zone: ZoneInfo, step: int) -> list[datetime]:
    """Return the times of day that are multiples of `step` seconds."""
    found = set()
    for day in _dates(start, end, zone):
        for second in _near(start, end, zone, day, step):
            clock = datetime.combine(day, time()) + timedelta(seconds=second)
            for fold in (0, 1):
                moment = clock.replace(tzinfo=zone, fold=fold).astimezone(UTC)
                exists = moment.astimezone(zone).replace(tzinfo=None, fold=0) == clock
                if exists and start <= moment <= end:
                    found.add(moment)
    return sorted(found)


def _near(start: datetime, end: datetime, zone: ZoneInfo, day: date, step: int) -> range:
    """Return the multiples of `step` seconds on the clock of a day around a range, with two hours to spare."""
    midnight = datetime.combine(day, time(), zone).astimezone(UTC)
    first, last = ((moment - midnight).total_seconds() for moment in (start, end))
    return range(max(0, int((first - 7200) // step) * step), min(86400, int(last) + 7200), step)


def _midnights(days: Iterator[date], start: datetime, end: datetime, zone: ZoneInfo) -> list[datetime]:
    moments = (datetime.combine(day, time(), zone).astimezone(UTC) for day in days)
    return [moment for moment in moments if start <= moment <= end]


def _dates(start: datetime, end: datetime, zone: ZoneInfo) -> Iterator[date]:
    day, last = start.astimezone(zone).date(), end.astimezone(zone).date()
    yield from (date.fromordinal(number) for number in range(day.toordinal(), last.toordinal() + 1))


def _months(start: datetime, end: datetime, zone: ZoneInfo, step: int) -> Iterator[date]:
    """Yield the first days of the months whose number since the year 0 is a multiple of `step`."""
    first, last = start.astimezone(zone), end.astimezone(zone)
    earliest, latest = (day.year * 12 + day.month - 1 for day in (first, last))
    for month in range(-(-earliest // step) * step, latest + 1, step):
        yield date(month // 12, month % 12 + 1, 1)
