"""A good connection test ticks "Enable now"; the scopes of a token are beside its field; a form has one Save button."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from flask.testing import FlaskClient

from painchain import connectors
from painchain.connectors import ADDABLE
from painchain.connectors.contract import ConnectionTestResult
from tests.support.html import fill, form_of, soup, texts, words
from tests.web.parts import part_of

LIST = "/settings/integrations"
NEW = f"{LIST}/new/github"
HTMX = {"HX-Request": "true"}
GOOD = ConnectionTestResult(True, "smith", ("everything",))
LACKING = ConnectionTestResult(True, "smith", ("everything",), ("Contents",))
FAILED = ConnectionTestResult(False, "", (), ("The token was rejected.",))


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that sets the result of connection tests of GitHub."""

    def answer(result: ConnectionTestResult) -> None:
        answering = replace(ADDABLE["github"], test_connection=lambda settings, now: result)
        monkeypatch.setitem(connectors.TYPES, "github", answering)
        monkeypatch.setitem(connectors.ADDABLE, "github", answering)

    return answer


def press_test(client: FlaskClient, page: str, selector: str, **headers: str) -> Any:
    """Press "Test connection" of a form, and return the answer as a page."""
    form = form_of(client.get(page), selector)
    form |= {"name": "Work GitHub", "token": "made-up-token"}
    return soup(client.post(f"{page}/test", data=form, headers=headers))


@pytest.mark.parametrize(("result", "is_ticked"), [(GOOD, True), (LACKING, False), (FAILED, False)])
def test_a_good_test_of_a_new_connector_ticks_enable_now(client, answer, result, is_ticked):
    answer(result)
    assert not part_of(client.get(NEW), "enabled").select_one("#enabled").has_attr("checked")
    assert press_test(client, NEW, "#new").select_one("#enabled").has_attr("checked") is is_ticked
    fragment = press_test(client, NEW, "#new", **HTMX)
    swapped = fragment.select_one("#enabled[hx-swap-oob][checked]")
    assert (swapped is not None) is is_ticked
    assert ("“Enable now” is ticked." in words(fragment.select_one("#test_result"))) is is_ticked


@pytest.mark.parametrize("headers", [{}, HTMX])
def test_a_good_test_of_a_disabled_connector_offers_to_enable_it_with_the_save(
    client, make_connector, answer, events, headers
):
    answer(GOOD)
    page = f"{LIST}/{make_connector()}"
    box = press_test(client, page, "#connector-form", **headers).select_one("#test_result input[name=enabled]")
    assert (box["form"], box.has_attr("checked")) == ("connector-form", True)
    form = fill(form_of(client.get(page), "#connector-form"), poll_interval="600")
    response = client.post(page, data={**form, "enabled": box["value"]}, headers=headers)
    assert response.status_code == (200 if headers else 303)
    assert texts(part_of(client.get(page), "connector_header"), ".pill") == ["Enabled"]
    new = [event["event_type"] for event in events()][-3:]
    assert sorted(new) == ["ConfigChanged", "ConnectorEnabled", "ConnectorUpdated"]
    assert press_test(client, page, "#connector-form").select_one("#test_result input") is None


def test_a_connector_is_enabled_without_another_change(client, make_connector):
    page = f"{LIST}/{make_connector()}"
    form = form_of(client.get(page), "#connector-form")
    assert client.post(page, data={**form, "enabled": "y"}).status_code == 303
    shown = soup(client.get(page))
    assert (texts(shown, ".pill"), texts(shown, ".toast p, .toast span")[:1]) == (
        ["Enabled"],
        ["“Work GitHub” is enabled."],
    )


@pytest.mark.parametrize("key", [key for key, each in ADDABLE.items() if each.field("token")])
def test_the_scopes_of_a_token_are_beside_its_field_and_in_the_linked_section(client, key):
    page = part_of(client.get(f"{LIST}/new/{key}"), "new")
    row = page.select_one("[data-field=token]")
    names = texts(row, ".scopes code")
    assert names
    document, _, anchor = str(row.select_one("a")["href"]).partition("#")
    section = part_of(client.get(document), "main").select_one(f"#{anchor}")
    text = " ".join(element.get_text(" ") for element in section.find_next_siblings())
    assert [name for name in names if name not in text] == []


def test_a_form_has_one_save_button_and_folded_visibility(client, make_connector):
    page = part_of(client.get(f"{LIST}/{make_connector()}"), "connector-form")
    buttons = texts(page, "#connector-form > .actions button")
    assert buttons == ["Save", "Test connection"]
    fold = page.select_one("#visibility details")
    assert not fold.has_attr("open")
    assert words(fold.summary) == "Field visibility all fields shown"
