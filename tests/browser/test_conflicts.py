"""Two people save the same connector: each decides what is kept."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conflicts import save_in_two_tabs
from tests.browser.conftest import add, call
from tests.browser.windows import Complaints

pytestmark = pytest.mark.browser


def test_a_conflict_shows_both_changes_and_keep_mine_saves(page: Page, server: str, complaints: Complaints) -> None:
    github = add(server)
    save_in_two_tabs(page, github.page)
    conflict = page.locator("#conflict")
    expect(conflict).to_be_focused()
    row = conflict.get_by_role("row").filter(has_text="Poll interval")
    expect(row.locator("ins")).to_have_text(["900", "1800"])
    complaints.take("409")
    expect(page.get_by_role("textbox", name="Tags")).to_have_value("theirs")

    conflict.get_by_role("button", name="Save my values").click()
    expect(page.locator(".toast")).to_contain_text("Poll interval")
    expect(conflict).to_have_count(0)
    config = call("GET", github.api)
    assert (config["config"]["poll_interval"], config["tags"]) == (1800, ["theirs"])


def test_take_theirs_discards_my_changes_without_confirmation(
    page: Page, server: str, complaints: Complaints, dialog_types: list[str]
) -> None:
    github = add(server)
    save_in_two_tabs(page, github.page)
    page.locator("#conflict").get_by_role("link", name="Discard my changes").click()
    complaints.take("409")
    expect(page.get_by_label("Poll interval")).to_have_value("900")
    expect(page.locator("#conflict")).to_have_count(0)
    assert call("GET", github.api)["config"]["poll_interval"] == 900
    assert dialog_types == []
