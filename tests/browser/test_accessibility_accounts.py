"""axe-core finds nothing on the pages of accounts: signing in, refusals, links, confirmations and empty lists."""

from __future__ import annotations

from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Page, ViewportSize, expect

from tests.browser.conftest import Complaints, OpenContext, add, serving
from tests.browser.test_accessibility import WIDTHS
from tests.browser.test_sign_in import command_line, sign_in
from tests.support.accounts import add_person, make_link

pytestmark = pytest.mark.browser

SIGNED_IN = (
    *("/account", "/report", "/report?month=2020-01", "/as-of", "/as-of?at=2020-01-01", "/export?range=all"),
    *("/settings/people", "/settings/people/new", "/settings/people/1", "/people/alice", "/people/nobody"),
    *("/settings/teams", "/settings/teams/new", "/settings/retention", "/settings/notifications"),
    *("/settings/notifications/new", "/settings/tokens", "/settings/tokens/new", "/settings/audit-log"),
    *("/settings/integrations", "/settings/integrations/new", "/settings/people/2/remove", "/nothing-here"),
    *("/help/README.md", "/search/help", "/events/999999"),
)


def findings(page: Page, place: str) -> list[str]:
    """Return everything that axe-core finds, whatever its impact."""
    found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    return [f"{place} {rule['id']}: {node['target']}" for rule in found for node in rule["nodes"]]


def press(page: Page, button: str) -> None:
    """Press a button and wait for the page it leads to."""
    with page.expect_event("load"):
        page.get_by_role("button", name=button).click()


@pytest.mark.parametrize("width", WIDTHS)
def test_the_pages_of_accounts_have_no_violation(
    open_context: OpenContext, own_server: str, tmp_path: Path, complaints: Complaints, width: str
) -> None:
    size: ViewportSize = WIDTHS[width]
    page = open_context(viewport=size, reduced_motion="reduce").new_page()
    add(own_server)
    with command_line(tmp_path) as app:
        add_person(app)
        add_person(app, "vera", "viewer")
        link = make_link(app, 2)
    found: list[str] = []
    page.goto(own_server + link)
    found += findings(page, "link")
    page.get_by_role("button", name="Set password").click()
    found += findings(page, "link refused")
    page.goto(f"{own_server}/link/not-a-link")
    found += findings(page, "invalid link")
    page.goto(f"{own_server}/report")
    found += findings(page, "sign-in")
    page.get_by_label("Name").fill("alice")
    page.get_by_label("Password", exact=True).fill("a wrong password")
    press(page, "Sign in")
    expect(page.get_by_role("alert")).to_contain_text("Wrong name or password")
    found += findings(page, "sign-in refused")
    sign_in(page, "alice")
    expect(page.locator(".who")).to_contain_text("alice")
    for address in SIGNED_IN:
        page.goto(own_server + address)
        found += findings(page, address)
    press(page, "Sign out")
    found += findings(page, "signed out")
    sign_in(page, "vera")
    expect(page.locator(".who")).to_contain_text("vera")
    for address in ("/settings/people", "/settings/integrations/new", "/"):
        page.goto(own_server + address)
        found += findings(page, f"viewer {address}")
    complaints.clear()
    assert found == []


def test_a_server_that_is_not_set_up_has_no_violation(
    open_context: OpenContext, tmp_path: Path, complaints: Complaints
) -> None:
    page = open_context().new_page()
    with serving(tmp_path / "instance", host="0.0.0.0") as link:
        page.goto(link.partition("/link/")[0])
        found = findings(page, "not set up")
        page.goto(link)
        found += findings(page, "set up")
        page.get_by_role("button", name="Create account").click()
        found += findings(page, "set up refused")
        page.goto("about:blank")
    complaints.clear()
    assert found == []
