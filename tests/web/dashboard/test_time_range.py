"""Addresses of the dashboard mean the same in every time zone, and later."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from bs4 import BeautifulSoup, Tag
from flask import Flask
from flask.testing import FlaskClient

from painchain.eventlog import writer
from tests.support.html import fill, form_of, soup, texts
from tests.support.sample_events import new
from tests.support.thorough import further
from tests.web.parts import part_of

HTMX = {"HX-Request": "true"}
MINUTE = timedelta(minutes=1)
ZONES = ("UTC", "Asia/Kolkata", "America/Los_Angeles")

Write = Callable[[Sequence[datetime]], None]


@pytest.fixture
def write(app: Flask) -> Write:
    """Return a function that records an event at each of some times."""

    def append(times: Sequence[datetime]) -> None:
        with app.app_context(), writer.writing() as event_log:
            event_log.append(
                *(new(n, event_id=f"{n} {time}", timestamp=time, recorded_at=time) for n, time in enumerate(times))
            )

    return append


@pytest.fixture
def half_hours(write: Write) -> datetime:
    """Record an event every half hour of the last two days, and return the time of the newest."""
    newest = datetime.now(UTC) - 7 * MINUTE
    write([newest - 30 * index * MINUTE for index in range(96)])
    return newest


def read(client: FlaskClient, address: str, zone: str = "UTC", only: str = "main") -> BeautifulSoup:
    """Return an element of the page at an address as a viewer in a time zone sees it."""
    client.set_cookie("zone", zone)
    response = client.get(address, follow_redirects=True)
    assert response.status_code == 200
    return part_of(response, only)


def times_of(page: BeautifulSoup | Tag) -> list[str]:
    """Return the exact time of each event in the feed."""
    return [str(time["title"]) for time in page.select("#feed article.event > details > summary time[title]")]


def parameters(address: str) -> dict[str, list[str]]:
    return parse_qs(urlsplit(address).query)


# Addresses in UTC


def test_a_form_with_local_times_leads_to_an_address_in_utc(client, half_hours):
    client.set_cookie("zone", "Asia/Kolkata")
    form = fill(
        form_of(client.get("/?range=7d"), "#filter"), start_date="2026-01-15T14:00", end_date="2026-01-15T18:30"
    )
    response = client.get("/", query_string=form)
    assert response.status_code == 302
    assert response.location == "/?start_date=2026-01-15T08%3A30%3A00Z&end_date=2026-01-15T13%3A00%3A00Z"
    client.set_cookie("zone", "Europe/Berlin")
    inputs = form_of(client.get(response.location), "#filter")
    assert (inputs["start_date"], inputs["end_date"]) == ("2026-01-15T09:30", "2026-01-15T14:00")
    assert "range" not in inputs


def test_htmx_shows_the_address_in_utc(client):
    client.set_cookie("zone", "Asia/Kolkata")
    query = {"start_date": "2026-01-15T14:00", "end_date": "2026-01-15T11:30:00Z", "range": "24h", "tag": "ci"}
    response = client.get("/", query_string=query, headers=HTMX)
    assert response.status_code == 200
    times = "start_date=2026-01-15T08%3A30%3A00Z&end_date=2026-01-15T11%3A30%3A00Z"
    assert response.headers["HX-Push-Url"] == f"/?tag=ci&{times}"
    again = client.get(response.headers["HX-Push-Url"], headers=HTMX)
    assert "HX-Push-Url" not in again.headers
    assert again.data == response.data
    cached = client.get("/", query_string=query, headers=HTMX)
    assert cached.headers["HX-Push-Url"] == response.headers["HX-Push-Url"]


def test_a_range_beside_dates_is_left_out(client):
    response = client.get("/?range=7d&start_date=2026-01-15T14:00:00Z&source=github")
    assert response.location == "/?source=github&start_date=2026-01-15T14%3A00%3A00Z"
    page = read(client, response.location, only="filter")
    assert not page.select("#filter [name=range]")
    assert client.get("/?range=7d&start_date=").status_code == 200


@pytest.mark.parametrize("query", ["start_date=soon&range=1h", "start_date=2026-01-02&end_date=2026-01-01"])
def test_an_address_with_an_invalid_time_is_not_changed(client, query):
    assert client.get(f"/?{query}").status_code == 422


def test_every_address_on_the_page_has_times_in_utc(client, half_hours):
    day = half_hours.astimezone(UTC).date()
    page = read(client, f"/?start_date={day - timedelta(days=2)}T05:00&end_date={day}T05:00", "Asia/Kolkata")
    addresses = [tag[name] for name in ("href", "hx-get") for tag in page.select(f"[{name}*=start_date]")]
    assert len(addresses) > 20
    for address in addresses:
        values = parameters(address)
        assert all(text.endswith("Z") for name in ("start_date", "end_date") for text in values.get(name, ())), address
        assert "range" not in values or not values.keys() & {"start_date", "end_date"}


def test_an_address_in_utc_shows_the_same_events_in_every_zone(client, half_hours):
    start, end = (f"{half_hours - timedelta(hours=hours):%Y-%m-%dT%H:%M:%SZ}" for hours in (9, 3))
    shown = [times_of(read(client, f"/?start_date={start}&end_date={end}", zone, only="feed")) for zone in ZONES]
    assert shown[0] == shown[1] == shown[2]
    assert len(shown[0]) == 12


# The fixed link


@pytest.mark.both_databases
@pytest.mark.parametrize(
    "query",
    [
        {"range": "24h"},
        {"q": "around:-5h~2h"},
        {"q": "commit after:-8h -before:-2h", "source": "github"},
        *further(*({"range": name} for name in ("30m", "6h", "all"))),
        *further(*({"q": text} for text in ("after:-100m", "before:-20h", "after:yesterday", "before:today"))),
        *further({"q": "after:-12h -around:-6h~90m -after:-1h"}),
    ],
)
def test_the_fixed_link_shows_the_same_events_later_and_in_another_zone(client, half_hours, write, query):
    [link] = {
        link["href"]
        for link in part_of(client.get("/", query_string=query), "timeline").select("#timeline .fixed-link")
    }
    before = times_of(part_of(client.get("/", query_string=query), "feed"))
    write([datetime.now(UTC) + timedelta(seconds=5)])
    for zone in ZONES:
        assert times_of(read(client, link, zone, only="feed")) == before
    assert not parameters(link).keys() & {"range"}
    assert parameters(link)["end_date"][0].endswith("Z")
    assert parameters(link).get("source") == ([query["source"]] if "source" in query else None)


def test_the_fixed_link_has_no_relative_time_in_its_search(client):
    page = read(client, "/?q=deploy+-around:yesterday+after:-2h+-before:14:00")
    [search] = parameters(page.select_one(".fixed-link")["href"])["q"]
    words_, excluded = search.split(" ", 1)
    assert words_ == "deploy"
    assert "yesterday" not in excluded
    assert "-2h" not in excluded
    assert excluded.count("Z") == 3
    assert page.select_one(".copy-link")["data-address"] == page.select_one(".fixed-link")["href"]


def test_a_search_that_would_become_too_long_stays_as_it_is(client):
    search = " ".join(f"-around:{hour}:00" for hour in range(10, 18))
    page = read(client, f"/?q={search}")
    assert parameters(page.select_one(".fixed-link")["href"])["q"] == [search]


# Earlier and later


def shifts(page: BeautifulSoup) -> dict[str, Any]:
    """Return the start and the end of each link that shifts the range."""
    links = {link["aria-label"]: link.get("href") for link in page.select(".shift a")}
    return {
        name: tuple(datetime.fromisoformat(parameters(href)[part][0]) for part in ("start_date", "end_date"))
        for name, href in links.items()
        if href
    }


def test_a_range_shifts_by_half_a_window_and_not_beyond_now(client):
    now = datetime.now(UTC)
    links = shifts(read(client, "/?range=6h&tag=ci"))
    assert list(links) == ["Earlier"]
    start, end = links["Earlier"]
    assert abs(start - (now - timedelta(hours=9))) < MINUTE
    assert abs(end - (now - timedelta(hours=3))) < MINUTE

    page = read(client, "/?start_date=2026-01-15T12:00:00Z&end_date=2026-01-15T14:00:00Z")
    assert {name: f"{start:%H:%M}–{end:%H:%M}" for name, (start, end) in shifts(page).items()} == {
        "Earlier": "11:00–13:00",
        "Later": "13:00–15:00",
    }
    recent = (now - timedelta(hours=1)).replace(microsecond=0)
    page = read(
        client, f"/?start_date={recent - timedelta(hours=4):%Y-%m-%dT%H:%M:%SZ}&end_date={recent:%Y-%m-%dT%H:%M:%SZ}"
    )
    start, end = shifts(page)["Later"]
    assert abs(end - now) < MINUTE
    assert end - start == timedelta(hours=4)
    assert list(shifts(read(client, "/?range=all"))) == []
    assert list(shifts(read(client, "/?end_date=2026-01-15T12:00:00Z"))) == []


def test_shifting_keeps_the_filter(client, half_hours):
    page = read(client, "/?source=github&q=commit+after:-3h")
    [address] = [link["href"] for link in page.select(".shift a[href]")]
    assert parameters(address)["source"] == ["github"]
    assert parameters(address)["q"] == ["commit"]
    assert len(times_of(read(client, address, only="feed"))) == 6


def test_the_ranges_of_the_menu_are_marked(client):
    assert texts(read(client, "/?range=12h"), ".ranges summary[aria-current], .ranges a[aria-current]") == [
        "12h",
        "12h",
    ]
    assert texts(read(client, "/?range=30m"), ".ranges [aria-current]") == ["30m"]


def test_seconds_of_a_range_are_kept_by_the_form(client):
    query = {"start_date": "2026-01-15T14:00:05Z", "end_date": "2026-01-15T14:00:15Z"}
    form = form_of(client.get("/", query_string=query), "#filter")
    response = client.get("/", query_string=form)
    assert {name: values[0] for name, values in parameters(response.location).items()} == query


# The same hours earlier


@pytest.mark.both_databases
def test_the_chart_compares_with_the_same_hours_yesterday(client, write):
    now = datetime.now(UTC)
    day = timedelta(days=1)
    write([now - index * MINUTE for index in (5, 10, 50)])
    write([now - day - index * MINUTE for index in (5, 10, 15, 20, 70)])
    write([now - 7 * day - 5 * MINUTE, now - day + 5 * MINUTE])
    page = read(client, "/?range=1h&source=github")
    assert texts(page, "#timeline .count") == ["3 events"]
    assert not page.select("#timeline .earlier")
    links = {link.get_text(): link["href"] for link in page.select(".compare a")}
    assert list(links) == ["yesterday", "last week"]
    for words, count in (("yesterday", 4), ("last week", 1)):
        compared = read(client, links[words])
        assert texts(compared, "#timeline .count") == [f"3 events, {words} {count}"]
        assert texts(compared, ".compare [aria-pressed=true]") == [words]
        assert compared.select("#timeline path.earlier")
        table = read(client, compared.select_one("#chart-text a")["href"], only="chart-table")
        head = texts(table, "#chart-table th")
        column = head.index(words.capitalize())
        cells = [texts(row, "td")[column] for row in table.select("#chart-table tbody tr")]
        assert sum(map(int, cells)) == count
        assert compared.select_one(".chart")["data-earlier"] == words
        assert sum(int(bin["data-earlier"]) for bin in compared.select(".chart a[data-earlier]")) == count
        for bin in compared.select(".chart a[aria-label]"):
            past = int(bin.get("data-earlier", 0))
            assert bin["aria-label"].endswith(f", {words} {past} event{'' if past == 1 else 's'}")
            assert bin["aria-label"] == bin.select_one("title").get_text()
        assert parameters(compared.select_one(".compare [aria-pressed=true]")["href"]) == {
            "range": ["1h"],
            "source": ["github"],
        }


def test_a_comparison_follows_the_clocks_and_is_named_by_the_range(client, write):
    write([datetime(2026, 3, 29, 5, 30, tzinfo=UTC), datetime(2026, 3, 28, 6, 30, tzinfo=UTC)])  # 07:30 in Berlin
    page = read(
        client, "/?start_date=2026-03-29T07:00&end_date=2026-03-29T08:00&compare=1d", "Europe/Berlin", only="timeline"
    )
    assert texts(page, "#timeline .count") == ["1 event, the day before 1"]


def test_a_long_range_has_no_overlapping_comparison(client):
    assert texts(read(client, "/?range=7d"), ".compare a") == ["last week"]
    for query in ("range=30d", "range=all"):
        assert not texts(read(client, f"/?{query}"), ".compare a")
    assert client.get("/?compare=2d").status_code == 422
    assert "compare must be one of 1d, 7d." in soup(client.get("/?compare=2d")).get_text()
