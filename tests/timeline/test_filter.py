"""A filter is parsed from a query, or refused with the name of its parameter."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from painchain.timeline.filter import RANGES, BadFilter, Filter, parse_filter, parse_time
from tests.support.histograms import BERLIN, KOLKATA, UTC_ZONE
from tests.support.sample_events import NOW


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
