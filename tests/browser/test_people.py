"""An admin manages accounts: a forgotten password, and the last admin."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.accounts import command_line, sign_in
from tests.browser.conftest import OpenPage
from tests.browser.windows import Complaints
from tests.support.accounts import PASSWORD, add_person
from tests.support.server_process import ServerProcess

NEW_PASSWORD = "a wholly different set of words"


def test_a_forgotten_password_is_reset_with_a_link_from_the_terminal(
    page: Page, own_server: str, tmp_path: Path, complaints: Complaints
) -> None:
    with command_line(tmp_path) as app:
        add_person(app)
    page.goto(own_server)
    expect(page.get_by_text("painchain user reset")).to_be_visible()
    environment = {"PAINCHAIN_INSTANCE": str(tmp_path / "instance")}
    reset = ("user", "reset", "alice", "--link", own_server)
    process = ServerProcess(environment, tmp_path / "reset.out", tmp_path / "reset.err", *reset)
    assert process.wait() == 0
    page.goto((tmp_path / "reset.out").read_text().split()[-1])
    page.get_by_label("Password", exact=True).fill(NEW_PASSWORD)
    page.get_by_label("Repeat password").fill(NEW_PASSWORD)
    page.get_by_role("button", name="Set password").click()
    expect(page.locator(".who")).to_contain_text("alice")
    page.get_by_role("link", name="alice", exact=True).click()
    page.get_by_role("button", name="Sign out everywhere").click()
    expect(page.get_by_text("You have been signed out of all sessions.")).to_be_visible()
    sign_in(page, "alice")
    expect(page.get_by_role("alert")).to_contain_text("Wrong name or password")
    page.get_by_role("textbox", name="Name").fill("alice")
    page.get_by_label("Password", exact=True).fill(NEW_PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator(".who")).to_contain_text("alice")
    complaints.take("422")


def test_the_last_admin_cannot_be_removed_until_there_is_another(
    page: Page, own_server: str, open_page: OpenPage, complaints: Complaints
) -> None:
    page.goto(f"{own_server}/settings/people/new")
    page.get_by_role("textbox", name="Name").fill("alice")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Add account", exact=True).click()
    expect(page.get_by_text("From now on, everyone must sign in.")).to_be_visible()
    sign_in(page, "alice")
    page.get_by_role("link", name="alice", exact=True).last.click()
    page.get_by_role("button", name="Disable").click()
    expect(page.get_by_role("alert")).to_contain_text("“alice” is the last admin who can sign in. Give another account")
    complaints.take("409")

    page.goto(f"{own_server}/settings/people/new")
    page.get_by_role("textbox", name="Name").fill("bob")
    page.get_by_label("Admin").check()
    page.get_by_role("button", name="Add account", exact=True).click()
    link = page.get_by_label("Link").input_value()
    bobs = open_page(java_script_enabled=False)
    bobs.goto(link)
    bobs.get_by_label("Password", exact=True).fill(PASSWORD)
    bobs.get_by_label("Repeat password").fill(PASSWORD)
    bobs.get_by_role("button", name="Set password").click()
    bobs.goto(f"{own_server}/settings/people")
    bobs.get_by_role("link", name="alice", exact=True).click()
    bobs.get_by_role("button", name="Disable").click()
    expect(bobs.locator("[data-person=alice]")).to_contain_text("Disabled")
    page.goto(own_server)
    expect(page.get_by_role("alert")).to_contain_text("Your account is disabled.")
    bobs.goto(f"{own_server}/people/alice")
    expect(bobs.locator("#sessions li")).to_contain_text(["ended automatically"])
