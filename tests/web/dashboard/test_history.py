"""The history of a connector has exactly the changes of it."""

from __future__ import annotations

from painchain.timeline import context
from tests.support.html import form_of, soup, texts, unfold, words
from tests.web.dashboard.edits import HTMX, LIST, edit, set_interval, titles
from tests.web.parts import part_of


def test_the_history_has_exactly_the_changes_of_one_connector(client, make_connector):
    connector_id, other = make_connector(name="Work"), make_connector(name=str(2))
    edit(client, connector_id, poll_interval="600")
    edit(client, other, poll_interval="900")
    page = part_of(client.get(f"{LIST}/{connector_id}/history"), "main")
    assert words(page.h1) == "History of “Work”"
    assert texts(page, ".event-type") == ["Connector Updated", "Config Changed", "Connector Created"]
    assert texts(page, "#feed .change") == ["Poll interval: 300 → 600"]


def test_card_connector_and_event_link_to_the_history(client, make_connector, events):
    connector_id = make_connector()
    address = f"{LIST}/{connector_id}/history"
    for page, selector in (
        (LIST, f"#card-{connector_id} a"),
        (f"{LIST}/{connector_id}", "#connector_header a"),
        (f"/events/{events()[-1]['id']}", "main > .meta a"),
        ("/", "#feed .links a"),
    ):
        links = unfold(client, soup(client.get(page))).select(selector)
        assert address in [str(link["href"]) for link in links], page


def test_a_deleted_connector_still_has_its_history(client, make_connector):
    connector_id = make_connector(name="Gone")
    client.post(f"{LIST}/{connector_id}/delete", data=form_of(client.get(f"{LIST}/{connector_id}/delete")))
    page = part_of(client.get(f"{LIST}/{connector_id}/history"), "main")
    assert words(page.h1) == "History of “Gone”"
    assert "This connector was deleted just now by system." in words(page.select_one("main .meta"))
    assert texts(page, ".event-type") == ["Connector Deleted", "Connector Created"]


def test_a_long_history_is_paged(client, make_connector):
    connector_id = make_connector()
    for number in range(30):
        set_interval(client, connector_id, 60 + number)
    page = part_of(client.get(f"{LIST}/{connector_id}/history"), "feed")
    older = page.select_one("#older")
    assert len(page.select("article")) == context.SIDE
    fragment, whole = client.get(older["hx-get"], headers=HTMX), client.get(older["href"])
    assert len(soup(fragment).select("article")) == len(soup(whole).select("article")) == 11
    assert soup(fragment).find("html") is None
    assert part_of(whole, "older").select_one("#older") is None
    assert f"{LIST}/{connector_id}/history" in [link["href"] for link in part_of(whole, "main").select("main .meta a")]


def test_events_reported_by_a_connector_are_not_changes_of_it(client, make_connector, record_event):
    connector_id = make_connector()
    record_event("a commit", connector_id=connector_id)
    page = soup(client.get(f"{LIST}/{connector_id}/history"))
    assert (titles(page), texts(page, "#feed .where")) == ([], ["Work GitHub"])
