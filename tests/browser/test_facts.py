"""Events of every type show their facts when opened, on a desktop and a phone, with and without JavaScript."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from painchain import connectors
from painchain.connectors.base import Shape
from painchain.eventlog import writer
from painchain.maintenance import demo_data
from painchain.startup import create_app
from tests.browser.axe import findings
from tests.browser.conftest import OpenPage, call, serving
from tests.browser.layout import open_everything, too_wide
from tests.conftest import close, settings_for
from tests.support.sample_events import new
from tests.support.thorough import further

pytestmark = pytest.mark.browser

LONG = "registry.example/" + "long-name" * 30
KINDS = sum(len(value.event_types) for value in connectors.ADDABLE.values())
LONGEST: dict[Shape, Any] = {
    Shape.TEXT: LONG,
    Shape.STATUS: "x" * 60,
    Shape.LIST: [LONG] * 9,
    Shape.BRANCHES: {"head": LONG, "base": LONG},
    Shape.LINES: {"additions": 10**12, "deletions": 10**12, "files": 10**12},
    Shape.MOVES: [{"name": LONG, "old": f"{LONG}:1", "new": f"{LONG}:2"}] * 7,
    Shape.LINK: f"https://{'host-name.' * 20}example/",
    Shape.SHA: "0123456789abcdef" * 4,
}
KEEP_ONE_ROW_OF_EACH_TYPE = """() => {
    const seen = new Set();
    for (const row of document.querySelectorAll("#feed > article")) {
        const kind = [row.dataset.eventType, row.dataset.source, row.querySelectorAll("article").length > 0].join();
        if (seen.has(kind)) row.remove();
        seen.add(kind);
    }
}"""


def fill(instance: Path) -> None:
    """Write demo events of every type, and one event of every type with facts of the maximum length."""
    app = create_app(settings_for(instance))
    with app.app_context():
        demo_data.fill(250, 1, 1, datetime.now(UTC), lambda number: None)
        with writer.writing() as event_log:
            for source, connector_type in connectors.ADDABLE.items():
                for kind in connector_type.event_types:
                    metadata = {field.key: LONGEST.get(field.shape) for field in kind.fields}
                    about = {"source": source, "event_type": kind.name, "status": "failure", "tags": ["long"]}
                    event_log.append(
                        new(f"{source}-{kind.name}", metadata=metadata, url="https://host.example/", **about)
                    )
    close(app)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[str]:
    """The address of a server with events of every type."""
    instance = tmp_path_factory.mktemp("facts") / "instance"
    fill(instance)
    with serving(instance) as address:
        yield address


@pytest.mark.parametrize(
    ("look", "width"),
    [("light", 390), *further(("dark", 1280))],
    ids=["phone in the light", "desktop in the dark"],
)
def test_every_opened_event_fits_the_window_and_is_readable(
    open_page: OpenPage, filled: str, look: str, width: int
) -> None:
    page = open_page(color_scheme=look, viewport={"width": width, "height": 900})
    for query in ("?range=24h", "?range=all&tag=long"):
        page.goto(f"{filled}/{query}")
        assert too_wide(page) == []
        page.evaluate(KEEP_ONE_ROW_OF_EACH_TYPE)
        open_everything(page)
        assert too_wide(page) == []
        assert findings(page) == []


def test_a_list_expands_without_javascript(plain_page: Page, filled: str) -> None:
    plain_page.goto(f"{filled}/?range=all&tag=long&event_type=WorkflowRun")
    plain_page.locator("#feed article > details > summary").click()
    plain_page.get_by_role("link", name="Details of this event").click()
    jobs = plain_page.locator("[data-field=failed_jobs]")
    expect(jobs.locator("li:visible")).to_have_count(5)
    jobs.get_by_text("4 more").click()
    expect(jobs.locator("li:visible")).to_have_count(9)


def test_a_full_hash_is_copied_and_keys_move_between_lines(page: Page, filled: str) -> None:
    page.goto(f"{filled}/?range=all&tag=long")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.keyboard.press("j")
    lines = page.locator("#feed article > details > summary")
    expect(lines.nth(1)).to_be_focused()
    page.goto(f"{filled}/?range=all&tag=long&event_type=WorkflowRun")
    page.locator("#feed article > details > summary").click()
    page.locator("[data-field=commit] .sha").click()
    assert page.evaluate("getSelection().toString()") == LONGEST[Shape.SHA]


def test_a_team_filters_the_dashboard_and_its_address(page: Page, filled: str) -> None:
    call("POST", f"{filled}/api/teams", name="Long & far", tags=["long"])
    page.goto(f"{filled}/?range=all")
    page.locator("#menu-team summary").click()
    page.get_by_label("Long & far").check()
    expect(page).to_have_url(f"{filled}/?range=all&team=Long%20%26%20far")
    expect(page.locator(".chart-head .count")).to_have_text(f"{KINDS} events")
    page.set_viewport_size({"width": 390, "height": 844})
    for address in ("", "/new", "/1", "/1/delete"):
        page.goto(f"{filled}/settings/teams{address}")
        assert (too_wide(page), findings(page)) == ([], [])
