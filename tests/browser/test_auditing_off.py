"""While auditing is off, pages show it, until it is enabled again."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.feed import types
from tests.browser.windows import Complaints

pytestmark = pytest.mark.browser

# Auditing off


def test_while_auditing_is_off_a_bar_shows_since_when_and_by_whom(
    page: Page, own_server: str, complaints: Complaints
) -> None:
    page.goto(f"{own_server}/settings/integrations/1")
    page.get_by_role("link", name="Disable…").click()
    page.get_by_role("button", name="Disable").click()
    bar = page.locator("#auditing-off")
    expect(bar).to_be_visible()
    message = re.compile(r"Auditing is off.*since\s+\d+ \w+ \d{4}, [\d:]+. Disabled by system")
    for path in ("/nothing", "/"):
        page.goto(own_server + path)
        expect(bar).to_contain_text(message)
    complaints.take("404")

    page.get_by_role("link", name="Enable auditing").click()
    page.locator("#card-1").get_by_role("button", name="Enable").click()
    expect(bar).to_have_count(0)
    expect(page.locator(".toast")).to_contain_text("“PainChain System” is enabled.")
    page.goto(own_server)
    expect(types(page.locator("#feed article"))).to_have_text(
        ["Connector Enabled", "Connector Disabled", "Connector Created"]
    )
