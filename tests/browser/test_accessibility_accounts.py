"""axe-core finds nothing on the pages of accounts: signing in, refusals, links, confirmations and empty lists."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.accounts import command_line, sign_in
from tests.browser.axe import DESKTOP, all_findings, look
from tests.browser.conftest import OpenPage, add, call, serving
from tests.browser.windows import Complaints
from tests.support.accounts import add_person, make_link

pytestmark = pytest.mark.browser

# Between them, and those of `test_accessibility.py`, the first ones have every component.
SIGNED_IN = (
    *("/export?range=all", "/settings/people", "/settings/people/1", "/people/alice", "/settings/retention"),
    *("/settings/notifications", "/settings/notifications/1", "/settings/tokens", "/settings/audit-log"),
)
FURTHER = (
    *("/account", "/settings/teams/1", "/settings/retention/prune"),
    *("/report", "/report?month=2020-01", "/as-of", "/as-of?at=2020-01-01", "/settings/people/new"),
    *("/settings/people/2/remove", "/people/nobody", "/settings/tokens/new"),
    *("/settings/teams", "/settings/teams/new", "/settings/teams/1/delete", "/settings/notifications/new"),
    *("/settings/notifications/1/delete", "/settings/integrations", "/settings/integrations/new"),
    *("/nothing-here", "/help/README.md", "/search/help", "/events/999999"),
)
REFUSED = (  # the address of a form, its button, and the answer to the empty form
    ("/account", "Change password", "[aria-invalid=true]"),
    ("/settings/people/new", "Add account", "#problems"),
)
REFUSED_FURTHER = (
    ("/settings/teams/new", "Add team", "[aria-invalid=true]"),
    ("/settings/notifications/new", "Save", "[aria-invalid=true]"),
)
REFUSED_TO_A_VIEWER = ("/settings/people", "/settings/integrations/new")


class Findings(list[str]):
    """What axe-core has found on the pages of a test, which is `thorough` or not."""

    def __init__(self, thorough: bool) -> None:
        """Have none."""
        super().__init__()
        self.thorough = thorough

    def add(self, page: Page, place: str) -> None:
        """Add what it finds on this page."""
        self.extend(f"{place} {finding}" for finding in all_findings(page))
        look(page, DESKTOP, "light")

    def add_further(self, page: Page, place: str) -> None:
        """Add what it finds on a page whose components others have, if the test is thorough."""
        if self.thorough:
            self.add(page, place)


def press(page: Page, button: str) -> None:
    """Press a button and wait for the page it leads to."""
    with page.expect_event("load"):
        page.get_by_role("button", name=button).click()


def enter_two_passwords(page: Page, button: str) -> None:
    """Send a password and another one as its repetition, and wait for the refusal."""
    page.get_by_label("Password", exact=True).fill("a pass phrase that is long")
    page.get_by_label("Repeat password").fill("a different pass phrase")
    press(page, button)
    expect(page.locator("main [role=alert]")).to_be_visible()


def visit_signed_in(page: Page, server: str, found: Findings) -> None:
    """Visit the pages of an admin, and send forms that are refused and forms that show a secret."""
    for address in (*SIGNED_IN, *FURTHER) if found.thorough else SIGNED_IN:
        page.goto(server + address)
        found.add(page, address)
    for address, button, answer in (*REFUSED, *REFUSED_FURTHER) if found.thorough else REFUSED:
        page.goto(server + address)
        page.get_by_role("button", name=button, exact=True).click()
        expect(page.locator(answer).first).to_be_visible()
        found.add(page, f"refused {address}")
    page.goto(f"{server}/settings/tokens/new")
    page.locator("#name").fill("ci")
    page.get_by_role("button", name="Create token").click()
    expect(page.locator("[data-shown-once]").first).to_be_visible()
    found.add(page, "token made")
    page.goto(f"{server}/settings/tokens/1/revoke")
    found.add(page, "token revoke")


def test_axe_finds_nothing_on_the_pages_of_accounts(
    open_page: OpenPage, own_server: str, tmp_path: Path, complaints: Complaints, thorough: bool
) -> None:
    page = open_page(reduced_motion="reduce")
    add(own_server)
    call("POST", f"{own_server}/api/teams", name="Payments", tags=["a"])
    rule = {"url": "json://127.0.0.1:9/", "kinds": ["connector_deleted"]}
    call("POST", f"{own_server}/api/notify-rules", name="Deleted", **rule)
    with command_line(tmp_path) as app:
        add_person(app)
        add_person(app, "vera", "viewer")
        link = make_link(app, 2)
    found = Findings(thorough)
    page.goto(own_server + link)
    found.add_further(page, "link")
    enter_two_passwords(page, "Set password")
    found.add(page, "link refused")
    page.goto(f"{own_server}/link/not-a-link")
    found.add_further(page, "invalid link")
    page.goto(f"{own_server}/report")
    found.add_further(page, "sign-in")
    page.get_by_label("Name").fill("alice")
    page.get_by_label("Password", exact=True).fill("a wrong password")
    press(page, "Sign in")
    expect(page.get_by_role("alert")).to_contain_text("Wrong name or password")
    found.add(page, "sign-in refused")
    sign_in(page, "alice")
    expect(page.locator(".who")).to_contain_text("alice")
    visit_signed_in(page, own_server, found)
    press(page, "Sign out")
    found.add(page, "signed out")
    sign_in(page, "vera")
    expect(page.locator(".who")).to_contain_text("vera")
    for address in ("/settings/integrations/2", "/", *(REFUSED_TO_A_VIEWER if thorough else ())):
        page.goto(own_server + address)
        found.add(page, f"viewer {address}")
    complaints.clear()
    assert found == []


def test_axe_finds_nothing_on_a_server_that_is_not_set_up(
    open_page: OpenPage, empty_page: str, tmp_path: Path, complaints: Complaints, thorough: bool
) -> None:
    page = open_page()
    found = Findings(thorough)
    with serving(tmp_path / "instance", host="0.0.0.0") as link:
        page.goto(link.partition("/link/")[0])
        found.add_further(page, "not set up")
        page.goto(link)
        found.add_further(page, "set up")
        page.get_by_label("Name").fill("alice")
        enter_two_passwords(page, "Create account")
        found.add(page, "set up refused")
        page.goto(empty_page)
    complaints.clear()
    assert found == []
