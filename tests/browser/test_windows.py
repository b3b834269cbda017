"""A test finds a window as if nobody had used it before."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import OpenPage
from tests.browser.windows import LOOK, Complaints, Windows

pytestmark = pytest.mark.browser
OPTIONS = {"timezone_id": "Asia/Tokyo"}  # those of no other test
STATE = """async (permissions) => ({
    cookies: document.cookie, stored: [localStorage.length, sessionStorage.length], size: [innerWidth, innerHeight],
    media: ["print", "(prefers-color-scheme: dark)", "(prefers-reduced-motion: reduce)"]
        .map((query) => matchMedia(query).matches),
    permissions: await Promise.all(permissions.map(async (name) => (await navigator.permissions.query({name})).state)),
    hovered: document.querySelector(".brand").matches(":hover"),
    zone: document.documentElement.dataset.zone,
})"""


def state(page: Page, server: str) -> object:
    """Return what a page shows of what tests may have done."""
    page.goto(server)
    expect(page.locator(".zone")).to_have_text("Asia/Tokyo")
    return page.evaluate(STATE, ["geolocation", "clipboard-read"])


def soil(page: Page, routed: list[Route]) -> None:
    """Leave as much as possible to the next test."""

    def pass_on(route: Route) -> None:
        routed.append(route)
        route.continue_()

    page.evaluate("document.cookie = 'theme=dark'; localStorage.a = sessionStorage.a = 1; console.error('Not taken')")
    page.context.add_cookies([{"name": "secret", "value": "1", "url": page.url, "httpOnly": True}])
    page.context.grant_permissions(["geolocation"])
    page.context.new_page().goto(page.url)
    page.bring_to_front()
    page.locator(".brand").hover()
    page.route("**/*", pass_on)
    page.set_viewport_size({"width": 400, "height": 300})
    page.emulate_media(media="print", color_scheme="dark", reduced_motion="reduce")
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<form data-guard><input id=typed></form>')")
    page.locator("#typed").fill("Not saved")


def test_what_a_test_leaves_is_gone_when_the_next_one_gets_the_window(windows: Windows, server: str) -> None:
    window = windows.take(OPTIONS)
    first = state(window.lend(Complaints(), []), server)
    windows.put_back(OPTIONS, window)
    complaints = Complaints()
    page = window.lend(complaints, [], permissions=["clipboard-read"], viewport={"width": 1440, "height": 900})
    assert state(page, server) != first
    routed: list[Route] = []
    soil(page, routed)
    assert page.evaluate("[localStorage.a, sessionStorage.a]") == ["1", "1"]
    windows.put_back(OPTIONS, window)
    assert complaints == ["Not taken"]
    routed.clear()

    window = windows.take(OPTIONS)
    assert window.page is page
    assert page.context.cookies() == []
    others, dialogs = Complaints(), list[str]()
    assert state(window.lend(others, dialogs), server) == first
    assert page.viewport_size == LOOK["viewport"]
    assert len(page.context.pages) == 1
    assert (others, dialogs, routed) == ([], [], [])
    assert complaints == ["Not taken"]
    windows.put_back(OPTIONS, window)


def test_a_shared_window_refuses_what_cannot_be_undone(page: Page, open_page: OpenPage) -> None:
    own = open_page(own=True)
    changes: tuple[Callable[[Page], object], ...] = (
        lambda page: page.on("request", lambda request: None),
        lambda page: page.context.on("request", lambda request: None),
        lambda page: page.add_init_script("1"),
        lambda page: page.context.add_init_script("1"),
        lambda page: page.clock.install(),
        lambda page: page.context.set_offline(False),
    )
    for change in changes:
        with pytest.raises(AssertionError, match="own=True"):
            change(page)
        change(own)
