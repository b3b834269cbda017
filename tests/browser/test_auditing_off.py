"""While auditing is off, every page shows it."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import add, call
from tests.browser.feed import types
from tests.browser.windows import Complaints

pytestmark = pytest.mark.browser

# Auditing off


def test_while_auditing_is_off_every_page_shows_since_when_and_by_whom(
    page: Page, own_server: str, complaints: Complaints
) -> None:
    github = add(own_server)
    page.goto(f"{own_server}/settings/integrations/1")
    page.get_by_role("link", name="Disable…").click()
    page.get_by_role("button", name="Disable").click()
    bar = page.locator("#auditing-off")
    expect(bar).to_be_visible()
    message = re.compile(r"Auditing is off.*since\s+\d+ \w+ \d{4}, [\d:]+. Disabled by system")
    for path in ("/", "/events/1", "/settings/integrations", "/settings/integrations/new", "/nothing"):
        page.goto(own_server + path)
        expect(bar).to_contain_text(message)
    complaints.take("404")
    page.goto(github.page)
    expect(bar).to_contain_text(message)


def test_enabling_auditing_again_removes_the_bar(page: Page, own_server: str) -> None:
    call("POST", f"{own_server}/api/connectors/1/disable")
    page.goto(own_server)
    page.get_by_role("link", name="Enable auditing").click()
    page.locator("#card-1").get_by_role("button", name="Enable").click()
    expect(page.locator("#auditing-off")).to_have_count(0)
    expect(page.locator(".toast")).to_contain_text("“PainChain System” is enabled.")
    page.goto(own_server)
    expect(types(page.locator("#feed article"))).to_have_text(
        ["Connector Enabled", "Connector Disabled", "Connector Created"]
    )
