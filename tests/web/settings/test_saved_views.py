"""Saved views are named filters of the timeline."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

from painchain.configuration import saved_views
from tests.support.html import fill, form_of, soup, texts, words
from tests.web.parts import part_of
from tests.web.settings.views import FORM, HTMX, LIST, NEW, edit, menu, save


def test_the_filter_of_the_timeline_is_saved_under_a_name_and_listed(client, events):
    page = part_of(client.get("/?range=7d&tag=production"), "menu-views")
    address = page.select_one(".view-actions a")["href"]
    assert (words(page.select_one(".view-actions a")), address) == (
        "Save this view…",
        f"{NEW}?tag=production&range=7d",
    )
    response = client.post(NEW, data=fill(form_of(client.get(address), FORM), name=" Production "))
    assert (response.status_code, response.location) == (303, "/?tag=production&range=7d")
    shown = client.get(response.location)
    assert "Saved view “Production”" in words(part_of(shown, "toast").select_one("#toast"))
    assert menu(shown) == ["Production"]
    assert words(part_of(shown, "menu-views").select_one("#menu-views summary")) == "View: Production"
    assert words(soup(shown).title) == "Production · PainChain"
    assert texts(part_of(client.get(LIST), "cards"), ".card h2, .card code") == [
        "Production",
        "tag=production · range=7d",
    ]
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
    page = part_of(client.get(f"/events/{event['id']}"), "main")
    assert words(page.select_one("article .where")) == "Prod"
    before = len(events())
    assert edit(client).status_code == 303
    assert "No changes to save" in words(part_of(client.get(LIST), "toast").select_one("#toast"))
    assert len(events()) == before


def test_the_filter_of_a_view_is_replaced_by_the_one_on_the_timeline(client):
    save(client)
    link = part_of(client.get(f"{NEW}?q=outage"), "view").select_one(".replace a")
    assert words(link) == "Production"
    form = form_of(client.get(str(link["href"])), FORM)
    assert form["filter"] == "q=outage&range=24h"
    assert client.post(f"{LIST}/1", data=form).status_code == 303
    assert client.get("/api/views/1").get_json()["filter"] == "q=outage&range=24h"


def test_deleting_asks_first_and_is_recorded_with_the_filter(client, events):
    save(client)
    page = client.get(f"{LIST}/1/delete")
    assert "tag=production · range=7d" in words(part_of(page, "main").main)
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
        assert texts(part_of(response, "conflict"), "#conflict tbody th") == ["Name", "Filter"]
        assert part_of(response, "conflict").select_one("#conflict a")["href"] == "/settings/views/1"
    assert client.get("/api/views/1").get_json()["filter"] == "tag=production&range=7d"
    assert client.post(f"{LIST}/1", data=form_of(response, FORM)).status_code == 303
    assert client.get("/api/views/1").get_json()["name"] == "Prod"


INVALID = [
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
]


def test_an_invalid_value_is_reported_beside_the_input_and_nothing_is_saved(client, events, subtests):
    save(client)
    before = len(events())
    for values, message in INVALID:
        with subtests.test(str(values)):
            for headers in ({}, HTMX):
                form = fill(form_of(client.get(f"{NEW}?q=a"), FORM), **{"name": "Other", **values})
                response = client.post(NEW, data=form, headers=headers)
                assert response.status_code == 422
                assert message in words(part_of(response, "view-form").select_one(".error"))
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
    page = part_of(client.get(address), "dashboard")
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
    addresses = [str(link["href"]) for link in part_of(client.get("/"), "menu-views").select("#menu-views ul a")]
    addresses += [str(link["href"]) for link in part_of(client.get(LIST), "cards").select(".card h2 a")]
    for address in addresses:
        parts = urlsplit(address)
        assert (parts.scheme, parts.netloc) == ("", "")
        assert parts.path in ("/", NEW, LIST)


def test_there_are_at_most_a_hundred_views(client, monkeypatch):
    monkeypatch.setattr(saved_views, "MAX_VIEWS", 2)
    assert save(client, "1").status_code == save(client, "2").status_code == 303
    response = save(client, "3")
    assert response.status_code == 422
    assert "There are already 2 views" in words(part_of(response, "error-name").select_one(".error"))


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
