"""Every filter narrows feed and chart, is in the address, and is refused with a message if invalid."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from bs4 import BeautifulSoup, Tag
from flask.testing import FlaskClient

from painchain.timeline.filter import RANGES
from tests.support.html import form_of, soup, texts, unfold, words
from tests.web.dashboard.pages import HTMX, VARIED, numbers, read
from tests.web.parts import count_of, part_of

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
        for headers in ({}, HTMX):
            response = client.get("/", query_string=query, headers=headers, follow_redirects=True)
            feed = part_of(response, "feed")
            assert subjects(feed) == expected.split(), query
            assert count_of(response) == len(numbers(feed)), query


KINDS = ("Commit", "ConnectorCreated", "Push")


def choices_of(client: FlaskClient, page: BeautifulSoup, name: str) -> list[Tag]:
    """Return the checkboxes of a list of the filter. Those of a long list are on a page of their own."""
    link = page.select_one(f"#menu-{name} .panel a")
    choices = part_of(client.get(str(link["href"])), "choices") if link else page
    return choices.select(f"[type=checkbox][name={name}]")


def test_every_choice_in_the_filter_form_finds_its_events(client, write, make_connector):
    make_connector()
    write(*VARIED)
    columns = {"source": "[data-source]", "author": ".author", "tag": ".fields .tag", "event_type": "[data-event-type]"}
    for name, selector in columns.items():
        offered = [str(box["value"]) for box in choices_of(client, read(client), name)]
        assert offered
        if name == "event_type":  # all types take the same way through the code: two with events, and one without
            assert {*KINDS} <= {*offered}
            offered = [*KINDS]
        for value in offered:
            page = read(client, only="feed", range="all", **{name: value})
            assert page.select("#feed article") or value == KINDS[-1] or name == "source"
            if name == "tag":  # tags are in the details of a row
                page = unfold(client, page)
            for article in page.select("#feed article"):
                texts_of_event = {str(article.get(f"data-{name.replace('_', '-')}"))} | set(texts(article, selector))
                assert value in texts_of_event
    authors = [str(box["value"]) for box in read(client, only="filter").select("#filter [name=author]")]
    assert authors == ["ann", "Doe, Jane", "system"]
    for author in authors:
        page = read(client, only="dashboard", range="all", author=author)
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
    form = read(client, only="filter", start_date="2020-05-04T12:00:00Z", end_date="2020-05-05T12:00").select_one(
        "#filter"
    )
    assert form.select_one("[name=start_date]")["value"] == "2020-05-04T17:30"
    assert form.select_one("[name=end_date]")["value"] == "2020-05-05T12:00"
    assert texts(form, ".ranges summary[aria-current]") == ["Custom"]
    assert not form.select("[name=range]")


def test_applying_the_form_leads_to_an_equivalent_address(client, write):
    write(*VARIED)
    before = client.get("/", query_string={"range": "30d", "tag": "ci", "q": "three"})
    again = client.get("/", query_string=form_of(before, "#filter"))
    assert subjects(part_of(again, "feed")) == subjects(part_of(before, "feed")) == ["three"]


def test_a_range_keeps_the_rest_of_the_filter(client):
    for link in read(client, only="filter", tag="ci", start_date="2020-05-04").select("#filter .ranges a"):
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
        assert "range must be one of" in words(part_of(response, "toast").select_one(".toast.bad"))
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
