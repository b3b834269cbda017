"""Connectors are added, found, edited for a reason, switched and deleted."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import add
from tests.browser.feed import events_of, is_marked_page, mark_page, types

pytestmark = pytest.mark.browser

# The specification's example


def test_a_changed_poll_interval_appears_with_old_and_new_value_and_author(page: Page, server: str) -> None:
    github = add(server)
    page.goto(server)
    page.get_by_role("link", name="Settings").click()
    page.get_by_role("navigation", name="Settings").get_by_role("link", name="Connectors").click()
    page.get_by_role("link", name=github.name).click()
    page.get_by_label("Poll interval").fill("3600")
    page.get_by_role("button", name="Save", exact=True).first.click()
    expect(page.locator("#toast")).to_contain_text("Poll interval")

    page.get_by_role("link", name="PainChain", exact=True).click()
    events = events_of(page, github.name)
    expect(types(events)).to_have_text(["Connector Updated", "Config Changed", "Connector Created"])
    save = events.nth(0).locator(":scope > details > summary")
    expect(save).to_contain_text(re.compile(r"Poll interval:\s*300\s*→\s*3600\s*by system"))
    changed = events.nth(0).locator("article")
    expect(changed).to_be_hidden()
    save.click()
    expect(changed.locator("summary")).to_contain_text(re.compile(r"Poll interval:\s*300\s*→\s*3600\s*by system"))
    changed.locator("summary").click()
    expect(changed.locator("[data-field=old_value] dd")).to_have_text("300")
    expect(changed.locator("[data-field=new_value] dd")).to_have_text("3600")
    expect(save.locator(".author")).to_have_text("system")


def test_saving_again_and_again_updates_card_toast_and_recent_changes_without_a_reload(page: Page, server: str) -> None:
    github = add(server)
    page.goto(github.page)
    mark_page(page)
    page.get_by_label("Connection Name").fill(f"{github.name} renamed")
    page.get_by_role("button", name="Save", exact=True).first.click()

    expect(page.locator(".toast")).to_contain_text(f"Saved “{github.name} renamed”. Changed: Connection Name.")
    expect(page.locator("#connector_header h1")).to_have_text(f"{github.name} renamed")
    recent = page.get_by_role("complementary", name="Recent events")
    expect(types(recent.locator("article"))).to_have_text(["Connector Updated", "Config Changed", "Connector Created"])
    expect(recent.locator("#timeline .count")).to_have_text("3 events")
    assert is_marked_page(page)

    # Saving again in the same page causes no conflict.
    for interval in ("600", "900"):
        page.get_by_label("Poll interval").fill(interval)
        page.get_by_role("button", name="Save", exact=True).first.click()
        expect(page.locator("#feed .change ins").first).to_have_text(interval)
        expect(page.locator("#conflict")).to_have_count(0)


def test_a_connector_is_added_enabled_and_deleted(page: Page, server: str) -> None:
    page.goto(f"{server}/settings/integrations")
    page.get_by_role("link", name="Add a connector").click()
    page.get_by_role("link", name="Kubernetes").click()
    page.get_by_label("Connection Name").fill("Cluster of a story")
    page.get_by_role("button", name="Add connector").click()
    expect(page.locator(".toast")).to_contain_text("Added “Cluster of a story”. The connector is disabled")

    page.get_by_role("button", name="Enable", exact=True).click()
    expect(page.locator("#connector_header .pill")).to_have_text("Enabled")
    expect(types(page.locator("#feed article"))).to_have_text(["Connector Enabled", "Connector Created"])

    page.get_by_role("link", name="Delete…").click()
    page.get_by_role("button", name="Delete “Cluster of a story”").click()
    expect(page.locator(".toast")).to_contain_text("Deleted ")
    expect(page.locator("#cards")).not_to_contain_text("Cluster of a story")
    expect(types(events_of(page, "Cluster of a story")).first).to_have_text("Connector Deleted")


def test_a_connector_is_enabled_and_disabled_on_its_card(page: Page, server: str) -> None:
    gitlab = add(server, "gitlab")
    page.goto(f"{server}/settings/integrations")
    mark_page(page)
    card = page.locator(f"#card-{gitlab.id}")
    card.get_by_role("button", name="Enable").click()
    expect(card.locator(".pill")).to_have_text("Enabled")
    card.get_by_role("button", name="Disable").click()
    expect(card.locator(".pill")).to_have_text("Disabled")
    assert is_marked_page(page)


def test_the_list_of_connectors_is_searched_while_typing(page: Page, server: str) -> None:
    connector, other = add(server, tags=["needle"]), add(server)
    page.goto(f"{server}/settings/integrations")
    page.get_by_label("Search connectors").press_sequentially("needle")
    expect(page.locator("#cards h2")).to_have_text([connector.name])
    page.get_by_label("Search connectors").fill(other.name)
    expect(page.locator("#cards h2")).to_have_text([other.name])


# The reason of a change


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
