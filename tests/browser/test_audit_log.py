"""Settings → Audit log in a real browser with a real server."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import add

pytestmark = pytest.mark.browser


def test_check_now_shows_progress_and_then_the_result(
    page: Page, plain_page: Page, own_server: str, tmp_path: Path
) -> None:
    add(own_server).change(poll_interval=600)
    page.goto(f"{own_server}/settings")
    page.get_by_role("navigation", name="Settings").get_by_role("link", name="Audit log").click()
    expect(page.locator(".log-verdict h2")).to_contain_text(re.compile("verified"))
    with closing(sqlite3.connect(tmp_path / "instance" / "painchain.db", timeout=20)) as database, database:
        database.execute("UPDATE change_events SET author = 'eve' WHERE id = 2")
    page.get_by_role("button", name="Check now").click()
    expect(page.locator(".log-verdict.broken h2")).to_contain_text("Event 2")
    expect(page.locator("#integrity_status progress")).to_have_count(0)
    page.get_by_role("link", name="Show event 2").click()
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.locator("#log-broken")).to_contain_text("failed verification")
    plain_page.goto(f"{own_server}/settings/audit-log")
    plain_page.get_by_role("button", name="Check now").click()
    expect(plain_page.locator("#toast")).to_contain_text("Checking the log")
    expect(plain_page.locator(".log-verdict.broken h2")).to_contain_text("Event 2")
