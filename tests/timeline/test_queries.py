"""Reading events: filters, pages and counts agree with each other."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import hypothesis
import pytest
from flask import Flask
from hypothesis import strategies as st
from sqlalchemy import select

from painchain.database.models import ChangeEvent
from painchain.database.session import db
from painchain.eventlog import writer
from painchain.timeline import histogram, queries
from painchain.timeline.cursor import Cursor
from painchain.timeline.filter import EARLIEST, LATEST, RANGES, BadFilter, Filter, parse_filter, parse_time
from painchain.timeline.time_bins import MAX_BINS
from tests.support.sample_events import HOUR, NOW, new

UTC_ZONE = ZoneInfo("UTC")
KOLKATA = ZoneInfo("Asia/Kolkata")
BERLIN = ZoneInfo("Europe/Berlin")


@pytest.fixture(params=[0, 0.5, 1], ids=["not in rollups", "half in rollups", "in rollups"])
def write(app: Flask, request: pytest.FixtureRequest) -> Callable[..., list[int]]:
    """Return a function that writes events to an empty log, some counted in rollups, and returns their ids."""

    def append(*events: dict[str, Any]) -> list[int]:
        with app.app_context(), writer.writing() as event_log:
            event_log.remove(db.session.scalars(select(ChangeEvent.id)).all())
            numbers = []
            for number, members in enumerate(events):
                numbers.append(event_log.append(new(number, **members)))
                if number + 1 == int(len(events) * request.param):
                    event_log.count()
            return numbers

    return append


def at(*times: datetime) -> list[dict[str, Any]]:
    """Return the members of events at these times."""
    return [{"timestamp": time} for time in times]


def matching_numbers(app: Flask, event_filter: Filter) -> list[int]:
    """Return the numbers in the titles of the events of a filter, in the order of the feed."""
    with app.app_context():
        return [int(event.title.split()[-1]) for event in queries.page(event_filter, limit=500).events]


NIGHT = (("Night", ("night", "audit")),)
VARIED: list[dict[str, Any]] = [
    {},
    {"source": "gitlab", "event_type": "Pipeline", "status": "failed", "tags": ["ci", "night"]},
    {"source": "painchain", "event_type": "ConfigChanged", "author": "operator", "tags": ["audit"]},
    {"connector_id": 7, "connector_name": "Work", "tags": ["ci"]},
    {"connector_id": 8, "connector_name": "7"},
    {"title": "[Commit] 100% Größe_fix 5", "description": {"text": "Raise the limit"}},
]


FILTERS = [
    (Filter(), [5, 4, 3, 2, 1, 0]),
    (Filter(source=("gitlab",)), [1]),
    (Filter(source=("gitlab", "painchain")), [2, 1]),
    (Filter(event_type=("Pipeline", "ConfigChanged")), [2, 1]),
    (Filter(author=("operator",)), [2]),
    (Filter(author=("operator", "system")), [5, 4, 3, 2, 1, 0]),
    (Filter(status=("failed",)), [1]),
    (Filter(connector=("Work",)), [3]),
    (Filter(connector=("8",)), [4]),
    (Filter(connector=("7",)), [4, 3]),
    (Filter(connector=("Work", "8")), [4, 3]),
    (Filter(connector=("9" * 30,)), []),
    (Filter(tag=("ci",)), [3, 1]),
    (Filter(tag=("night", "audit")), [2, 1]),
    (Filter(tag=("ci", "night")), [3, 1]),
    (Filter(tag=("absent",)), []),
    (Filter(tag=("ci",), source=("github",)), [3]),
    (Filter(team=("Night",), teams=NIGHT), [2, 1]),
    (Filter(team=("Night",), teams=NIGHT, tag=("ci",)), [1]),
    (Filter(team=("Night",), teams=NIGHT, tag=("absent",)), []),
    (Filter(team=("Nobody",), teams=(("Nobody", ("absent",)),)), []),
    (Filter(q="team:Night", teams=NIGHT), [2, 1]),
    (Filter(q="-team:Night number", teams=NIGHT), [4, 3, 0]),
    (Filter(q="team:Night tag:ci", teams=NIGHT), [1]),
    (Filter(source=("gitlab",), author=("operator",)), []),
    (Filter(q="number 3"), [3]),
    (Filter(q="LIMIT raise"), [5]),
    (Filter(q="größe"), [5]),
    (Filter(q="100%"), [5]),
    (Filter(q="GRÖSSE_fi"), [5]),
    (Filter(q="e%f"), []),
    (Filter(q="operator"), [2]),
    (Filter(q="wor"), [3]),
    (Filter(q="\\"), []),
]


def test_a_filter_finds_and_counts_the_same_events(app, write, subtests):
    write(*VARIED)
    for event_filter, numbers in FILTERS:
        with subtests.test(filter=str(event_filter)):
            assert matching_numbers(app, event_filter) == numbers
            with app.app_context():
                assert histogram.count(event_filter) == len(numbers)
                assert histogram.histogram(event_filter, NOW, UTC_ZONE).total == len(numbers)


def test_a_range_includes_its_start_and_excludes_its_end(app, write):
    write(*at(NOW, NOW + HOUR, NOW + 2 * HOUR))
    assert matching_numbers(app, Filter(start=NOW)) == [2, 1, 0]
    assert matching_numbers(app, Filter(end=NOW + 2 * HOUR)) == [1, 0]
    assert matching_numbers(app, Filter(start=NOW + HOUR, end=NOW + 2 * HOUR)) == [1]
    assert matching_numbers(app, Filter(start=NOW + HOUR, end=NOW + 2 * HOUR + timedelta(microseconds=1))) == [2, 1]


def pages(app: Flask, limit: int, event_filter: Filter | None = None) -> list[list[Any]]:
    """Return the events of every page."""
    with app.app_context():
        read = [queries.page(event_filter or Filter(), limit=limit)]
        while older := read[-1].older:
            assert len(read) < 50, "the pages do not end"
            read.append(queries.page(event_filter or Filter(), Cursor.parse(str(older)), limit))
        return [list(page.events) for page in read]


def test_paging_visits_each_event_once_even_with_equal_and_disordered_times(app, write, subtests):
    for limit in (1, 2, 3, 7, 20, 50):
        with subtests.test(limit=limit):
            times = [NOW + timedelta(seconds=number // 4) for number in range(20)]
            random.Random(limit).shuffle(times)
            write(*at(*times))
            read = pages(app, limit)
            together = [event for page in read for event in page]
            assert [len(page) for page in read[:-1]] == [limit] * (len(read) - 1)
            assert 0 < len(read[-1]) <= limit
            assert len({event.id for event in together}) == len(together) == 20
            assert together == sorted(together, key=lambda event: (event.timestamp, event.id), reverse=True)


def test_new_events_do_not_move_older_pages(app, write):
    write(*at(*[NOW] * 6))
    with app.app_context():
        first = queries.page(Filter(), limit=3)
        with writer.writing() as event_log:
            event_log.append(new(100, timestamp=NOW + HOUR))
        second = queries.page(Filter(), first.older, 3)
    assert [event.title[-1] for event in [*first.events, *second.events]] == list("543210")
    assert second.older is None


def test_pages_of_a_filter_hold_only_its_events(app, write):
    write(*({"author": f"author {number % 3}"} for number in range(12)))
    read = pages(app, 2, Filter(author=("author 1",)))
    assert [[event.author for event in page] for page in read] == [["author 1"] * 2] * 2


@pytest.mark.parametrize(
    "text", ["", "x", "!!!!", "é", "MTIz", "MS4tNQ", "A" * 400, "MS45OTk5OTk5OTk5OTk5OTk5OTk5OTk5"]
)
def test_an_invalid_cursor_is_refused(text):
    with pytest.raises(BadFilter) as refused:
        Cursor.parse(text)
    assert refused.value.parameter == "cursor"


def test_events_written_after_an_id_are_in_the_order_of_writing(app, write):
    first, *later = write(*at(NOW + HOUR, NOW, NOW - HOUR, NOW + HOUR))
    with app.app_context():
        assert [event.id for event in queries.written_after(Filter(), first)] == later
        assert [event.id for event in queries.written_after(Filter(), first, 2)] == later[:2]
        assert [event.id for event in queries.written_after(Filter(start=NOW), first)] == [later[0], later[2]]
        assert queries.written_after(Filter(), later[-1]) == []
        assert queries.head().last_event == later[-1]


def test_events_are_found_by_id_event_id_and_request(app, write):
    numbers = write(*({"request_id": request, "source": "painchain"} for request in "aba"))
    with app.app_context():
        assert queries.event_by_id(numbers[1]).event_id == "made-up-1"
        assert queries.event_by_event_id("made-up-1").id == numbers[1]
        assert [event.id for event in queries.events_of_request("a")] == [numbers[2], numbers[0]]
        assert queries.event_by_id(10**9) is None
        assert queries.event_by_event_id("made-up-9") is None


def test_counts_and_filter_values_match_the_events(app, write):
    write(*VARIED)
    with app.app_context():
        assert histogram.counts_by("source", Filter()) == {"github": 4, "gitlab": 1, "painchain": 1}
        assert histogram.counts_by("status", Filter()) == {"failed": 1}
        assert list(histogram.counts_by("author", Filter())) == ["system", "operator"]
        values = queries.filter_values()
        assert (values.authors, values.tags) == (["operator", "system"], ["audit", "ci", "night"])


def assert_contiguous(chart: histogram.Histogram, zone: ZoneInfo = UTC_ZONE) -> None:
    """Assert that the bins are contiguous, fill the histogram, and have equal widths in the zone's local time."""
    assert 1 <= len(chart.bins) <= MAX_BINS + 1
    assert all(bin.end == following.start for bin, following in itertools.pairwise(chart.bins))
    assert (chart.start, chart.end) == (chart.bins[0].start, chart.bins[-1].end)
    for bin in chart.bins:
        by_the_clock = bin.end.astimezone(zone).replace(tzinfo=None) - bin.start.astimezone(zone).replace(tzinfo=None)
        assert chart.width in (bin.end - bin.start, by_the_clock)


