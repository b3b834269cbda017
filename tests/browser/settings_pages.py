"""The pages of settings, each in a state to look at."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.browser.conftest import call
from tests.browser.dashboard_pages import Site


def restore(page: Page, site: Site) -> None:
    saved = call("GET", f"{site.address}/api/changes?event_type=ConnectorUpdated&connector={site.github.id}")
    page.goto(f"{site.address}/events/{saved[-1]['id']}/restore")
    expect(page.locator("#restore .obstacle").first).to_be_visible()


def integrations(page: Page, site: Site) -> None:
    page.goto(f"{site.address}/settings/integrations")
    expect(page.locator("#cards .card").first).to_be_visible()


def integrations_without_match(page: Page, site: Site) -> None:
    page.goto(f"{site.address}/settings/integrations?q=nothing-of-this-name")
    expect(page.locator("#cards")).to_contain_text("No matching connectors")


def bulk(page: Page, site: Site) -> None:
    page.goto(f"{site.address}/settings/integrations")
    page.locator(".bulk summary").click()
    for connector in (site.github, site.kubernetes):
        page.get_by_label(f"Select {connector.name}", exact=True).check()


def bulk_confirmation(page: Page, site: Site) -> None:
    bulk(page, site)
    page.get_by_role("button", name="Disable…").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Disable 2 connectors?")


def duplicate(page: Page, site: Site) -> None:
    page.goto(f"{site.github.page}/duplicate")
    expect(page.locator(".copied")).to_be_visible()


def choose(page: Page, site: Site) -> None:
    page.goto(f"{site.address}/settings/integrations/new")


def new(page: Page, site: Site) -> None:
    page.goto(f"{site.address}/settings/integrations/new/kubernetes")


def new_with_errors(page: Page, site: Site) -> None:
    page.goto(f"{site.address}/settings/integrations/new/github")
    page.get_by_role("button", name="Add connector").click()
    expect(page.locator("#problems")).to_be_focused()


def mapping_tried(page: Page, site: Site) -> None:
    page.goto(f"{site.address}/settings/integrations/new/webhook")
    page.get_by_label("Payload (JSON)").fill('{"title": "Deployed shop 1.4.2", "service": "shop"}')
    page.locator("summary", has_text="Mapping").click()
    page.get_by_role("button", name="Try this mapping").click()
    expect(page.locator("#trial")).to_contain_text("Pasted payload: 1 event")


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


def webhook(page: Page, site: Site) -> None:
    page.goto(f"{site.github.page}/webhook/replace")


def view_delete(page: Page, site: Site) -> None:
    page.goto(f"{site.address}/settings/views/1/delete")


def delete(page: Page, site: Site) -> None:
    page.goto(f"{site.github.page}/delete")


def not_deletable(page: Page, site: Site) -> None:
    page.goto(f"{site.address}/settings/integrations/1/delete")


def not_found(page: Page, site: Site) -> None:
    page.goto(f"{site.address}/nothing-here")
