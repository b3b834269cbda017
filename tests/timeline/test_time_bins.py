"""Bins begin at round local times in every zone, also where clocks change by an hour, half an hour or a day."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import hypothesis
import pytest
from hypothesis import strategies as st

from painchain.timeline.time_bins import MAX_BINS, WIDTHS, TimeBins, time_bins

HOUR, DAY = 3600, 86400
# Zones whose clocks change by an hour, at midnight, by half an hour, never, and which are off by half hours.
ZONES = (
    *("Europe/Berlin", "America/New_York", "America/St_Johns", "Australia/Adelaide", "Pacific/Chatham"),
    *("Australia/Lord_Howe", "America/Havana", "Asia/Beirut", "Africa/Cairo", "America/Santiago", "Pacific/Auckland"),
    *("UTC", "Asia/Kolkata", "Asia/Kathmandu", "Pacific/Apia", "Africa/Casablanca", "Antarctica/Troll"),
)


def local(seconds: int, zone: ZoneInfo) -> datetime:
    """What the clocks of a zone show."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)).astimezone(zone)


def is_start_of_day(border: int, zone: ZoneInfo) -> bool:
    """Say whether a local date begins at this time."""
    return local(border - 1, zone).date() < local(border, zone).date()


def assert_round(bins: TimeBins, zone: ZoneInfo) -> None:
    """Each bin of days begins with a day, and each other bin at a multiple of its width, or where clocks skip that."""
    for border in bins.borders:
        clock_time = local(border, zone).replace(tzinfo=UTC)
        if bins.width >= DAY:
            assert is_start_of_day(border, zone)
        else:
            is_clock_change = local(border - 1, zone).utcoffset() != local(border, zone).utcoffset()
            assert int(clock_time.timestamp()) % bins.width == 0 or is_clock_change


@hypothesis.settings(deadline=None, max_examples=300)
@hypothesis.given(
    st.integers(0, 22 * 365 * DAY).map(lambda seconds: datetime(2009, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)),
    st.floats(0, 8).map(lambda exponent: timedelta(seconds=10**exponent)),
    st.sampled_from(ZONES).map(ZoneInfo),
)
@hypothesis.example(datetime(2011, 12, 20, tzinfo=UTC), timedelta(days=20), ZoneInfo("Pacific/Apia"))  # skips a day
def test_bins_cover_a_range_without_holes_and_begin_at_round_local_times(
    start: datetime, span: timedelta, zone: ZoneInfo
) -> None:
    end = start + span
    bins = time_bins(start, end, zone)
    borders = [datetime.fromtimestamp(border, UTC) for border in bins.borders]
    assert borders[0] <= start < borders[1]
    assert borders[-2] < end <= borders[-1]
    assert all(before < after for before, after in itertools.pairwise(borders))
    assert len(bins) <= MAX_BINS + 1
    assert bins.width in WIDTHS
    assert_round(bins, zone)
    assert [run.index for run in bins.runs] == list(
        itertools.accumulate((runs_bins(run) for run in bins.runs[:-1]), initial=0)
    )
    assert len(bins) == sum(map(runs_bins, bins.runs))


def runs_bins(run: object) -> int:
    """The number of bins of a run."""
    return (run.end - run.start) // run.width  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Berlin", (2026, 3, 29), 23),
        ("Europe/Berlin", (2026, 10, 25), 25),
        ("America/St_Johns", (2026, 3, 8), 23),
        ("Australia/Adelaide", (2026, 4, 5), 25),
        ("Australia/Lord_Howe", (2026, 4, 5), 24.5),
        ("Australia/Lord_Howe", (2026, 10, 4), 23.5),
        ("America/Havana", (2026, 3, 8), 23),
        ("Africa/Cairo", (2026, 4, 24), 23),
        ("Asia/Kolkata", (2026, 3, 29), 24),
    ],
)
def test_the_day_of_a_clock_change_is_one_bin(zone: str, day: tuple[int, int, int], hours: float) -> None:
    middle = datetime(*day, 12, tzinfo=ZoneInfo(zone))
    bins = time_bins(middle - timedelta(days=15), middle + timedelta(days=15), ZoneInfo(zone))
    assert bins.width == DAY / 2
    bins = time_bins(middle - timedelta(days=25), middle + timedelta(days=25), ZoneInfo(zone))
    assert bins.width == DAY
    of_day = [end - start for start, end in itertools.pairwise(bins.borders) if start <= middle.timestamp() < end]
    assert of_day == [hours * HOUR]


def test_hours_stay_hours_where_clocks_change_by_an_hour() -> None:
    middle = datetime(2026, 10, 25, 12, tzinfo=ZoneInfo("Europe/Berlin"))
    bins = time_bins(middle - timedelta(days=1), middle + timedelta(days=1), ZoneInfo("Europe/Berlin"))
    assert (bins.width, len(bins.runs)) == (HOUR, 1)