def in_bins(chart: histogram.Histogram, events: Sequence[Any]) -> list[Counter[str]]:
    """Count events by source and bin without rollups."""
    return [Counter(event.source for event in events if bin.start <= event.timestamp < bin.end) for bin in chart.bins]


ZONES = ["UTC", "Asia/Kolkata", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Asia/Kathmandu"]
spans = st.one_of(
    st.timedeltas(timedelta(microseconds=1), timedelta(seconds=2)),
    st.timedeltas(timedelta(seconds=1), timedelta(days=2)),
    st.timedeltas(timedelta(days=1), timedelta(days=800)),
)


def test_the_histogram_counts_the_events_of_the_pages_for_any_range(app, write):
    chance = random.Random(7)
    away = [0.0, 0.3, 0.3, 0.9, 1.0, 1.5, *(chance.uniform(-1, 1) * 10 ** chance.uniform(0, 7) for _ in range(60))]
    write(*({"timestamp": NOW + timedelta(seconds=s), "source": chance.choice(["github", "gitlab"])} for s in away))

    @hypothesis.settings(deadline=None, max_examples=60)
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


@pytest.mark.parametrize("zone", [UTC_ZONE, KOLKATA, BERLIN], ids=str)
@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2026-01-31", (2026, 1, 31)),
        ("2026-01-31T14:05", (2026, 1, 31, 14, 5)),
        ("2026-01-31 14:05:06", (2026, 1, 31, 14, 5, 6)),
        ("2026-07-01T00:00:00.123456", (2026, 7, 1, 0, 0, 0, 123456)),
    ],
)
def test_a_time_without_an_offset_is_in_the_viewers_zone(text, meant, zone):
    assert parse_time(text, "start_date", zone) == datetime(*meant, tzinfo=zone)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2026-01-31T14:00:00Z", datetime(2026, 1, 31, 14, tzinfo=UTC)),
        ("2026-01-31T14:00:00+05:30", datetime(2026, 1, 31, 8, 30, tzinfo=UTC)),
        ("2026-01-31T14:00:00 05:30", datetime(2026, 1, 31, 8, 30, tzinfo=UTC)),
        ("2026-01-31 14:00:00Z", datetime(2026, 1, 31, 14, tzinfo=UTC)),
    ],
)
def test_a_time_with_an_offset_is_converted_to_utc(text, meant):
    read = parse_time(text, "start_date", KOLKATA)
    assert (read, read.tzinfo) == (meant, UTC)


