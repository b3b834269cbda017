"""Two tabs that save the same connector."""

from __future__ import annotations

from playwright.sync_api import Page, expect


def save_in_two_tabs(page: Page, address: str) -> Page:
    """Open a connector in two tabs, save in the second, then save the old form in the first. Return the second tab."""
    page.goto(address)
    other = page.context.new_page()
    other.goto(address)
    other.get_by_label("Poll interval").fill("900")
    other.get_by_role("textbox", name="Tags").fill("theirs")
    other.get_by_role("button", name="Save", exact=True).first.click()
    expect(other.locator(".toast")).to_contain_text("Saved")
    page.get_by_label("Poll interval").fill("1800")
    page.get_by_role("button", name="Save", exact=True).first.click()
    return other
