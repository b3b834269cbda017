"""Everything works in a browser without JavaScript."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conflicts import save_in_two_tabs
from tests.browser.conftest import add, call
from tests.browser.feed import events_of, log, types
from tests.browser.windows import Complaints

pytestmark = pytest.mark.browser

# Without JavaScript


def test_without_javascript_a_setting_is_saved_and_shown_on_the_dashboard(plain_page: Page, server: str) -> None:
    github = add(server)
    plain_page.goto(server)
    plain_page.get_by_role("link", name="Settings").click()
    plain_page.get_by_role("link", name=github.name).click()
    plain_page.get_by_label("Poll interval").fill("3600")
    plain_page.get_by_role("button", name="Save", exact=True).first.click()
    expect(plain_page).to_have_url(github.page)
    expect(plain_page.locator(".toast")).to_contain_text("Poll interval")

    plain_page.get_by_role("link", name="PainChain", exact=True).click()
    events = events_of(plain_page, github.name)
    expect(types(events)).to_have_text(["Connector Updated", "Config Changed", "Connector Created"])
    events.nth(0).locator(":scope > details > summary").click()
    changed = events.nth(0).locator("article summary")
    expect(changed).to_be_visible()
    expect(changed).to_contain_text(re.compile(r"Poll interval:\s*300\s*→\s*3600\s*by system"))


def test_without_javascript_toggles_are_saved_by_save(plain_page: Page, server: str) -> None:
    github = add(server)
    github.change(poll_interval=3600)
    for number in (0, 1):
        plain_page.goto(f"{server}/settings/integrations/1")
        plain_page.locator("#visibility summary").click()
        plain_page.locator("[data-event-type=ConfigChanged]").get_by_label("Old value").click()
        plain_page.get_by_role("button", name="Save", exact=True).last.click()
        expect(plain_page.locator(".toast")).to_contain_text("Saved “PainChain System”")
        plain_page.goto(github.feed)
        plain_page.locator("article[data-event-type=ConnectorUpdated] summary").first.click()
        changed = plain_page.locator("article[data-event-type=ConfigChanged]")
        changed.locator("summary").click()
        changed.get_by_role("link", name="Details of this event").click()
        expect(plain_page.locator("[data-event-type=ConfigChanged] [data-field=new_value]")).to_have_count(1)
        expect(plain_page.locator("[data-event-type=ConfigChanged] [data-field=old_value]")).to_have_count(number)
    plain_page.goto(f"{server}/?event_type=FieldVisibilityChanged&connector=1")
    expect(plain_page.locator("#feed .note")).to_have_text(
        ["Old value of ConfigChanged shown", "Old value of ConfigChanged hidden"]
    )


def test_without_javascript_a_connector_is_added_enabled_and_deleted(
    plain_page: Page, server: str, complaints: Complaints
) -> None:
    plain_page.goto(f"{server}/settings/integrations/new/github")
    plain_page.get_by_label("Connection Name").fill("Plain GitHub")
    plain_page.get_by_role("button", name="Add connector").click()
    expect(plain_page.locator("#error-token")).to_have_text("Token is required.")
    expect(plain_page.get_by_label("Connection Name")).to_have_value("Plain GitHub")
    complaints.take("422")
    plain_page.get_by_label("Token").fill("made-up")
    plain_page.get_by_role("button", name="Add connector").click()
    expect(plain_page.locator("#connector_header .pill")).to_have_text("Disabled")
    plain_page.get_by_role("button", name="Enable", exact=True).click()
    expect(plain_page.locator("#connector_header .pill")).to_have_text("Enabled")
    plain_page.get_by_role("link", name="Delete…").click()
    expect(plain_page.get_by_role("heading", level=1)).to_have_text("Delete “Plain GitHub”?")
    plain_page.get_by_role("button", name="Delete “Plain GitHub”").click()
    expect(plain_page.locator(".toast")).to_contain_text("Deleted “Plain GitHub”")


def test_without_javascript_the_filter_is_applied_by_its_button(plain_page: Page, server: str) -> None:
    connector, other = add(server), add(server)
    plain_page.goto(server)
    plain_page.locator("#menu-source summary").click()
    plain_page.locator("#menu-source").get_by_label("PainChain").check()
    plain_page.locator("#filter > .controls > noscript button, #filter > .controls > button").click()
    assert "source=painchain" in plain_page.url
    expect(events_of(plain_page, other.name)).to_have_count(1)
    # Other tests have added many connectors: a long menu has a page of its own.
    plain_page.locator("#menu-connector summary").click()
    long_menu = plain_page.locator("#menu-connector .panel a")
    if long_menu.count():
        long_menu.click()
    plain_page.get_by_label(connector.name).check()
    plain_page.locator("#choices button, #filter > .controls > noscript button").first.click()
    expect(events_of(plain_page, connector.name)).to_have_count(1)
    expect(events_of(plain_page, other.name)).to_have_count(0)
    assert f"connector={connector.id}" in plain_page.url
    assert "source=painchain" in plain_page.url


def test_without_javascript_a_bin_of_the_chart_zooms(plain_page: Page, server: str) -> None:
    connector = add(server)
    plain_page.goto(connector.feed)
    expect(plain_page.locator("#menu-custom summary")).not_to_have_attribute("aria-current", "true")
    plain_page.locator("#timeline .chart a[aria-label]").last.click()
    expect(plain_page.locator("#menu-custom summary")).to_have_attribute("aria-current", "true")
    expect(types(events_of(plain_page, connector.name))).to_have_text(["Connector Created"])


def test_without_javascript_the_system_theme_is_used(plain_page: Page, server: str) -> None:
    plain_page.goto(server)
    expect(plain_page.locator("body")).to_have_css("background-color", "rgb(247, 249, 250)")
    plain_page.emulate_media(color_scheme="dark")
    expect(plain_page.locator("body")).to_have_css("background-color", "rgb(16, 22, 26)")
    expect(plain_page.locator("#theme")).to_be_hidden()


def test_without_javascript_older_changes_are_pages(plain_page: Page, server: str) -> None:
    github = add(server)
    log(server, github.name, 60)
    plain_page.goto(github.feed)
    plain_page.get_by_role("link", name="Older events").click()
    expect(plain_page.locator("#feed article")).to_have_count(11)
    plain_page.get_by_role("link", name="Show newest").click()
    expect(plain_page.locator("#feed article")).to_have_count(50)


def test_without_javascript_a_conflict_can_be_resolved(plain_page: Page, server: str, complaints: Complaints) -> None:
    github = add(server)
    save_in_two_tabs(plain_page, github.page)
    row = plain_page.locator("#conflict").get_by_role("row").filter(has_text="Poll interval")
    expect(row.locator("ins")).to_have_text(["900", "1800"])
    complaints.take("409")
    plain_page.get_by_role("button", name="Save my values").click()
    expect(plain_page.locator(".toast")).to_contain_text("Poll interval")
    assert call("GET", github.api)["config"]["poll_interval"] == 1800


def test_without_javascript_the_legend_hides_a_source(plain_page: Page, server: str) -> None:
    plain_page.goto(add(server).feed)
    source = plain_page.get_by_role("button", name=re.compile("^PainChain"))
    source.click()
    expect(source).to_have_attribute("aria-pressed", "false")
    expect(plain_page.locator("#feed article")).to_have_count(0)
    source.click()
    expect(plain_page.locator("#feed article")).to_have_count(1)
