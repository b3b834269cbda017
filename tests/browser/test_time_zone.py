"""Times are local to the browser."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import OpenPage, add

pytestmark = pytest.mark.browser

# Time zone


def test_times_are_local_and_exact_in_utc_on_hover(open_page: OpenPage, server: str) -> None:
    github = add(server)
    page = open_page(timezone_id="Europe/Berlin")
    page.goto(github.feed)
    expect(page.locator(".zone")).to_have_text("Europe/Berlin")
    time = page.locator("#feed article time").first
    title = time.get_attribute("title") or ""
    assert title.endswith(" UTC")
    exact = datetime.strptime(title, "%Y-%m-%d %H:%M:%S.%f UTC").replace(tzinfo=UTC)
    assert time.inner_text() == f"{exact.astimezone(ZoneInfo('Europe/Berlin')):%H:%M}"
    assert time.inner_text() != f"{exact:%H:%M}"


def test_the_first_visit_loads_one_document_and_shows_local_times(open_page: OpenPage, server: str) -> None:
    github = add(server)
    page = open_page(own=True, timezone_id="Australia/Adelaide")
    requested: list[str] = []
    page.on("request", lambda request: requested.append(request.resource_type))
    page.goto(github.feed)
    expect(page.locator(".zone")).to_have_text("Australia/Adelaide")
    time = page.locator("#feed article time").first
    exact = datetime.strptime(time.get_attribute("title") or "", "%Y-%m-%d %H:%M:%S.%f UTC").replace(tzinfo=UTC)
    assert time.inner_text() == f"{exact.astimezone(ZoneInfo('Australia/Adelaide')):%H:%M}"
    assert (requested.count("document"), requested.count("script"), requested.count("stylesheet")) == (
        1,
        page.locator("script[src]").count(),
        1,
    )
    expect(page.locator("main")).to_have_count(1)
    page.locator("#feed article summary").first.click()
    expect(page.locator("#feed article details").first).to_have_attribute("open", "")
    requested.clear()
    page.goto(github.feed)
    expect(page.locator("#live")).to_be_visible()
    expect(page.locator("html")).to_have_attribute("data-zone", "Australia/Adelaide")
    assert requested.count("document") == 1


def test_an_unknown_time_zone_falls_back_to_utc_without_reloading_forever(open_page: OpenPage, server: str) -> None:
    page = open_page(own=True)
    page.add_init_script(
        "Intl.DateTimeFormat.prototype.resolvedOptions = () => ({timeZone: 'Mars/Olympus'});"
        "sessionStorage.loads = Number(sessionStorage.loads ?? 0) + 1;"
    )
    page.goto(server)
    expect(page.locator(".zone")).to_have_text("UTC")
    expect(page.locator("#live")).to_be_visible()
    page.goto(server)
    expect(page.locator("#live")).to_be_visible()
    assert page.evaluate("sessionStorage.loads") == "2"
