"""The keyboard alone moves through pages in reading order."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import add
from tests.browser.feed import types

pytestmark = pytest.mark.browser

# Keyboard


def test_keyboard_shortcuts_move_through_the_feed_open_search_and_show_help(page: Page, server: str) -> None:
    github = add(server)
    github.change(poll_interval=600)
    page.goto(github.feed)
    lines = page.locator("#feed > article > details > summary")
    page.keyboard.press("j")
    expect(lines.nth(0)).to_be_focused()
    page.keyboard.press("j")
    expect(lines.nth(1)).to_be_focused()
    page.keyboard.press("k")
    expect(lines.nth(0)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#feed article dl.fields").nth(0)).to_be_visible()
    page.keyboard.press("j")
    expect(page.locator("#feed article article summary")).to_be_focused()
    page.keyboard.press("j")
    expect(lines.nth(1)).to_be_focused()
    page.keyboard.press("/")
    expect(page.get_by_label("Search", exact=True)).to_be_focused()
    page.keyboard.type("j?")
    expect(page.get_by_label("Search", exact=True)).to_have_value("j?")
    lines.nth(0).focus()
    page.keyboard.press("?")
    keys = page.get_by_role("dialog", name="Keyboard shortcuts")
    expect(keys).to_be_visible()
    page.keyboard.press("Escape")
    expect(keys).to_be_hidden()
    page.keyboard.press("g")
    page.keyboard.press("s")
    expect(page.get_by_role("heading", level=1)).to_have_text("Connectors")


FOCUSED = """() => {
  const element = document.activeElement, style = getComputedStyle(element.querySelector(".hit") ?? element);
  const visible = element.checkVisibility() && (style.outlineStyle !== "none" || style.stroke !== "none");
  const name = element.getAttribute("aria-label") ?? element.labels?.[0]?.innerText ?? element.innerText ?? "";
  return {name: name.trim() || element.name, visible};
}"""


def tab_stops(page: Page, count: int) -> list[str]:
    """Press Tab several times and return the focused element each time; assert that its focus is visible."""
    names = []
    for _ in range(count):
        page.keyboard.press("Tab")
        focused = page.evaluate(FOCUSED)
        assert focused["visible"], f"the focus is not visible on {focused['name']!r}"
        names.append(" ".join(focused["name"].split()))
    return names


def test_tab_moves_through_the_dashboard_in_reading_order(page: Page, server: str) -> None:
    github = add(server)
    page.goto(github.feed)
    ranges = ["30m", "1h", "6h", "24h", "7d", "More"]
    assert tab_stops(page, 16) == [
        "Skip to content",
        "Skip to events",
        "PainChain",
        "Search",
        "How to search",
        "Setup 1 of 4 done",
        "Switch theme",
        "Report",
        "Settings",
        "Help",
        *ranges,
    ]
    menus: list[str] = []
    while len(menus) < 5:  # other tests may have made teams
        menus += [name for name in tab_stops(page, 1) if not name.startswith("Team")]
    assert [name.partition(":")[0].strip() for name in menus] == ["Source", "Type", "Connector", "Tag", "Author"]
    # Connectors of other tests may be failing: a line above the chart names each.
    after: list[str] = []
    while len(after) < 15:
        after += [name for name in tab_stops(page, 1) if "“" not in name]
    assert after[:3] == ["Views", "Export", "What changed before…"]
    assert after[3:6] == [f"Remove Connector: {github.name} ×", "Clear filter", "PainChain 1"]
    assert [name[:8] for name in after[6:8]] == ["Failures", "Access e"]
    assert after[8].endswith(": 1 event (PainChain 1)")
    assert after[9:14] == ["Earlier", "yesterday", "last week", "Copy link", "View as table"]
    assert "Connector Created" in after[14]


def test_the_skip_link_leads_past_the_header(page: Page, server: str) -> None:
    page.goto(server)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert tab_stops(page, 1) == ["30m"]


def test_tab_moves_through_a_form_in_reading_order(page: Page, server: str) -> None:
    page.goto(add(server).page)
    page.get_by_label("Connection Name").focus()
    stops = tab_stops(page, 11)
    assert [name.split(" required")[0] for name in stops if not name.startswith("Set at creation by")] == [
        "Tags",
        "API URL",
        "Token",
        "How to create this token",
        "Poll interval (seconds)",
        "Repositories",
        "Branches",
        "Field visibility all fields shown",
        "Reason optional",
        "Save",
    ]


def test_a_filter_menu_works_with_the_keyboard_only(page: Page, server: str) -> None:
    connector = add(server)
    connector.change(poll_interval=600)
    page.goto(connector.feed)
    menu = page.locator("#menu-event_type")
    menu.locator("summary").focus()
    page.keyboard.press("Enter")
    expect(menu.get_by_role("checkbox").first).to_be_visible()
    page.keyboard.press("Tab")
    expect(menu.get_by_role("textbox")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    expect(types(page.locator("#feed article"))).to_have_text(["Connector Created"])
    expect(menu.get_by_label("Connector Created")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    expect(types(page.locator("#feed article"))).to_have_text(["Connector Updated", "Connector Created"])
    page.keyboard.press("Escape")
    expect(menu.locator(".panel")).to_be_hidden()
    expect(menu.locator("> summary")).to_be_focused()
