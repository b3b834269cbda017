"""What axe-core finds on a page: the rules of WCAG 2.2 AA and its best practices, whatever their impact."""

from __future__ import annotations

from typing import Literal

from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Page, ViewportSize

DESKTOP: ViewportSize = {"width": 1280, "height": 800}
PHONE: ViewportSize = {"width": 390, "height": 844}
# The rules whose result depends on the colour scheme, and on the width of the window.
COLOURS = ("color-contrast", "link-in-text-block")
SIZES = ("target-size", "scrollable-region-focusable")


def findings(page: Page, *rules: str) -> list[str]:
    """Return everything that axe-core finds, as texts; with `rules`, only of those rules."""
    only = {"runOnly": {"type": "rule", "values": list(rules)}} if rules else {}
    # axe-core leaves this rule of WCAG 2.2 out unless it is asked for.
    options = {"resultTypes": ["violations"], "rules": {"target-size": {"enabled": True}}, **only}
    found = Axe().run(page, options=options).response["violations"]
    return [f"{rule['id']}: {node['target']} {node['failureSummary']}" for rule in found for node in rule["nodes"]]


def look(page: Page, size: ViewportSize, scheme: Literal["light", "dark"]) -> None:
    """Change the size of the window and the colour scheme."""
    page.set_viewport_size(size)
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")


def all_findings(page: Page) -> list[str]:
    """Return what axe-core finds on a desktop, in the colours in dark, and in the sizes on a phone.

    The page stays as it is: only the window changes, and has its first look again afterwards.
    """
    page.evaluate("scrollTo(0, 0)")  # the header covers what is scrolled beneath it
    look(page, DESKTOP, "light")
    found = findings(page)
    look(page, DESKTOP, "dark")
    found += [f"dark {finding}" for finding in findings(page, *COLOURS)]
    look(page, PHONE, "light")
    found += [f"phone {finding}" for finding in findings(page, *SIZES)]
    look(page, DESKTOP, "light")
    return found
