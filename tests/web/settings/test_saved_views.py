"""Saved views: named filters of the timeline, of one person or of everybody, and the start page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from painchain.configuration import saved_views
from tests.support.accounts import add_person, sign_in
from tests.support.html import fill, form_of, soup, texts, words
from tests.support.statements import recorded_statements

HTMX = {"HX-Request": "true"}
LIST, NEW = "/settings/views", "/settings/views/new"
FORM = "#view-form"
Events = Callable[..., list[dict[str, Any]]]


def save(client: FlaskClient, name: str = "Production", query: str = "tag=production&range=7d", **values: Any) -> Any:
    """Open the form as the menu of the timeline does, fill it in and send it."""
    form = fill(form_of(client.get(f"{NEW}?{query}"), FORM), name=name, **values)
    return client.post(NEW, data=form)


def edit(client: FlaskClient, number: int = 1, headers: dict[str, str] | None = None, **values: Any) -> TestResponse:
    form = fill(form_of(client.get(f"{LIST}/{number}"), FORM), **values)
    return client.post(f"{LIST}/{number}", data=form, headers=headers or {})


def star(client: FlaskClient, number: int = 1) -> TestResponse:
    """Press the button with the star in the list."""
    selector = f"#view-{number} form"
    return client.post(f"{LIST}/{number}/start", data=form_of(client.get(LIST), selector))


def menu(response: TestResponse) -> list[str]:
    return texts(soup(response), "#menu-views ul:not(.view-actions) a")


@pytest.fixture
def people(app: Flask) -> Callable[[str], FlaskClient]:
    """Sign in as ann (admin), ed (editor) or vi (viewer)."""
    for name, role in (("ann", "admin"), ("ed", "editor"), ("vi", "viewer")):
        add_person(app, name, role)

    def signed_in(name: str) -> FlaskClient:
        client = app.test_client()
        assert sign_in(client, name).status_code == 303
        return client

    return signed_in


# Save, change, delete


@pytest.mark.both_databases
def test_the_filter_of_the_timeline_is_saved_under_a_name_and_listed(client, events):
    page = soup(client.get("/?range=7d&tag=production"))
    address = page.select_one(".view-actions a")["href"]
    assert (words(page.select_one(".view-actions a")), address) == (
        "Save this view…",
        f"{NEW}?tag=production&range=7d",
    )
    response = client.post(NEW, data=fill(form_of(client.get(address), FORM), name=" Production "))
    assert (response.status_code, response.location) == (303, "/?tag=production&range=7d")
    shown = client.get(response.location)
    assert "Saved view “Production”" in words(soup(shown).select_one("#toast"))
    assert menu(shown) == ["Production"]
    assert words(soup(shown).select_one("#menu-views summary")) == "View: Production"
    assert words(soup(shown).title) == "Production · PainChain"
    assert texts(soup(client.get(LIST)), ".card h2, .card code") == ["Production", "tag=production · range=7d"]
    [event] = events(event_type="ViewSaved")
    assert event["title"] == "[View Saved] Production"
    assert event["metadata"] == {"action": "create", "view": "Production"}
    assert event["description"]["filter"] == "tag=production&range=7d"
    assert event["description"]["audience"] == "everybody"
    assert event["connector_id"] is None


def test_a_save_records_what_changed(client, events):
    save(client)
    assert edit(client, name="Prod", filter="range=24h&tag=prod").status_code == 303
    [event] = events(event_type="ViewChanged")
    assert {key: sides["new"] for key, sides in event["metadata"]["changes"].items()} == {
        "name": "Prod",
        "filter": "tag=prod&range=24h",
    }
    page = soup(client.get(f"/events/{event['id']}"))
    assert words(page.select_one("article .where")) == "Prod"
    before = len(events())
    assert edit(client).status_code == 303
    assert "No changes to save" in words(soup(client.get(LIST)).select_one("#toast"))
    assert len(events()) == before


def test_the_filter_of_a_view_is_replaced_by_the_one_on_the_timeline(client):
    save(client)
    link = soup(client.get(f"{NEW}?q=outage")).select_one(".replace a")
    assert words(link) == "Production"
    form = form_of(client.get(str(link["href"])), FORM)
    assert form["filter"] == "q=outage&range=24h"
    assert client.post(f"{LIST}/1", data=form).status_code == 303
    assert client.get("/api/views/1").get_json()["filter"] == "q=outage&range=24h"


def test_deleting_asks_first_and_is_recorded_with_the_filter(client, events):
    save(client)
    page = client.get(f"{LIST}/1/delete")
    assert "tag=production · range=7d" in words(soup(page).main)
    stale = form_of(page)
    edit(client, name="Prod")
    assert client.post(f"{LIST}/1/delete", data=stale).status_code == 409
    assert client.post(f"{LIST}/1/delete", data=form_of(client.get(f"{LIST}/1/delete"))).status_code == 303
    assert client.get(f"{LIST}/1").status_code == 404
    assert menu(client.get("/")) == []
    [event] = events(event_type="ViewDeleted")
    assert event["description"]["filter"] == "tag=production&range=7d"


def test_a_stale_form_shows_both_changes_and_overwrites_nothing(client):
    save(client)
    old_form = form_of(client.get(f"{LIST}/1"), FORM)
    edit(client, name="Prod")
    for headers in ({}, HTMX):
        response = client.post(f"{LIST}/1", data=fill(old_form, filter="q=a"), headers=headers)
        assert response.status_code == 409
        assert texts(soup(response), "#conflict tbody th") == ["Name", "Filter"]
        assert soup(response).select_one("#conflict a")["href"] == "/settings/views/1"
    assert client.get("/api/views/1").get_json()["filter"] == "tag=production&range=7d"
    assert client.post(f"{LIST}/1", data=form_of(response, FORM)).status_code == 303
    assert client.get("/api/views/1").get_json()["name"] == "Prod"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"name": ""}, "Name is required."),
        ({"name": "x" * 101}, "Name can have at most 100 characters"),
        ({"name": "PRODUCTION"}, "A view named “PRODUCTION” already exists."),
        ({"filter": ""}, "Filter is required."),
        ({"filter": "q=nonsense:1"}, "Unknown qualifier “nonsense:”"),
        ({"filter": "range=nonsense"}, "range must be one of"),
        ({"filter": "team=nobody"}, "No team is named “nobody”."),
        ({"filter": "cursor=x&range=7d"}, "Unknown parameter 'cursor'."),
        ({"filter": "https://elsewhere.example/?q=a"}, "Unknown parameter"),
        ({"filter": "q=%ff"}, "Filter is not a query string"),
        ({"filter": "&".join(["tag=a"] * 300)}, "Filter is not a query string"),
        ({"filter": "&".join(f"tag={'a' * 99}{number}" for number in range(40))}, "at most 2000 characters"),
        ({"filter": "start_date=2026-02-01&end_date=2026-01-01"}, "end_date must be later than start_date."),
        ({"filter": f"q=https://me:{'s3cret' * 3}@git.example"}, "must not contain a password or token"),
        ({"filter": "q=%00"}, "NUL"),
    ],
)
def test_an_invalid_value_is_reported_beside_the_input_and_nothing_is_saved(client, events, values, message):
    save(client)
    before = len(events())
    for headers in ({}, HTMX):
        form = fill(form_of(client.get(f"{NEW}?q=a"), FORM), **{"name": "Other", **values})
        response = client.post(NEW, data=form, headers=headers)
        assert response.status_code == 422
        assert message in words(soup(response).select_one(".error"))
    answer = client.post("/api/views", json={"name": "Other", "filter": "q=a", **values})
    assert answer.status_code == 422
    assert message in answer.get_json()["message"]
    assert {error["field"] for error in answer.get_json()["errors"]} == set(values)
    assert len(events()) == before


def test_times_are_stored_in_utc_whatever_the_zone_of_the_browser(client):
    client.set_cookie("zone", "Asia/Tokyo")
    save(client, query="start_date=2026-01-01T09:00&end_date=2026-01-02T09:00")
    assert parse_qs(client.get("/api/views/1").get_json()["filter"]) == {
        "start_date": ["2026-01-01T00:00:00Z"],
        "end_date": ["2026-01-02T00:00:00Z"],
    }


def test_a_view_keeps_the_time_from_which_its_rows_count(client):
    client.set_cookie("zone", "Asia/Tokyo")
    times = "start_date=2026-01-01T09:00&end_date=2026-01-01T10:00&t0=2026-01-01T10:00"
    address = save(client, query=times).location
    assert parse_qs(urlsplit(address).query)["t0"] == ["2026-01-01T01:00:00Z"]
    page = soup(client.get(address))
    assert words(page.select_one("#menu-views summary")) == "View: Production"
    assert texts(page, ".t0 text") == ["t = 0, 10:00"]
    assert client.post("/api/views", json={"name": "One", "filter": "t0=2026-01-01T10:00"}).status_code == 201
    relative = client.get("/api/views/2").get_json()["filter"]
    assert parse_qs(relative) == {"range": ["24h"], "t0": ["2026-01-01T10:00:00Z"]}
    refused = client.post("/api/views", json={"name": "Two", "filter": "t0=noon"})
    assert (refused.status_code, refused.get_json()["errors"][0]["field"]) == (422, "filter")


def test_an_address_of_a_view_never_leads_to_another_site(client):
    for number, query in enumerate(("q=//elsewhere.example", "q=%5C%5Celsewhere.example", "tag=https://a.example"), 1):
        assert save(client, f"View {number}", query).status_code == 303
    addresses = [str(link["href"]) for link in soup(client.get("/")).select("#menu-views ul a")]
    addresses += [str(link["href"]) for link in soup(client.get(LIST)).select(".card h2 a")]
    for address in addresses:
        parts = urlsplit(address)
        assert (parts.scheme, parts.netloc) == ("", "")
        assert parts.path in ("/", NEW, LIST)


def test_there_are_at_most_a_hundred_views(client, monkeypatch):
    monkeypatch.setattr(saved_views, "MAX_VIEWS", 2)
    assert save(client, "1").status_code == save(client, "2").status_code == 303
    response = save(client, "3")
    assert response.status_code == 422
    assert "There are already 2 views" in words(soup(response).select_one(".error"))


def test_a_name_that_looks_like_markup_is_escaped(client):
    save(client, "<b>Bold</b>", "q=%3Ci%3E")
    for address in ("/", LIST, f"{LIST}/1", f"{LIST}/1/delete", f"{NEW}?q=%3Ci%3E"):
        page = soup(client.get(address))
        assert page.select("main b, #menu-views i, .card i, dd i") == [], address


def test_without_a_csrf_token_nothing_happens(client, events):
    save(client)
    before = len(events())
    for address in (NEW, f"{LIST}/1", f"{LIST}/1/start", f"{LIST}/1/delete"):
        assert client.post(address, data={"name": "x", "filter": "q=y", "start": "y"}).status_code == 400
    assert len(events()) == before


# The start page


@pytest.mark.both_databases
def test_the_starred_view_is_shown_first_with_its_name_and_a_link_to_the_plain_timeline(client, events):
    save(client)
    assert star(client).status_code == 303
    [event] = events(event_type="ViewChanged")
    assert event["metadata"]["changes"] == {"start": {"old": None, "new": "Production"}}
    page = soup(client.get("/"))
    assert form_of(client.get("/"), "#filter")["tag"] == "production"
    assert words(page.select_one("#menu-views summary")) == "View: ★ Production"
    assert words(page.select_one(".shown-view")) == "★ Production · Plain timeline"
    plain = next(link for link in page.select("#filter a.clear") if words(link) == "Plain timeline")
    timeline = client.get(str(plain["href"]))
    assert "tag" not in form_of(timeline, "#filter")
    assert words(soup(timeline).select_one("#menu-views summary")) == "Views"
    assert star(client).status_code == 303  # the button now removes it
    assert "tag" not in form_of(client.get("/"), "#filter")
    assert events(event_type="ViewChanged")[-1]["metadata"]["changes"]["start"]["new"] is None


def test_clearing_the_filter_of_a_start_page_shows_the_plain_timeline(client):
    save(client, query="tag=production")
    star(client)
    assert soup(client.get("/?tag=production")).select_one("a.clear")["href"] == "/?range=24h"


def test_another_star_replaces_the_first_and_a_deleted_view_is_no_start_page(client, events):
    save(client)
    save(client, "Errors", "q=error", start=True)
    star(client)
    assert words(soup(client.get("/")).select_one("#menu-views summary")) == "View: ★ Production"
    assert events(event_type="ViewChanged")[-1]["metadata"]["changes"]["start"] == {
        "old": "Errors",
        "new": "Production",
    }
    client.post(f"{LIST}/1/delete", data=form_of(client.get(f"{LIST}/1/delete")))
    assert words(soup(client.get("/")).select_one("#menu-views summary")) == "Views"


def test_a_start_page_whose_filter_no_longer_works_says_so(client):
    client.post("/api/teams", json={"name": "Payments", "tags": ["a"]})
    save(client, query="team=Payments", start=True)
    assert client.delete("/api/teams/1").status_code == 204
    response = client.get("/")
    assert response.status_code == 422
    assert "No team is named “Payments”" in words(soup(response).select_one("#dashboard [role=alert]"))
    assert client.get("/?range=24h").status_code == 200


def test_live_updates_and_older_events_of_a_start_page_keep_its_filter(client):
    save(client)
    star(client)
    page = soup(client.get("/"))
    assert parse_qs(urlsplit(str(page.select_one("#live")["hx-get"])).query)["tag"] == ["production"]
    assert parse_qs(urlsplit(str(page.select_one("#timeline")["hx-get"])).query)["tag"] == ["production"]


# Accounts


def test_a_view_is_mine_unless_an_editor_shares_it(people, events):
    ann, vi = people("ann"), people("vi")
    save(ann, "Mine")
    save(ann, "Ours", shared=True)
    assert menu(ann.get("/")) == ["Mine", "Ours"]
    assert menu(vi.get("/")) == ["Ours"]
    assert vi.get(f"{LIST}/1").status_code == vi.get("/api/views/1").status_code == 404
    save(vi, "Mine", "q=a")  # the same name, of another person
    assert menu(vi.get("/")) == ["Mine", "Ours"]
    assert [view["shared"] for view in vi.get("/api/views").get_json()] == [False, True]
    audiences = [event["description"]["audience"] for event in ann.get("/api/changes?event_type=ViewSaved").get_json()]
    assert audiences == ["vi", "everybody", "ann"]


def test_a_viewer_saves_and_stars_but_does_not_share_or_change_shared_views(people):
    ed, vi = people("ed"), people("vi")
    save(ed, "Ours", shared=True)
    assert "shared" not in form_of(vi.get(NEW), FORM)
    form = form_of(vi.get(NEW), FORM)
    for address in (NEW, f"{LIST}/1"):
        refused = vi.post(address, data={**form, "name": "x", "shared": "y", "offers_shared": "y"})
        assert refused.status_code == 403
        assert "Views for everybody need the editor role" in words(soup(refused).main)
    assert vi.post(f"{LIST}/1/delete", data=form).status_code == 403
    for response in (
        vi.post("/api/views", json={"name": "x", "filter": "q=a", "shared": True}),
        vi.patch("/api/views/1", json={"name": "x"}, headers={"If-Match": "*"}),
        vi.delete("/api/views/1"),
    ):
        assert response.status_code == 403
        assert "editor role" in response.get_json()["message"]
    assert [view["name"] for view in ed.get("/api/views").get_json()] == ["Ours"]
    assert soup(vi.get(f"{LIST}/1")).select("#save, .danger") == []
    assert star(vi).status_code == 303
    assert words(soup(vi.get("/")).select_one("#menu-views summary")) == "View: ★ Ours"
    assert words(soup(ed.get("/")).select_one("#menu-views summary")) == "Views"


def test_a_view_taken_back_from_everybody_is_nobody_elses_start_page(people):
    ed, vi = people("ed"), people("vi")
    save(ed, "Ours", shared=True)
    star(vi)
    assert edit(ed, shared=False).status_code == 303
    assert menu(vi.get("/")) == []
    assert client_summary(vi) == "Views"
    assert edit(ed, shared=True).status_code == 303
    assert client_summary(vi) == "Views"


def client_summary(client: FlaskClient) -> str:
    return words(soup(client.get("/")).select_one("#menu-views summary"))


@pytest.mark.both_databases
def test_views_of_a_removed_account_are_removed_with_it(people):
    ann, vi = people("ann"), people("vi")
    save(ann, "Ours", shared=True)
    save(vi, "Mine", start=True)
    person = next(person for person in ann.get("/api/people").get_json() if person["name"] == "vi")
    page = ann.get(f"/settings/people/{person['id']}/remove")
    assert "Mine" in words(soup(page).main)
    assert ann.delete(f"/api/people/{person['id']}").status_code == 204
    assert ann.get("/api/views/2").status_code == 404
    assert [view["name"] for view in ann.get("/api/views").get_json()] == ["Ours"]


def test_a_view_from_before_the_first_account_belongs_to_everybody(app, client):
    save(client)
    star(client)
    add_person(app)
    sign_in(client)
    assert client_summary(client) == "Views"  # the start page of nobody's account
    assert menu(client.get("/")) == ["Production"]


# The API


def test_the_api_manages_views_with_etags(client):
    created = client.post("/api/views", json={"name": "Production", "filter": "?range=7d&tag=production"})
    assert (created.status_code, created.location) == (201, "/api/views/1")
    assert created.get_json()["filter"] == "tag=production&range=7d"
    assert client.get("/api/views").get_json() == [created.get_json()]
    etag = {"If-Match": created.headers["ETag"]}
    changed = client.patch("/api/views/1", json={"filter": "q=a", "start": True}, headers=etag)
    assert (changed.get_json()["filter"], changed.get_json()["start"]) == ("q=a&range=24h", True)
    stale = client.patch("/api/views/1", json={"filter": "q=b"}, headers=etag)
    assert (stale.status_code, stale.headers["ETag"]) == (412, changed.headers["ETag"])
    assert client.patch("/api/views/1", json={"filter": "q=b"}).status_code == 428
    assert client.delete("/api/views/1", headers=etag).status_code == 412
    assert client.delete("/api/views/1").status_code == 204
    for body in ({"name": "x"}, {"filter": "q=a"}, {"name": 1, "filter": "q=a"}, {"name": "x", "filter": ["q=a"]}):
        assert client.post("/api/views", json=body).status_code == 422


def test_a_token_saves_the_views_of_its_owner(people):
    ann = people("ann")
    token = ann.post("/api/tokens", json={"name": "ci", "role": "viewer"}).get_json()["token"]
    bearer = {"Authorization": f"Bearer {token}"}
    script = ann.application.test_client()
    assert script.post("/api/views", json={"name": "Mine", "filter": "q=a"}, headers=bearer).status_code == 201
    assert menu(ann.get("/")) == ["Mine"]
    [event] = ann.get("/api/changes?event_type=ViewSaved").get_json()
    assert (event["author"], event["description"]["audience"]) == ("token:ci", "ann")


def test_a_start_page_takes_no_more_statements_than_the_same_filter_in_the_address(app, client):
    add_person(app)
    sign_in(client)
    address = save(client, start=True).location
    client.get(address)  # the message about the saved view is never cached
    with recorded_statements(app) as of_address:
        client.get(f"{address}&event_type=")
    with recorded_statements(app) as of_start_page:
        client.get("/")
    assert len(of_start_page) <= len(of_address), "\n".join(text[:110] for text in (*of_address, "--", *of_start_page))
