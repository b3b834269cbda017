"""Parse the times of a search or an address: dates, clock times, days by name, and times before now."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

EARLIEST = datetime(1970, 1, 2, tzinfo=UTC)
LATEST = datetime(9000, 1, 1, tzinfo=UTC)
DATES = 'dates, as in 2026-01-01..2026-01-31, or dates with a time, as in "2026-01-31 14:00"..'
EXAMPLES = (
    'such as 2026-01-31, "2026-01-31 14:00", 14:00, today, yesterday, "today 09:30", "yesterday 14:00" '
    "or -30m (before now; s, m, h or d)"
)
MOMENTS = "such as 14:00, yesterday 14:00, 2026-01-31 14:00 or -30m (before now; s, m, h or d)"

_WIDTH = re.compile(r"(\d{1,5})(s|m|h|d)")
_CLOCK = re.compile(r"\d?\d:\d\d(:\d\d)?")
_DAYS = {"today": 0, "yesterday": 1}
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class BadFilter(ValueError):
    """A filter that cannot be parsed. `parameter` is the wrong one; the message says what it accepts."""

    def __init__(self, parameter: str, message: str):
        super().__init__(message)
        self.parameter = parameter


def reach_of(text: str) -> timedelta:
    """Return the duration that follows the ~ of around.

    :raises BadFilter: when it is not a duration of at most 366 days.
    """
    reach = _duration(text)
    if not timedelta() < reach <= timedelta(days=366):
        raise BadFilter("q", "around: needs a duration of at most 366 days after ~, as in ~90m, ~2h or ~1d.")
    return reach


def interval_of(text: str, name: str, now: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Return the start and the end of a date or time: a date lasts a day, a time lasts a microsecond.

    `name` is the qualifier of the time, for the message of an error.

    :raises BadFilter: when `text` is neither.
    """
    text = text.strip()
    try:
        if day := _day(text, now, zone):
            edges = [datetime.combine(midnight, time(), zone) for midnight in (day, day + timedelta(days=1))]
            start, end = (parse_time(edge.isoformat(), "q", zone) for edge in edges)
            return start, end
        start = _moment(text, now, zone)
    except (ValueError, OverflowError):
        accepts = DATES if name == ".." else f"a date or a time, {EXAMPLES}"
        raise BadFilter("q", f"“{text}” is not a time. {name} accepts {accepts}, between 1970 and 9000.") from None
    return start, start + timedelta(microseconds=1)


def moment_of(text: str, parameter: str, now: datetime, zone: ZoneInfo) -> datetime:
    """Parse a time of a form as a search does, but without dates: 14:00 is the last time the clocks showed it.

    :raises BadFilter: when `text` is not a time.
    """
    try:
        if _day(text.strip(), now, zone):
            raise ValueError
        return _moment(text.strip(), now, zone)
    except (ValueError, OverflowError):
        raise BadFilter(parameter, f"“{text}” is not a time. Use a time {MOMENTS}.") from None


def _duration(text: str) -> timedelta:
    match = _WIDTH.fullmatch(text.strip().lower())
    return timedelta(**{_UNITS[match[2]]: int(match[1])}) if match else timedelta()


def _day(text: str, now: datetime, zone: ZoneInfo) -> date | None:
    """Return the day that a text names; None if it is no day.

    :raises ValueError: when it looks like a date, but is none.
    """
    if text.lower() in _DAYS:
        return _day_before(_DAYS[text.lower()], now, zone)
    return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=zone).date() if len(text) == 10 else None


def _day_before(days: int, now: datetime, zone: ZoneInfo) -> date:
    return now.astimezone(zone).date() - timedelta(days=days)


def _moment(text: str, now: datetime, zone: ZoneInfo) -> datetime:
    """Return the moment that a text names.

    :raises ValueError: when it names none.
    """
    if text.startswith("-") and _WIDTH.fullmatch(text[1:].lower()):
        return parse_time((now - _duration(text[1:])).isoformat(), "q", zone)
    day_name, _, clock = text.rpartition(" ")
    if _CLOCK.fullmatch(clock) and (not day_name or day_name.strip().lower() in _DAYS):
        clock_time = time.fromisoformat(clock.zfill(5 if len(clock) < 6 else 8))
        if not day_name:
            return _latest(clock_time, now, zone)
        day = _day_before(_DAYS[day_name.strip().lower()], now, zone)
        return datetime.combine(day, clock_time, zone).astimezone(UTC)
    return parse_time(text, "q", zone)


def _latest(clock: time, now: datetime, zone: ZoneInfo) -> datetime:
    """Return the last moment at which a clock showed this time."""
    local = now.astimezone(zone)
    day = local.date() if clock <= local.time() else local.date() - timedelta(days=1)
    return datetime.combine(day, clock, zone).astimezone(UTC)


def parse_time(text: str, parameter: str, zone: ZoneInfo) -> datetime:
    """Parse an ISO 8601 time. Without an offset, it is in the viewer's `zone`.

    :raises BadFilter: when `text` is not a time between 1970 and 9000.
    """
    try:
        # A "+" that was not escaped in the URL arrives as a space.
        value = datetime.fromisoformat(text.strip().replace(" ", "T", 1) if "T" not in text else text.replace(" ", "+"))
        aware = value.replace(tzinfo=zone) if value.tzinfo is None else value
        aware = aware.astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadFilter(parameter, f"{parameter} must be a date such as 2026-01-31 or 2026-01-31T14:00:00Z.") from None
    if not EARLIEST <= aware <= LATEST:
        raise BadFilter(parameter, f"{parameter} must lie between 1970 and 9000.")
    return aware
