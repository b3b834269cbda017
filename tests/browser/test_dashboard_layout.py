"""A person sees the first events at once, and nothing moves."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage
from tests.browser.layout import WINDOWS, box_of, too_wide
from tests.support.thorough import further

pytestmark = pytest.mark.browser

# Space: what a person sees first

NODES = 640  # outside the feed, without the parts of the bars: how many these are depends on the events
SHIFTS = """() => new Promise(done => { let sum = 0;
    new PerformanceObserver(list => { for (const shift of list.getEntries()) sum += shift.value; })
        .observe({ type: "layout-shift", buffered: true });
    setTimeout(() => done(sum), 300); })"""


@pytest.mark.parametrize(("size", "limit"), [((1440, 900), 300), ((390, 844), 380)])
@pytest.mark.parametrize(
    "query", ["", *further("?range=24h&source=github&source=gitlab&q=-nothing", "?event_type=Commit")]
)
def test_the_first_event_is_near_the_top(
    open_page: OpenPage, demo_server: str, size: tuple[int, int], limit: int, query: str
) -> None:
    page = open_page(viewport={"width": size[0], "height": size[1]})
    page.goto(f"{demo_server}/{query}")
    expect(page.locator("#connector_problems p")).to_have_count(1)
    assert box_of(page, "#connector_problems p")["height"] <= 20
    # At some times of the day, the numbers of six sources are so wide that a phone shows them in a third line.
    tops = {link.evaluate("link => link.getBoundingClientRect().y") for link in page.locator(".legend .source").all()}
    assert box_of(page, "#feed article")["y"] <= limit + 24 * max(0, len(tops) - 2)
    assert box_of(page, "#timeline .chart")["height"] == 90
    assert page.evaluate(SHIFTS) <= 0.01
    assert too_wide(page) == []


def test_choosing_a_filter_moves_nothing_and_menus_and_the_table_stay_filled(
    open_page: OpenPage, demo_server: str
) -> None:
    page = open_page(viewport={"width": 1440, "height": 900})
    page.goto(demo_server)
    left_out = "#feed *, .chart rect[data-count], .chart rect.failed"
    nodes = page.locator("*").count() - page.locator(left_out).count()
    assert nodes <= NODES, "few elements outside the feed"
    before = box_of(page, "#timeline .chart")
    page.locator("#menu-source summary").click()
    page.get_by_label("Kubernetes", exact=True).check()
    expect(page.locator("#chips .chosen-filter")).to_have_text(re.compile("Source: Kubernetes"))
    after = box_of(page, "#timeline .chart")
    assert (after["x"], after["y"], after["height"]) == (before["x"], before["y"], before["height"])
    page.locator("#chips .chosen-filter").click()
    expect(page.locator("#chips .chosen-filter")).to_have_count(0)
    assert page.url == f"{demo_server}/?range=24h"

    page.get_by_text("View as table").click()
    expect(page.locator("#chart-table tbody tr").first).to_be_visible()
    page.locator("#menu-event_type summary").click()
    expect(page.locator("#chart-table")).to_be_hidden()
    page.get_by_label("Pipeline", exact=True).check()
    expect(page.locator("#chips .chosen-filter")).to_have_text(re.compile("Type: Pipeline"))
    expect(page.get_by_label("Pipeline", exact=True)).to_be_focused()
    page.get_by_label("Commit", exact=True).check()
    expect(page.locator("#chips .chosen-filter")).to_have_count(2)


def test_a_box_narrows_the_menu_of_types_and_keeps_what_was_typed(open_page: OpenPage, demo_server: str) -> None:
    page = open_page(viewport={"width": 1440, "height": 900})
    page.goto(demo_server)
    menu = page.locator("#menu-event_type")
    menu.locator("> summary").click()
    box, shown = menu.get_by_role("textbox"), menu.locator(".choice:visible label")
    box.fill("pipe")
    expect(shown).to_have_text([" Pipeline"])
    box.press("Enter")
    menu.get_by_label("Pipeline", exact=True).check()
    expect(page.locator("#chips .chosen-filter")).to_have_text(re.compile("Type: Pipeline"))
    expect(box).to_have_value("pipe")
    expect(shown).to_have_count(1)
    box.fill("no such type")
    expect(menu.get_by_text("Nothing found")).to_be_visible()
    page.keyboard.press("Escape")
    menu.locator("> summary").click()
    expect(box).to_have_value("")
    expect(menu.get_by_label("Commit", exact=True)).to_be_visible()


OVERLAPS = """() => {
    const parts = [...document.querySelectorAll(".top > :not(#searching, .setup), .setup > *, #searching > *")]
        .filter(part => part.checkVisibility()).map(part => [part.className, part.getBoundingClientRect()]);
    const meet = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1
        && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 1;
    return parts.filter(([, a], index) => parts.slice(index + 1).some(([, b]) => meet(a, b))).map(([name]) => name);
}"""


def test_the_parts_of_the_header_do_not_overlap(page: Page, demo_server: str) -> None:
    """720 pixels are a desktop at 200 %."""
    page.goto(demo_server)
    for width in (390, 641, 720, 821, 1021, 1440):
        page.set_viewport_size({"width": width, "height": 800})
        expect(page.locator("#onboarding")).to_be_visible()
        assert page.evaluate(OVERLAPS) == [], width
        assert box_of(page, "#q")["width"] >= 200, width
        assert too_wide(page) == [], width


def test_on_a_phone_everything_of_the_chart_can_be_reached_and_data_gaps_are_one_line_that_unfolds(
    open_page: OpenPage, demo_server: str
) -> None:
    page = open_page(viewport=WINDOWS["phone"])
    page.goto(demo_server)
    gaps = page.locator("#data-gaps")
    expect(gaps.locator("summary")).to_contain_text(re.compile("Data gaps: .*1 failing"))
    assert box_of(page, "#data-gaps summary")["height"] < 30
    expect(page.locator(".lanes text").filter(has_text="Demo edge cluster")).to_be_visible()
    for source in page.locator("#timeline .legend a").all():
        expect(source).to_be_in_viewport(ratio=1)
    page.locator("#filter-fold summary").click()
    for name in ("#switch-failures", "#switch-access", ".compare a", ".copy-link"):
        expect(page.locator(name).first).to_be_in_viewport(ratio=1)
    foot = box_of(page, ".chart-foot")
    assert foot["y"] + foot["height"] <= box_of(page, "#feed .day")["y"]
    page.locator(".compare a").first.click()
    expect(page.locator(".chart .earlier")).to_have_count(1)
    assert too_wide(page) == []
    gaps.locator("summary").click()
    expect(gaps.locator("li").filter(has_text="Demo edge cluster")).to_be_visible()
    assert too_wide(page) == []


def test_rows_before_a_time_begin_below_a_few_failures(page: Page, demo_server: str) -> None:
    page.goto(f"{demo_server}/?before_time=-30m&window=6h")
    for width, height, shown, limit in ((1440, 900, 5, 480), (390, 844, 3, 550)):
        page.set_viewport_size({"width": width, "height": height})
        expect(page.locator("#failures-first li:visible")).to_have_count(shown)
        expect(page.locator("#failures-first").get_by_role("link", name="All failures")).to_be_visible()
        assert box_of(page, "#feed article")["y"] <= limit, width
        assert too_wide(page) == [], width
