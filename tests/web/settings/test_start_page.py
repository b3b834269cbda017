"""A starred view is the start page."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from tests.support.accounts import add_person, sign_in
from tests.support.html import form_of, words
from tests.support.statements import recorded_statements
from tests.web.parts import part_of
from tests.web.settings.views import LIST, save, star


@pytest.mark.both_databases
def test_the_starred_view_is_shown_first_with_its_name_and_a_link_to_the_plain_timeline(client, events):
    save(client)
    assert star(client).status_code == 303
    [event] = events(event_type="ViewChanged")
    assert event["metadata"]["changes"] == {"start": {"old": None, "new": "Production"}}
    page = part_of(client.get("/"), "dashboard")
    assert form_of(client.get("/"), "#filter")["tag"] == "production"
    assert words(page.select_one("#menu-views summary")) == "View: ★ Production"
    assert words(page.select_one(".shown-view")) == "★ Production · Plain timeline"
    plain = next(link for link in page.select("#filter a.clear") if words(link) == "Plain timeline")
    timeline = client.get(str(plain["href"]))
    assert "tag" not in form_of(timeline, "#filter")
    assert words(part_of(timeline, "menu-views").select_one("#menu-views summary")) == "Views"
    assert star(client).status_code == 303  # the button now removes it
    assert "tag" not in form_of(client.get("/"), "#filter")
    assert events(event_type="ViewChanged")[-1]["metadata"]["changes"]["start"]["new"] is None


def test_clearing_the_filter_of_a_start_page_shows_the_plain_timeline(client):
    save(client, query="tag=production")
    star(client)
    assert part_of(client.get("/?tag=production"), "filter").select_one("a.clear")["href"] == "/?range=24h"


def test_another_star_replaces_the_first_and_a_deleted_view_is_no_start_page(client, events):
    save(client)
    save(client, "Errors", "q=error", start=True)
    star(client)
    assert words(part_of(client.get("/"), "menu-views").select_one("#menu-views summary")) == "View: ★ Production"
    assert events(event_type="ViewChanged")[-1]["metadata"]["changes"]["start"] == {
        "old": "Errors",
        "new": "Production",
    }
    client.post(f"{LIST}/1/delete", data=form_of(client.get(f"{LIST}/1/delete")))
    assert words(part_of(client.get("/"), "menu-views").select_one("#menu-views summary")) == "Views"


def test_a_start_page_whose_filter_no_longer_works_says_so(client):
    client.post("/api/teams", json={"name": "Payments", "tags": ["a"]})
    save(client, query="team=Payments", start=True)
    assert client.delete("/api/teams/1").status_code == 204
    response = client.get("/")
    assert response.status_code == 422
    assert "No team is named “Payments”" in words(part_of(response, "dashboard").select_one("#dashboard [role=alert]"))
    assert client.get("/?range=24h").status_code == 200


def test_live_updates_and_older_events_of_a_start_page_keep_its_filter(client):
    save(client)
    star(client)
    page = part_of(client.get("/"), "dashboard")
    assert parse_qs(urlsplit(str(page.select_one("#live")["hx-get"])).query)["tag"] == ["production"]
    assert parse_qs(urlsplit(str(page.select_one("#timeline")["hx-get"])).query)["tag"] == ["production"]


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
