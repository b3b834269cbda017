"""Windows, and what is too wide for them."""

from __future__ import annotations

from playwright.sync_api import FloatRect, Page, ViewportSize, expect

WINDOWS: dict[str, ViewportSize] = {
    "phone": {"width": 390, "height": 844},
    "tablet": {"width": 768, "height": 1024},
    "desktop": {"width": 1280, "height": 800},
}


def open_everything(page: Page) -> None:
    """Open every line of the feed at every level, and wait until its details are loaded."""
    for _ in range(2):  # the details have levels of their own
        page.evaluate("document.querySelectorAll('main details:not(.menu)').forEach(details => details.open = true)")
        expect(page.locator("details[open] > a.unfolds")).to_have_count(0)


def too_wide(page: Page) -> list[str]:
    """Return the elements beyond the right edge of the window; none if the page does not scroll sideways."""
    elements: list[str] = page.evaluate(
        """() => document.documentElement.scrollWidth <= innerWidth ? [] : [...document.querySelectorAll("body *")]
            .filter(element => element.getBoundingClientRect().right > innerWidth + 1)
            .map(element => `${element.tagName}#${element.id}.${element.getAttribute("class")}`)"""
    )
    return elements


def too_wide_in_a_window(page: Page) -> list[str]:
    """Return the elements beyond the right edge on a desktop, a tablet or a phone. Begin with the size of the page."""
    elements = []
    for name in sorted(WINDOWS, key=lambda name: WINDOWS[name] != page.viewport_size):
        if page.viewport_size != WINDOWS[name]:
            page.set_viewport_size(WINDOWS[name])
        elements += [f"{name} {element}" for element in too_wide(page)]
    return elements


def box_of(page: Page, selector: str) -> FloatRect:
    """Return the position and size of an element."""
    box = page.locator(selector).first.bounding_box()
    assert box, f"{selector} is not visible"
    return box
