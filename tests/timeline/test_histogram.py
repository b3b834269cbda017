"""The histogram counts the events of the pages, and its bins begin at round times."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import hypothesis
import pytest
from hypothesis import strategies as st

from painchain.timeline import histogram, queries
from painchain.timeline.filter import EARLIEST, LATEST, RANGES, Filter
from tests.support.histograms import BERLIN, KOLKATA, UTC_ZONE, ZONES, assert_contiguous, at, in_bins, spans
from tests.support.sample_events import HOUR, NOW
from tests.support.thorough import examples


def test_the_histogram_counts_the_events_of_the_pages_for_any_range(app, write):
    chance = random.Random(7)
    away = [0.0, 0.3, 0.3, 0.9, 1.0, 1.5, *(chance.uniform(-1, 1) * 10 ** chance.uniform(0, 7) for _ in range(60))]
    write(*({"timestamp": NOW + timedelta(seconds=s), "source": chance.choice(["github", "gitlab"])} for s in away))

    @hypothesis.settings(deadline=None, max_examples=examples(60))
    @hypothesis.given(st.floats(-1.2e7, 1.2e7) | st.floats(-2, 2), spans, st.sampled_from(ZONES))
    @hypothesis.example(0.0, timedelta(milliseconds=500), "UTC")
    def agree(start: float, span: timedelta, zone: str) -> None:
        event_filter = Filter(start=NOW + timedelta(seconds=start), end=NOW + timedelta(seconds=start) + span)
        chart = histogram.histogram(event_filter, NOW, ZoneInfo(zone))
        events = queries.page(event_filter, limit=500).events
        assert_contiguous(chart, ZoneInfo(zone))
        assert chart.total == len(events) == histogram.count(event_filter)
        assert [bin.counts for bin in chart.bins] == in_bins(chart, events)
        assert chart.sources == Counter(event.source for event in events)
        assert chart.start <= event_filter.start < event_filter.end <= chart.end

    with app.app_context():
        agree()


def test_the_histogram_counts_events_of_this_moment(app, write):
    write(*at(NOW - HOUR, NOW, NOW + timedelta(microseconds=3)))
    for event_filter in (Filter(), Filter(start=NOW - 2 * HOUR), Filter(start=NOW)):
        with app.app_context():
            chart = histogram.histogram(event_filter, NOW, UTC_ZONE)
            assert chart.total == histogram.count(event_filter)


def test_without_a_range_the_histogram_begins_with_the_oldest_event(app, write):
    write(*at(NOW - timedelta(days=400), NOW - HOUR))
    with app.app_context():
        chart = histogram.histogram(Filter(), NOW, UTC_ZONE)
    assert_contiguous(chart)
    assert chart.bins[0].start <= NOW - timedelta(days=400) < chart.bins[0].end
    assert (chart.total, chart.bins[0].total) == (2, 1)


@pytest.mark.parametrize("filtered", [{}, {"author": ("rare",)}, {"source": ("github",)}, {"q": "pipeline"}])
def test_an_old_event_that_the_rollups_do_not_hold_yet_is_the_oldest(app, write, filtered):
    event = {"author": "rare", "source": "github", "title": "A pipeline"}
    write(*({**event, "timestamp": NOW - timedelta(days=days)} for days in (9, 0, 40, 20)))
    with app.app_context():
        chart = histogram.histogram(Filter(**filtered), NOW, UTC_ZONE)
    assert chart.bins[0].start <= NOW - timedelta(days=40) < chart.bins[0].end
    assert chart.total == 4


def test_an_empty_log_has_an_empty_histogram_of_the_last_day(app, write):
    write()
    with app.app_context():
        chart = histogram.histogram(Filter(), NOW, UTC_ZONE)
    assert_contiguous(chart)
    assert chart.total == 0
    assert chart.start <= NOW - timedelta(days=1) < NOW <= chart.end <= NOW + HOUR


def test_the_widest_range_has_a_histogram(app, write):
    write(*at(EARLIEST, NOW, LATEST - HOUR))
    with app.app_context():
        chart = histogram.histogram(Filter(start=EARLIEST, end=LATEST), NOW, KOLKATA)
    assert chart.total == 3
    assert_contiguous(chart, KOLKATA)


@pytest.mark.parametrize(("name", "range_"), RANGES.items())
def test_bins_begin_at_round_times_of_the_viewers_zone(app, write, name, range_):
    write(*at(NOW - range_ / 2))
    for zone in map(ZoneInfo, ["UTC", "Asia/Kolkata", "Asia/Kathmandu", "America/St_Johns"]):
        with app.app_context():
            chart = histogram.histogram(Filter(start=NOW - range_), NOW, zone)
        assert_contiguous(chart, zone)
        local = chart.start.astimezone(zone)
        midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
        assert (local - midnight) % min(chart.width, timedelta(days=1)) == timedelta(0), name


@pytest.mark.parametrize("change_over", [datetime(2026, 3, 29, 1, tzinfo=UTC), datetime(2026, 10, 25, 1, tzinfo=UTC)])
@pytest.mark.parametrize("days", [1, 2, 30, 60])
def test_no_event_falls_between_bins_when_the_clocks_change(app, write, change_over, days):
    half = timedelta(days=days) / 2
    times = [change_over + timedelta(minutes=minutes) for minutes in (-60, -1, 0, 1, 59, 60)]
    write(*at(*times, change_over - half, change_over + half - timedelta(seconds=1)))
    with app.app_context():
        chart = histogram.histogram(Filter(start=change_over - half, end=change_over + half), NOW, BERLIN)
    assert_contiguous(chart, BERLIN)
    assert chart.total == 8
    if chart.width == timedelta(days=1):
        hours = Counter((bin.end - bin.start) / HOUR for bin in chart.bins)
        assert hours == {24: len(chart.bins) - 1, 23 if change_over.month == 3 else 25: 1}
