"""Pages are never wider than their window, even with very long content."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import AddedConnector, OpenPage, add, call, serving
from tests.browser.layout import WINDOWS, box_of, open_everything, too_wide, too_wide_in_a_window
from tests.browser.windows import Complaints
from tests.support.thorough import further

pytestmark = pytest.mark.browser
LONG_NAME = "n" * 100
LONG_URL = "https://host.example/" + "path" * 110
MANY_TAGS = [f"tag-{number}-{'x' * number}"[:50] for number in range(60)]
MANY_REPOSITORIES = [f"acme/{'repository' * 8}-{number}" for number in range(20)]


@dataclass(frozen=True)
class Extremes:
    """A server whose connectors and events have texts of the maximum length."""

    address: str
    connector: AddedConnector


@pytest.fixture(scope="module")
def extremes(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[Extremes]:
    """A connector and events whose texts have the maximum length."""
    with serving(tmp_path_factory.mktemp("extremes") / "instance") as address:
        call("PATCH", f"{address}/api/connectors/1", tags=MANY_TAGS)
        connector = add(address, name=LONG_NAME, tags=MANY_TAGS, config={"base_url": LONG_URL})
        connector.change(base_url=f"{LONG_URL}/more", repos=MANY_REPOSITORIES)
        changes = {f"{'setting' * 10}_{number}": {"old": LONG_NAME, "new": LONG_URL} for number in range(200)}
        about = {"connector_name": "N" * 200, "connector_type": "github", "author": "a" * 200}
        call("POST", f"{address}/api/painchain/log", event_type="connector_updated", changes=changes, **about)
        sides = {"old_value": {"k" * 150: LONG_URL}, "new_value": [LONG_URL, LONG_NAME]}
        call("POST", f"{address}/api/painchain/log", event_type="config_changed", field="f" * 200, **sides, **about)
        yield Extremes(address, connector)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        f"/?author={'a' * 200}&tag={'t' * 200}&source={'s' * 200}",
        "/settings/integrations",
        "/settings/integrations/new/kubernetes",
        "/settings/integrations/2",
        "/events/6",
        "/events/7/around",
        "/events/7/restore",
        "/settings/integrations/2/history",
        "/help/security/asvs.md",
        "/report",
        "/as-of?compare=2020-01-01",
        *further(
            "/?q=nothing",
            "/settings/integrations/new",
            "/settings/integrations/1",
            "/settings/integrations/2/disable",
            "/settings/integrations/2/delete",
            "/events/2",
            "/events/3",
            "/events/7",
            "/help/README.md",
            "/help/dev/performance.md",
            "/report?month=2020-01",
            "/as-of",
        ),
    ],
)
def test_no_page_scrolls_sideways(open_page: OpenPage, extremes: Extremes, path: str) -> None:
    page = open_page(viewport=WINDOWS["desktop"])
    response = page.goto(extremes.address + path)
    assert response
    assert response.ok
    assert too_wide_in_a_window(page) == []
    open_everything(page)
    assert too_wide_in_a_window(page) == []


MENUS_BEYOND_THE_WINDOW = """() => [...document.querySelectorAll(".menu")].filter(menu => {
    menu.open = true;
    const { left, right, width } = menu.querySelector(".panel").getBoundingClientRect();
    const isInside = width > 0 && left >= 0 && right <= innerWidth;
    const isTooWide = document.documentElement.scrollWidth > innerWidth;
    menu.open = false;
    return !isInside || isTooWide;
}).map(menu => menu.id)"""


def test_filter_menus_stay_inside_the_window(page: Page, extremes: Extremes) -> None:
    page.goto(extremes.address)
    assert page.locator(".menu").count() > 5
    for window in ("desktop", "tablet", "phone"):
        page.set_viewport_size(WINDOWS[window])
        if window == "phone":
            page.locator("#filter-fold summary").click()
        assert page.evaluate(MENUS_BEYOND_THE_WINDOW) == [], window


def test_a_line_of_200_changes_is_cut_until_it_is_expanded(page: Page, extremes: Extremes) -> None:
    page.goto(f"{extremes.address}/?connector={'N' * 200}&event_type=ConnectorUpdated")
    summary = page.locator("#feed article summary")
    for window in WINDOWS:
        page.set_viewport_size(WINDOWS[window])
        closed = box_of(page, "#feed article summary")
        summary.click()
        opened = box_of(page, "#feed article summary")
        summary.click()
        assert closed["height"] < 140, window
        assert opened["height"] > closed["height"], window


def test_on_a_phone_each_side_of_a_conflict_shows_its_owner(
    open_page: OpenPage, server: str, complaints: Complaints
) -> None:
    connector = add(server)
    page = open_page(viewport=WINDOWS["phone"])
    page.goto(connector.page)
    connector.change(poll_interval=600)
    page.get_by_label("Poll interval").fill("900")
    page.get_by_role("button", name="Save", exact=True).first.click()
    expect(page.locator("#conflict")).to_be_focused()
    complaints.take("409")
    sides = page.locator("#conflict td").evaluate_all(
        "cells => cells.map(cell => getComputedStyle(cell, '::before').content)"
    )
    assert sides == ['"Theirs: "', '"Yours: "']


def test_a_conflict_and_errors_stay_inside_the_window(page: Page, extremes: Extremes, complaints: Complaints) -> None:
    page.goto(extremes.connector.page)
    extremes.connector.change(base_url=f"{LONG_URL}/theirs")
    page.get_by_label("API URL").fill(f"{LONG_URL}/mine")
    page.get_by_role("button", name="Save", exact=True).first.click()
    expect(page.locator("#conflict")).to_be_focused()
    complaints.take("409")
    assert too_wide_in_a_window(page) == []
    page.get_by_label("API URL").fill("not-an-address" * 30)
    page.get_by_role("button", name="Save", exact=True).first.click()
    expect(page.locator("#problems")).to_be_focused()
    complaints.take("422")
    assert too_wide_in_a_window(page) == []


def test_a_toast_with_a_long_name_stays_inside_the_window(open_page: OpenPage, extremes: Extremes) -> None:
    page = open_page(viewport=WINDOWS["phone"])
    page.goto(extremes.connector.page)
    page.get_by_label("Repositories").fill("acme/one")
    page.get_by_role("button", name="Save", exact=True).first.click()
    expect(page.locator(".toast")).to_contain_text("Repositories")
    assert too_wide(page) == []


SHOWN = """shown => shown.map(part => {
    const { y, height } = part.getBoundingClientRect();
    return [part.innerText, y, height];
})"""


@pytest.mark.parametrize("path", ["/", "/events/2", *further("/report", "/settings/integrations", "/help/README.md")])
def test_the_search_box_is_always_visible_and_the_filter_is_one_line(
    open_page: OpenPage, extremes: Extremes, path: str
) -> None:
    page = open_page(viewport={"width": 1440, "height": 900})
    page.goto(extremes.address + path)
    assert box_of(page, "#q")["width"] >= 480
    if path == "/":
        top, bottom = box_of(page, ".ranges")["y"], box_of(page, ".ranges")["y"] + box_of(page, ".ranges")["height"]
        for text, y, height in page.locator(".controls > *:visible").evaluate_all(SHOWN):
            assert top - 1 <= y <= y + height <= bottom + 1, text
    page.set_viewport_size(WINDOWS["phone"])
    box, brand = box_of(page, "#searching"), box_of(page, ".brand")
    assert box["width"] >= 360
    assert box["y"] >= brand["y"] + brand["height"], "the box has a line of its own"
    assert box["y"] + box["height"] < 90
    if path == "/":
        shown = page.locator(".controls > *:visible").evaluate_all("all => all.map(e => e.className)")
        assert shown == ["ranges", "filter-fold"]
        assert box_of(page, ".filter-fold")["y"] == pytest.approx(box_of(page, ".ranges")["y"], abs=2)


@pytest.mark.parametrize("path", ["/", *further("/report", "/settings/integrations")])
def test_the_header_lines_up_with_the_content(open_page: OpenPage, extremes: Extremes, path: str) -> None:
    page = open_page(viewport={"width": 2560, "height": 1300})
    page.goto(extremes.address + path)
    main = page.locator("main").evaluate(
        """main => { const { left, right } = main.getBoundingClientRect(), style = getComputedStyle(main);
            return [left + parseFloat(style.paddingLeft), right - parseFloat(style.paddingRight)] }"""
    )
    last = box_of(page, ".top > :last-child")
    assert main[1] - main[0] == 1568
    assert [box_of(page, ".brand")["x"], last["x"] + last["width"]] == pytest.approx(main, abs=1)


def test_many_changes_of_one_action_are_collapsed(plain_page: Page, server: str) -> None:
    connector = add(server)
    plain_page.goto(connector.page)
    plain_page.locator("#visibility summary").click()
    uncheck = "toggles => toggles.slice(0, 12).forEach(toggle => toggle.checked = false)"
    plain_page.locator(".toggles input").evaluate_all(uncheck)  # clicks would take most of the time
    plain_page.get_by_role("button", name="Save", exact=True).last.click()
    plain_page.goto(connector.feed)
    save = plain_page.locator("#feed > article").first
    expect(save.locator("article")).to_have_count(12)
    expect(save.locator("article").last).to_be_hidden()
    save.locator("summary").first.click()
    expect(save.locator("article").last).to_be_visible()

    plain_page.goto(f"{connector.feed}&event_type=FieldVisibilityChanged")
    many = plain_page.locator(".request").first
    expect(many.locator(":scope > article")).to_have_count(10)
    expect(many.locator(".rest article").last).to_be_hidden()
    many.get_by_text("2 more saved together").click()
    expect(many.locator(".rest article")).to_have_count(2)
    expect(many.locator(".rest article").last).to_be_visible()
