"""A webhook's secret is copied before its page is left."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import OpenPage, add

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("copies", [True, False], ids=["copied", "not copied"])
def test_leaving_the_shown_secret_asks_for_confirmation_unless_it_was_copied(
    open_page: OpenPage, server: str, dialog_types: list[str], copies: bool
) -> None:
    page = open_page(permissions=["clipboard-read", "clipboard-write"])
    page.goto(add(server).page)
    page.get_by_role("button", name="Set up webhook").click()
    page.locator("#webhook-url").click()
    if copies:
        page.get_by_role("button", name="Copy the Secret").click()
        expect(page.get_by_role("button", name="Copied the Secret")).to_be_visible()
        secret = page.get_by_label("Secret", exact=True).input_value()
        assert page.evaluate("navigator.clipboard.readText()") == secret
    page.get_by_role("link", name="PainChain", exact=True).click()
    expect(page.locator("#filter")).to_be_visible()
    assert dialog_types == ([] if copies else ["beforeunload"])
