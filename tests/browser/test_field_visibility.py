"""Fields are hidden and shown at once, without losing typed input."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import add
from tests.browser.feed import is_marked_page, mark_page

pytestmark = pytest.mark.browser

# Field visibility


def test_hiding_and_showing_a_field_updates_the_feed_at_once(page: Page, server: str) -> None:
    github = add(server)
    github.change(poll_interval=3600)
    old_value = page.locator("article[data-event-type=ConfigChanged] [data-field=old_value]")

    for state, number in (("hidden", 0), ("shown", 1)):
        page.goto(f"{server}/settings/integrations/1")
        page.locator("#visibility summary").click()
        page.locator("[data-event-type=ConfigChanged]").get_by_label("Old value").click()
        expect(page.locator(".toast")).to_contain_text(f"Old value is now {state}.")
        page.goto(github.feed)
        expect(page.locator("#feed summary del")).to_have_count(2 * number)  # of the save and of its setting
        page.locator("article[data-event-type=ConnectorUpdated] summary").first.click()
        page.locator("article[data-event-type=ConfigChanged] summary").click()
        expect(page.locator("article[data-event-type=ConfigChanged] [data-field=new_value]")).to_be_visible()
        expect(old_value).to_have_count(number)
        expect(page.locator("article[data-event-type=ConfigChanged] summary del")).to_have_count(number)

    page.goto(f"{server}/?event_type=FieldVisibilityChanged&connector=1")
    expect(page.locator("#feed .note")).to_have_text(
        ["Old value of ConfigChanged shown", "Old value of ConfigChanged hidden"]
    )


def test_all_fields_of_an_event_type_are_hidden_by_one_button(page: Page, server: str) -> None:
    github = add(server)
    page.goto(github.page)
    mark_page(page)
    page.locator("#visibility summary").click()
    release = page.locator("fieldset[data-event-type=Release]")
    release.get_by_role("button", name="Hide all").click()
    expect(release.locator("input:checked")).to_have_count(0)
    expect(page.locator("#feed .note")).to_have_count(5)
    release.get_by_role("button", name="Show all").click()
    expect(release.locator("input:checked")).to_have_count(5)
    assert is_marked_page(page)


def test_quick_toggles_are_all_saved(page: Page, server: str) -> None:
    github = add(server)
    page.goto(github.page)
    page.locator("#visibility summary").click()
    for label in ("Branches", "Reviewers", "Comments"):
        page.locator("fieldset[data-event-type=PullRequest]").get_by_label(label, exact=True).click()
    expect(page.locator("#feed .note")).to_have_text(
        [f"{label} of PullRequest hidden" for label in ("Comments", "Reviewers", "Branches")]
    )


def test_a_toggle_is_saved_without_losing_typed_input(page: Page, server: str) -> None:
    github = add(server)
    page.goto(github.page)
    page.get_by_label("Poll interval").fill("1200")
    page.locator("#visibility summary").click()
    page.locator("fieldset[data-event-type=Commit]").get_by_label("SHA").click()
    expect(page.locator(".toast")).to_contain_text("SHA is now hidden.")
    expect(page.get_by_label("Poll interval")).to_have_value("1200")
    page.get_by_role("button", name="Save", exact=True).first.click()
    expect(page.locator("#feed .change ins").first).to_have_text("1200")
    expect(page.locator("#conflict")).to_have_count(0)
