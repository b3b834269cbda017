"""People sign in through OpenID Connect at a real provider."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page, expect

from painchain.accounts import users
from painchain.startup import create_app
from tests.browser.conftest import OpenPage, serving
from tests.browser.windows import Complaints
from tests.conftest import close, settings_for
from tests.counterparts.node import free_port
from tests.counterparts.oidc import provider
from tests.support.accounts import PASSWORD, audited_transaction


def enter(page: Page, account: str) -> None:
    """Go to the provider, and enter an account there."""
    page.get_by_role("link", name="Sign in with Example ID").click()
    page.get_by_label("Account").fill(account)
    page.get_by_role("button", name="Continue").click()


def test_the_button_leads_to_the_provider_and_back_to_the_requested_page(
    page: Page, open_page: OpenPage, tmp_path: Path, complaints: Complaints
) -> None:
    app = create_app(settings_for(tmp_path / "instance"))
    with audited_transaction(app) as trail:
        users.add("alice", "editor", trail, email="alice@people.example")
        users.add("root", "admin", trail, password=PASSWORD)
    close(app)
    port = str(free_port())
    server = f"http://127.0.0.1:{port}"
    with (
        provider(tmp_path, f"{server}/sign-in/oidc/back") as fake_server,
        serving(tmp_path / "instance", port, **fake_server.environment(public_url=server)),
    ):
        page.goto(f"{server}/report?month=2026-01")
        enter(page, "unverified")
        expect(page.get_by_role("alert")).to_contain_text("alice@people.example is not verified at Example ID")
        complaints.take("403")
        plain = open_page(java_script_enabled=False)
        for tab in (open_page(), plain):
            tab.goto(f"{server}/report?month=2026-01")
            enter(tab, "subject-of-alice")
            expect(tab).to_have_url(f"{server}/report?month=2026-01")
            expect(tab.locator(".who")).to_contain_text("alice")
        plain.goto(f"{server}/?access=1")
        expect(plain.locator("#feed")).to_contain_text("the email address alice@people.example is not verified")
        expect(plain.locator("#feed")).to_contain_text(fake_server.url)
