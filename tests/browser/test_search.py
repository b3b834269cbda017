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
