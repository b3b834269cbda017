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
# The contrast takes three quarters of the time. It is that of a text to what is behind it, or of a link to the text
# around it: mark the elements of which one that looks the same was examined, on this page or another.
MARK_EXAMINED = """(examined) => {
    const textOf = (element, style) => [
        [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim()), element.checkVisibility(),
        element.matches(":disabled, [aria-disabled=true]"), style.color, style.textShadow, style.fontSize,
        style.fontWeight, style.textDecorationLine, style.borderBottomStyle,
    ].join();
    const kinds = new Map(examined.map((name) => [name, []]));
    const walk = (element, behind, around) => {
        const style = getComputedStyle(element);
        const own = [style.backgroundColor, style.backgroundImage, style.opacity, style.position].join();
        if (!/^rgba\\(0, 0, 0, 0\\),none,1,(static|relative)$/.test(own)) behind += `/${own}`;
        const text = textOf(element, style), isControl = element.matches("input, select, textarea, button");
        const isLink = element.matches("a[href], [role=link]");
        const kind = [behind, text, isControl && element.tagName, isLink && around].join();
        if (!kinds.has(kind)) kinds.set(kind, []);
        kinds.get(kind).push(element);
        for (const child of element.children) walk(child, behind, text);
    };
    walk(document.body, "", "");
    for (const element of document.querySelectorAll("[data-examined]")) element.removeAttribute("data-examined");
    const names = [...kinds.keys()];
    for (const [number, elements] of [...kinds.values()].entries()) {
        const alike = number < examined.length ? elements : elements.slice(1, -1);
        for (const element of alike) element.setAttribute("data-examined", "");
    }
    return names.slice(examined.length);
}"""
_examined: list[str] = []  # the kinds of elements on which nothing was found
RUN = """async (rules) => {
    axe.configure({rules: [
        {id: "color-contrast", selector: "*:not([data-examined])"},
        {id: "link-in-text-block", selector: "a[href]:not([data-examined]), [role=link]:not([data-examined])"},
    ]});
    // axe-core leaves the target size, a rule of WCAG 2.2, out unless it is asked for. No rule needs style sheets.
    const options = {resultTypes: ["violations"], rules: {"target-size": {enabled: true}}, preload: false};
    const found = await axe.run(rules.length ? {...options, runOnly: {type: "rule", values: rules}} : options);
    const text = (rule, node) => `${rule.id}: ${node.target} ${node.failureSummary}`;
    return found.violations.flatMap((rule) => rule.nodes.map((node) => text(rule, node)));
}"""


def findings(page: Page, *rules: str) -> list[str]:
    """Return everything that axe-core finds, as texts; with `rules`, only of those rules."""
    new_kinds = page.evaluate(MARK_EXAMINED, _examined) if rules != SIZES else []
    if rules == COLOURS and not new_kinds:
        return []  # axe-core would look at no element, after it has described the whole page
    if not page.evaluate("'axe' in window"):
        page.evaluate(Axe().axe_script)
    found: list[str] = page.evaluate(RUN, list(rules))
    if not found:
        _examined.extend(new_kinds)
    return found


def look(page: Page, size: ViewportSize, scheme: Literal["light", "dark"]) -> None:
    """Change the size of the window and the colour scheme."""
    page.set_viewport_size(size)
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")


def all_findings(page: Page) -> list[str]:
    """Return what axe-core finds on a desktop, in the colours in dark, and in the sizes on a phone.

    The page stays as it is: only the window changes, and has the size of a phone afterwards.
    """
    page.evaluate("scrollTo(0, 0)")  # the header covers what is scrolled beneath it
    look(page, DESKTOP, "light")
    found = findings(page)
    look(page, DESKTOP, "dark")
    found += [f"dark {finding}" for finding in findings(page, *COLOURS)]
    look(page, PHONE, "light")
    return found + [f"phone {finding}" for finding in findings(page, *SIZES)]
