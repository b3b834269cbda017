"""A webhook's secret is copied before its page is left."""

from __future__ import annotations

import pytest
from playwright.sync_api import Dialog, Page, expect

from tests.browser.conftest import OpenContext, add

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("copies", [True, False], ids=["copied", "not copied"])
def test_leaving_the_shown_secret_asks_for_confirmation_unless_it_was_copied(
    open_context: OpenContext, server: str, copies: bool
) -> None:
    page: Page = open_context(permissions=["clipboard-read", "clipboard-write"]).new_page()
    questions: list[str] = []

    def leave(dialog: Dialog) -> None:
        questions.append(dialog.type)
        dialog.accept()

    page.on("dialog", leave)
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
    assert questions == ([] if copies else ["beforeunload"])
