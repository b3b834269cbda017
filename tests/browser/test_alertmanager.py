"""From choosing a preset to the end of an alert: a real Alertmanager, and the page that shows what it sends."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.far.programs import Alertmanager, require

pytestmark = pytest.mark.browser


def test_an_alert_appears_and_ends_on_an_open_page(page: Page, own_server: str, tmp_path: Path) -> None:
    require("prometheus-alertmanager", "amtool")
    page.goto(f"{own_server}/settings/integrations/new/webhook")
    page.get_by_label("Connection Name").fill("Alerts")
    page.get_by_label("Preset").select_option(label="Alertmanager")
    page.get_by_label("Enable now").check()
    page.get_by_role("button", name="Add connector").click()
    page.get_by_role("button", name="Set up webhook").click()
    url = page.get_by_label("URL", exact=True).input_value()
    page.get_by_role("button", name="Copy the Secret").click()
    secret = page.get_by_label("Secret", exact=True).input_value()
    alertmanager = Alertmanager(tmp_path, url, secret)
    start = datetime.now(UTC) - timedelta(minutes=10)
    labels = ["alertname=QueueBacklog", "service=mailer", "environment=production"]
    alert = [*labels, f"--start={start:%Y-%m-%dT%H:%M:%SZ}"]
    with alertmanager.running():
        page.goto(f"{own_server}/?source=webhook")
        page.evaluate("document.body.dataset.loaded = 'once'")
        row = page.locator("#feed article", has_text="QueueBacklog").first
        alertmanager.alert(*alert)
        expect(row).to_contain_text("firing")
        expect(row).to_contain_text("mailer · production")
        alertmanager.alert(*alert, f"--end={datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}")
        expect(row).to_contain_text("resolved")
        expect(row).to_contain_text("10 min")
        expect(page.locator("#feed > * > article, #feed article:not(article article)")).to_have_count(1)
        expect(page.locator("body")).to_have_attribute("data-loaded", "once")
