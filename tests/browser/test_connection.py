"""A connection is tested before it is saved, and its health is shown, in a real browser."""

from __future__ import annotations

import secrets

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import add, call
from tests.counterparts.github import TOKEN, GitHub
from tests.counterparts.server import run_fake_json_server

pytestmark = pytest.mark.browser


def test_a_connection_is_tested_before_saving_then_added_enabled_and_shown_healthy(page: Page, server: str) -> None:
    github, name = GitHub(), f"Local {secrets.token_hex(3)}"
    github.add_repo("acme/shop")
    with run_fake_json_server(github) as fake_server:
        page.goto(f"{server}/settings/integrations/new/github")
        page.get_by_label("Connection Name").fill(name)
        page.get_by_label("API URL").fill(fake_server.url)
        page.get_by_label("Token", exact=False).first.fill("mistyped")
        page.get_by_role("button", name="Test connection").click()
        expect(page.locator("#test_result .broken")).to_contain_text("rejected the token (401)")
        page.get_by_label("Token", exact=False).first.fill(TOKEN)
        page.get_by_role("button", name="Test connection").click()
        expect(page.locator("#test_result .fine")).to_contain_text("Authenticated as zoe (Zoe)")
        expect(page.get_by_label("Token", exact=False).first).to_have_value(TOKEN)
        expect(page.get_by_label("Connection Name")).to_have_value(name)

        expect(page.get_by_label("Enable now")).to_be_checked()
        page.get_by_label("Enable now").uncheck()
        page.get_by_role("button", name="Add connector").click()
        expect(page.get_by_role("heading", name=name)).to_be_visible()
        page.get_by_label("Poll interval").fill("61")
        page.get_by_role("button", name="Enable").click()
        expect(page.locator(".health .state")).to_have_text("OK")
        expect(page.get_by_label("Poll interval")).to_have_value("61")

        github.refuse["user/repos"] = github(fake_server.requests[0])
        page.get_by_role("button", name="Sync now").click()
        expect(page.locator(".health .state")).to_have_text("Failing")
        expect(page.locator(".health-error")).to_contain_text("rejected the token (401)")
        expect(page.get_by_label("Poll interval")).to_have_value("61")
        number = page.url.rpartition("/")[2]
        page.goto(server)
        expect(page.locator("#connector_problems p").filter(has_text=name)).to_contain_text(": no data since")
        call("DELETE", f"{server}/api/connectors/{number}")


def test_a_save_that_waits_says_so_on_its_button_which_keeps_its_size(page: Page, server: str) -> None:
    page.goto(add(server).page)
    page.get_by_label("Poll interval").fill("61")
    button, waiting = page.locator("#save"), list[Route]()
    button.scroll_into_view_if_needed()
    size = button.bounding_box()
    page.route("**/*", lambda route: waiting.append(route) if route.request.method == "POST" else route.continue_())
    button.click()
    shown = "button => [getComputedStyle(button, '::after').content, getComputedStyle(button, '::after').visibility]"
    for _ in range(100):
        if button.evaluate(shown) == ['"Saving…"', "visible"]:
            break
        page.wait_for_timeout(50)
    assert button.evaluate(shown) == ['"Saving…"', "visible"]
    assert button.bounding_box() == size
    [route] = waiting
    route.continue_()
    expect(page.locator(".toast")).to_contain_text("Saved")
    page.unroute_all()
