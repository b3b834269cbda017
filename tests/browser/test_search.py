"""The search box suggests terms while a person types, for keyboard and mouse, and never blocks typing."""

from __future__ import annotations

import re

from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import add


def options(page: Page) -> Locator:
    return page.get_by_role("listbox", name="Suggestions").get_by_role("option")


def test_a_search_is_built_with_the_keyboard(page: Page, server: str) -> None:
    github = add(server)
    github.change(poll_interval=600)
    page.goto(f"{server}/?range=7d")
    box = page.locator("#q")
    page.keyboard.press("/")
    expect(box).to_be_focused()
    expect(options(page)).to_have_count(0)

    box.press_sequentially("ty")
    expect(options(page)).to_have_text([re.compile("^type:")])
    page.keyboard.press("ArrowDown")
    expect(box).to_have_attribute("aria-activedescendant", "suggestion-1")
    page.keyboard.press("Tab")
    expect(box).to_have_value("type:")
    box.press_sequentially("config_")
    expect(options(page)).to_have_count(0)
    for _ in "_":
        page.keyboard.press("Backspace")
    expect(options(page).first).to_contain_text("ConfigChanged")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(box).to_have_value("type:ConfigChanged ")
    expect(options(page)).to_have_count(0)

    box.press_sequentially(f'connector:"{github.name[:-2]}')
    expect(options(page)).to_have_count(1)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(box).to_have_value(f'type:ConfigChanged connector:"{github.name}" ')
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"[?&]q=type%3AConfigChanged"))
    expect(page.locator("#feed .change ins")).to_have_text(["600"])
    expect(page.locator("#q")).to_be_focused()
    expect(options(page)).to_have_count(0)


def test_escape_leaves_the_search_box_and_keeps_its_text(page: Page, server: str) -> None:
    page.goto(f"{server}/help/README.md")
    page.keyboard.press("/")
    box = page.locator("#q")
    expect(box).to_be_focused()
    page.keyboard.type("zeppelin")
    page.keyboard.press("Escape")
    expect(box).not_to_be_focused()
    expect(box).to_have_value("zeppelin")
    page.keyboard.press("/")
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{server}/?q=zeppelin")


def test_the_search_box_shows_what_the_timeline_is_filtered_by(page: Page, server: str) -> None:
    page.goto(f"{server}/?q=zeppelin&range=7d")
    page.get_by_role("link", name="Clear filter").click()
    expect(page).to_have_url(f"{server}/?range=7d")
    expect(page.locator("#q")).to_have_value("")


def test_the_search_help_is_loaded_when_it_is_opened(page: Page, server: str) -> None:
    page.goto(server)
    expect(page.locator("#search_help")).to_have_count(0)
    page.get_by_label("How to search").click()
    expect(page.locator("#search_help")).to_contain_text("status:")
    page.keyboard.press("Escape")
    expect(page.locator("#search_help")).to_be_hidden()


def test_escape_closes_enter_searches_and_a_click_accepts_a_suggestion(page: Page, server: str) -> None:
    add(server)
    page.goto(f"{server}/?range=7d")
    box = page.locator("#q")
    box.press_sequentially("so")
    expect(options(page)).to_have_count(1)
    page.keyboard.press("Escape")
    expect(options(page)).to_have_count(0)
    expect(box).to_have_value("so")
    page.keyboard.press("ArrowDown")
    options(page).first.click()
    expect(box).to_have_value("source:")
    expect(options(page).first).to_contain_text("painchain")
    page.keyboard.type("painchain")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"[?&]q=source%3Apainchain"))
    expect(options(page)).to_have_count(0)
