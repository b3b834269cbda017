"""Export from the page and from the API."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from painchain.exports.slots import EXPORTS, OF_ONE_ACCOUNT, TooManyExports
from tests.support.accounts import report_as
from tests.support.html import form_of, soup, texts, words
from tests.web.common.hostile_input import HOSTILE
from tests.web.parts import part_of

Events = Callable[..., list[dict[str, Any]]]


def press(client: FlaskClient, page: str, format: str) -> TestResponse:
    """Follow the dashboard's link to the export, and press the button of a format."""
    link = part_of(client.get(page), "filter").select_one("a.export")
    assert link is not None
    response = client.get(str(link["href"]))
    buttons = texts(part_of(response, "export"), "#export button")
    assert buttons == ["Export as CSV", "Export as NDJSON", "Export as OCSF"]
    form = part_of(response, "export").select_one("#export")
    assert form is not None
    assert not form.has_attr("hx-post"), "htmx cannot save a file"
    return client.post(str(form["action"]), data={**form_of(response, "#export"), "format": format})


def log(client: FlaskClient, author: str) -> None:
    body = {"event_type": "config_changed", "connector_name": "Deploy", "field": "replicas"}
    report_as(client.application, author, **body)


@pytest.mark.parametrize(("format", "mimetype"), [("csv", "text/csv"), ("ndjson", "application/x-ndjson")])
def test_the_dashboards_filter_is_exported_as_a_file(
    client: FlaskClient, events: Events, format: str, mimetype: str
) -> None:
    log(client, "ann")
    log(client, "bob")
    response = press(client, "/?range=7d&author=ann", format)
    assert response.status_code == 200
    assert (response.mimetype, response.headers["Content-Disposition"][:22]) == (mimetype, 'attachment; filename="')
    assert response.headers["Content-Disposition"].endswith(f'.{format}"')
    assert "Content-Length" not in response.headers, "it is streamed"
    lines = response.data.decode("utf-8-sig").splitlines()
    rows_found = list(csv.DictReader(lines)) if format == "csv" else [json.loads(line) for line in lines]
    assert [event["author"] for event in rows_found] == ["ann"]
    exported = events()[-1]
    assert exported["event_type"] == "EventsExported"
    assert exported["request_id"] == response.headers["X-Request-Id"]
    assert exported["metadata"]["filter"].keys() == {"author", "start"}
    assert exported["metadata"]["events"] == 1


def test_csv_of_the_page_begins_with_a_byte_order_mark_that_can_be_left_out(client: FlaskClient) -> None:
    log(client, "Björn Größe")
    page = client.get("/export?range=all")
    box = part_of(page, "export").select_one("#export input[type=checkbox]")
    assert box is not None
    assert not box.has_attr("checked")
    form = form_of(page, "#export")
    with_mark = client.post("/export", data={**form, "format": "csv"}).data
    assert with_mark.startswith(b"\xef\xbb\xbfid,event_id,")
    assert "Björn Größe" in {row["author"] for row in csv.DictReader(with_mark.decode("utf-8-sig").splitlines())}
    assert client.post("/export", data={**form, "format": "csv", str(box["name"]): "y"}).data.startswith(
        b"id,event_id,"
    )
    for format in ("ndjson", "ocsf"):
        assert client.post("/export", data={**form, "format": format}).data[:1] in (b"{", b"[")


def test_csv_of_the_api_has_a_byte_order_mark_on_demand(client: FlaskClient) -> None:
    for query, start in (("", b"id,"), ("&bom=false", b"id,"), ("&bom=true", b"\xef\xbb\xbfid,")):
        assert client.post(f"/api/export?format=csv{query}").data.startswith(start)
    assert client.post("/api/export?bom=true").data.startswith(b"{"), "only CSV has one"
    assert client.post("/api/export?format=csv&bom=1").get_json()["errors"][0]["field"] == "bom"


def test_the_page_shows_the_filter_and_the_number_of_events(client: FlaskClient) -> None:
    log(client, "ann")
    page = part_of(client.get("/export?range=all&author=ann&q=repl"), "main")
    assert words(page.select_one("h1")) == "Export 1 event"
    assert texts(page, ".goes dt") == ["Author", "Search"]
    assert texts(page, ".goes dd") == ["ann", "repl"]


