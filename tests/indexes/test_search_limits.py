"""A search that reads too much is limited, and says what it did not count."""

from __future__ import annotations

import itertools
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from painchain.database.models import ChangeEvent
from painchain.database.session import db
from painchain.eventlog import writer
from painchain.indexes import match_planner
from painchain.timeline import histogram, queries
from painchain.timeline.cursor import Cursor
from painchain.timeline.filter import Filter, parse_filter
from tests.indexes.searches import UTC_ZONE
from tests.support.html import soup
from tests.support.sample_events import HOUR, NOW, new
from tests.support.statements import recorded_statements


def read_by_pages(event_filter: Filter, limit: int) -> list[int]:
    """Read all pages, and return the numbers in the titles of their events."""
    met, cursor = [], None
    while True:
        page = queries.page(event_filter, cursor, limit)
        met += [int(event.title.split()[-1]) for event in page.events]
        if page.older is None:
            return met
        cursor = Cursor.parse(str(page.older))


@pytest.mark.usefixtures("low_limits")
@pytest.mark.parametrize("dense", [1, 10])
def test_frequent_matches_are_paged_in_any_number_order(app, write, monkeypatch, subtests, thorough, dense):
    monkeypatch.setattr(match_planner, "DENSE_RATIO", dense)
    times = [NOW - timedelta(minutes=(number * 17) % 60) for number in range(40)]
    write(*({"timestamp": time, "status": "odd" if n % 2 else "even"} for n, time in enumerate(times)))
    expected = sorted((n for n in range(40) if n % 2), key=lambda n: (times[n], n), reverse=True)
    searches = ["comm status:odd", "num od comm", '"odd" "commit"', "odd -even", "-even", "odd -eve -ev"]
    day, everything, precise = {"range": ["24h"]}, {"range": ["all"]}, {"start_date": ["2026-03-10T11:00:30"]}
    # Each search has no limit of time, and in turn one of the two limits.
    cases = [(q, time) for n, q in enumerate(searches) for time in (everything, precise if n % 2 else day)]
    for q, time in list(itertools.product(searches, (day, everything, precise))) if thorough else cases:
        with subtests.test(q=q, time=time), app.app_context():
            event_filter = parse_filter({"q": [q], **time}, NOW, UTC_ZONE)
            for limit in (3, 7, 50) if thorough else (8, 50):
                assert read_by_pages(event_filter, limit) == expected
            assert histogram.count(event_filter) == len(expected)
            chart = histogram.histogram(event_filter, NOW, UTC_ZONE)
            assert chart.total == len([n for n in expected if chart.since is None or times[n] >= chart.since])


COMMON = [f"frequent {n}" if n % 2 else f"other {n}" for n in range(60)]


