"""The palette finds pages, connectors, views and help by a few letters, and offers only what the role allows."""

from __future__ import annotations

import pytest
from bs4 import BeautifulSoup

from tests.support.accounts import add_person, sign_in
from tests.support.html import form_of, soup, texts, words
from tests.web.parts import part_of

HTMX = {"HX-Request": "true"}


def found(client, text: str = "") -> BeautifulSoup:
    """Return the list that the palette shows for a text."""
    response = client.get("/palette", query_string={"q": text}, headers=HTMX)
    assert response.status_code == 200
    return soup(response)


def labels(page: BeautifulSoup) -> list[str]:
    return texts(page, "li a")


@pytest.mark.both_databases
def test_the_palette_finds_connectors_pages_views_and_help(client, make_connector):
    number = make_connector("kubernetes", "Main cluster", tags="a")
    client.post("/api/views", json={"name": "Cluster errors", "filter": "q=cluster&outcome=bad"})
    page = found(client, "CLUS")
    assert texts(page, "section[aria-label=Views] a") == ["Cluster errors view"]
    assert page.select_one("section[aria-label=Views] a")["href"] == "/?outcome=bad&q=cluster&range=24h"
    assert texts(page, "section[aria-label=Connectors] a") == ["Main cluster Kubernetes, disabled"]
    assert page.select_one("section[aria-label=Connectors] a")["href"] == f"/settings/integrations/{number}"
    assert labels(page)[-1] == "Search the timeline for “CLUS”"
    assert "Retention" in labels(found(client, "old events"))
    assert any(label.startswith("Kubernetes help") for label in labels(found(client, "kubernetes help")))


def test_every_place_that_is_offered_exists(client, make_connector):
    make_connector("kubernetes", "Main cluster")
    client.post("/api/views", json={"name": "Errors", "filter": "q=error"})
    addresses = {str(link["href"]) for text in ("", "a", "e", "help") for link in found(client, text).select("a")}
    assert len(addresses) > 20
    for address in addresses:
        assert client.get(address).status_code in (200, 302, 303), address


def test_the_best_match_comes_first(client, make_connector):
    for name in ("Zoo report", "Report cluster"):
        make_connector("kubernetes", name)
    assert texts(found(client, "report"), "section[aria-label=Connectors] a") == [
        "Report cluster Kubernetes, disabled",
        "Zoo report Kubernetes, disabled",
    ]


def test_with_a_start_page_the_plain_timeline_is_a_place_too(client):
    assert "Plain timeline" not in labels(found(client))
    client.post("/api/views", json={"name": "Errors", "filter": "q=error", "start": True})
    page = found(client, "plain")
    assert labels(page)[0] == "Plain timeline"
    assert page.select_one("a")["href"] == "/?range=24h"


def test_a_text_without_a_match_leads_to_a_search(client):
    page = found(client, 'no "such" <thing>')
    assert labels(page) == ['Search the timeline for “no "such" <thing>”']
    response = client.get(str(page.select_one("a")["href"]))
    assert part_of(response, "q").select_one("#q")["value"] == 'no "such" <thing>'


def test_without_javascript_it_is_a_page_that_the_foot_of_every_page_leads_to(client):
    link = soup(client.get("/settings/teams")).select_one("nav.go-to a")
    assert words(link) == "Go to …"
    form = form_of(client.get(str(link["href"])), "main form")
    page = part_of(client.get("/palette", query_string={**form, "q": "audit"}), "main")
    assert "Audit log" in texts(page, "main li a")
    assert page.select_one("main input")["value"] == "audit"


def test_it_offers_only_what_the_role_allows(app, client):
    client.post("/api/views", json={"name": "Ours", "filter": "q=a"})
    for name, role in (("ann", "admin"), ("vi", "viewer")):
        add_person(app, name, role)
    sign_in(client, "ann")
    client.post("/api/views", json={"name": "Mine", "filter": "q=a"})
    assert {"Accounts", "Retention", "Add a connector", "Your account"} <= set(labels(found(client)))
    assert texts(found(client), "section[aria-label=Views] a") == ["Mine view", "Ours view"]
    viewer = app.test_client()
    sign_in(viewer, "vi")
    offered = set(labels(found(viewer)))
    assert {"Connectors", "Audit log", "Your account"} <= offered
    assert not {"Accounts", "API tokens", "Retention", "Notifications", "Add a connector", "Mine view"} & offered


@pytest.mark.parametrize(
    "text", ["\0", "x" * 5000, "%", "'", "\ud800".encode("utf-8", "surrogatepass").decode("latin1")]
)
def test_no_text_is_an_error(client, text):
    assert client.get("/palette", query_string={"q": text}).status_code == 200
    assert client.get("/palette?q=%ff%fe").status_code == 200
