"""Responses, charts and rows are rendered once for all who may see the same, and anew for everybody else."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Barrier, Event
from time import sleep, time
from typing import Any

import pytest
from flask import Flask, before_render_template, request_started

from painchain.timeline import connector_filter
from tests.conftest import ON_SQLITE
from tests.support.accounts import add_person, sign_in
from tests.support.html import fill, form_of, soup, texts
from tests.support.statements import recorded_statements

HTMX = {"HX-Request": "true"}
AUDIT = "/settings/integrations?type=painchain"
SECONDS = 5  # that a test takes at most, even on a busy machine


@pytest.fixture(autouse=True)
def early_in_a_minute() -> None:
    """Wait for the next minute if this one ends soon: responses are cached until the minute ends."""
    left = 60 - time() % 60
    if left < SECONDS:
        sleep(left)


@contextmanager
def rendered(app: Flask):
    """Collect the names of the templates that are rendered."""
    names: list[str] = []

    def collect(sender: Flask, template: Any, **values: Any) -> None:
        names.append(template.name.rsplit("/", 1)[1])

    with before_render_template.connected_to(collect, app):
        yield names


def news_address(page: Any) -> str:
    """Return the address from which an open dashboard gets its next update."""
    return str(page.select_one("#live")["hx-get"])


@pytest.mark.both_databases
@pytest.mark.parametrize("address", ["/api/changes?connector=one", "/?connector=one&start_date=2026-01-01T00:00"])
def test_what_a_request_read_before_a_write_is_not_cached_as_newer(app, client, make_connector, address):
    number = make_connector(name="one")
    renamed = {"json": {"tags": ["a tag of today"]}, "headers": {"If-Match": "*"}}
    with app.test_request_context(address, headers=HTMX):
        app.preprocess_request()
        assert connector_filter.find_named(["one"])  # the first that the filter of this request reads
        with ThreadPoolExecutor(1) as other:
            other.submit(lambda: app.test_client().patch(f"/api/connectors/{number}", **renamed)).result()
        app.make_response(app.dispatch_request())
    assert "a tag of today" in app.test_client().get(address, headers=HTMX).text


@pytest.mark.parametrize("address", ["/", "/?range=90d", "/timeline"])
def test_readers_who_come_at_the_same_time_wait_for_one_rendering(app, make_connector, address):
    make_connector()
    readers = 4
    all_started, barrier = Event(), Barrier(readers, lambda: all_started.set())
    pages = []

    def start(sender: Flask, **values: Any) -> None:
        barrier.wait(10)

    def render(sender: Flask, template: Any, **values: Any) -> None:
        assert all_started.wait(10)
        if template.name.startswith("pages/") or "timeline" in template.name:
            pages.append(template.name)

    def read(number: int) -> str:
        response = app.test_client().get(address)
        assert response.status_code == 200
        return response.text

    with (
        request_started.connected_to(start, app),
        before_render_template.connected_to(render, app),
        ThreadPoolExecutor(readers) as threads,
    ):
        answers = list(threads.map(read, range(readers)))
    assert len(set(answers)) == 1
    assert len(pages) == len(set(pages)), pages


def test_an_edit_renders_only_its_own_rows(app, client, make_connector):
    for name in ("one", "two", "three"):
        make_connector(name=name)
    shown = soup(client.get("/")).select("#feed article")
    make_connector(name="four")
    with rendered(app) as names:
        page = soup(client.get("/"))
    articles = page.select("#feed article")
    new = len(articles) - len(shown)
    assert 0 < names.count("event.html") <= new
    assert [article["id"] for article in articles[new:]] == [article["id"] for article in shown]


def test_news_for_many_dashboards_is_rendered_once(app, client, make_connector):
    address = news_address(soup(client.get("/")))
    make_connector()
    with rendered(app) as names:
        answers = [app.test_client().get(address, headers=HTMX) for _ in range(5)]
    assert len({answer.text for answer in answers}) == 1
    assert names.count("news.html") == names.count("timeline.html") == 1
    assert texts(soup(answers[0]), "article .event-type")[0] == "Connector Created"


def test_a_hidden_field_disappears_from_rows_that_were_shown_before(app, client, make_connector):
    make_connector(name="Secret name")
    assert "Secret name" in soup(client.get("/")).select_one("#feed").get_text()
    builtin = soup(client.get("/settings/integrations")).select_one(".card a[href*='integrations/']")["href"]
    number = builtin.rsplit("/", 1)[1]
    for kind in ("ConnectorCreated", "ConnectorEnabled"):
        answer = client.put(f"/api/connectors/{number}/visibility/{kind}/connector_name", json={"visible": False})
        assert answer.status_code == 200, answer.text
    feed = soup(client.get("/")).select_one("#feed article[data-event-type=ConnectorCreated]")
    assert "Secret name" not in feed.get_text()


def test_a_note_marks_a_row_that_was_shown_before(client, make_connector):
    make_connector()
    number = soup(client.get("/")).select("#feed article[data-event-type=ConnectorCreated]")[0]["data-id"]
    assert client.post(f"/api/changes/{number}/notes", json={"text": "Seen"}).status_code == 201
    assert texts(soup(client.get("/")), f"#event-{number} .note-mark") == ["1 note"]


def test_a_row_has_the_times_of_each_readers_zone(app, make_connector):
    make_connector()
    times = []
    for zone in ("UTC", "Asia/Kolkata", "UTC"):
        reader = app.test_client()
        reader.set_cookie("zone", zone)
        times.append(texts(soup(reader.get("/")), "#feed article time")[0])
    assert times[0] == times[2] != times[1]


def test_fragments_are_shared_only_by_readers_of_one_role(app, client):
    add_person(app)
    add_person(app, "vic", "viewer")
    sign_in(client)
    viewer = app.test_client()
    sign_in(viewer, "vic")
    empty = "/?start_date=2001-01-01T00:00:00Z&end_date=2001-01-02T00:00:00Z"
    links = [
        len(soup(reader.get(empty, headers=HTMX)).select("#nothing a[href='/settings/integrations/new']"))
        for reader in (client, viewer, client)
    ]
    assert links == [1, 0, 1]


def test_a_page_is_never_shared_by_two_browsers(app, client):
    add_person(app)
    sign_in(client)
    other = app.test_client()
    sign_in(other)
    client.get("/")  # a page that stores the token in the session is not cached
    pages = [soup(reader.get("/")) for reader in (client, other)]
    first, second = ({"csrf_token": page.select_one("form.who input")["value"]} for page in pages)
    assert other.post("/sign-out", data=second).status_code == 303
    assert client.get("/").status_code == 200
    assert client.post("/sign-out", data=first).status_code == 303


def test_the_page_of_an_event_is_rendered_once_and_contains_the_token_of_each_browser(app, client, make_connector):
    make_connector()
    add_person(app)
    sign_in(client)
    other = app.test_client()
    sign_in(other)
    number = soup(client.get("/")).select("#feed article[data-event-type=ConnectorCreated]")[0]["data-id"]
    with rendered(app) as names:
        pages = [reader.get(f"/events/{number}") for reader in (client, other)]
    assert names == ["event.html"]
    forms = [fill(form_of(page, "#add-note"), text=text) for page, text in zip(pages, ("One", "Two"), strict=True)]
    assert len({form["csrf_token"] for form in forms}) == 2
    for reader, form in ((other, forms[1]), (client, forms[0])):
        assert reader.post(f"/events/{number}/notes", data=form).status_code == 303
    assert texts(soup(client.get(f"/events/{number}")), ".notes .note-text") == ["Two", "One"]


def test_the_page_of_an_event_changes_with_what_it_shows(app, client, make_connector):
    number = make_connector(name="Before")
    event = soup(client.get("/")).select("#feed article[data-event-type=ConnectorCreated]")[0]["data-id"]
    address, connector, latest = f"/events/{event}", f"/api/connectors/{number}", {"If-Match": "*"}

    def words() -> str:
        return soup(client.get(address)).select_one("main .meta").get_text()

    assert "Open settings of Before" in words()
    assert client.patch(connector, json={"name": "After"}, headers=latest).status_code == 200
    assert "Open settings of After" in words()
    assert client.delete(connector, headers=latest).status_code in (200, 204)
    assert "the connector was deleted" in words()
    add_person(app, "vic", "viewer")
    sign_in(client, "vic")
    assert soup(client.get(address)).select("#add-note") == []
    client.set_cookie("zone", "Asia/Kolkata")
    client.set_cookie("theme", "dark")
    root = soup(client.get(address)).html
    assert (root["data-zone"], root["data-theme"]) == ("Asia/Kolkata", "dark")


@ON_SQLITE
def test_a_page_after_a_write_reads_only_the_events_that_are_new(app, client, make_connector):
    for name in ("one", "two", "three"):
        make_connector(name=name)
    shown = soup(client.get("/")).select("#feed article")
    make_connector(name="other")
    with recorded_statements(app) as statements:
        page = soup(client.get("/"))
    assert len(page.select("#feed article")) > len(shown)
    [rows] = [text for text in statements if text.startswith("SELECT change_events.id,")]
    assert rows.count("?") == len(page.select("#feed article")) - len(shown)


def test_the_newest_events_of_the_api_are_read_once_and_after_a_write_only_the_new_one(app, client, make_connector):
    number = make_connector(name="one")
    cases = ("/api/changes", "/api/changes?limit=1", "/api/changes?source=painchain", "/api/changes?q=one")
    before = {case: client.get(case) for case in cases}
    assert before["/api/changes?limit=1"].headers["Link"].endswith('; rel="next"')
    with recorded_statements(app) as statements:
        again = {case: app.test_client().get(case) for case in cases}
    assert [(answer.data, answer.headers.get("Link")) for answer in again.values()] == [
        (answer.data, answer.headers.get("Link")) for answer in before.values()
    ]
    assert not [text for text in statements if "FROM change_events" in text]
    renamed = client.patch(f"/api/connectors/{number}", json={"name": "two"}, headers={"If-Match": "*"})
    assert renamed.status_code == 200
    for case in cases:
        answer = client.get(case)
        assert answer.json != before[case].json
        uncached = [client.get(f"/api/changes/{event['id']}").json for event in answer.json]
        assert answer.json == uncached, case
    with recorded_statements(app) as statements:
        in_range = client.get("/api/changes?end_date=2999-01-01T00:00:00Z").json
    assert in_range == client.get("/api/changes").json
    assert not [text for text in statements if "metadata" in text]
