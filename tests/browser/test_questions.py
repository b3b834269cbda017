"""Questions at three in the morning take few clicks from the dashboard, with and without JavaScript."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import OpenPage

pytestmark = pytest.mark.browser


class Clicks:
    """The dashboard on which a person clicks; it counts the clicks."""

    def __init__(self, page: Page, server: str) -> None:
        self.page, self.count = page, 0
        page.goto(server)

    def on(self, target: Locator) -> None:
        """Click on something that is visible without scrolling."""
        expect(target).to_be_in_viewport()
        target.click()
        self.count += 1


@pytest.fixture(params=[True, False], ids=["scripted", "plain"])
def clicks(open_page: OpenPage, demo_server: str, request: pytest.FixtureRequest) -> Clicks:
    """The dashboard of a day, with and without JavaScript."""
    page = open_page(java_script_enabled=request.param, viewport={"width": 1440, "height": 900})
    return Clicks(page, demo_server)


def test_who_disabled_it_takes_two_clicks(clicks: Clicks) -> None:
    """A connector was disabled long before the shown day."""
    page = clicks.page
    clicks.on(page.locator("#data-gaps summary"))
    gap = page.locator("#data-gaps li").filter(has_text="disabled")
    clicks.on(gap.get_by_role("link"))
    disabled = page.locator("#feed article[data-event-type=ConnectorDisabled] > details > summary").first
    expect(disabled).to_be_in_viewport()
    expect(disabled.locator(".by")).to_have_text(re.compile(r"by\s+demo-\w+"))
    expect(disabled.locator("time")).to_be_visible()
    assert clicks.count <= 2


def test_the_failures_of_a_day_take_one_click(clicks: Clicks) -> None:
    page = clicks.page
    failures = page.locator("#switch-failures .number").inner_text()
    clicks.on(page.locator("#switch-failures"))
    expect(page.locator("#switch-failures")).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#timeline .count strong")).to_have_text(failures)
    expect(page.locator("#feed > article > details > summary .outcome.bad").first).to_be_in_viewport()
    assert clicks.count <= 1