def test_viewing_the_export_page_exports_nothing(client: FlaskClient, events: Events) -> None:
    before = events()
    assert client.get("/export").status_code == 200
    assert client.get("/api/export").status_code == 405
    assert events() == before


def test_the_feed_shows_what_was_exported(client: FlaskClient) -> None:
    press(client, "/", "ocsf")
    page = part_of(client.get("/?access=1"), "feed")
    assert texts(page.select_one("#feed article"), ".event-type, .what") == ["Events Exported", "OCSF · 1 event"]


def test_the_api_returns_the_same_file(client: FlaskClient, events: Events) -> None:
    log(client, "ann")
    response = client.post("/api/export?author=ann")
    assert (response.status_code, response.mimetype) == (200, "application/x-ndjson")
    error = json.loads(response.data)
    assert set(error.pop("chain")) == {"version", "previous", "mac"}
    assert error.pop("connector_type") == ""
    assert error == events(author="ann")[-1]
    as_csv = client.post("/api/export?author=ann&format=csv")
    assert [row["author"] for row in csv.DictReader(io.StringIO(as_csv.text, newline=""))] == ["ann"]
    ocsf = client.post("/api/export?author=ann&format=ocsf")
    assert [item["actor"]["user"]["name"] for item in ocsf.get_json()] == ["ann"]
    assert [event["event_type"] for event in events()[-3:]] == ["EventsExported"] * 3


@pytest.mark.parametrize("query", ["format=xml", "start_date=soon", "limit=5", "connector=a&end_date=1"])
def test_the_api_reports_invalid_parameters(client: FlaskClient, events: Events, query: str) -> None:
    before = events()
    response = client.post(f"/api/export?{query}")
    assert response.status_code == 422
    assert response.get_json()["errors"][0]["field"]
    assert events() == before


def test_another_site_cannot_export(client: FlaskClient, events: Events) -> None:
    before = events()
    assert client.post("/api/export", headers={"Origin": "https://elsewhere.example"}).status_code == 403
    assert client.post("/export", data={"format": "csv"}).status_code == 400, "without the token of our own form"
    assert events() == before


def test_while_auditing_is_off_exports_are_refused_with_the_reason(client: FlaskClient, events: Events) -> None:
    form = form_of(client.get("/export"), "#export")
    assert client.post("/api/connectors/1/disable").status_code == 200
    before = events()
    page = soup(client.get("/export"))
    assert page.select("#export") == []
    assert "while auditing is off" in words(page.select_one("main .problem"))
    response = client.post("/export", data={**form, "format": "csv"})
    assert response.status_code == 409
    assert "Auditing is off" in words(part_of(response, "main").select_one("main"))
    assert client.post("/api/export").status_code == 409
    assert events() == before


def test_no_input_breaks_an_export(client: FlaskClient) -> None:
    token = form_of(client.get("/export"), "#export")["csrf_token"]
    for name in ("source", "connector", "tag", "q", "range", "start_date", "end_date", "format"):
        for value in HOSTILE:
            assert client.get("/export", query_string={name: value}).status_code in (200, 422)
            form = {"csrf_token": token, "format": "ndjson", name: value.decode("latin-1")}
            assert client.post("/export", data=form).status_code in (200, 422), (name, value)


def test_an_interrupted_export_is_detectable(app: Flask, client: FlaskClient) -> None:
    log(client, "ann")
    response = client.post("/api/export?format=ocsf", buffered=False)
    with pytest.raises(ValueError, match="Expecting"):
        json.loads(next(iter(response.response)))
    response.close()


def test_one_export_too_many_is_refused_and_not_recorded(client: FlaskClient, app: Flask, events: Events) -> None:
    slots = app.extensions["painchain"].exports
    before = events()
    running = [slots.take(None) for _ in range(OF_ONE_ACCOUNT)] + [slots.take(1) for _ in range(OF_ONE_ACCOUNT)]
    with pytest.raises(TooManyExports, match="This server is sending 8 exports"):
        slots.take(2)
    running.pop()()
    response = press(client, "/", "csv")
    assert response.status_code == 429
    page = words(part_of(response, "main").select_one("main"))
    assert "Nothing was exported" in page
    assert "4 exports of yours are running, the most at a time. Try again when one has ended." in page
    assert events() == before
    for end in running:
        end()
        end()
    for _ in range(EXPORTS):
        assert press(client, "/", "csv").status_code == 200, "a read export ends without being closed"
