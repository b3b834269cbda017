"""Reading events: filters, pages and counts agree with each other."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from painchain.eventlog import writer
from painchain.timeline import histogram, queries
from painchain.timeline.cursor import Cursor
from painchain.timeline.filter import BadFilter, Filter
from tests.support.histograms import UTC_ZONE, at
from tests.support.sample_events import HOUR, NOW, new


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
