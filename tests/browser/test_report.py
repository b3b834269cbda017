"""The report and "as of" in a real browser, on screen and printed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import OpenPage, add, serving

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[str]:
    """The address of a server on which a connector has been changed. Tests only read it."""
    with serving(tmp_path_factory.mktemp("past") / "instance") as address:
        add(address, name="Work GitHub").change(poll_interval=3600)
        yield address


def colour(page: Page, selector: str, name: str) -> Any:
    return page.locator(selector).first.evaluate(f"element => getComputedStyle(element)['{name}']")


def test_a_month_and_a_time_are_chosen_without_javascript(plain_page: Page, past: str) -> None:
    plain_page.goto(past)
    plain_page.get_by_role("link", name="Report").click()
    expect(plain_page.locator("[data-table=drift]")).to_contain_text("300 → 3600")
    plain_page.get_by_label("Month, such as 2026-01").fill("2020-01")
    plain_page.get_by_role("button", name="Show").click()
    expect(plain_page.get_by_role("heading", level=1)).to_have_text("January 2020")
    plain_page.get_by_role("link", name="Point in time").click()
    expect(plain_page.locator(".standing")).to_have_count(2)
    plain_page.get_by_label("Compare with").fill("2020-01-01T00:00:00")
    plain_page.get_by_role("button", name="Show").click()
    expect(plain_page.locator(".difference")).to_have_count(2)


def test_the_csv_download_has_a_file_name(page: Page, past: str) -> None:
    page.goto(f"{past}/report")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download CSV").click()
    assert download.value.suggested_filename.startswith("painchain-report-20")


@pytest.mark.parametrize("path", ["/report", "/as-of?compare=2020-01-01"])
def test_printing_shows_only_the_report_in_black_on_white(open_page: OpenPage, past: str, path: str) -> None:
    page = open_page(color_scheme="dark")
    page.goto(past + path)
    page.get_by_role("button", name="Switch theme").click()
    page.get_by_role("button", name="Switch theme").click()
    page.emulate_media(media="print")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    assert colour(page, "body", "backgroundColor") == "rgb(255, 255, 255)"
    assert colour(page, "h1", "color") == "rgb(0, 0, 0)"
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    for selector in ("header", "main nav", "main form", "main button"):
        for row in page.locator(selector).all():
            expect(row).to_be_hidden()
    assert colour(page, ".past-page tr, .past-page .card", "breakInside") == "avoid"


def test_printing_the_timeline_shows_its_events_with_details_in_black_on_white(open_page: OpenPage, past: str) -> None:
    page = open_page(
        color_scheme="dark",
    )
    page.goto(past)
    expect(page.locator("#feed article").first).to_be_visible()
    page.emulate_media(media="print")
    assert colour(page, "body", "backgroundColor") == "rgb(255, 255, 255)"
    assert colour(page, "#feed article summary", "color") == "rgb(0, 0, 0)"
    expect(page.locator("#feed article summary").first).to_be_visible()
    expect(page.get_by_role("heading", level=1)).to_have_text("What changed")
    assert page.locator("h1").evaluate("heading => heading.offsetHeight") > 20
    for row in page.locator("header, main form, main button, .unfolds, .time-links").all():
        expect(row).to_be_hidden()
    inside = page.locator("#feed article > details:not([open])").first
    assert inside.evaluate("element => getComputedStyle(element, '::details-content').contentVisibility") == "visible"

    note = page.get_by_text("Rows that were not open are printed without details.")
    links = page.locator("#feed .unfolds")
    expect(note).to_be_visible()
    for link in links.all():
        expect(link).to_be_hidden()
    page.emulate_media(media="screen")
    expect(note).to_be_hidden()
    for row in page.locator("#feed article > details > summary").all():
        row.click()
    expect(links).to_have_count(0)
    page.emulate_media(media="print")
    expect(note).to_be_hidden()
    expect(page.locator("#feed dl.fields").first).to_be_visible()