@pytest.mark.parametrize(
    "text",
    [
        "yesterday",
        "2026-13-01",
        "2026-02-30",
        "31.01.2026",
        "1969-12-31",
        "9999-12-31",
        "0001-01-01",
        "2026-01-31T25:00",
    ],
)
def test_anything_but_a_time_between_1970_and_9000_is_refused(text):
    for zone in (UTC_ZONE, KOLKATA, ZoneInfo("Etc/GMT+12")):
        with pytest.raises(BadFilter) as refused:
            parse_time(text, "end_date", zone)
        assert refused.value.parameter == "end_date"
        assert str(refused.value).startswith("end_date must")


def parsed(default_range: str = "", **parameters: Any) -> Filter:
    """Read a filter from single values or lists."""
    values = {name: [value] if isinstance(value, str) else value for name, value in parameters.items()}
    return parse_filter(values, NOW, KOLKATA, default_range)


def test_an_empty_query_selects_everything():
    assert parsed() == Filter()
    assert parsed(source="", q="  ", range="", start_date="", tag=[]) == Filter()


def test_a_list_is_repeated_or_comma_separated(app):
    expected = Filter(source=("github", "gitlab"), tag=("a", "b"), event_type=("Commit",), status=("failed",))
    assert parsed(source="github, gitlab,", tag=["a", "b", "a"], event_type="Commit", status=" failed ") == expected
    with app.app_context():
        assert parsed(connector=["7", "Work"], author="Doe, J", q=" two words ") == Filter(
            connector=("7", "Work"), author=("Doe, J",), q="two words"
        )


