"""Requests for unknown connectors and without a valid token are refused."""

from __future__ import annotations

from tests.support.html import fill, words
from tests.web.parts import part_of
from tests.web.settings.connector_pages import HTMX, LIST, SYSTEM, opened, page_of, refusal, save


def form_addresses(number: int) -> list[str]:
    """Return the address of every form about a connector."""
    page = page_of(number)
    return [page, *(f"{page}/{what}" for what in ("enable", "disable", "delete", "visibility"))]


def test_an_unknown_connector_is_not_found_on_any_route(client, events):
    token = opened(client, SYSTEM)["csrf_token"]
    before = events()
    for address in form_addresses(4711):
        for headers in ({}, HTMX):
            answer = client.post(address, data={"csrf_token": token, "name": "x"}, headers=headers)
            assert refusal(answer, 404).startswith("Not found")
    for address in (page_of(4711), f"{page_of(4711)}/delete", f"{page_of(4711)}/disable"):
        page = part_of(client.get(address), "main")
        assert "the timeline shows when and by whom" in words(page.select_one("main"))
        assert client.get(address).status_code == 404
    assert events() == before


def test_only_addable_types_have_a_form(client, events):
    token = opened(client, SYSTEM)["csrf_token"]
    before = events()
    for address in (f"{LIST}/new/painchain", f"{LIST}/new/jenkins", f"{LIST}/new/GitHub"):
        shown = words(part_of(client.get(address), "main").select_one("main"))
        assert "Choose one of github, gitlab, kubernetes, webhook." in shown
        assert client.get(address).status_code == 404
        for headers in ({}, HTMX):
            refusal(client.post(address, data={"csrf_token": token, "name": "x"}, headers=headers), 404)
    assert events() == before


def test_every_form_requires_its_csrf_token(client, events, make_connector):
    number = make_connector()
    form = fill(opened(client, number), name="Foreign", hide="Commit", csrf_token=False)
    before = client.get("/api/connectors").get_json(), events()
    for address in (f"{LIST}/new/kubernetes", *form_addresses(number)):
        for token in ({}, {"csrf_token": ""}, {"csrf_token": "nonsense"}):
            for headers in ({}, HTMX):
                answer = client.post(address, data={**form, **token}, headers=headers)
                assert refusal(answer, 400).startswith("This form has expired")
    assert (client.get("/api/connectors").get_json(), events()) == before


def test_a_csrf_token_of_another_session_is_refused(app, client, events, make_connector):
    number = make_connector()
    form = fill(opened(client, number), name="Foreign")
    before = events()
    assert "expired" in refusal(save(app.test_client(), number, form), 400)
    assert events() == before
