"""Export and retention in a real browser with a real server."""

from __future__ import annotations

import csv
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import add, call

pytestmark = pytest.mark.browser


def exported(page: Page, format: str) -> Path:
    """Press the button of a format and return the file that the browser saves."""
    with page.expect_download() as download:
        page.get_by_role("button", name=f"Export as {format}").click()
    assert download.value.suggested_filename.startswith("painchain-")
    return Path(download.value.path())


def test_the_shown_events_are_downloaded_as_a_file(page: Page, server: str) -> None:
    connector = add(server)
    connector.change(poll_interval=600)
    page.goto(connector.feed)
    page.get_by_role("link", name="Export").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Export 3 events")
    with exported(page, "CSV").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file, strict=True))
    types = ["ConnectorUpdated", "ConfigChanged", "ConnectorCreated"]
    assert [row["event_type"] for row in rows] == types
    expect(page.get_by_role("heading", level=1)).to_have_text("Export 3 events")
    lines = exported(page, "NDJSON").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["event_type"] for line in lines] == types
    page.goto(f"{server}/?event_type=EventsExported")
    expect(page.locator("#feed .what").first).to_contain_text("NDJSON · 3 events")


def test_without_javascript_the_download_is_the_same(plain_page: Page, server: str) -> None:
    connector = add(server)
    plain_page.goto(connector.feed)
    plain_page.get_by_role("link", name="Export").click()
    ocsf_events = json.loads(exported(plain_page, "OCSF").read_text(encoding="utf-8"))
    assert [
        (ocsf_event["class_uid"], ocsf_event["activity_id"], ocsf_event["entity"]["name"]) for ocsf_event in ocsf_events
    ] == [(3004, 1, connector.name)]


def grow_old(database: Path, days: int) -> None:
    """Date the events of other sources back by some days."""
    with closing(sqlite3.connect(database, timeout=20)) as connection, connection:
        connection.execute(
            "UPDATE change_events SET source = 'gitlab', timestamp = timestamp - ? * 86400000000 "
            "WHERE connector_name = 'Deploy'",
            [days],
        )


def test_expired_events_are_removed_while_the_page_shows_progress(page: Page, own_server: str, tmp_path: Path) -> None:
    body = {"event_type": "config_changed", "connector_name": "Deploy", "field": "replicas"}
    for _ in range(30):
        call("POST", f"{own_server}/api/painchain/log", **body)
    grow_old(tmp_path / "instance" / "painchain.db", 40)
    page.goto(f"{own_server}/settings")
    page.get_by_role("navigation", name="Settings").get_by_role("link", name="Retention").click()
    page.get_by_label("GitLab").fill("30")
    page.get_by_role("button", name="Preview").click()
    expect(page.locator("#prunable [data-source=gitlab] .number")).to_have_text("30")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#toast")).to_contain_text("GitLab 30 days")
    page.get_by_role("link", name="Delete now").click()
    page.get_by_role("button", name="Delete 30 events").click()
    expect(page.locator("#pruning")).to_contain_text("No deletion is running")
    page.get_by_role("link", name="Show past deletions").click()
    expect(page.locator("#feed .what")).to_have_text("GitLab · 30 events", use_inner_text=True)