@pytest.mark.parametrize(("name", "length"), RANGES.items())
def test_a_range_ends_now_and_has_its_length(name, length):
    assert parsed(range=name) == Filter(start=NOW - length)
    assert parsed(name) == Filter(start=NOW - length)


def test_dates_override_a_range_and_a_range_overrides_the_default():
    dated = parsed("24h", range="1h", start_date="2026-01-01", end_date="2026-01-02")
    assert dated == Filter(
        start=datetime(2026, 1, 1, tzinfo=KOLKATA).astimezone(UTC),
        end=datetime(2026, 1, 2, tzinfo=KOLKATA).astimezone(UTC),
    )
    assert parsed("24h", range="7d").start == NOW - timedelta(days=7)
    assert parsed("24h", range="custom").start == NOW - timedelta(days=1)
    assert parsed("24h", range="all").start is None
    assert parsed("24h", end_date="2026-01-02").start is None


@pytest.mark.parametrize(
    ("parameters", "parameter"),
    [
        ({"range": "2h"}, "range"),
        ({"range": "24H"}, "range"),
        ({"start_date": "soon"}, "start_date"),
        ({"end_date": "2026-99-99"}, "end_date"),
        ({"start_date": "2026-01-02", "end_date": "2026-01-01"}, "end_date"),
        ({"start_date": "2026-01-02", "end_date": "2026-01-02"}, "end_date"),
        ({"q": "x" * 201}, "q"),
        ({"tag": "x" * 201}, "tag"),
        ({"author": ["fine", "x" * 201]}, "author"),
        ({"source": "a\0b"}, "source"),
        ({"q": "\0"}, "q"),
        ({"start_date": "2026-01-01\0"}, "start_date"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_an_invalid_filter_names_its_parameter(parameters, parameter):
    with pytest.raises(BadFilter) as refused:
        parsed(**parameters)
    assert refused.value.parameter == parameter
    assert str(refused.value)
