"""The dashboard and the pages of events, each in a state to look at."""

from __future__ import annotations

from dataclasses import dataclass

from playwright.sync_api import Page, expect

from tests.browser.conftest import AddedConnector


@dataclass(frozen=True)
class Site:
    """A server with connectors of each type and events of each kind; one event has notes."""

    address: str
    github: AddedConnector
    kubernetes: AddedConnector
    noted: int


def dashboard(page: Page, site: Site) -> None:
    page.goto(site.address)
    expect(page.locator("#feed article").first).to_be_visible()


def dashboard_opened(page: Page, site: Site) -> None:
    dashboard(page, site)
    page.evaluate("document.querySelector('#filter-fold').open = true")  # shown on a phone
    first = "[...document.querySelectorAll('#feed > article > details')].slice(0, 12)"
    page.evaluate(f"{first}.forEach(details => details.open = true)")
    expect(page.locator("#feed details[open] .details").nth(8)).to_be_visible()
    page.locator("#menu-event_type summary").click()
    expect(page.locator("#menu-event_type input").first).to_be_visible()


def dashboard_filtered(page: Page, site: Site) -> None:
    page.goto(f"{site.address}/?range=1h&source=painchain&q=-nothing")
    expect(page.locator("#chips .chosen-filter")).to_have_count(2)
    page.get_by_text("View as table").click()
    expect(page.locator("#chart-table tbody tr").first).to_be_visible()


def dashboard_gaps(page: Page, site: Site) -> None:
    dashboard(page, site)
    page.locator("#data-gaps summary").click()
    expect(page.locator("#data-gaps li").first).to_be_visible()


def dashboard_failures(page: Page, site: Site) -> None:
    page.goto(site.address)
    page.locator("#switch-failures").click()
    expect(page.locator("#switch-failures")).to_have_attribute("aria-pressed", "true")
    page.locator("#switch-access").click()
    expect(page.locator("#switch-access")).to_have_attribute("aria-pressed", "true")


def dashboard_compared(page: Page, site: Site) -> None:
    dashboard(page, site)
    page.locator(".compare a").first.click()
    expect(page.locator(".chart .earlier")).to_have_count(1)
    page.locator(".chart a[aria-label]").first.hover()
    expect(page.locator(".tip")).to_be_visible()


def ranges_menu(page: Page, site: Site) -> None:
    dashboard(page, site)
    page.locator("#menu-custom summary").click()
    expect(page.get_by_label("From")).to_be_visible()


def before_menu(page: Page, site: Site) -> None:
    dashboard(page, site)
    page.locator("#menu-before summary").click()
    expect(page.get_by_label("Time", exact=True)).to_be_visible()


def before(page: Page, site: Site) -> None:
    before_menu(page, site)
    page.get_by_label("Time", exact=True).fill("-30m")
    page.get_by_label("Window").select_option("6h")
    page.locator("#menu-before").get_by_role("button", name="Show").click()
    expect(page.locator("#failures-first li").nth(2)).to_be_visible()


def before_not_understood(page: Page, site: Site) -> None:
    page.goto(f"{site.address}/?before_time=noon-ish")
    expect(page.get_by_label("Time", exact=True)).to_be_visible()


def suggestions(page: Page, site: Site) -> None:
    page.goto(f"{site.address}/?range=30m")
    page.locator("#q").press_sequentially("sou")
    expect(page.locator("#suggestions [role=option]").first).to_be_visible()
    page.keyboard.press("ArrowDown")


def setup(page: Page, site: Site) -> None:
    dashboard(page, site)
    page.locator("#setup-header-steps summary").click()
    expect(page.locator("#setup-header-steps li").first).to_be_visible()


def hide_setup(page: Page, site: Site) -> None:
    page.goto(f"{site.address}/setup/hide")


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
    page.goto(f"{site.address}/?range=30m")
    page.keyboard.press("Control+k")
    page.keyboard.type("pro")
    expect(page.locator("#palette-found").get_by_role("link", name="Production cluster").first).to_be_visible()


def palette_page(page: Page, site: Site) -> None:
    page.goto(f"{site.address}/palette?q=pro")


def views_menu(page: Page, site: Site) -> None:
    page.goto(f"{site.address}/?q=cluster&range=30m")
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


def event_with_notes(page: Page, site: Site) -> None:
    page.goto(f"{site.address}/events/{site.noted}")
    expect(page.locator(".notes li")).to_have_count(2)


def note_refused(page: Page, site: Site) -> None:
    page.goto(f"{site.address}/events/{site.noted}")
    page.get_by_role("button", name="Add note").click()
    expect(page.locator("#error-text")).to_be_visible()


def rows_with_notes(page: Page, site: Site) -> None:
    page.goto(f"{site.address}/events/{site.noted}/around")
    expect(page.locator(".note-mark").first).to_be_visible()


def around(page: Page, site: Site) -> None:
    event(page, site)
    page.get_by_role("link", name="What else changed around this time?").first.click()
    expect(page.locator("#feed [aria-current]")).to_be_in_viewport()


def history(page: Page, site: Site) -> None:
    page.goto(f"{site.github.page}/history")
    expect(page.locator("#feed article").first).to_be_visible()


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
