"""A feed without matching events names wider ranges and looser filters that have some, with their numbers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from painchain.eventlog import writer
from tests.support.html import texts
from tests.support.sample_events import new
from tests.web.parts import count_of, part_of

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture(autouse=True)
def written(app: Flask) -> None:
    """Record events of ann now, and of bob of two days, a month and a year ago."""
    now = datetime.now(UTC)
    ages = [("ann", HOUR / 4), ("ann", HOUR / 2), *[("bob", 2 * DAY)] * 3, ("bob", 31 * DAY), ("bob", 365 * DAY)]
    with app.app_context(), writer.writing() as event_log:
        event_log.append(
            *(
                new(n, author=author, timestamp=now - age, recorded_at=now, tags=["late"] if age > HOUR else [])
                for n, (author, age) in enumerate(ages)
            )
        )


def read(client: FlaskClient, address: str) -> TestResponse:
    """Return the page at an address, after redirects."""
    response = client.get(address, follow_redirects=True)
    assert response.status_code == 200
    return response


def offered(client: FlaskClient, address: str) -> list[str]:
    """Return the views that an empty feed links to. Each has as many events as its link says."""
    nothing = part_of(read(client, address), "nothing")
    assert nothing.h2.get_text() == "No events match this filter"
    [loaded] = nothing.select("[hx-trigger=load]")
    assert loaded["hx-get"] == loaded.a["href"]
    page = part_of(read(client, str(loaded.a["href"])), "main")
    fragment = part_of(client.get(str(loaded["hx-get"]), headers={"HX-Request": "true"}), "other_views")
    assert texts(page, "main #other_views li") == texts(fragment, "#other_views li")
    for link in fragment.select("#other_views a"):
        other = read(client, str(link["href"]))
        assert count_of(other) == int(link.get_text().split()[0])
        assert part_of(other, "feed").article
    return texts(fragment, "#other_views li")


WIDER = ["3 events in the last 7 days", "4 events in the last 90 days", "5 events at any time"]
NONE = ["No events match in wider ranges, or without one part of the filter."]
EMPTY = [
    ("/?author=bob", [*WIDER, "3 events in this time range without the author"]),
    ("/?author=bob&range=90d&q=nothing", ["4 events in this time range without the search"]),
    ("/?author=bob&range=all&q=nothing", ["5 events in this time range without the search"]),
    ("/?author=bob&source=gitlab&range=7d", ["3 events in this time range without the source"]),
    ("/?author=bob&q=after:-1h+number", [*WIDER, "2 events in this time range without the author"]),
    (
        "/?q=author:bob+-number+tag:late&range=7d",
        ["3 events in this time range without -number", "6 events in this time range without the search"],
    ),
    ("/?q=author:bob+after:-1h", [*WIDER, "3 events in this time range without the search"]),
    ("/?author=bob&start_date=2001-01-01&end_date=2001-01-02", ["5 events at any time"]),
    ("/?author=nobody&tag=late&range=1h", NONE),
    ("/?author=nobody&status=never&range=7d", NONE),
]


@pytest.mark.both_databases
def test_an_empty_feed_names_wider_ranges_and_looser_filters_with_their_numbers(client, subtests):
    for address, views in EMPTY:
        with subtests.test(address):
            assert offered(client, address) == views


def test_an_empty_feed_without_a_filter_names_no_other_filter(client):
    nothing = part_of(read(client, "/?start_date=2001-01-01&end_date=2001-01-02"), "nothing")
    assert nothing.h2.get_text() == "No events in this time range"
    assert nothing.select("[hx-trigger=load]") == []


def test_an_empty_feed_names_access_events_that_match(client):
    with client.application.app_context(), writer.writing() as event_log:
        signed_in = {"source": "painchain", "event_type": "SignedIn", "author": "eve"}
        event_log.append(new(99, **signed_in, timestamp=datetime.now(UTC) - HOUR))
    assert offered(client, "/?author=eve") == [
        "3 events in this time range without the author",
        "1 event in this time range with access events",
    ]
