"""The chart is zoomed by mouse, touch and keyboard, and its legend hides sources."""

from __future__ import annotations

import re
import secrets

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import OpenPage, add
from tests.browser.feed import report

pytestmark = pytest.mark.browser


def chart(page: Page) -> Locator:
    """Return the chart."""
    return page.locator("#timeline .chart")


def bins_with_changes(page: Page) -> Locator:
    """Return the bins that have events."""
    return page.locator("#timeline .chart a[aria-label]")


def drag(page: Page, start: float, end: float) -> None:
    """Press at one position of the chart (0 to 1 of its width), and move to another without releasing the button."""
    box = chart(page).bounding_box()
    assert box
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * start, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * end, middle, steps=4)


def custom_range(page: Page) -> list[str]:
    """Return the start and the end of the range in the filter form."""
    return [page.locator(f"#filter [name={name}]").input_value() for name in ("start_date", "end_date")]


# The chart


def test_dragging_zooms_and_back_and_forward_restore_chart_feed_and_form(page: Page, server: str) -> None:
    connector = add(server)
    page.goto(f"{connector.feed}&range=7d")
    expect(page.locator("#feed article")).to_have_count(1)
    drag(page, 0.2, 0.5)
    expect(page.locator(".selection")).to_be_visible()
    expect(page.locator(".tip")).to_contain_text("0 events")
    page.mouse.up()

    expect(page).to_have_url(re.compile(rf"connector={connector.id}&start_date=\S+&end_date=\S+"))
    expect(page.locator("#feed article")).to_have_count(0)
    expect(page.locator("#timeline .count")).to_have_text("0 events")
    expect(page.locator(".now")).to_have_count(0)
    zoomed = custom_range(page)
    assert all(zoomed)

    page.go_back()
    expect(page).to_have_url(f"{connector.feed}&range=7d")
    expect(page.locator("#feed article")).to_have_count(1)
    expect(page.locator("#timeline .count")).to_have_text("1 event")
    expect(page.locator(".ranges a[aria-current]")).to_have_text("7d")
    expect(page.locator(".now")).to_have_text("now")
    page.go_forward()
    expect(page.locator("#timeline .count")).to_have_text("0 events")
    expect(page.locator("#menu-custom summary")).to_have_attribute("aria-current", "true")
    assert custom_range(page) == zoomed


def test_a_range_dragged_up_to_now_stays_live(page: Page, server: str) -> None:
    connector = add(server)
    page.goto(f"{connector.feed}&range=7d")
    drag(page, 0.999, 0.7)
    page.mouse.up()
    expect(page.locator("#menu-custom summary")).to_have_attribute("aria-current", "true")
    expect(page.locator(".now")).to_have_text("now")
    connector.change(poll_interval=3600)
    expect(page.locator("#feed article")).to_have_count(3)


def test_escape_cancels_a_drag_and_a_tiny_drag_is_a_click(page: Page, server: str) -> None:
    connector = add(server)
    page.goto(connector.feed)
    drag(page, 0.3, 0.6)
    page.keyboard.press("Escape")
    expect(page.locator(".selection")).to_have_count(0)
    page.mouse.up()
    page.wait_for_timeout(300)
    expect(page).to_have_url(connector.feed)

    drag(page, 0.3, 0.302)
    page.mouse.up()
    expect(page).to_have_url(re.compile("start_date="))
    start, end = custom_range(page)
    assert start[:11] <= end[:11]
    assert 0 < (int(end[11:13]) * 60 + int(end[14:]) - int(start[11:13]) * 60 - int(start[14:])) % 1440 <= 30


def test_a_touch_drag_selects_a_range(open_page: OpenPage, server: str) -> None:
    connector = add(server)
    page = open_page(viewport={"width": 390, "height": 800}, has_touch=True, is_mobile=True)
    page.goto(f"{connector.feed}&range=7d")
    expect(chart(page)).to_have_css("touch-action", "pan-y")
    box = chart(page).bounding_box()
    assert box
    touches = page.context.new_cdp_session(page)
    y = box["y"] + 40

    def touch(kind: str, *parts: float) -> None:
        points = [{"x": box["x"] + box["width"] * part, "y": y} for part in parts]
        touches.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    touch("touchStart", 0.2)
    for part in (0.25, 0.3, 0.4, 0.5):
        touch("touchMove", part)
    expect(page.locator(".selection")).to_be_visible()
    touch("touchEnd")
    expect(page).to_have_url(re.compile(r"start_date=\S+&end_date="))
    expect(page.locator("#timeline .count")).to_have_text("0 events")


def test_hover_and_focus_show_the_counts_of_each_source(page: Page, server: str) -> None:
    name = secrets.token_hex(4)
    report(server, name, 4)
    reported = f"{server}/?q={name}"
    page.goto(reported)
    last = bins_with_changes(page).last
    last.hover()
    tip = page.locator(".tip")
    expect(tip.locator(".row")).to_have_text(["PainChain4"])
    expect(tip.locator("strong")).to_have_text(re.compile(r"^\w{3} \d+ \w{3}, \d\d:\d\d–\d\d:\d\d$"))
    expect(tip).to_contain_text("4 events")
    page.mouse.move(5, 5)
    expect(tip).to_have_count(0)

    last.focus()
    expect(tip.locator(".row")).to_have_text(["PainChain4"])
    expect(last).to_have_accessible_name(re.compile(r": 4 events \(PainChain 4\)$"))
    page.goto(f"{reported}&range=24h&compare=1d")
    last.hover()
    expect(tip).to_contain_text("4 events, yesterday 0 events")
    page.goto(reported)
    last.focus()
    report(server, name)
    expect(tip).to_contain_text("5 events")  # the focus survives the update
    expect(bins_with_changes(page).last).to_be_focused()


def test_the_chart_is_one_tab_stop_and_arrow_keys_select_a_range(page: Page, server: str) -> None:
    page.goto(f"{server}/?range=1h")
    add(server)
    expect(bins_with_changes(page).last).to_have_attribute("tabindex", "0")
    assert page.locator("#timeline .chart a[tabindex='0']").count() == 1
    bins_with_changes(page).last.focus()
    page.keyboard.press("Shift+ArrowLeft")
    expect(page.locator(".selection")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator(".selection")).to_have_count(0)
    page.keyboard.press("Shift+Home")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"start_date=\S+&end_date="))
    expect(page.locator("#timeline .chart a:focus")).to_have_count(1)
    page.keyboard.press("Home")
    expect(bins_with_changes(page).first).to_be_focused()


def test_clicking_the_legend_hides_a_source_and_going_back_shows_it(page: Page, server: str) -> None:
    connector = add(server)
    page.goto(connector.feed)
    source = page.get_by_role("button", name=re.compile("^PainChain"))
    expect(source).to_have_attribute("aria-pressed", "true")
    source.focus()
    page.keyboard.press("Space")
    expect(source).to_have_attribute("aria-pressed", "false")
    expect(source).to_be_focused()
    expect(page.locator("#feed article")).to_have_count(0)
    expect(page.locator("#timeline .count")).to_have_text("0 events")
    expect(page).to_have_url(re.compile(r"source=github&source=gitlab&source=kubernetes"))
    page.go_back()
    expect(source).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#feed article")).to_have_count(1)
    source.click()
    expect(source).to_have_attribute("aria-pressed", "false")
    source.click()
    expect(page.locator("#feed article")).to_have_count(1)
    expect(page).to_have_url(connector.feed)
