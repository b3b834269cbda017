"""Live updates of an open dashboard move nothing that is being read."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from datetime import UTC, datetime, timedelta
from urllib.request import Request, urlopen

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage, add, call
from tests.browser.feed import report
from tests.browser.windows import Complaints

pytestmark = pytest.mark.browser
HIDDEN_TABS = """
let hidden = false;
Object.defineProperty(document, "hidden", {get: () => hidden});
window.hide = (now) => { hidden = now; document.dispatchEvent(new Event("visibilitychange")); };
"""

# The open dashboard


def test_new_events_appear_within_two_seconds_and_a_hidden_tab_counts_them_but_rarely_polls(
    open_page: OpenPage, server: str
) -> None:
    page = open_page(own=True)
    page.clock.install()
    page.add_init_script(HIDDEN_TABS)
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url) if "/news" in request.url else None)
    connector = add(server)
    page.goto(connector.feed)
    expect(page).to_have_title("Timeline · PainChain")
    page.clock.pause_at(datetime.now(UTC) + timedelta(minutes=1))
    for number, later in enumerate((1, 500, 1000, 1500), 2):  # at different times between two polls
        requests.clear()
        while not requests:
            page.clock.run_for(100)
        page.clock.run_for(later)
        report(server, connector.name)
        page.clock.run_for(2000)
        expect(page.locator("#feed article")).to_have_count(number)
    page.clock.resume()
    expect(page).to_have_title("Timeline · PainChain")  # the page was visible

    page.evaluate("hide(true)")
    report(server, connector.name, 2)
    page.clock.run_for(17_000)
    expect(page).to_have_title("(2) Timeline · PainChain")
    report(server, connector.name)
    page.clock.run_for(17_000)
    expect(page).to_have_title("(3) Timeline · PainChain")
    page.evaluate("hide(false)")
    expect(page).to_have_title("Timeline · PainChain")

    page.evaluate("hide(true)")
    requests.clear()
    for _ in range(30):
        page.clock.run_for(1000)
    assert 1 <= len(requests) <= 3

    page.goto(f"{server}/?start_date=2020-01-01&end_date=2020-01-02")  # nothing is new there
    requests.clear()
    page.clock.run_for(10_000)
    assert requests == []


def test_a_reader_who_scrolled_down_gets_a_link_to_new_events(page: Page, server: str) -> None:
    connector = add(server)
    report(server, connector.name, 40)
    page.goto(f"{server}/?q={connector.name.rsplit(' ', 1)[1]}")
    reading = page.locator("#feed article").nth(25)
    reading.scroll_into_view_if_needed()
    box, number = reading.bounding_box(), reading.get_attribute("id")
    newer = page.get_by_role("button", name="new event")
    report(server, connector.name, 2)
    expect(newer).to_have_text(re.compile(r"^[12] new events? ↑$"))
    expect(newer).to_have_text("2 new events ↑")
    after = page.locator(f"#{number}").bounding_box()
    assert box
    assert after
    assert abs(after["y"] - box["y"]) < 2

    newer.click()
    expect(newer).to_have_count(0)
    assert page.evaluate("scrollY") == 0
    expect(page.locator("#feed article summary").first).to_be_focused()


def test_an_open_event_does_not_move_even_at_the_top_of_the_page(page: Page, server: str) -> None:
    connector = add(server)
    report(server, connector.name, 20)
    page.goto(f"{server}/?q={connector.name.rsplit(' ', 1)[1]}")
    opened = page.locator("#feed article").first
    opened.locator("summary").click()
    number, box = opened.get_attribute("id"), opened.bounding_box()
    report(server, connector.name)
    expect(page.locator("#feed article")).to_have_count(22)
    opened = page.locator(f"#{number}")
    expect(opened.locator("dl.fields")).to_be_visible()
    expect(opened.locator("summary")).to_be_focused()
    after = opened.bounding_box()
    assert box
    assert after
    assert abs(after["y"] - box["y"]) < 2


def test_many_new_events_do_not_replace_the_event_being_read(
    open_page: OpenPage, server: str, complaints: Complaints
) -> None:
    page = open_page(own=True)
    connector = add(server)
    report(server, connector.name, 20)
    page.goto(f"{server}/?q={connector.name.rsplit(' ', 1)[1]}")
    reading = page.locator("#feed article").nth(20)
    reading.locator("summary").click()
    number = reading.get_attribute("id")
    page.context.set_offline(True)
    expect(page.locator("#live")).to_have_class(re.compile("lost"))
    report(server, connector.name, 51)  # more than there are in one answer
    page.context.set_offline(False)
    expect(page.locator("#feed article")).to_have_count(72)
    expect(page.locator(f"#{number} dl.fields")).to_be_visible()
    expect(page.get_by_role("button", name="51 new events")).to_be_visible()
    for complaint in ("net::ERR_", "htmx:sendError", "htmx:afterRequest"):
        complaints.take(complaint)


class Deployments:
    """A GitHub connector whose deployments change their state through signed deliveries of its webhook."""

    def __init__(self, server: str) -> None:
        self.connector = add(server, enabled=True)
        self._webhook = call("POST", f"{self.connector.api}/webhook")
        self._states = 0

    def reach(self, number: int, state: str) -> None:
        """Send that a deployment reached a state, one second after the state before."""
        self._states += 1
        when = (datetime.now(UTC) - timedelta(seconds=60 - self._states)).strftime("%Y-%m-%dT%H:%M:%SZ")
        delivery = {
            "action": "created",
            "repository": {"id": 4711, "full_name": "acme/api", "default_branch": "main"},
            "deployment": {"id": number, "environment": f"stage{number}"},
            "deployment_status": {"id": self._states, "state": state, "created_at": when},
        }
        body = json.dumps(delivery).encode()
        signature = hmac.new(self._webhook["secret"].encode(), body, hashlib.sha256).hexdigest()
        headers = {
            "Content-Type": "application/json",
            "X-GitHub-Event": "deployment_status",
            "X-GitHub-Delivery": f"delivery-{self._states}",
            "X-Hub-Signature-256": f"sha256={signature}",
        }
        with urlopen(Request(self._webhook["url"], body, headers), timeout=20) as response:
            assert response.status < 300


def test_a_new_state_joins_the_row_of_its_deployment(page: Page, server: str) -> None:
    deployments = Deployments(server)
    for state in ("pending", "in_progress"):
        deployments.reach(1, state)
    deployments.reach(2, "pending")
    page.goto(f"{deployments.connector.feed}&source=github")
    rows = page.locator("#feed > .request")
    first = rows.filter(has_text="stage1")
    expect(rows).to_have_count(2)
    expect(first.locator(".group-count").first).to_have_text(re.compile("^2 states"))
    first.locator("summary").first.click()
    first.locator(".parts-of summary").click()
    part = first.locator(".parts-of article")
    expect(part.locator("dl.fields")).to_be_visible()

    deployments.reach(1, "success")
    expect(rows.first.locator(".group-count").first).to_have_text(re.compile("^3 states"))
    expect(rows).to_have_count(2)
    expect(first.locator(".parts-of article")).to_have_count(2)
    expect(first.locator(".parts-of dl.fields").first).to_be_visible()  # it stays open
    expect(first.locator(".parts-of summary").last).to_be_focused()
    ids = page.locator("#feed article").evaluate_all("rows => rows.map(row => row.id)")
    assert len(set(ids)) == len(ids) == 4
    deployments.reach(2, "success")
    expect(rows.first).to_contain_text("stage2")
    expect(page.locator("#feed > .day")).to_have_count(1)
    expect(rows).to_have_count(2)


def test_a_new_note_is_marked_on_the_shown_row_and_in_its_open_details(page: Page, server: str) -> None:
    connector = add(server)
    page.goto(f"{connector.feed}&event_type=ConnectorCreated")
    row = page.locator("#feed article")
    row.locator("summary").click()
    expect(row.locator("dl.fields")).to_be_visible()
    number = str(row.get_attribute("data-id"))
    for count in (1, 2):
        call("POST", f"{server}/api/changes/{number}/notes", text=f"Note {count}")
        expect(row.locator(".note-mark")).to_have_text(re.compile(rf"^\s*{count} notes?$"))
        expect(row.locator(".note-text").last).to_have_text(f"Note {count}")
        expect(row.locator("summary")).to_be_focused()
    expect(page.locator("#feed article")).to_have_count(1)


def test_the_setup_checklist_follows_what_is_set_up_elsewhere(page: Page, own_server: str) -> None:
    page.goto(own_server)
    expect(page.locator("main #setup-start-steps[open]")).to_be_visible()
    add(own_server)
    steps = page.locator("header #setup-header-steps")
    summary, last = steps.locator("summary"), steps.get_by_role("link", name="Confirm the copy")
    expect(summary).to_contain_text("1 of 4 done")
    expect(page.locator("#onboarding")).to_have_count(1)
    expect(steps).not_to_have_attribute("open")
    summary.click()
    last.focus()
    rule = {"name": "Page me", "url": "json://127.0.0.1:9", "kinds": ["connector_failing"]}
    call("POST", f"{own_server}/api/notify-rules", **rule)
    expect(summary).to_contain_text("2 of 4 done")
    expect(steps).to_have_attribute("open", "")
    expect(last).to_be_focused()