@pytest.mark.usefixtures("low_limits")
def test_limited_count_is_exact_since_its_start(app, write, monkeypatch, subtests, thorough):
    monkeypatch.setattr(match_planner, "READ_LIMIT", 20)
    times = [NOW - timedelta(minutes=(n * 17) % 60) for n in range(60)]
    people = [{"author": "ann" if n % 15 == 1 else "ben", "status": "abcd"[n // 2 % 4]} for n in range(60)]
    write(*({"title": COMMON[n], "timestamp": times[n], **people[n]} for n in range(60)))
    odd = range(1, 60, 2)
    searches = ("frequent", "freq", '"frequent"', "-other", "frequent,other freq", "freq -unheard")
    one_author, two_states = {"author": ["ann"]}, {"status": ["a", "b"]}
    # Each search has no further filter, and in turn one that leaves few events or one that leaves many.
    cases = [(q, more) for n, q in enumerate(searches) for more in ({}, one_author if n % 2 else two_states)]
    cases.append(("-other", two_states))  # only an exclusion is still limited then
    for q, more in list(itertools.product(searches, ({}, one_author, two_states))) if thorough else cases:
        with subtests.test(q=q, **more):
            wanted_ones = [n for n in odd if all(people[n][name] in values for name, values in more.items())]
            with app.app_context():
                event_filter = parse_filter({"q": [q], "range": ["24h"], **more}, NOW, UTC_ZONE)
                if q == "frequent,other freq":
                    wanted_ones = []
                chart = histogram.histogram(event_filter, NOW, UTC_ZONE)
                counted = [n for n in wanted_ones if chart.since is None or times[n] >= chart.since]
                assert chart.total == len(counted)
                too_many = q != "frequent,other freq" if not more else q == "-other" and "status" in more
                assert (chart.since is not None) == too_many
                assert all(bin.total == 0 for bin in chart.bins if chart.since and bin.end <= chart.since)
                statistics = histogram.statistics(event_filter, ("author", "source"))
                assert (statistics.since, statistics.total) == (chart.since, len(counted))
                assert sum(statistics.by["author"].values()) == len(counted)
                narrow = parse_filter(
                    {"q": [q], "start_date": [(NOW - timedelta(minutes=15)).isoformat()], **more}, NOW, UTC_ZONE
                )
                exact = histogram.histogram(narrow, NOW, UTC_ZONE)
                assert (exact.since, exact.total) == (None, len([n for n in wanted_ones if times[n] >= narrow.start]))


@pytest.mark.both_databases
@pytest.mark.usefixtures("low_limits")
def test_searches_are_exact_after_every_kind_of_write_and_read_the_index_once_while_it_is_the_same(app):
    def check(numbers):
        db.session.rollback()
        for q in ("odd", "odd commit", "od -even", "author:ann odd"):
            event_filter = parse_filter({"q": [q], "range": ["all"]}, NOW, UTC_ZONE)
            assert sorted(read_by_pages(event_filter, 60)) == [n for n in numbers if n % 2]
            chart = histogram.histogram(event_filter, NOW, UTC_ZONE)
            borders = [NOW - timedelta(minutes=400 - n) for n in numbers if n % 2]
            assert chart.total == len([time for time in borders if chart.since is None or time >= chart.since])

    def sample(numbers):
        return [
            new(n, status="odd" if n % 2 else "even", author="ann", timestamp=NOW - timedelta(minutes=400 - n))
            for n in numbers
        ]

    def write(numbers, counts=False):
        with writer.writing() as event_log:
            event_log.append(*sample(numbers))
            if counts:
                event_log.count()

    with app.app_context():
        write(range(80), counts=True)
        check(range(80))
        write(range(80, 84))
        db.session.rollback()
        with recorded_statements(app) as statements, app.app_context():
            check(range(84))
        repeated = ("event_words MATCH", "SELECT timestamp FROM change_events WHERE", "coalesce(sum(CASE")
        assert [part for part in repeated if any(part in statement for statement in statements)] == []
        with suppress(LookupError), writer.writing() as event_log:
            event_log.append(*sample(range(84, 90)))
            event_log.count()
            assert len(read_by_pages(parse_filter({"q": ["odd"], "range": ["all"]}, NOW, UTC_ZONE), 40)) == 45
            raise LookupError
        check(range(84))
        with writer.writing() as event_log:
            numbers = db.session.scalars(select(ChangeEvent.id).where(ChangeEvent.source == "github")).all()
            event_log.remove([*sorted(numbers)[:10], max(numbers)])
        check(range(10, 83))
        write(range(90, 94), counts=True)
        check([*range(10, 83), *range(90, 94)])


def test_page_and_api_show_the_uncounted_range(app, client, monkeypatch):
    monkeypatch.setattr(match_planner, "READ_LIMIT", 10)
    now = datetime.now(UTC)
    with app.app_context(), writer.writing() as event_log:
        event_log.append(*(new(n, title="Common", timestamp=now - timedelta(minutes=20 * n)) for n in range(60)))
    page = soup(client.get("/?q=common"))
    assert "Counts go back to" in page.select_one("#timeline .counted-since").text
    assert page.select_one("#timeline .count").text == "9 events or more"  # one of them is from the first start
    titles = [title.text for title in page.select("#timeline a[data-uncounted] title")]
    assert titles
    assert all(title.endswith("not counted") for title in titles[:-1])
    assert len(page.select("#feed article")) == 50
    for address in ("/api/timeline", "/api/stats"):
        body = client.get(f"{address}?q=common").json
        assert body["total"] == 9
        assert body["counted_since"] > (now - timedelta(minutes=181)).isoformat()
        assert client.get(f"{address}?q=common&start_date={body['counted_since']}").json["counted_since"] is None
        assert client.get(address).json["counted_since"] is None
    assert soup(client.get("/")).select_one(".counted-since") is None


def test_excluded_times_are_not_counted(app, write):
    write(*({"timestamp": NOW - n * HOUR} for n in range(20)))
    for q in ("-around:08:00", "-around:08:00 -around:07:00~2h -after:11:30", "-before:03:30 number", "-before:23:00"):
        with app.app_context():
            event_filter = parse_filter({"q": [q], "range": ["24h"]}, NOW, UTC_ZONE)
            every = queries.page(event_filter, limit=50).events
            assert (
                histogram.histogram(event_filter, NOW, UTC_ZONE).total
                == histogram.count(event_filter)
                == len(every)
                < 20
            )
