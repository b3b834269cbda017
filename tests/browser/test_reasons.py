"""The reason of a change is typed beside a form, sent with its switches, and shown in the feed."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.browser.conftest import add


def test_saving_and_enabling_record_the_reason(page: Page, server: str) -> None:
    github = add(server)
    page.goto(github.page)
    page.get_by_label("Poll interval").fill("600")
    page.locator("#reason").fill("The quota of this night")
    page.get_by_role("button", name="Save", exact=True).first.click()
    expect(page.locator("#toast")).to_contain_text("Saved")
    expect(page.locator("#feed .reason")).to_have_text(["“The quota of this night”"])
    expect(page.locator("#reason")).to_have_value("")
    page.locator("#reason").fill("It is over")
    page.get_by_role("button", name="Enable", exact=True).click()
    expect(page.locator("#feed .reason")).to_have_text(["“It is over”", "“The quota of this night”"])
    page.goto(f"{server}/?q=reason:quota&connector={github.id}")
    expect(page.locator("#feed article")).to_have_count(2)
