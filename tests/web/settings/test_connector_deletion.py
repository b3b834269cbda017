"""A connector is deleted after a confirmation that lists what is lost."""

from __future__ import annotations

import pytest

from tests.support.html import form_of, soup, texts
from tests.web.parts import part_of
from tests.web.settings.connector_pages import HTMX, LIST, page_of, toasts


def test_the_confirmation_lists_what_is_deleted_and_deletes_nothing(client, events, make_connector):
    number = make_connector(tags="team", repos="a/b\nc/d")
    before = events()
    page = part_of(client.get(f"{page_of(number)}/delete"), "main")
    assert texts(page, "h1, main form button") == ["Delete “Work GitHub”?", "Delete “Work GitHub”"]
    assert texts(page, ".goes dd") == [
        "Work GitHub (GitHub), disabled",
        "team",
        "https://api.github.com",
        "the stored token",
        "300",
        "a/b, c/d",
        "empty",
    ]
    assert client.get(page_of(number)).status_code == 200
    assert events() == before


@pytest.mark.parametrize("htmx", [False, True], ids=["plain", "htmx"])
def test_deleting_a_connector_records_its_last_settings(client, events, make_connector, htmx):
    number = make_connector(repos="a/b")
    address = f"{page_of(number)}/delete"
    response = client.post(address, data=form_of(client.get(address)), headers=HTMX if htmx else {})
    assert response.status_code == (204 if htmx else 303)
    assert (response.headers.get("HX-Redirect") if htmx else response.location) == LIST
    page = soup(client.get(LIST))
    assert toasts(page) == ["Deleted “Work GitHub”. Its events stay on the timeline."]
    assert texts(page, "article.card h2") == ["PainChain System"]
    assert client.get(page_of(number)).status_code == 404
    event = events()[-1]
    assert (event["title"], event["connector_id"]) == ("[Connector Deleted] Work GitHub", number)
    assert event["description"]["configuration"]["repos"] == ["a/b"]
    assert event["description"]["configuration"]["token"] == "set"
