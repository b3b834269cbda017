"""A GitHub connector, from its form to the events on an open dashboard, with a stateful fake GitHub."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage
from tests.counterparts.emulate import REPO, TOKEN, emulated

pytestmark = pytest.mark.browser


def test_a_github_connector_is_added_tested_enabled_and_its_events_appear_on_the_open_dashboard(
    page: Page, open_page: OpenPage, server: str, tmp_path: Path
) -> None:
    name = f"Emulated {secrets.token_hex(3)}"
    with emulated(tmp_path) as github:
        page.goto(f"{server}/settings/integrations/new/github")
        page.get_by_label("Connection Name").fill(name)
        page.get_by_label("API URL").fill(github.url)
        page.get_by_label("Token", exact=False).first.fill(TOKEN)
        page.get_by_label("Repositories").fill(REPO)
        page.get_by_role("button", name="Test connection").click()
        expect(page.locator("#test_result .fine")).to_contain_text("Authenticated as octocat (The Octocat)")
        page.get_by_role("button", name="Add connector").click()
        expect(page.get_by_role("heading", name=name)).to_be_visible()

        dashboard = open_page()
        dashboard.goto(f"{server}/?connector={page.url.rpartition('/')[2]}&source=github")
        articles = dashboard.locator("#feed article")
        expect(articles).to_have_count(0)
        page.get_by_role("button", name="Enable").click()
        expect(articles.filter(has_text="Initial commit")).to_have_count(1)

        number = github.open_pull_request("Fix retry loop")
        page.get_by_role("button", name="Sync now").click()
        expect(articles.filter(has_text="Fix retry loop")).to_have_count(1)
        github.merge(number)
        page.get_by_role("button", name="Sync now").click()
        expect(articles.filter(has_text="Fix retry loop")).to_have_count(2)
        expect(dashboard.locator("#feed article[data-event-type=Push]")).to_have_count(
            2
        )  # of the branch, and of the merge
        expect(articles).to_have_count(7)
        page.get_by_role("button", name="Sync now").click()
        expect(page.locator(".health .state")).to_have_text("OK")
        expect(articles).to_have_count(7)
        page.get_by_role("button", name="Disable").click()  # before its source stops
        expect(page.locator(".connector-header .pill, #connector_header .pill").first).to_have_text("Disabled")
