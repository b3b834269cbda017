"""axe-core finds no serious violation on any page, light, dark and on a phone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Browser, Page, ViewportSize, expect

from tests.browser.conftest import AddedConnector, Complaints, OpenContext, add, call, serving

pytestmark = pytest.mark.browser

# Only the rules about colours depend on the colour scheme.
WIDTHS: dict[str, ViewportSize] = {"desktop": {"width": 1280, "height": 800}, "phone": {"width": 390, "height": 844}}


@dataclass(frozen=True)
class Site:
    """A server with connectors of each type and events of each kind."""

    address: str
    github: AddedConnector
    kubernetes: AddedConnector


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[Site]:
    """A server with connectors of each type and events of each kind."""
    with serving(tmp_path_factory.mktemp("site") / "instance") as address:
        github = add(address, name="Work GitHub", tags=["team", "ci"], enabled=True)
        add(address, "gitlab", "Platform GitLab", config={"base_url": "https://gitlab.example"})
        kubernetes = add(address, "kubernetes", "Production cluster", config={"verify_ssl": False})
        github.change(poll_interval=3600, repos=["acme/api"], base_url="https://github.example/api/v3", token="another")
        call("PUT", f"{github.api}/visibility/Release/draft", visible=False)
        call("POST", f"{github.api}/disable")
        call("DELETE", add(address, "kubernetes", "Old cluster").api)
        call("POST", f"{address}/api/views", name="Production", filter="q=cluster&range=7d")
        yield Site(address, github, kubernetes)


def dashboard(page: Page, site: Site) -> None:
    page.goto(site.address)
    expect(page.locator("#feed article").first).to_be_visible()


def dashboard_opened(page: Page, site: Site) -> None:
    dashboard(page, site)
    for summary in page.locator("#feed summary, #filter-fold summary").all():
        if summary.is_visible():
            summary.click()
    page.locator("#menu-event_type summary").click()
    expect(page.locator("#menu-event_type input").first).to_be_visible()


def dashboard_filtered(page: Page, site: Site) -> None:
    page.goto(f"{site.address}/?range=7d&source=painchain&q=-nothing")
    expect(page.locator("#chips .chosen-filter")).to_have_count(2)
    page.get_by_text("View as table").click()
    expect(page.locator("#chart-table tbody tr").first).to_be_visible()


def dashboard_gaps(page: Page, site: Site) -> None:
    dashboard(page, site)
    page.locator("#data-gaps summary").click()
    expect(page.locator("#data-gaps li").first).to_be_visible()


def search_help(page: Page, site: Site) -> None:
    page.goto(f"{site.address}/help/README.md")
    page.get_by_label("How to search").click()
    expect(page.locator("#search_help")).to_be_visible()


def search_help_page(page: Page, site: Site) -> None:
    page.goto(f"{site.address}/search/help")


def menu_page(page: Page, site: Site) -> None:
    page.goto(f"{site.address}/filter/event_type")


def table_page(page: Page, site: Site) -> None:
    page.goto(f"{site.address}/timeline/table")


def dashboard_empty(page: Page, site: Site) -> None:
    page.goto(f"{site.address}/?start_date=2020-01-01&end_date=2020-01-02")
    expect(page.locator("#feed")).to_contain_text("No events in this time range")


def dashboard_without_match(page: Page, site: Site) -> None:
    page.goto(f"{site.address}/?author=nobody")
    expect(page.locator("#feed")).to_contain_text("No events match this filter")


def dashboard_not_understood(page: Page, site: Site) -> None:
    page.goto(f"{site.address}/?range=sometimes")
    expect(page.locator(".problem")).to_be_visible()


def keys(page: Page, site: Site) -> None:
    dashboard(page, site)
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()


def palette(page: Page, site: Site) -> None:
    dashboard(page, site)
    page.keyboard.press("Control+k")
    page.keyboard.type("pro")
    expect(page.locator("#palette-found").get_by_role("link", name="Production cluster")).to_be_visible()


def palette_page(page: Page, site: Site) -> None:
    page.goto(f"{site.address}/palette?q=pro")


def views_menu(page: Page, site: Site) -> None:
    page.goto(f"{site.address}/?q=cluster&range=7d")
    if page.locator("#filter-fold summary").is_visible():
        expect(page.locator(".shown-view")).to_have_text("Production")
        page.locator("#filter-fold summary").click()
    page.locator("#menu-views summary").click()
    expect(page.locator("#menu-views").get_by_role("link", name="Production")).to_be_visible()


def views(page: Page, site: Site) -> None:
    page.goto(f"{site.address}/settings/views")


def view(page: Page, site: Site) -> None:
    page.goto(f"{site.address}/settings/views/1")


def view_with_errors(page: Page, site: Site) -> None:
    page.goto(f"{site.address}/settings/views/new?q=a")
    page.get_by_role("button", name="Save view").click()
    expect(page.locator("#problems")).to_be_focused()


def event(page: Page, site: Site) -> None:
    dashboard(page, site)
    page.locator("article[data-event-type=ConnectorUpdated]:has(article) summary").first.click()
    page.locator("article article[data-event-type=ConfigChanged] summary").first.click()
    page.get_by_role("link", name="Permalink").first.click()
    page.get_by_text("Raw event").click()
    expect(page.locator(".recorded pre")).to_be_visible()


def around(page: Page, site: Site) -> None:
    event(page, site)
    page.get_by_role("link", name="What else changed around this time?").first.click()
    expect(page.locator("#feed [aria-current]")).to_be_in_viewport()


def history(page: Page, site: Site) -> None:
    page.goto(f"{site.github.page}/history")
    expect(page.locator("#feed article").first).to_be_visible()


def restore(page: Page, site: Site) -> None:
    saved = call("GET", f"{site.address}/api/changes?event_type=ConnectorUpdated&connector={site.github.id}")
    page.goto(f"{site.address}/events/{saved[-1]['id']}/restore")
    expect(page.locator("#restore .obstacle").first).to_be_visible()


def help_page(page: Page, site: Site) -> None:
    page.goto(f"{site.address}/help/connectors/kubernetes.md")
    expect(page.get_by_role("heading", name="Service account")).to_be_visible()


def report(page: Page, site: Site) -> None:
    page.goto(f"{site.address}/report")
    expect(page.locator("[data-table=drift]")).to_be_visible()


def report_empty(page: Page, site: Site) -> None:
    page.goto(f"{site.address}/report?month=2020-01")


def as_of(page: Page, site: Site) -> None:
    page.goto(f"{site.address}/as-of?compare=2020-01-01")
    expect(page.locator(".difference").first).to_be_visible()


def as_of_not_understood(page: Page, site: Site) -> None:
    page.goto(f"{site.address}/as-of?at=yesterday")
    expect(page.locator(".problem")).to_be_visible()


def integrations(page: Page, site: Site) -> None:
    page.goto(f"{site.address}/settings/integrations")
    expect(page.locator("#cards .card").first).to_be_visible()


def integrations_without_match(page: Page, site: Site) -> None:
    page.goto(f"{site.address}/settings/integrations?q=nothing-of-this-name")
    expect(page.locator("#cards")).to_contain_text("No matching connectors")


def choose(page: Page, site: Site) -> None:
    page.goto(f"{site.address}/settings/integrations/new")


def new(page: Page, site: Site) -> None:
    page.goto(f"{site.address}/settings/integrations/new/kubernetes")


def new_with_errors(page: Page, site: Site) -> None:
    page.goto(f"{site.address}/settings/integrations/new/github")
    page.get_by_role("button", name="Add connector").click()
    expect(page.locator("#problems")).to_be_focused()


def painchain(page: Page, site: Site) -> None:
    page.goto(f"{site.address}/settings/integrations/1")


def connector(page: Page, site: Site) -> None:
    page.goto(site.github.page)


def connector_with_a_warning(page: Page, site: Site) -> None:
    page.goto(site.kubernetes.page)
    expect(page.locator(".warning")).to_be_visible()


def saved(page: Page, site: Site) -> None:
    page.goto(site.github.page)
    page.get_by_role("button", name="Save", exact=True).first.click()
    expect(page.locator(".toast")).to_be_visible()


def conflict(page: Page, site: Site) -> None:
    page.goto(site.github.page)
    interval = 60 + int(page.locator("#version").input_value())
    site.github.change(poll_interval=interval)
    page.get_by_label("Poll interval").fill(str(interval + 1))
    page.get_by_role("button", name="Save", exact=True).first.click()
    expect(page.locator("#conflict")).to_be_focused()


def disable(page: Page, site: Site) -> None:
    page.goto(f"{site.address}/settings/integrations/1/disable")


def delete(page: Page, site: Site) -> None:
    page.goto(f"{site.github.page}/delete")


def not_deletable(page: Page, site: Site) -> None:
    page.goto(f"{site.address}/settings/integrations/1/delete")


def not_found(page: Page, site: Site) -> None:
    page.goto(f"{site.address}/nothing-here")


PAGES = (
    dashboard,
    dashboard_opened,
    dashboard_filtered,
    dashboard_gaps,
    search_help,
    search_help_page,
    menu_page,
    table_page,
    dashboard_empty,
    dashboard_without_match,
    dashboard_not_understood,
    keys,
    palette,
    palette_page,
    views_menu,
    views,
    view,
    view_with_errors,
    event,
    around,
    history,
    restore,
    help_page,
    report,
    report_empty,
    as_of,
    as_of_not_understood,
    integrations,
    integrations_without_match,
    choose,
    new,
    new_with_errors,
    painchain,
    connector,
    connector_with_a_warning,
    saved,
    conflict,
    disable,
    delete,
    not_deletable,
    not_found,
)


def violations(page: Page, *rules: str) -> list[str]:
    """Return the serious violations that axe-core finds; with `rules`, only of those rules."""
    only = {"runOnly": {"type": "rule", "values": list(rules)}} if rules else {}
    results = Axe().run(page, options={"resultTypes": ["violations"], **only}).response["violations"]
    return [
        f"{violation['id']}: {node['target']} {node['failureSummary']}"
        for violation in results
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"]
    ]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("visit", PAGES, ids=lambda visit: visit.__name__)
def test_no_page_has_a_serious_violation(
    open_context: OpenContext, complaints: Complaints, site: Site, visit: Callable[[Page, Site], None], width: str
) -> None:
    page = open_context(viewport=WIDTHS[width], color_scheme="light", reduced_motion="reduce").new_page()
    visit(page, site)
    assert violations(page) == []
    if width == "desktop":
        page.emulate_media(color_scheme="dark")
        assert violations(page, "color-contrast", "link-in-text-block") == []
    complaints.clear()


@pytest.mark.parametrize("look", ["light", "dark"])
def test_the_auditing_off_bar_has_no_serious_violation(open_context: OpenContext, own_server: str, look: str) -> None:
    call("POST", f"{own_server}/api/connectors/1/disable")
    page = open_context(color_scheme=look).new_page()
    page.goto(own_server)
    expect(page.locator("#auditing-off")).to_be_visible()
    assert violations(page) == []


def test_a_violation_is_detected(page: Page, server: str) -> None:
    page.goto(server)
    page.evaluate("document.querySelector('#q').removeAttribute('placeholder')")
    page.evaluate("document.querySelector('.search .hidden').remove()")
    assert [violation.partition(":")[0] for violation in violations(page)] == ["label"]
