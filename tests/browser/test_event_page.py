"""An event is shown with the changes around it, and reverted."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import add, call
from tests.browser.windows import Complaints

pytestmark = pytest.mark.browser


def test_an_event_is_shown_with_surrounding_changes_and_reverted(
    page: Page, server: str, complaints: Complaints
) -> None:
    github = add(server)
    github.change(poll_interval=3600)
    page.goto(github.page)
    expect(page.locator("[data-field=poll_interval] .blame")).to_contain_text("from 300")
    page.locator("[data-field=poll_interval] .blame a").click()
    page.get_by_role("link", name="What else changed around this time?").first.click()
    chosen = page.locator("#feed article[aria-current]")
    expect(chosen.locator("summary")).to_contain_text("300 → 3600")
    expect(chosen).to_be_in_viewport()

    chosen.get_by_role("link", name="Revert…").click()
    expect(page.locator("#restore .change")).to_have_text("3600 → 300")
    github.change(poll_interval=900)
    page.get_by_role("button", name="Revert").click()
    expect(page.get_by_role("alert")).to_contain_text("Poll interval was changed again later. It is now 900.")
    expect(page.get_by_role("button", name="Revert")).to_have_count(0)
    complaints.take("409")

    github.change(poll_interval=3600)
    page.reload()
    page.get_by_role("button", name="Revert").click()
    expect(page.locator(".toast")).to_contain_text(f"Reverted in “{github.name}”: Poll interval.")
    expect(page.get_by_label("Poll interval")).to_have_value("300")
    newest = page.locator("#feed article").first
    expect(newest).to_contain_text("reverts an earlier change")
    newest.locator("summary").first.click()
    newest.get_by_role("link", name="Reverts painchain-config_changed").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(f"[Config Changed] {github.name} - poll_interval")


def test_earlier_and_later_changes_are_loaded_around_an_event(page: Page, own_server: str) -> None:
    for number in range(120):
        report = {"event_type": "config_changed", "connector_name": "Deploy", "field": "replicas"}
        call("POST", f"{own_server}/api/painchain/log", **report, new_value=number)
    page.goto(f"{own_server}/events/61/around#event-61")
    chosen = page.locator("#event-61")
    expect(chosen).to_be_in_viewport()
    expect(page.locator("#feed article")).to_have_count(101)
    page.get_by_role("link", name="Newer events").click()
    expect(page.locator("#feed article")).to_have_count(111)
    page.get_by_role("link", name="Older events").click()
    expect(page.locator("#feed article")).to_have_count(121)
    expect(page.locator("#feed > .day")).to_have_count(1)
    expect(page.locator("#newer, #older")).to_have_count(0)
