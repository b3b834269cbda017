"""axe-core finds nothing on any page in any state: on a desktop, in dark and on a phone."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.axe import COLOURS, SIZES, all_findings, findings
from tests.browser.conftest import OpenPage, add, call, make_demo, serving
from tests.browser.dashboard_pages import (
    Site,
    around,
    as_of,
    as_of_not_understood,
    before,
    before_menu,
    before_not_understood,
    dashboard,
    dashboard_compared,
    dashboard_empty,
    dashboard_failures,
    dashboard_filtered,
    dashboard_gaps,
    dashboard_not_understood,
    dashboard_opened,
    dashboard_without_match,
    event,
    event_with_notes,
    help_page,
    hide_setup,
    history,
    keys,
    menu_page,
    note_refused,
    palette,
    palette_page,
    ranges_menu,
    report,
    report_empty,
    rows_with_notes,
    search_help,
    search_help_page,
    setup,
    suggestions,
    table_page,
    view,
    view_with_errors,
    views,
    views_menu,
)
from tests.browser.settings_pages import (
    bulk,
    bulk_confirmation,
    choose,
    conflict,
    connector,
    connector_with_a_warning,
    delete,
    disable,
    duplicate,
    integrations,
    integrations_without_match,
    mapping_tried,
    new,
    new_with_errors,
    not_deletable,
    not_found,
    painchain,
    restore,
    saved,
    view_delete,
    webhook,
)
from tests.browser.windows import Complaints
from tests.support.thorough import further

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[Site]:
    """A server with connectors of each type and events of each kind."""
    instance = tmp_path_factory.mktemp("site") / "instance"
    make_demo(instance, events=100, days=2)
    with serving(instance) as address:
        github = add(address, name="Work GitHub", tags=["team", "ci"], enabled=True)
        add(address, "gitlab", "Platform GitLab", config={"base_url": "https://gitlab.example"})
        kubernetes = add(address, "kubernetes", "Production cluster", config={"verify_ssl": False})
        github.change(poll_interval=3600, repos=["acme/api"], base_url="https://github.example/api/v3", token="another")
        call("PUT", f"{github.api}/visibility/Release/draft", visible=False)
        call("POST", f"{github.api}/disable")
        call("DELETE", add(address, "kubernetes", "Old cluster").api)
        call("POST", f"{address}/api/views", name="Production", filter="q=cluster&range=30m")
        [failed] = call("GET", f"{address}/api/changes?outcome=bad&source=kubernetes&limit=1")
        for text in ("The pool is too small", "Rolled back.\n\nSee the revert."):
            call("POST", f"{address}/api/changes/{failed['id']}/notes", text=text)
        yield Site(address, github, kubernetes, failed["id"])


# Between them, and those of accounts, these pages have every component.
PAGES = (
    dashboard_opened,
    dashboard_filtered,
    dashboard_failures,
    before,
    suggestions,
    search_help,
    menu_page,
    table_page,
    dashboard_empty,
    palette,
    views_menu,
    event_with_notes,
    rows_with_notes,
    history,
    restore,
    help_page,
    report,
    as_of,
    integrations,
    new_with_errors,
    mapping_tried,
    conflict,
    not_found,
)
FURTHER = (
    view_with_errors,
    bulk_confirmation,
    choose,
    painchain,
    dashboard,
    dashboard_gaps,
    dashboard_compared,
    ranges_menu,
    before_menu,
    before_not_understood,
    setup,
    hide_setup,
    search_help_page,
    dashboard_without_match,
    dashboard_not_understood,
    keys,
    palette_page,
    views,
    view,
    event,
    around,
    note_refused,
    report_empty,
    as_of_not_understood,
    integrations_without_match,
    bulk,
    duplicate,
    new,
    connector,
    connector_with_a_warning,
    saved,
    disable,
    webhook,
    view_delete,
    delete,
    not_deletable,
)


@pytest.mark.parametrize("visit", [*PAGES, *further(*FURTHER)], ids=lambda visit: visit.__name__)
def test_axe_finds_nothing_on_any_page(
    open_page: OpenPage, complaints: Complaints, site: Site, visit: Callable[[Page, Site], None]
) -> None:
    page = open_page(reduced_motion="reduce")
    visit(page, site)
    assert all_findings(page) == []
    complaints.clear()


def test_axe_finds_nothing_on_a_new_server_and_in_the_auditing_off_bar(page: Page, own_server: str) -> None:
    call("POST", f"{own_server}/api/connectors/1/disable")
    page.goto(own_server)
    expect(page.locator("#setup-start-steps[open]")).to_be_visible()
    expect(page.locator("#auditing-off")).to_be_visible()
    assert all_findings(page) == []


def test_a_violation_is_detected(page: Page, server: str) -> None:
    page.goto(server)
    page.evaluate("document.querySelector('#q').removeAttribute('placeholder')")
    page.evaluate("document.querySelector('.search .hidden').remove()")
    assert [finding.partition(":")[0] for finding in findings(page)] == ["label"]
    page.evaluate(
        "document.adoptedStyleSheets.push(new CSSStyleSheet());"
        "document.adoptedStyleSheets.at(-1).replaceSync('#feed summary * { color: #bbb !important }')"
    )
    assert {finding.partition(":")[0] for finding in findings(page)} == {"label", "color-contrast"}
    assert {finding.partition(":")[0] for finding in findings(page, *COLOURS)} == {"color-contrast"}
    for style, rule in (
        (".ranges a { padding: 0; width: 9px; height: 9px }", "target-size"),
        ("#feed .day { overflow: auto; width: 2px; height: 2px }", "scrollable-region-focusable"),
    ):
        page.evaluate("style => document.adoptedStyleSheets.at(-1).replaceSync(style)", style)
        assert {finding.partition(":")[0] for finding in findings(page, *SIZES)} == {rule}
