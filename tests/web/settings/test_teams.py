"""Teams are named sets of tags: changes are audited, and every view of events can be filtered by them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from painchain.database.session import db
from painchain.eventlog import writer
from painchain.timeline import aggregates, team_filter
from painchain.timeline import filter as filters
from painchain.timeline.filter import parse_filter
from tests.support.html import fill, form_of, soup, texts, words
from tests.support.sample_events import HOUR, NOW, new
from tests.web.parts import part_of

HTMX = {"HX-Request": "true"}
LIST = "/settings/teams"
FORM = "#team-form"
Events = Callable[..., list[dict[str, Any]]]


def add(client: FlaskClient, name: str = "Payments", tags: str = "billing, checkout") -> TestResponse:
    """Fill in the form and send it."""
    form = fill(form_of(client.get(f"{LIST}/new"), FORM), name=name, tags=tags)
    return client.post(f"{LIST}/new", data=form)


def save(client: FlaskClient, form: dict[str, Any], headers: dict[str, str] | None = None) -> TestResponse:
    return client.post(f"{LIST}/1", data=form, headers=headers or {})


@pytest.fixture
def tagged_events(app: Flask) -> None:
    """Write three events with tags before any team exists; the third is not yet counted in the rollups."""
    with app.app_context(), writer.writing() as event_log:
        for number, tags in enumerate((["billing"], ["checkout", "night"], ["search"])):
            event_log.append(new(number, tags=tags, timestamp=NOW + number * HOUR))
            if number == 1:
                event_log.count()


def authors_of(response: TestResponse) -> list[str]:
    assert response.status_code == 200, response.text
    return [item["title"].split()[-1] for item in response.get_json()]


# Settings


def test_a_team_is_added_listed_and_audited(client, events):
    assert "No teams yet" in words(part_of(client.get(LIST), "main").main)
    assert add(client, "  Payments ", "billing,, checkout , billing").location == LIST
    page = part_of(client.get(LIST), "cards")
    assert texts(page, ".card h2") == ["Payments"]
    assert texts(page, ".card .tag") == ["billing", "checkout"]
    [event] = events(event_type="TeamCreated")
    assert event["title"] == "[Team Created] Payments"
    assert event["metadata"] == {"action": "create", "team": "Payments"}
    assert event["description"]["tags"] == ["billing", "checkout"]
    assert event["connector_id"] is None


def test_a_save_records_only_added_and_removed_tags(client, events):
    add(client)
    form = form_of(client.get(f"{LIST}/1"), FORM)
    assert save(client, fill(form, tags="checkout, night")).status_code == 303
    [event] = events(event_type="TeamUpdated")
    assert list(event["metadata"]["changes"]) == ["tags"]
    page = part_of(client.get(f"/events/{event['id']}"), "main")
    assert texts(page, "[data-field=changes] li") == ["Tags −billing +night"]
    assert words(page.select_one(".where")) == "Payments"
    assert words(page.select_one("summary .change")) == "Tags: −billing +night"


def test_order_and_spacing_of_tags_are_not_a_change(client, events):
    add(client)
    before = len(events())
    response = save(client, fill(form_of(client.get(f"{LIST}/1"), FORM), tags=" checkout,billing, "))
    assert response.status_code == 303
    assert "No changes to save" in words(part_of(client.get(LIST), "toast").select_one("#toast"))
    assert len(events()) == before


def test_a_refused_name_comes_back_as_typed_and_only_in_its_input(client, events):
    add(client)
    before = len(events())
    for address in (f"{LIST}/new", f"{LIST}/1"):
        form = fill(form_of(client.get(address), FORM), name="mailto://a:b@c", tags="a, https://d:e@f")
        for headers in ({}, HTMX, {}):
            response = client.post(address, data=form, headers=headers)
            assert response.status_code == 422
            assert [response.text.count(part) for part in ("a:b@", "d:e@")] == [1, 1], "not in the title or an error"
            form = form_of(response, FORM)
            assert (form["name"], form["tags"]) == ("mailto://a:b@c", "a, https://d:e@f")
            assert texts(soup(response), ".field .warning") == []
    assert len(events()) == before


INVALID = [
    ("", "a", "Name is required."),
    ("x" * 101, "a", "Name can have at most 100 characters"),
    ("\u200b", "a", "Name needs a character that can be seen."),
    ("\u3164\u2800", "a", "Name needs a character that can be seen."),
    ("mailto://***@c", "a", "Name must not contain a password or token"),
    ("Search", "a, \u200b", "Tags needs a character that can be seen."),
    ("Search", " , ", "Tags is required."),
    ("Search", "x" * 51, "Tags can have at most 50 characters"),
    ("PAYMENTS", "a", "A team named “PAYMENTS” already exists"),
]


def test_invalid_values_are_reported_beside_the_input_and_nothing_is_saved(client, events, subtests):
    add(client)
    before = len(events())
    for name, tags, message in INVALID:
        with subtests.test(message):
            for address in (f"{LIST}/new", f"{LIST}/1") if name != "PAYMENTS" else (f"{LIST}/new",):
                form = fill(form_of(client.get(address), FORM), name=name, tags=tags)
                for headers in ({}, HTMX):
                    response = client.post(address, data=form, headers=headers)
                    assert response.status_code == 422
                    assert message in words(part_of(response, "team-form").select_one(".error"))
                    assert part_of(response, "name").select_one("#name")["value"] == name
            assert len(events()) == before


def test_a_stale_form_shows_both_changes_and_overwrites_nothing(client, events):
    add(client)
    old_form = form_of(client.get(f"{LIST}/1"), FORM)
    save(client, fill(old_form, name="Checkout"))
    before = len(events())
    for headers in ({}, HTMX):
        response = save(client, fill(old_form, tags="night"), headers)
        assert response.status_code == 409
        page = part_of(response, "conflict")
        assert [texts(row, "th, td") for row in page.select("#conflict tbody tr")] == [
            ["Name", "Payments → Checkout", "unchanged"],
            ["Tags", "unchanged", "−billing −checkout +night"],
        ]
    assert len(events()) == before
    assert save(client, form_of(response, FORM)).status_code == 303
    assert client.get("/api/teams/1").get_json()["name"] == "Checkout"
    assert client.get("/api/teams/1").get_json()["tags"] == ["night"]


def test_deleting_asks_for_confirmation_and_a_stale_page_deletes_nothing(client, events):
    add(client)
    page = client.get(f"{LIST}/1/delete")
    assert texts(part_of(page, "main"), "dd .tag") == ["billing", "checkout"]
    form = form_of(page)
    save(client, fill(form_of(client.get(f"{LIST}/1"), FORM), name="Checkout"))
    assert client.post(f"{LIST}/1/delete", data=form).status_code == 409
    assert client.post(f"{LIST}/1/delete", data=form_of(client.get(f"{LIST}/1/delete"))).status_code == 303
    assert client.get(f"{LIST}/1").status_code == 404
    assert events()[-1]["title"] == "[Team Deleted] Checkout"


def test_without_a_csrf_token_nothing_happens(client, events):
    add(client)
    before = len(events())
    for address in (f"{LIST}/new", f"{LIST}/1", f"{LIST}/1/delete"):
        assert client.post(address, data={"name": "x", "tags": "y"}).status_code == 400
    assert len(events()) == before


def test_a_name_that_looks_like_markup_is_escaped(client):
    add(client, "<b>Bold</b>", "<i>tag</i>")
    for address in (LIST, f"{LIST}/1", f"{LIST}/1/delete", "/?team=%3Cb%3EBold%3C/b%3E"):
        assert part_of(client.get(address), "main").select("main b, main i:not(.source i)") == [], address


def test_as_of_and_report_do_not_treat_a_team_as_a_connector(client):
    add(client)
    past = client.get("/api/as-of").get_json()
    assert [connector["name"] for connector in past["connectors"]] == ["PainChain System"]
    report = client.post("/report.csv", data=form_of(client.get("/report"), "#csv")).text
    assert "total,Reported by scripts,,,,0" in report
    assert "kind,Team Created,,,,1" in report


# The filter


@pytest.mark.usefixtures("tagged_events")
def test_a_team_filters_dashboard_api_charts_and_exports_by_any_of_its_tags(client):
    add(client)
    for query in ({"team": "Payments"}, {"team": "payments"}, {"q": "team:payments"}, {"q": 'team:"Payments"'}):
        assert authors_of(client.get("/api/changes", query_string=query)) == ["1", "0"]
        assert client.get("/api/stats", query_string=query).get_json()["total"] == 2
        assert client.get("/api/timeline", query_string=query).get_json()["total"] == 2
        lines = client.post("/api/export", query_string={**query, "format": "ndjson"}).text.splitlines()
        assert len(lines) == 2
        page = part_of(client.get("/", query_string={"range": "all", **query}), "feed")
        assert texts(page, "#feed .subject") == ["number 1", "number 0"]
    assert authors_of(client.get("/api/changes?team=Payments&tag=night")) == ["1"]
    assert authors_of(client.get("/api/changes?team=Payments&q=-tag:night")) == ["0"]
    assert authors_of(client.get("/api/changes?q=-team:payments+source:github")) == ["2"]


@pytest.mark.usefixtures("tagged_events")
def test_a_team_is_counted_from_the_rollups(app, client):
    add(client)
    with app.app_context():
        query = filters.aggregate_query(parse_filter({"team": ["Payments"]}, NOW, ZoneInfo("UTC")))
        assert query.by_facets
        assert query.facets == {"tag": aggregates.tag_values(("billing", "checkout"))}


def test_the_menu_offers_teams_if_there_are_any(client):
    assert part_of(client.get("/"), "menu-team").select("#menu-team") == []
    add(client)
    page = part_of(client.get("/?team=payments"), "dashboard")
    assert words(page.select_one("#menu-team summary")) == "Team: Payments"
    assert form_of(client.get("/?team=Payments"), "#filter")["team"] == "Payments"
    assert page.select_one(".clear")["href"] == "/"


@pytest.mark.parametrize("query", [{"team": "Paiments"}, {"q": "team:Paiments"}])
def test_an_unknown_team_lists_the_existing_ones(client, query):
    refusal = client.get("/api/changes", query_string=query)
    assert refusal.status_code == 422
    assert "There are no teams yet" in refusal.get_json()["message"]
    add(client)
    add(client, "Search", "search")
    refusal = client.get("/api/changes", query_string=query).get_json()
    assert refusal["message"] == "No team is named “Paiments”. Teams: Payments, Search."
    assert refusal["errors"][0]["field"] in query
    page = client.get("/", query_string=query)
    assert page.status_code == 422
    assert "Teams: Payments, Search." in words(part_of(page, "dashboard").select_one("[role=alert]"))


def test_a_former_name_reports_the_current_one(client):
    add(client)
    for name in ("Checkout", "Money"):
        save(client, fill(form_of(client.get(f"{LIST}/1"), FORM), name=name))
    for query in ({"team": "payments"}, {"q": "team:Checkout"}):
        message = client.get("/api/changes", query_string=query).get_json()["message"]
        assert message.endswith("was renamed to “Money”.")


def test_an_open_dashboard_reports_a_deleted_team_once_and_stops_live_updates(client):
    add(client)
    ask = part_of(client.get("/?team=Payments"), "live").select_one("#live")["hx-get"]
    save(client, fill(form_of(client.get(f"{LIST}/1"), FORM), name="Checkout"))
    page = soup(client.get(ask, headers=HTMX))
    assert "was renamed to “Checkout”" in words(page.select_one("#toast .bad"))
    assert not page.select_one("#live").has_attr("hx-get")


def test_the_search_box_suggests_teams(client):
    add(client, "On Call", "pager")
    page = part_of(client.get("/search/suggestions?q=team:o"), "suggestions")
    assert [option["data-text"] for option in page.select("[role=option]")] == ['team:"On Call" ']


@pytest.mark.both_databases
def test_a_search_by_teams_with_very_many_tags_works_or_is_refused_with_a_message(client):
    for number in range(3):
        tags = [f"tag-{number}-{index}" for index in range(200)]
        assert client.post("/api/teams", json={"name": f"T{number}", "tags": tags}).status_code == 201
    for query in ({"q": "team:T0,T1"}, {"q": "-team:T0,T1"}, {"team": ["T0", "T1"]}):
        assert client.get("/api/changes", query_string=query).status_code == 200
        assert client.get("/api/timeline", query_string=query).status_code == 200
    refusal = client.get("/api/changes?q=team:T0,T1,T2")
    assert (refusal.status_code, "more than 500 tags" in refusal.text) == (422, True)
    assert team_filter.MAX_TAGS == 500


# The API


def test_the_api_manages_teams_with_etags(client):
    created = client.post("/api/teams", json={"name": "Payments", "tags": "billing, checkout"})
    assert (created.status_code, created.location) == (201, "/api/teams/1")
    assert client.get("/api/teams").get_json() == [created.get_json()]
    changed = client.patch("/api/teams/1", json={"tags": ["a"]}, headers={"If-Match": created.headers["ETag"]})
    assert (changed.get_json()["tags"], changed.get_json()["name"]) == (["a"], "Payments")
    stale = client.patch("/api/teams/1", json={"tags": ["b"]}, headers={"If-Match": created.headers["ETag"]})
    assert (stale.status_code, stale.headers["ETag"]) == (412, changed.headers["ETag"])
    assert client.delete("/api/teams/1", headers={"If-Match": created.headers["ETag"]}).status_code == 412
    assert client.delete("/api/teams/1").status_code == 204
    for body in ({"name": "x"}, {"name": "x", "tags": []}, {"name": " ", "tags": "a"}, {"name": "x", "tags": [1]}):
        assert client.post("/api/teams", json=body).status_code == 422


def test_a_team_and_its_event_are_saved_together(app, client):
    with app.app_context():
        db.session.execute(db.text("ALTER TABLE change_events RENAME TO away"))
        db.session.commit()
    response = client.post("/api/teams", json={"name": "Payments", "tags": "a"})
    assert response.status_code == 503
    with app.app_context():
        db.session.execute(db.text("ALTER TABLE away RENAME TO change_events"))
        db.session.commit()
    assert client.get("/api/teams").get_json() == []
