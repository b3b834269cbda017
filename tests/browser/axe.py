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
    ];
    const kinds = new Map(examined.map((name) => [name, []])), withoutText = [];
    const walk = (element, behind, around) => {
        const style = getComputedStyle(element);
        const own = [style.backgroundColor, style.backgroundImage, style.opacity, style.position].join();
        if (!/^rgba\\(0, 0, 0, 0\\),none,1,(static|relative)$/.test(own)) behind += `/${own}`;
        const text = textOf(element, style), isControl = element.matches("input, select, textarea, button");
        const isLink = element.matches("a[href], [role=link]"), [hasText, isVisible] = text;
        const kind = [behind, text, isControl && element.tagName, isLink && around].join();
        const isExamined = isVisible && (hasText || isControl || isLink);
        if (isExamined && !kinds.has(kind)) kinds.set(kind, []);
        (isExamined ? kinds.get(kind) : withoutText).push(element);
        for (const child of element.children) walk(child, behind, text);
    };
    walk(document.body, "", "");
    for (const element of document.querySelectorAll("[data-examined]")) element.removeAttribute("data-examined");
    const names = [...kinds.keys()];
    for (const element of withoutText) element.setAttribute("data-examined", "");
    for (const [number, elements] of [...kinds.values()].entries()) {
        const alike = number < examined.length ? elements : elements.slice(1, -1);
        for (const element of alike) element.setAttribute("data-examined", "");
    }
    return names.slice(examined.length);
}"""
# The place of targets takes a third of the time. A target passes if it is 24 pixels wide and high and overlaps none, or
# if its centre is as far from all others as WCAG 2.5.8 wants. A region that does not scroll has no rule.
SIZES_IN_DOUBT = """() => {
    const focusable = "a[href], button, input, select, textarea, summary, [role][tabindex], [tabindex='0']";
    const targets = [...document.querySelectorAll(focusable)].filter((element) => element.checkVisibility())
        .map((element) => [element, element.getBoundingClientRect()]).filter(([, box]) => box.right > 0);
    const isLarge = (box) => box.width >= 24 && box.height >= 24;
    const isTooClose = (box, other) => {
        const overlapX = Math.min(box.right, other.right) - Math.max(box.left, other.left);
        const overlapY = Math.min(box.bottom, other.bottom) - Math.max(box.top, other.top);
        if (isLarge(box)) return overlapX > 0 && overlapY > 0;
        const x = (box.left + box.right) / 2, y = (box.top + box.bottom) / 2;
        const dx = Math.max(other.left - x, 0, x - other.right), dy = Math.max(other.top - y, 0, y - other.bottom);
        const toCentre = Math.hypot(x - (other.left + other.right) / 2, y - (other.top + other.bottom) / 2);
        return Math.hypot(dx, dy) < 12 || (!isLarge(other) && toCentre < 24);
    };
    const isInDoubt = ([element, box]) => !element.closest("svg")
        && targets.some(([other, otherBox]) => !other.contains(element) && isTooClose(box, otherBox));
    const scrolls = (element) => /auto|scroll/.test(getComputedStyle(element).overflow)
        && (element.scrollWidth > element.clientWidth || element.scrollHeight > element.clientHeight);
    return [
        ...(targets.some(isInDoubt) ? ["target-size"] : []),
        ...([...document.body.querySelectorAll("*")].some(scrolls) ? ["scrollable-region-focusable"] : []),
    ];
}"""
_examined: list[str] = []  # the kinds of elements on which nothing was found
RUN = """async ([rules, sizes]) => {
    axe.configure({rules: [
        {id: "color-contrast", selector: "*:not([data-examined])"},
        {id: "link-in-text-block", selector: "a[href]:not([data-examined]), [role=link]:not([data-examined])"},
    ]});
    // axe-core leaves the target size, a rule of WCAG 2.2, out unless it is asked for. No rule needs style sheets.
    const enabled = {"target-size": {enabled: sizes.includes("target-size")}};
    const options = {resultTypes: ["violations"], rules: enabled, preload: false};
    const found = await axe.run(rules.length ? {...options, runOnly: {type: "rule", values: rules}} : options);
    const text = (rule, node) => `${rule.id}: ${node.target} ${node.failureSummary}`;
    return found.violations.flatMap((rule) => rule.nodes.map((node) => text(rule, node)));
}"""


def findings(page: Page, *rules: str) -> list[str]:
    """Return everything that axe-core finds, as texts; with `rules`, only of those rules: `COLOURS` or `SIZES`."""
    new_kinds = page.evaluate(MARK_EXAMINED, _examined) if rules != SIZES else []
    sizes = page.evaluate(SIZES_IN_DOUBT) if rules != COLOURS else []
    if (rules == COLOURS and not new_kinds) or (rules == SIZES and not sizes):
        return []  # axe-core would look at no element, after it has described the whole page
    if not page.evaluate("'axe' in window"):
        page.evaluate(Axe().axe_script)
    found: list[str] = page.evaluate(RUN, [sizes if rules == SIZES else list(rules), sizes])
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
