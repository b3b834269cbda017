"""The dashboard shows what happened, to people with and without JavaScript."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from bs4 import BeautifulSoup, Tag
from flask import Flask
from flask.testing import FlaskClient

from painchain.connectors import ADDABLE, TYPES
from painchain.eventlog import writer
from painchain.eventlog.writer import NewEvent
from painchain.timeline.filter import RANGES
from painchain.timeline.queries import PAGE
from tests.conftest import ON_SQLITE
from tests.support.accounts import report_as
from tests.support.html import fill, form_of, soup, texts, unfold, words
from tests.support.script_corpus import FEW, assert_inert

HTMX = {"HX-Request": "true"}
MINUTE = timedelta(minutes=1)
LONG_AGO = datetime(2020, 5, 4, 12, 0, tzinfo=UTC)

Write = Callable[..., list[int]]


@pytest.fixture
def write(app: Flask) -> Write:
    """Return a function that logs events of a connector, one per minute before now, and returns their numbers."""
    serial = itertools.count(1)

    def event(members: dict[str, Any]) -> NewEvent:
        number = next(serial)
        timestamp = members.get("timestamp", datetime.now(UTC) - number * MINUTE)
        plain: dict[str, Any] = {
            "event_id": f"made-up/{number}",
            "source": "github",
            "event_type": "Commit",
            "title": f"Commit {number}",
            "description": {"text": f"Commit {number}"},
            "metadata": {"sha": f"sha-{number}"},
            "author": "system",
            "request_id": f"request-{number}",
            "recorded_at": timestamp,
        }
        return NewEvent(**{**plain, "timestamp": timestamp, **members})

    def append(*events: dict[str, Any]) -> list[int]:
        with app.app_context(), writer.writing() as event_log:
            return [event_log.append(event(members)) for members in events]

    return append


def log(client: FlaskClient, **body: Any) -> None:
    """Record an event that a script reports."""
    report = {"event_type": "config_changed", "connector_name": "Prod", "field": "x", **body}
    report_as(client.application, report.pop("author", "system"), **report)


def read(client: FlaskClient, **query: Any) -> BeautifulSoup:
    """Return the dashboard of a filter."""
    response = client.get("/", query_string=query, follow_redirects=True)
    assert response.status_code == 200
    return soup(response)


def numbers(page: BeautifulSoup | Tag) -> list[int]:
    return [int(str(article["data-id"])) for article in page.select("article.event")]


def out_of_band(page: BeautifulSoup) -> list[Any]:
    """Return the ids of the elements that htmx swaps out of band."""
    return [element["id"] for element in page.select("[hx-swap-oob=true]")]


def follow(client: FlaskClient, page: BeautifulSoup, selector: str, attribute: str = "href") -> BeautifulSoup:
    """Open the address in an attribute of an element."""
    response = client.get(str(page.select_one(selector)[attribute]), headers=HTMX if attribute == "hx-get" else {})
    assert response.status_code == 200
    return soup(response)


# The feed


@pytest.mark.both_databases
def test_each_event_is_an_article_with_type_and_source(client, write, make_connector):
    write({"source": "gitlab", "event_type": "Pipeline", "timestamp": datetime.now(UTC)})
    make_connector()
    page = read(client)
    assert [(article["data-source"], article["data-event-type"]) for article in page.select("#feed article")] == [
        ("painchain", "ConnectorCreated"),
        ("gitlab", "Pipeline"),
        ("painchain", "ConnectorCreated"),
    ]


def test_an_event_line_has_field_old_value_new_value_and_author(client):
    log(client, connector_type="github", field="poll_interval", old_value=300, new_value=3600, author="operator")
    line = read(client).select_one("#feed article summary")
    assert texts(line, ".event-type, .where, .change, .by") == [
        "Config Changed",
        "Prod",
        "Poll interval: 300 → 3600",
        "by operator",
    ]
    assert (words(line.select_one("del")), words(line.select_one("ins"))) == ("300", "3600")


def test_an_event_line_expands_to_its_fields(client):
    log(client, connector_type="github", field="poll_interval", old_value=300, new_value=3600)
    details = unfold(client, read(client)).select_one("#feed article details")
    assert not details.has_attr("open")
    assert texts(details, ".fields dt") == ["Connector name", "Field", "Old value", "New value", "Action", "Tags"]
    assert texts(details, ".fields dd") == [
        "Prod",
        "Poll interval (poll_interval)",
        "300",
        "3600",
        "config_change",
        "system audit",
    ]


def test_events_are_grouped_by_day_newest_first(client, write):
    now = datetime.now(UTC)
    first, second, third = write(*({"timestamp": now - timedelta(days=days)} for days in (3, 2, 3)))
    feed = read(client, range="7d", source="github").select_one("#feed")
    days = [(now - timedelta(days=days)).date() for days in (2, 3)]
    assert [element["data-day"] for element in feed.select(".day")] == [day.isoformat() for day in days]
    assert texts(feed, ".day") == [f"{day:%A, %-d %B %Y}" for day in days]
    assert numbers(feed) == [second, third, first]


def test_times_are_in_the_viewers_zone_with_exact_utc_on_hover(client, write):
    write({"timestamp": LONG_AGO.replace(hour=20)})
    query = {"start_date": "2020-05-01", "end_date": "2020-05-30"}
    assert texts(read(client, **query), ".day, summary time") == ["Monday, 4 May 2020", "20:00"]
    client.set_cookie("zone", "Asia/Kolkata")
    page = read(client, **query)
    assert texts(page, ".day, summary time") == ["Tuesday, 5 May 2020", "01:30"]
    assert page.select_one("summary time")["title"] == "2020-05-04 20:00:00.000000 UTC"
    assert words(page.select_one("header .zone")) == page.html["data-zone"] == "Asia/Kolkata"


def test_the_events_of_one_action_are_grouped(client, make_connector):
    make_connector("kubernetes", "Cluster", enabled=True)
    group = read(client).select_one("#feed .request")
    assert "several" in group["class"]
    assert texts(group, ".event-type") == ["Connector Enabled", "Connector Created"]


def test_sixty_changes_of_one_action_are_collapsed(client, events, make_connector):
    number = make_connector("kubernetes", "Cluster")
    address = f"/settings/integrations/{number}"
    form = form_of(client.get(address), "#connector-form")
    form = {name: value for name, value in form.items() if not name.startswith("visible.")}
    client.post(address, data=fill(form, name="Renamed", poll_interval="600"))
    of_save = [event for event in events() if event["request_id"] == events()[-1]["request_id"]]
    assert len(of_save) > 60
    page = read(client)
    [save] = page.select("#feed > article")
    assert texts(save, ":scope > details > summary .event-type") == ["Connector Updated"]
    assert save.select_one("details").get("open") is None
    assert texts(save, ".parts-of .event-type") == texts(page, "#feed .event-type")[1:]
    assert len(save.select(".parts-of > article")) == PAGE - 1
    # The further settings of the save are on the next page, without their save.
    older = follow(client, page, "#older", "hx-get")
    others = older.select_one(".request.several")
    assert len(others.find_all("article", recursive=False)) == 10
    rest = others.select_one("details.rest")
    assert words(rest.summary) == f"{PAGE - 10} more saved together"
    assert len(rest.find_all("article", recursive=False)) == PAGE - 10
    assert not rest.has_attr("open")


def test_the_events_of_one_poll_of_an_older_version_are_not_grouped(client, write, make_connector):
    make_connector("kubernetes", "Cluster", enabled=True)
    now = datetime.now(UTC)
    polled = [{"request_id": "one-poll", "author": f"a{n}", "timestamp": now - n * MINUTE} for n in range(1, 13)]
    found = write(*polled)
    feed = read(client).select_one("#feed")
    assert [int(str(row["data-id"])) for row in feed.select(":scope > article[data-source=github]")] == found
    assert [words(group) for group in feed.select(".request.several .event-type")] == [
        "Connector Enabled",
        "Connector Created",
    ]
    assert texts(feed, "[data-source=github] .author") == [event["author"] for event in polled]
    assert texts(soup(client.get(f"/events/{found[0]}")), "main h2") == ["Add a note"]


def test_an_empty_feed_suggests_what_to_do(client):
    nothing = read(client, start_date="2001-01-01", end_date="2001-01-02").select_one("#feed #nothing")
    assert words(nothing.h2) == "No events in this time range"
    ranges = {"7d", "30d", "90d"}
    assert {parse_qs(urlsplit(str(link["href"])).query).get("range", ["-"])[0] for link in nothing.select("a")} - {
        "-"
    } == ranges
    assert nothing.select_one("a[href='/settings/integrations/new']")


def test_a_filter_without_matches_has_a_message_and_can_be_cleared(client):
    page = read(client, author="nobody", range="7d")
    assert words(page.select_one("#feed #nothing h2")) == "No events match this filter"
    assert page.select_one("#feed #nothing a")["href"] == "/"
    assert page.select_one("#timeline .clear")["href"] == "/?range=7d"


# Filters


VARIED: list[dict[str, Any]] = [
    {"title": "one", "tags": ["ui-team"], "author": "ann"},
    {"title": "two", "source": "gitlab", "event_type": "Pipeline", "status": "failed", "tags": ["ci", "night"]},
    {"title": "three", "connector_id": 7, "connector_name": "Work", "tags": ["ci"], "author": "Doe, Jane"},
    {"title": "four", "description": {"text": "Raise the 100% limit"}},
    {"title": "five", "timestamp": datetime.now(UTC) - timedelta(days=20)},
    {"title": "six", "timestamp": LONG_AGO},
]
FILTERS: list[tuple[dict[str, Any], str]] = [
    ({}, "one two three four"),
    ({"source": "gitlab"}, "two"),
    ({"source": ["gitlab", "github"]}, "one two three four"),
    ({"event_type": "Pipeline"}, "two"),
    ({"event_type": "Commit", "tag": "ci"}, "three"),
    ({"connector": "7"}, "three"),
    ({"connector": "Work"}, "three"),
    ({"tag": "ci"}, "two three"),
    ({"tag": ["ui-team", "night"]}, "one two"),
    ({"tag": "ui-team,night"}, "one two"),
    ({"author": "ann"}, "one"),
    ({"status": "failed"}, "two"),
    ({"q": "RAISE limit"}, "four"),
    ({"q": "100%"}, "four"),
    ({"q": "raise two"}, ""),
    ({"range": "30d"}, "one two three four five"),
    ({"range": "30d", "q": "five"}, "five"),
    ({"range": "all"}, "one two three four five six"),
    ({"start_date": "2020-05-04T12:00", "end_date": "2020-05-04T12:01"}, "six"),
    ({"start_date": "2020-05-04T12:00:00.000001Z", "end_date": "2020-05-05"}, ""),
    ({"start_date": "2020-05-04T14:00:00+02:00", "end_date": "2020-05-05"}, "six"),
    ({"range": "custom", "start_date": "2020-05-04", "end_date": "2020-05-05"}, "six"),
]


def subjects(page: BeautifulSoup) -> list[str]:
    """Return the subjects of the events of other sources than PainChain."""
    return texts(page, "#feed article:not([data-source=painchain]) .subject")


@pytest.mark.both_databases
def test_every_filter_narrows_feed_and_chart_alike(client, write):
    write(*VARIED)
    for query, expected in FILTERS:
        page = read(client, **query)
        assert subjects(page) == expected.split(), query
        assert int(words(page.select_one("#timeline .count strong"))) == len(numbers(page)), query
        assert subjects(soup(client.get("/", query_string=query, headers=HTMX))) == expected.split()


def choices_of(client: FlaskClient, page: BeautifulSoup, name: str) -> list[Tag]:
    """Return the checkboxes of a list of the filter. Those of a long list are on a page of their own."""
    link = page.select_one(f"#menu-{name} .panel a")
    return (soup(client.get(str(link["href"]))) if link else page).select(f"main [type=checkbox][name={name}]")


def test_every_choice_in_the_filter_form_finds_its_events(client, write, make_connector):
    make_connector()
    write(*VARIED)
    columns = {"source": "[data-source]", "author": ".author", "tag": ".fields .tag", "event_type": "[data-event-type]"}
    for name, selector in columns.items():
        offered = [str(box["value"]) for box in choices_of(client, read(client), name)]
        assert offered
        for value in offered:
            for article in unfold(client, read(client, range="all", **{name: value})).select("#feed article"):
                texts_of_event = {str(article.get(f"data-{name.replace('_', '-')}"))} | set(texts(article, selector))
                assert value in texts_of_event
    authors = [str(box["value"]) for box in read(client).select("#filter [name=author]")]
    assert authors == ["ann", "Doe, Jane", "system"]
    for author in authors:
        page = read(client, range="all", author=author)
        assert set(texts(page, "#feed .author")) == {author}
        assert [box["value"] for box in page.select("#filter [name=author]")] == authors
        assert [box["value"] for box in page.select("#filter [checked]")] == [author]


def test_the_form_shows_the_filter_of_the_address(client, write):
    write(*VARIED)
    query = {"source": ["github", "gitlab"], "tag": "ci", "author": "nobody", "q": "x y", "status": "failed"}
    page = read(client, range="7d", **query)
    form = page.select_one("#filter")
    ticked = [(box["name"], box["value"]) for box in form.select("[checked]")]
    assert sorted(ticked) == [("author", "nobody"), ("source", "github"), ("source", "gitlab"), ("tag", "ci")]
    assert page.select_one("header [name=q][form=filter]")["value"] == "x y"
    assert [(field["name"], field["value"]) for field in form.select("[type=hidden]")] == [
        ("range", "7d"),
        ("status", "failed"),
    ]
    assert texts(form, ".ranges [aria-current]") == ["7d"]


def test_a_custom_range_is_shown_in_the_viewers_zone(client):
    client.set_cookie("zone", "Asia/Kolkata")
    form = read(client, start_date="2020-05-04T12:00:00Z", end_date="2020-05-05T12:00").select_one("#filter")
    assert form.select_one("[name=start_date]")["value"] == "2020-05-04T17:30"
    assert form.select_one("[name=end_date]")["value"] == "2020-05-05T12:00"
    assert texts(form, ".ranges summary[aria-current]") == ["Custom"]
    assert not form.select("[name=range]")


def test_applying_the_form_leads_to_an_equivalent_address(client, write):
    write(*VARIED)
    before = client.get("/", query_string={"range": "30d", "tag": "ci", "q": "three"})
    again = client.get("/", query_string=form_of(before, "#filter"))
    assert subjects(soup(again)) == subjects(soup(before)) == ["three"]


def test_a_range_keeps_the_rest_of_the_filter(client):
    for link in read(client, tag="ci", start_date="2020-05-04").select("#filter .ranges a"):
        assert link["href"] == link["hx-get"]
        assert parse_qs(urlsplit(link["href"]).query) == {"tag": ["ci"], "range": [words(link)]}
    page = read(client)
    assert sorted(texts(page, "#filter .ranges a")) == sorted(RANGES)
    assert texts(page, "#filter .ranges > a") == ["30m", "1h", "6h", "24h", "7d"]
    assert texts(page, "#menu-custom .panel a") == ["12h", "30d", "90d"]


BAD = [
    {"range": "1y"},
    {"start_date": "yesterday"},
    {"start_date": "2020-13-01"},
    {"end_date": "1969-12-31"},
    {"end_date": "9999-12-31T23:59:59-12:00"},
    {"start_date": "2020-05-04", "end_date": "2020-05-04"},
    {"q": "x" * 201},
    {"tag": "x" * 201},
    {"author": "a\0b"},
    {"cursor": "nonsense"},
]


def test_an_invalid_filter_shows_an_error_and_the_last_day(client, events):
    for query in BAD:
        for headers in ({}, HTMX):
            response = client.get("/", query_string=query, headers=headers)
            page = soup(response)
            assert response.status_code == 422, query
            assert bool(page.find("html")) is not headers
            assert "Showing all events from the last 24 hours instead." in words(page.select_one("#dashboard .problem"))
            assert numbers(page) == [event["id"] for event in events()]


def test_fragments_refuse_an_invalid_filter(client):
    for address in ("/news?after=0&", "/feed?cursor=MS4x&", "/timeline?"):
        response = client.get(address + "range=1y", headers=HTMX)
        assert (response.status_code, response.headers["HX-Retarget"]) == (422, "#toast")
        assert "range must be one of" in words(soup(response).select_one(".toast.bad"))
    for query in ("after=", "after=x", "after=-1", "after=1e3", "after=%D9%A1", "after=" + "9" * 400, ""):
        assert client.get(f"/news?{query}", headers=HTMX).status_code == 422, query
    for query in ("cursor=", "cursor=%00", ""):
        assert client.get(f"/feed?{query}", headers=HTMX).status_code == 422, query


def test_htmx_gets_the_dashboard_fragment_and_history_restore_the_whole_page(client):
    fragment = soup(client.get("/", headers=HTMX))
    assert [element["id"] for element in fragment.find_all(recursive=False)] == ["dashboard", "searching"]
    page = soup(client.get("/", headers={**HTMX, "HX-History-Restore-Request": "true"}))
    assert page.html
    assert page.select_one("main #dashboard")


# Older and newer


def test_older_pages_repeat_no_event_during_writes(client, write):
    new_numbers = write(*({"timestamp": datetime.now(UTC) - MINUTE} for _ in range(2 * PAGE + 20)))
    for attribute in ("href", "hx-get"):
        page = read(client, source="github")
        numbers_seen = numbers(page)
        while page.select_one("#older"):
            write({"timestamp": datetime.now(UTC)}, {"timestamp": LONG_AGO})
            page = follow(client, page, "#older", attribute)
            numbers_seen += numbers(page)
        old_numbers = [number for number in numbers_seen if number in set(new_numbers)]
        assert old_numbers == sorted(new_numbers, reverse=True)
        assert len(numbers_seen) == len(set(numbers_seen))


def test_an_older_page_keeps_the_filter_and_links_to_the_newest(client, write):
    write(*({"tags": ["ci" if number % 2 else "ui"]} for number in range(3 * PAGE)))
    page = read(client, tag="ci", range="7d")
    older = follow(client, page, "#older")
    assert len(numbers(older)) == PAGE / 2
    assert set(texts(unfold(client, older), "#feed .fields .tag")) == {"ci"}
    assert not older.select("#live[hx-get]")
    assert numbers(follow(client, older, "#live a")) == numbers(page)


def live_address(page: BeautifulSoup) -> str:
    """Return the address from which an open dashboard loads updates."""
    return str(page.select_one("#live")["hx-get"])


def test_an_open_dashboard_requests_updates_when_its_script_triggers_them(client):
    assert read(client).select_one("#live")["hx-trigger"] == "news"


def test_without_new_events_the_response_is_empty_and_keeps_the_connection(client, write):
    write({})
    response = client.get(live_address(read(client)), headers=HTMX)
    assert (response.status_code, response.data) == (200, b"")
    assert response.headers["Content-Length"] == "0"
    assert response.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert response.headers["Cache-Control"] == "no-store"


def test_live_updates_for_unknown_hosts_are_refused(client):
    response = client.get(live_address(read(client)), headers={**HTMX, "Host": "elsewhere.example"})
    assert response.status_code == 400
    assert client.get(live_address(read(client)), headers={**HTMX, "Host": "[::1"}).status_code == 400


def test_a_past_range_sends_no_live_requests(client):
    page = read(client, start_date="2020-01-01", end_date="2020-02-01")
    assert not page.select("#live[hx-get], #timeline[hx-get]")
    assert not page.select(".now")


def test_an_open_dashboard_stops_live_updates_when_its_range_has_ended(client, write):
    past = (datetime.now(UTC) - MINUTE).isoformat()
    write({})
    updates = soup(client.get("/news", query_string={"after": "0", "end_date": past}, headers=HTMX))
    assert [element["id"] for element in updates.find_all(recursive=False)] == ["live"]
    assert not updates.select("[hx-get]")
    assert words(updates) == "Show newest"


def test_new_events_are_sent_with_chart_and_next_address(client, write):
    page = read(client)
    numbers_written = write({}, {})
    updates = soup(client.get(live_address(page), headers=HTMX))
    assert numbers(updates) == sorted(numbers_written)
    assert out_of_band(updates) == [
        "timeline",
        "connector_problems",
        "live",
    ]
    assert words(updates.select_one("#timeline .count strong")) == "3"
    assert client.get(live_address(updates), headers=HTMX).data == b""


def test_new_events_match_the_filter(client, write):
    page = read(client, tag="ci")
    write({"tags": ["ui"]})
    nothing = soup(client.get(live_address(page), headers=HTMX))
    assert [element["id"] for element in nothing.find_all(recursive=False)] == ["live"]
    assert client.get(live_address(nothing), headers=HTMX).data == b""  # events that do not match are not read again
    [number] = write({"tags": ["ci"]})
    assert numbers(soup(client.get(live_address(nothing), headers=HTMX))) == [number]


def test_many_new_events_replace_the_feed(client, write):
    page = read(client)
    write(*({} for _ in range(PAGE + 5)))
    updates = soup(client.get(live_address(page), headers=HTMX))
    assert out_of_band(updates) == [
        "feed",
        "timeline",
        "connector_problems",
        "live",
    ]
    assert numbers(updates) == numbers(read(client))
    assert client.get(live_address(updates), headers=HTMX).data == b""


def test_many_new_events_are_added_page_by_page_while_reading(client, write):
    page = read(client)
    new_numbers = write(*({} for _ in range(PAGE + 5)))
    first = soup(client.get(live_address(page) + "&keep=yes", headers=HTMX))
    assert out_of_band(first) == [
        "timeline",
        "connector_problems",
        "live",
    ]
    rest = soup(client.get(live_address(first) + "&keep=yes", headers=HTMX))
    assert {*numbers(first), *numbers(rest)} == set(new_numbers)
    assert len(numbers(first)) == PAGE


def test_an_event_recorded_late_is_a_new_event(client, write):
    page = read(client, range="all")
    [number] = write({"timestamp": LONG_AGO})
    assert numbers(soup(client.get(live_address(page), headers=HTMX))) == [number]


# The chart


def bins(page: BeautifulSoup) -> dict[str, int]:
    """Return the number of events of each bin of the chart, by the address that it links to."""
    counts = {}
    for link in page.select("#timeline svg a"):
        match = re.fullmatch(r".+: ([0-9]+) events?( \(.+\))?", words(link.title))
        assert match, link
        counts[str(link["href"])] = int(match[1])
    return counts


def table(client: FlaskClient, page: BeautifulSoup) -> Counter[str]:
    """Return the number of events of each source in the text alternative of the chart."""
    counted: Counter[str] = Counter()
    for cell in texts(follow(client, page, "#timeline .as-text a"), "#chart-table tbody td:last-child"):
        for part in cell.split(", "):
            label, _, count = part.rpartition(" ")
            counted[label] += int(count)
    return counted


def test_each_bin_links_to_the_events_that_it_counts(client, write):
    write(*({"timestamp": datetime.now(UTC) - hours * timedelta(hours=1)} for hours in (1, 1, 5, 23, 30, 100)))
    for query in ({"source": "github"}, {"source": "github", "range": "7d"}):
        page = read(client, **query)
        counted = bins(page)
        assert sum(counted.values()) == len(numbers(page))
        assert 20 <= len(counted) <= 61
        for address, count in counted.items():
            if count:
                zoomed = soup(client.get(address))
                assert len(numbers(zoomed)) == sum(bins(zoomed).values()) == count
                assert set(numbers(zoomed)) <= set(numbers(page))


def test_bins_are_contiguous(client):
    spans = [parse_qs(urlsplit(address).query) for address in bins(read(client, tag="ci"))]
    assert all(span["tag"] == ["ci"] for span in spans)
    for span, following in itertools.pairwise(spans):
        assert span["end_date"] == following["start_date"]


def test_the_chart_matches_its_text_and_the_feed(client, write):
    write({"source": "gitlab"}, {"source": "gitlab"}, {}, {"source": "kitchen"})
    page = read(client)
    labels = {key: connector_type.label for key, connector_type in TYPES.items()}
    in_feed = Counter(labels.get(str(article["data-source"]), "kitchen") for article in page.select("#feed article"))
    assert table(client, page) == in_feed == {"GitLab": 2, "GitHub": 1, "kitchen": 1, "PainChain": 1}
    assert texts(page, "#timeline .legend .source") == ["GitLab 2", "GitHub 1", "kitchen 1", "PainChain 1"]
    assert words(page.select_one("#timeline .count")) == "5 events"


def test_the_bars_of_a_bin_are_stacked_by_source(client, write):
    moment = datetime.now(UTC) - timedelta(hours=3)
    write(*({"source": source, "timestamp": moment} for source in ("github", "gitlab", "gitlab", "kubernetes")))
    page = read(client)
    link = next(link for link in page.select("#timeline svg a") if "4 events" in words(link.title))
    bars = link.select("rect:not(.hit)")
    assert {bar["class"][0] for bar in bars} == {ADDABLE[key].colour for key in ADDABLE}
    edges = [(float(bar["y"]), float(bar["y"]) + float(bar["height"])) for bar in bars]
    for (top, _), (_, bottom) in itertools.pairwise(edges):
        assert abs(top - bottom) < 0.02
    assert edges[0][1] == 100
    assert edges[-1][0] >= 0


def test_an_empty_chart_has_a_message(client):
    page = read(client, start_date="2001-01-01", end_date="2001-01-02")
    assert words(page.select_one("#timeline .count")) == "0 events"
    assert words(follow(client, page, "#timeline .as-text a").select_one("#chart-table p")).startswith(
        "No events between 1 Jan 2001, 00:00:00"
    )


def test_keyboard_and_screen_readers_skip_empty_bins(client):
    for link in read(client).select("#timeline svg a"):
        if "0 events" in words(link.title):
            assert (link["tabindex"], link["aria-hidden"]) == ("-1", "true")
        else:
            assert link["aria-label"] == words(link.title)


def test_the_chart_can_be_refreshed_separately(client, write):
    address = str(read(client, source="github").select_one("#timeline")["hx-get"])
    write({})
    page = soup(client.get(address, headers=HTMX))
    assert [element["id"] for element in page.find_all(recursive=False)] == ["timeline"]
    assert words(page.select_one(".count")) == "1 event"


def test_a_bin_shows_its_time_and_the_count_of_each_source(client, write):
    moment = datetime(2026, 1, 15, 14, 5, tzinfo=UTC)
    write(*({"source": source, "timestamp": moment} for source in ("github", "gitlab", "gitlab")))
    page = read(client, start_date="2026-01-15", end_date="2026-01-16")
    [link] = page.select("#timeline svg a[aria-label]")
    assert link["aria-label"] == "Thu 15 Jan, 14:00–14:30: 3 events (GitHub 1, GitLab 2)"
    [link] = read(client, start_date="2026-01-01", end_date="2026-02-15").select("#timeline svg a[aria-label]")
    assert link["aria-label"] == "Thu 15 Jan: 3 events (GitHub 1, GitLab 2)"
    [link] = read(client, start_date="2025-03-01", end_date="2026-02-15").select("#timeline svg a[aria-label]")
    assert re.fullmatch(r"\w+ \d+ Jan – \w+ \d+ Jan: 3 events \(GitHub 1, GitLab 2\)", str(link["aria-label"]))


def test_now_is_marked_at_its_position(client):
    for span in RANGES:
        page = read(client, range=span)
        assert words(page.select_one(".now")) == "now"
        assert 95 < float(str(page.select_one(".now line")["x1"]).rstrip("%")) <= 100
        assert str(page.select_one("#timeline svg.chart")["aria-label"]).endswith("and now")


def legend(page: BeautifulSoup) -> dict[str, bool]:
    """Return the label of each source in the legend, and whether the source is shown."""
    return {words(link): link["aria-pressed"] == "true" for link in page.select("#timeline .legend a")}


def press(client: FlaskClient, page: BeautifulSoup, label: str) -> BeautifulSoup:
    """Follow the link of a source in the legend, as a browser without JavaScript does."""
    [link] = [link for link in page.select("#timeline .legend a") if words(link).startswith(label)]
    assert link["href"] == link["hx-get"]
    return soup(client.get(str(link["href"])))


def test_the_legend_hides_and_shows_a_source_in_chart_and_feed(client, write):
    write({}, {}, {"source": "gitlab"}, {"source": "kitchen sink"})
    page = read(client, range="7d")
    hidden = press(client, page, "GitHub")
    assert legend(hidden) == {"GitHub 2": False, "GitLab 1": True, "PainChain 1": True, "kitchen sink 1": True}
    assert {str(article["data-source"]) for article in hidden.select("#feed article")} == {
        "gitlab",
        "painchain",
        "kitchen sink",
    }
    assert words(hidden.select_one("#timeline .count")) == "3 events"
    assert table(client, hidden) == {"GitLab": 1, "PainChain": 1, "kitchen sink": 1}
    assert hidden.select_one("#filter .ranges a[aria-current]").text == "7d"

    both_hidden = press(client, hidden, "PainChain")
    assert {str(article["data-source"]) for article in both_hidden.select("#feed article")} == {
        "gitlab",
        "kitchen sink",
    }
    restored = press(client, press(client, both_hidden, "GitHub"), "PainChain")
    assert all(legend(restored).values())
    assert str(restored.select_one("#timeline")["hx-get"]) == "/timeline?range=7d"


def test_hiding_the_last_source_shows_all_sources(client, write):
    write({}, {"source": "gitlab"})
    page = press(client, read(client, source="gitlab"), "GitLab")
    assert legend(page) == {"GitHub 1": True, "GitLab 1": True, "PainChain 1": True}


def test_on_a_connector_page_the_legend_has_no_links(client, make_connector):
    page = soup(client.get(f"/settings/integrations/{make_connector()}"))
    assert texts(page, "#timeline .legend .source") == ["PainChain 1"]
    assert not page.select("#timeline .legend a")


# One event


def test_every_event_has_a_page_with_all_recorded_data(client, events):
    log(client, connector_type="github", field="poll_interval", old_value=300, new_value=3600, author="operator")
    event = events()[-1]
    page = follow(client, unfold(client, read(client)), "#feed article .links a")
    assert words(page.h1) == event["title"] == "[Config Changed] Prod - poll_interval"
    assert words(page.select_one(".lead")) == "Poll interval changed from 300 to 3600 in “Prod”"
    assert page.select_one("article details").has_attr("open")
    recorded = words(page.select_one(".recorded pre"))
    for part in (event["event_id"], event["request_id"], '"old_value": 300', '"action": "config_change"'):
        assert part in recorded
    assert words(page.title).startswith("[Config Changed] Prod")


def test_the_page_of_an_event_shows_the_rest_of_the_same_action(client, events, make_connector):
    make_connector("kubernetes", "Cluster", enabled=True)
    created, enabled = events()[-2:]
    page = soup(client.get(f"/events/{enabled['id']}"))
    assert texts(page, "main h2") == ["Add a note", "Saved together", *texts(page, "h2.day")]
    assert numbers(page) == [enabled["id"], created["id"]]


def test_an_event_id_redirects_to_the_page_of_the_event(client, events, write):
    event = events()[0]
    response = client.get(f"/events/{event['event_id']}")
    assert (response.status_code, response.location) == (302, f"/events/{event['id']}")
    [number] = write({"event_id": "github/Größe?&#42 x"})
    address = "/events/" + "github/Gr%C3%B6%C3%9Fe%3F&%2342%20x"
    assert client.get(address).location == f"/events/{number}"


def test_an_unknown_event_is_not_found(client):
    for name in ("4711", "0", "9" * 40, "-1", "painchain-config_changed-1.000000", "%FF", "a%00b"):
        for headers in ({}, HTMX):
            response = client.get(f"/events/{name}", headers=headers)
            assert response.status_code == 404, name
            assert "No event with this" in words(soup(response).select_one("main, .toast.bad"))


def test_events_of_a_deleted_connector_remain_readable(client, events, make_connector):
    number = make_connector()
    address = f"/settings/integrations/{number}"
    client.post(address, data=fill(form_of(client.get(address), "#connector-form"), poll_interval="600"))
    client.post(f"{address}/delete", data=form_of(client.get(f"{address}/delete")))
    page = read(client, connector=str(number))
    assert texts(page, "#feed .event-type") == [
        "Connector Deleted",
        "Connector Updated",
        "Config Changed",
        "Connector Created",
    ]
    assert texts(page, "#feed .change") == ["Poll interval: 300 → 600"]
    changed = events(event_type="ConfigChanged")[-1]
    page = soup(client.get(f"/events/{changed['id']}"))
    assert "the connector was deleted" in words(page.main)
    assert not page.select(f"a[href='{address}']")


def test_events_of_removed_sources_types_and_fields_are_shown(client, write):
    write(
        {"source": "jenkins", "event_type": "Build", "title": "Build 7", "metadata": {"stage_name": "deploy"}},
        {"source": "github", "event_type": "Starred", "title": "Starred", "metadata": {"stars": [1, None]}},
        {
            "source": "painchain",
            "event_type": "ConfigChanged",
            "connector_name": "Work",
            "metadata": {"action": "config_change", "field": "frequency"},
            "description": {"field": "frequency", "label": "How often", "old_value": 1, "new_value": 2},
        },
        {"source": "painchain", "event_type": "Reticulated", "description": {}, "metadata": {}},
    )
    page = read(client)
    articles = [
        (words(article.select_one(".source")), article["data-event-type"]) for article in page.select("#feed article")
    ]
    assert [article for article in articles if article[1] != "ConnectorCreated"] == [
        ("jenkins", "Build"),
        ("GitHub", "Starred"),
        ("PainChain", "ConfigChanged"),
        ("PainChain", "Reticulated"),
    ]
    assert texts(unfold(client, page), "[data-field=stage_name] dd, [data-field=stars] dd") == ["deploy", "1, empty"]
    assert texts(page, ".change") == ["How often: 1 → 2"]
    for number in numbers(page):
        assert client.get(f"/events/{number}").status_code == 200


def test_an_event_of_unexpected_shape_does_not_break_the_page(client, write):
    [number] = write({"metadata": {"changes": {"x": {"old": 1, "new": 2}}}, "description": {"changes": ["x"]}})
    assert number in numbers(read(client))
    assert client.get(f"/events/{number}").status_code == 200


def test_a_source_address_is_a_link_only_if_it_is_a_web_address(client, write):
    good, bad = write({"url": "https://git.example/commit/1"}, {"url": "javascript:alert(1)"})
    page = unfold(client, read(client))
    assert page.select_one(f"#event-{good} a[rel~=noopener]")["href"] == "https://git.example/commit/1"
    assert not page.select(f"#event-{bad} a[href^=javascript]")


# Hidden fields and long values


def hide(client: FlaskClient, number: int, event_type: str, *fields: str) -> None:
    for field in fields:
        address = f"/api/connectors/{number}/visibility/{event_type}/{field}"
        assert client.put(address, json={"visible": False}).status_code == 200


def test_hidden_fields_are_not_shown(client):
    log(client, field="x", old_value="before", new_value="after")
    hide(client, 1, "ConfigChanged", "old_value", "connector_name")
    for page in (unfold(client, read(client)), soup(client.get("/events/2"))):
        article = page.select_one("article[data-event-type=ConfigChanged]")
        assert texts(article, ".change") == ["X: after"]
        assert "before" not in words(article)
        assert not article.select(".where, [data-field=old_value], [data-field=connector_name]")


def test_hidden_fields_of_a_connector_affect_only_its_own_events(client, write, make_connector):
    connector_id, other_connector = make_connector(), make_connector("github", "Other")
    hide(client, connector_id, "Commit", "sha")
    write({"connector_id": connector_id}, {"connector_id": other_connector}, {})
    page = unfold(client, read(client, source="github"))
    assert [bool(article.select("[data-field=sha]")) for article in page.select("#feed article")] == [False, True, True]


def test_long_values_are_cut_but_remain_distinguishable(client):
    for last in "bc":
        log(client, old_value="short", new_value="a" * 5000 + last)
    changes = texts(read(client), "#feed .change")
    assert len(set(changes)) == 2
    for text in changes:
        assert "… (5,001 characters, sha256 " in text
        assert len(text) < 300


def test_long_lists_are_cut_as_well(client):
    log(client, old_value=list(range(1000)), new_value=list(range(500, 1500)))
    for text in texts(
        unfold(client, read(client)), "#feed .change, #feed [data-field=old_value], #feed [data-field=new_value]"
    ):
        assert len(text) < 1000


HIDING = "admin\u202enimda\u200b\u2066"


@ON_SQLITE
def test_invisible_and_reordering_characters_are_shown_as_codes(client, events, make_connector):
    spelt = "admin\\u202enimda\\u200b\\u2066"
    number = make_connector("kubernetes", HIDING, tags=HIDING, cluster_name=HIDING)
    log(client, connector_name=HIDING, field=HIDING, old_value=[HIDING], new_value={HIDING: HIDING}, author=HIDING)
    toast_and_page = client.get(f"/settings/integrations/{number}")
    pages = ["/", f"/?author={HIDING}", f"/events/{events()[-1]['id']}", "/settings/integrations"]
    pages += [f"/settings/integrations/{number}/{what}" for what in ("delete", "disable")]
    for response in (toast_and_page, *(client.get(page) for page in pages)):
        page = soup(response)
        for element in page.select("input, textarea"):
            element.decompose()  # the person edits the text itself there
        assert not set("\u202e\u200b\u2066") & set(page.get_text())
        assert spelt in page.get_text()


# Nothing that people enter becomes markup


@ON_SQLITE
def test_entered_text_is_escaped(client, events, make_connector):
    pages = {"/", "/settings/integrations"}
    for text in FEW:
        number = make_connector("kubernetes", text, tags=text[:49], cluster_name=text)
        log(
            client,
            connector_name=text,
            connector_type=text,
            field=text,
            old_value=text,
            new_value=[text, {text: text}],
            author=text,
        )
        log(client, event_type="field_visibility_changed", connector_type=text, field_key=text, visible=True)
        settings_page = f"/settings/integrations/{number}"
        pages |= {
            settings_page,
            f"{settings_page}/delete",
            f"{settings_page}/disable",
            *(f"/events/{event['id']}" for event in events()[-3:]),
        }
    for address in sorted(pages):
        page = soup(client.get(address))
        assert_inert(page)
    feed = unfold(client, read(client))
    assert_inert(feed)
    for text in FEW:
        assert text in texts(feed, "#feed .where")
        assert text in texts(feed, "#feed .author")
        assert text in texts(soup(client.get("/settings/integrations")), "article.card h2")


@ON_SQLITE
def test_search_text_is_escaped(client):
    for text in FEW:
        searched = dict.fromkeys(("q", "author", "tag", "source", "connector", "event_type", "status"), text)
        for wrong in ({}, {"range": text}, {"start_date": text}, {"cursor": text}):
            page = soup(client.get("/", query_string={**searched, **wrong}))
            assert_inert(page)
            assert page.select_one("#q")["value"] in ((text, "") if wrong else (text,))
        page = soup(client.get("/settings/integrations", query_string={"q": text, "type": text}))
        assert_inert(page)
        assert page.select_one("main [name=q]")["value"] == text


@ON_SQLITE
def test_refused_input_is_escaped(client):
    address = "/settings/integrations/new/github"
    for text in FEW:
        inputs = dict.fromkeys(("name", "tags", "base_url", "token", "poll_interval", "repos", "branches"), text)
        page = soup(client.post(address, data=fill(form_of(client.get(address)), **inputs)))
        assert_inert(page)
        assert page.select_one("[name=poll_interval]")["value"] == text
        assert page.select_one("[name=repos]").get_text().strip() == text


# Theme and time zone


@pytest.mark.parametrize(("cookie", "theme"), [("dark", "dark"), ("light", "light"), ('"><script>', None), ("", None)])
def test_the_chosen_theme_is_in_the_html(client, cookie, theme):
    client.set_cookie("theme", cookie)
    assert read(client).html.get("data-theme") == theme


@pytest.mark.parametrize("zone", ["Nowhere/Never", "../../etc/passwd", "Europe", '"><script>', "a" * 3000, "\0", "ü"])
def test_an_unknown_time_zone_is_utc(client, zone):
    client.set_cookie("zone", zone)
    assert read(client).html["data-zone"] == "UTC"
