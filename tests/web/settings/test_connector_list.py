"""The list of connectors is searched, and connectors are enabled in it."""

from __future__ import annotations

from painchain.connectors import ADDABLE
from tests.support.html import form_of, soup, texts, words
from tests.web.parts import part_of
from tests.web.settings.connector_pages import HTMX, LIST, out_of_band, page_of, toasts


def test_the_dashboard_links_to_settings_which_open_connectors(client):
    buttons = soup(client.get("/")).select("header a.button")
    assert [(words(button), button["href"]) for button in buttons] == [
        ("Report", "/report"),
        ("Settings", LIST),
        ("Help", "/help"),
    ]
    assert client.get("/settings").location == LIST
    sidebar = part_of(client.get(LIST), "main").select_one("nav.sidebar a")
    assert (words(sidebar), sidebar["href"], sidebar["aria-current"]) == ("Connectors", LIST, "page")


def test_a_card_shows_name_type_status_tags_and_last_change(client, make_connector):
    make_connector("gitlab", "Mirror", tags="b, a", enabled=True)
    system, mirror = part_of(client.get(LIST), "cards").select("article.card")
    assert texts(system, "h2, .type, .pill, .tag") == ["PainChain System", "PainChain", "system", "audit", "Enabled"]
    assert texts(mirror, "h2, .type, .pill, .tag") == ["Mirror", "GitLab", "b", "a", "Enabled"]
    assert "changed just now by system" in words(mirror)
    assert mirror.select_one("time")["title"].endswith(" UTC")
    assert mirror.select_one(".pill.on")


def test_search_and_type_narrow_the_cards(client, make_connector):
    make_connector("github", "Work", tags="ui-team")
    make_connector("gitlab", "Mirror")

    def names(**query: str) -> list[str]:
        return texts(soup(client.get(LIST, query_string=query)), "article.card h2")

    assert names() == ["PainChain System", "Work", "Mirror"]
    assert names(q="UI-TEAM") == ["Work"]
    assert names(q="gitlab mirr") == ["Mirror"]
    assert names(type="github") == ["Work"]
    assert names(q="mirror", type="github") == []
    assert names(type="no such type") == []


def test_a_search_keeps_its_text_and_reports_no_matches(client):
    page = part_of(client.get(LIST, query_string={"q": "nowhere", "type": "gitlab"}), "cards")
    assert form_of(client.get(LIST, query_string={"q": "nowhere", "type": "gitlab"}), ".find") == {
        "q": "nowhere",
        "type": "gitlab",
    }
    assert "No matching connectors" in words(page.select_one("#cards"))
    assert page.select_one("#cards a")["href"] == LIST


def test_htmx_gets_only_the_cards(client):
    page = soup(client.get(LIST, query_string={"q": "system"}, headers={**HTMX, "HX-Target": "cards"}))
    assert [element["id"] for element in page.find_all(recursive=False)] == ["cards"]
    assert texts(page, "article.card h2") == ["PainChain System"]


def test_without_connectors_the_page_suggests_the_next_step(client, make_connector):
    offered = part_of(client.get(LIST), "cards").select("#cards .nothing a")
    assert {link["href"] for link in offered} == {f"{LIST}/new/{key}" for key in ADDABLE}
    make_connector()
    assert not part_of(client.get(LIST), "cards").select("#cards .nothing")


def test_enabling_in_the_list_returns_the_card_to_htmx(client, make_connector):
    number = make_connector()
    form = form_of(client.get(LIST), f"#card-{number} form")
    page = soup(client.post(f"{page_of(number)}/enable", data=form, headers=HTMX))
    assert page.find_all(recursive=False)[0]["id"] == f"card-{number}"
    assert texts(page, f"#card-{number} .pill, #card-{number} .switch button") == ["Enabled", "Disable"]
    assert out_of_band(page) == ["toast", "timeline", "feed"]
    assert "PainChain System" in texts(page, "#feed .where"), "the recent changes are those of all connectors"


def test_without_htmx_enabling_in_the_list_returns_to_the_list(client, make_connector):
    number = make_connector()
    form = form_of(client.get(LIST), f"#card-{number} form")
    response = client.post(f"{page_of(number)}/enable", data=form)
    assert (response.status_code, response.location) == (303, LIST)
    assert toasts(part_of(client.get(LIST), "toast")) == ["“Work GitHub” is enabled."]
