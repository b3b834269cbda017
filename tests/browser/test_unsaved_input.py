"""Input is kept if it is refused, and leaving without saving asks for confirmation."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import add
from tests.browser.windows import Complaints

pytestmark = pytest.mark.browser


def test_invalid_input_is_marked_and_stays_in_the_form(page: Page, server: str, complaints: Complaints) -> None:
    github = add(server)
    page.goto(github.page)
    page.get_by_label("Connection Name").fill("typed as well")
    page.get_by_label("Poll interval").fill("5")
    page.get_by_role("button", name="Save", exact=True).first.click()
    interval = page.get_by_label("Poll interval")
    expect(interval).to_have_attribute("aria-invalid", "true")
    complaints.take("422")
    expect(interval).to_have_value("5")
    expect(interval).to_have_accessible_description(re.compile("between 60 and 3600"))
    expect(page.get_by_label("Connection Name")).to_have_value("typed as well")
    expect(page.locator("#problems")).to_be_focused()
    page.locator("#problems").get_by_role("link", name="Poll interval").click()
    expect(interval).to_be_focused()

    interval.fill("60")
    page.get_by_role("button", name="Save", exact=True).first.click()
    expect(page.locator(".toast")).to_contain_text("Saved")
    expect(page.locator("[aria-invalid]")).to_have_count(0)


def test_leaving_with_unsaved_input_asks_for_confirmation(page: Page, server: str, dialog_types: list[str]) -> None:
    page.goto(add(server).page)
    page.get_by_label("Poll interval").fill("1200")
    page.get_by_role("link", name="Settings").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Connectors")
    assert dialog_types == ["beforeunload"]


def test_leaving_after_a_refused_save_asks_for_confirmation(
    page: Page, server: str, dialog_types: list[str], complaints: Complaints
) -> None:
    page.goto(add(server).page)
    page.get_by_label("Poll interval").fill("5")
    page.get_by_role("button", name="Save", exact=True).first.click()
    expect(page.locator("#problems")).to_be_focused()
    complaints.take("422")
    page.get_by_role("link", name="Settings").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Connectors")
    assert dialog_types == ["beforeunload"]


def test_leaving_without_unsaved_input_needs_no_confirmation(page: Page, server: str, dialog_types: list[str]) -> None:
    page.goto(add(server).page)
    page.get_by_label("Poll interval").fill("1200")
    page.get_by_role("button", name="Save", exact=True).first.click()
    expect(page.locator(".toast")).to_contain_text("Saved")
    page.locator("#visibility summary").click()
    page.locator("fieldset[data-event-type=Commit]").get_by_label("SHA").click()
    expect(page.locator(".toast")).to_contain_text("SHA is now hidden")
    page.get_by_role("link", name="Settings").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Connectors")
    assert dialog_types == []
