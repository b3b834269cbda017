"""People sign in: the first account, the pages of each role, and an account that is disabled meanwhile."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from painchain.accounts import users
from tests.browser.accounts import command_line, sign_in
from tests.browser.axe import findings
from tests.browser.conftest import OpenPage, add, serving
from tests.browser.windows import Complaints
from tests.support.accounts import PASSWORD, add_person, audited_transaction

pytestmark = pytest.mark.browser


def test_the_link_on_the_terminal_creates_the_first_account(
    page: Page, open_page: OpenPage, tmp_path: Path, complaints: Complaints
) -> None:
    with serving(tmp_path / "instance", host="0.0.0.0") as link:
        server = link.partition("/link/")[0]
        page.goto(f"{server}/report")
        expect(page.get_by_role("heading", name="Not set up yet")).to_be_visible()
        complaints.take("403")
        page.goto(link)
        page.get_by_label("Name").fill("alice")
        page.get_by_label("Password", exact=True).fill(PASSWORD)
        page.get_by_label("Repeat password").fill(PASSWORD)
        page.get_by_role("button", name="Create account").click()
        expect(page.locator(".who")).to_contain_text("alice")
        expect(page.locator("#feed")).to_contain_text("Person Added")
        page.goto(link)
        expect(page.get_by_role("alert")).to_contain_text("This link has been used or replaced")
        complaints.take("410")
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_text("You have been signed out.")).to_be_visible()
        plain = open_page(java_script_enabled=False)
        plain.goto(f"{server}/report?month=2026-01")
        sign_in(plain, "alice")
        expect(plain).to_have_url(f"{server}/report?month=2026-01")


def test_a_viewer_can_read_everything_and_sees_no_editing_controls(
    page: Page, own_server: str, tmp_path: Path, complaints: Complaints
) -> None:
    connector = add(own_server)
    with command_line(tmp_path) as app:
        add_person(app)
        add_person(app, "victor", "viewer")
    page.goto(connector.page)
    assert findings(page) == []
    sign_in(page, "victor")
    expect(page).to_have_url(connector.page)
    expect(page.locator(".who")).to_have_text(re.compile(r"victor\s*viewer"))
    expect(page.get_by_label("Connection Name")).to_be_disabled()
    for name in ("Save", "Enable", "Show all", "Delete…", "Test connection"):
        expect(page.get_by_role("button", name=name, exact=True)).to_have_count(0)
    expect(page.get_by_role("link", name="Retention")).to_have_count(0)
    assert findings(page) == []
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    page.goto(f"{connector.page}/delete")
    expect(page.get_by_role("alert")).to_contain_text("Your role is viewer; this requires the editor role")
    complaints.take("403")


def test_open_tabs_of_a_disabled_account_are_signed_out(
    page: Page, own_server: str, tmp_path: Path, complaints: Complaints
) -> None:
    connector = add(own_server)
    with command_line(tmp_path) as app:
        add_person(app)
        number = add_person(app, "bob", "editor")
        page.goto(connector.page)
        sign_in(page, "bob")
        page.get_by_label("Connection Name").fill("Typed for an hour")
        dashboard = page.context.new_page()
        dashboard.goto(f"{own_server}/?range=7d")
        with audited_transaction(app) as trail:
            users.disable(users.get(number), trail)
    expect(dashboard.get_by_role("alert")).to_contain_text("Your account is disabled. Ask an admin to enable it.")
    expect(dashboard).to_have_url(f"{own_server}/sign-in?next=%2F%3Frange%3D7d")
    page.bring_to_front()
    expect(page.locator("#toast")).to_contain_text("Copy your unsaved changes")
    page.locator("#save").click()
    expect(page.locator("#toast")).to_contain_text("Nothing was saved. Your account is disabled.")
    expect(page.get_by_label("Connection Name")).to_have_value("Typed for an hour")
    complaints.take("401")
