"""The PainChain connector cannot be deleted, and switches auditing."""

from __future__ import annotations

import re

import pytest
from flask.testing import FlaskClient

from tests.support.html import form_of, soup, texts, words
from tests.web.parts import part_of
from tests.web.settings.connector_pages import LIST, SYSTEM, edit, page_of, press, refusal, toggle


@pytest.mark.parametrize("htmx", [False, True], ids=["plain", "htmx"])
def test_painchain_system_cannot_be_deleted(client, events, htmx):
    before = events()
    page = client.get(f"{page_of(SYSTEM)}/delete")
    assert "cannot be deleted" in refusal(page, 409)
    assert not part_of(page, "main").select("main form")
    answer = refusal(press(client, SYSTEM, "delete", htmx=htmx), 409)
    assert "“PainChain System” records the audit log and cannot be deleted" in answer
    assert client.get(page_of(SYSTEM)).status_code == 200
    assert not soup(client.get(page_of(SYSTEM))).select(f"[href='{page_of(SYSTEM)}/delete']")
    assert events() == before


def test_painchain_system_can_be_renamed_and_its_new_tags_are_in_later_events(client, events, make_connector):
    page = part_of(edit(client, SYSTEM, htmx=True, name="Audit", tags="who, what"), "connector_header")
    assert texts(page, "#connector_header h1, #connector_header .tag") == ["Audit", "who", "what"]
    assert [event["title"] for event in events()[-3:]] == [
        "[Config Changed] Audit - name",
        "[Config Changed] Audit - tags",
        "[Connector Updated] Audit",
    ]
    make_connector()
    assert events()[-1]["tags"] == ["who", "what"]


def switch_auditing_off(client: FlaskClient) -> None:
    address = f"{page_of(SYSTEM)}/disable"
    assert "stops recording configuration changes" in words(part_of(client.get(address), "main").select_one(".warning"))
    assert client.post(address, data=form_of(client.get(address))).status_code == 303


def test_while_auditing_is_off_every_page_shows_since_when_and_by_whom(client, events, make_connector):
    number = make_connector()
    event = events()[-1]["id"]
    pages = ["/", f"/events/{event}", "/nowhere", LIST, f"{LIST}/new", f"{LIST}/new/github", page_of(number)]
    pages += [f"{page_of(number)}/delete", f"{page_of(SYSTEM)}/disable"]
    for page in pages:
        assert not part_of(client.get(page), "auditing-off").select("#auditing-off")
    switch_auditing_off(client)
    disabled = events()[-1]
    for page in pages:
        bar = part_of(client.get(page), "auditing-off").select_one("#auditing-off")
        assert "Auditing is off. Configuration changes have not been recorded since" in words(bar), page
        assert re.search(r"since \d+ \w+ \d{4}, [\d:]+\. Disabled by system", words(bar)), page
        assert bar.select_one("time")["datetime"][:19] == disabled["timestamp"][:19]
        assert bar.select_one("a")["href"] == f"{LIST}?type=painchain"


def test_while_auditing_is_off_changes_are_saved_but_not_recorded(client, events, make_connector):
    number = make_connector()
    before = len(events())
    switch_auditing_off(client)
    make_connector("kubernetes", "Unseen", enabled=True)
    edit(client, number, poll_interval="600")
    edit(client, SYSTEM, name="Unseen audit")
    toggle(client, number, "Commit", "sha", False)
    press(client, number, "enable")
    press(client, number, "delete")
    assert [event["title"] for event in events()[before:]] == ["[Connector Disabled] PainChain System"]
    press(client, SYSTEM, "enable")
    assert [event["title"] for event in events()[before + 1 :]] == ["[Connector Enabled] Unseen audit"]
    assert not part_of(client.get("/"), "auditing-off").select("#auditing-off")
    assert texts(part_of(client.get(LIST), "cards"), "article.card h2") == ["Unseen audit", "Unseen"]


def test_enabling_auditing_with_htmx_loads_a_whole_page_with_its_bar(client):
    for what in ("disable", "enable"):
        response = press(client, SYSTEM, what, htmx=True)
        assert (response.status_code, response.headers["HX-Redirect"]) == (204, page_of(SYSTEM))
