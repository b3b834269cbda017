"""The feed of an open page, and new events for it."""

from __future__ import annotations

from playwright.sync_api import Locator, Page

from tests.browser.conftest import call


def events_of(page: Page, name: str) -> Locator:
    """Return the lines of the feed about a connector."""
    return page.locator("#feed article").filter(has_text=name)


def types(events: Locator) -> Locator:
    """Return the event types of lines of the feed."""
    return events.locator(".event-type")


def mark_page(page: Page) -> None:
    """Set a mark that a reload removes."""
    page.evaluate("window.marked = true")


def is_marked_page(page: Page) -> bool:
    """Return whether the page was not reloaded since it was marked."""
    return bool(page.evaluate("window.marked === true"))


# The open dashboard


def log(server: str, name: str, count: int, **more: str) -> None:
    """Report that a connector was enabled, several times."""
    for _ in range(count):
        body = {"event_type": "connector_enabled", "connector_name": name, "connector_type": "github", **more}
        call("POST", f"{server}/api/painchain/log", **body)


def report(server: str, name: str, count: int = 1, connector_type: str = "github") -> None:
    """Report that a connector was enabled, several times."""
    for _ in range(count):
        body = {"event_type": "connector_enabled", "connector_name": name, "connector_type": connector_type}
        call("POST", f"{server}/api/painchain/log", **body)
