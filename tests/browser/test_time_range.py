"""Links with fixed times, and questions about what changed before a time."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Locator, Page, Request, Route, expect

from tests.browser.conftest import OpenPage, add

pytestmark = pytest.mark.browser


def wait_for_local_times(page: Page) -> None:
    """Wait until the content has the time zone of the browser: on the first visit it is fetched a second time."""
    expect(page.locator(".zone")).not_to_have_text("UTC")


def test_copy_link_copies_an_address_with_fixed_times(open_page: OpenPage, server: str) -> None:
    page = open_page(permissions=["clipboard-read", "clipboard-write"], timezone_id="Asia/Kolkata")
    connector = add(server)
    page.goto(connector.feed)
    wait_for_local_times(page)
    expect(page.locator(".fixed-link")).to_be_hidden()
    page.get_by_role("button", name="Copy link").click()
    expect(page.locator(".copy-link")).to_have_text("Link copied")
    copied = page.evaluate("navigator.clipboard.readText()")
    values = parse_qs(urlsplit(copied).query)
    assert values.keys() == {"connector", "start_date", "end_date"}
    assert all(values[name][0].endswith("Z") for name in ("start_date", "end_date"))
    connector.change(poll_interval=3600)
    page.goto(copied)
    expect(page.locator("#feed article")).to_have_count(1)
    page.locator(".shift a[href]").first.click()
    expect(page.locator("#feed article")).to_have_count(0)


def test_without_javascript_a_link_has_the_fixed_times(plain_page: Page, server: str) -> None:
    plain_page.goto(add(server).feed)
    expect(plain_page.locator(".copy-link")).to_be_hidden()
    plain_page.get_by_role("link", name="Fixed link").click()
    expect(plain_page.locator("#feed article")).to_have_count(1)
    assert "end_date=" in plain_page.url


def test_local_times_of_the_form_become_utc_in_the_address(open_page: OpenPage, server: str) -> None:
    page = open_page(timezone_id="Asia/Kolkata")
    page.goto(server)
    wait_for_local_times(page)
    page.locator("#menu-custom summary").click()
    page.get_by_label("From").fill("2026-01-15T14:00")
    page.get_by_label("To", exact=True).fill("2026-01-15T15:00")
    page.locator("#menu-custom").get_by_role("button", name="Apply").click()
    expect(page.locator("#menu-custom summary")).to_have_attribute("aria-current", "true")
    expect(page).to_have_url(f"{server}/?start_date=2026-01-15T08%3A30%3A00Z&end_date=2026-01-15T09%3A30%3A00Z")


@pytest.mark.parametrize("scripted", [True, False])
def test_thirty_minutes_before_14_00_needs_three_clicks(open_page: OpenPage, server: str, scripted: bool) -> None:
    page = open_page(timezone_id="Asia/Kolkata", java_script_enabled=scripted)
    clicks = 0

    def click(target: Locator) -> None:
        nonlocal clicks
        clicks += 1
        target.click()

    page.goto(server)
    if scripted:
        wait_for_local_times(page)
    click(page.locator("#menu-before summary"))
    page.get_by_label("Time", exact=True).fill("yesterday 14:00")
    click(page.locator("#menu-before").get_by_role("button", name="Show"))
    expect(page.locator("#timeline .t0 text")).to_have_text("t = 0, 14:00")
    assert clicks <= 3
    values = parse_qs(urlsplit(page.url).query)
    start, end = (datetime.fromisoformat(values[name][0]) for name in ("start_date", "end_date"))
    assert end - start == timedelta(minutes=30)
    assert values["t0"] == values["end_date"]
    assert f"{end:%H:%M}" == ("08:30" if scripted else "14:00"), "without JavaScript, times are in UTC"


def test_the_question_can_be_asked_by_keyboard_and_on_a_phone(open_page: OpenPage, server: str) -> None:
    page = open_page(
        viewport={"width": 390, "height": 844},
    )
    connector = add(server)
    page.goto(server)
    summary = page.locator("#menu-before summary")
    summary.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#menu-before .panel")).to_be_in_viewport(ratio=1)
    page.get_by_label("Time", exact=True).fill("-0s")
    page.get_by_label("Repository, service").fill(connector.name)
    page.keyboard.press("Enter")
    expect(page.locator("#feed article")).to_have_count(1)
    expect(page.locator("#feed article .relative")).to_contain_text("−")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def is_for_local_times(request: Request) -> bool:
    """Return whether it is the request for the content with local times."""
    return "hx-history-restore-request" in request.headers


class HeldBack:
    """The first requests for the content with local times, which a test holds back; `count` is how many were sent."""

    def __init__(self, page: Page, first: int = 1) -> None:
        self.count = 0
        self._first, self._routes = first, list[Route]()
        page.route("**/*", self._take)

    def _take(self, route: Route) -> None:
        if not is_for_local_times(route.request):
            return route.continue_()
        self.count += 1
        return self._routes.append(route) if self.count <= self._first else route.continue_()

    def release(self, page: Page) -> None:
        """Let the first one through, and wait for its answer."""
        with page.expect_response(lambda response: is_for_local_times(response.request)):
            self._routes.pop().continue_()


def test_a_click_while_the_local_times_arrive_is_not_lost(open_page: OpenPage, server: str) -> None:
    page = open_page(timezone_id="Asia/Kolkata")
    held = HeldBack(page)
    page.goto(server)
    link = page.locator(".ranges a", has_text="7d")
    box = link.bounding_box()
    assert box
    page.mouse.move(box["x"] + 5, box["y"] + 5)
    page.mouse.down()
    held.release(page)
    page.wait_for_function("() => !document.querySelector('#main').classList.contains('htmx-request')")
    page.mouse.up()
    expect(link).to_have_attribute("aria-current", "true")
    expect(page).to_have_url(f"{server}/?range=7d")
    wait_for_local_times(page)
    expect(link).to_have_attribute("aria-current", "true")
    assert held.count >= 2


def test_the_answer_to_a_click_before_the_local_times_stays(open_page: OpenPage, server: str) -> None:
    page = open_page(timezone_id="Asia/Kolkata")
    held = HeldBack(page)
    page.goto(server)
    link = page.locator(".ranges a", has_text="7d")
    link.click()
    expect(link).to_have_attribute("aria-current", "true")
    held.release(page)
    wait_for_local_times(page)
    expect(link).to_have_attribute("aria-current", "true")
    expect(page).to_have_url(f"{server}/?range=7d")


def test_local_times_that_are_requested_during_a_click_do_not_undo_its_answer(open_page: OpenPage, server: str) -> None:
    page = open_page(timezone_id="Asia/Kolkata")
    held, clicks = HeldBack(page, first=2), list[Route]()
    page.goto(server)
    page.route(re.compile("range=7d"), lambda route: clicks.append(route))
    link = page.locator(".ranges a", has_text="7d")
    link.click()
    with page.expect_request(is_for_local_times):  # of the address that the click leaves
        held.release(page)
    page.unroute(re.compile("range=7d"))
    clicks.pop().continue_()
    expect(link).to_have_attribute("aria-current", "true")
    held.release(page)
    wait_for_local_times(page)
    expect(link).to_have_attribute("aria-current", "true")
