"""Zooming the chart by mouse and touch, and live updates of an open dashboard, in a real browser."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import time
from datetime import UTC, datetime, timedelta
from urllib.request import Request, urlopen

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Complaints, OpenContext, add, call

pytestmark = pytest.mark.browser

HIDDEN_TABS = """
let hidden = false;
Object.defineProperty(document, "hidden", {get: () => hidden});
window.hide = (now) => { hidden = now; document.dispatchEvent(new Event("visibilitychange")); };
"""


def report(server: str, name: str, count: int = 1, connector_type: str = "github") -> None:
    """Report that a connector was enabled, several times."""
    for _ in range(count):
        body = {"event_type": "connector_enabled", "connector_name": name, "connector_type": connector_type}
        call("POST", f"{server}/api/painchain/log", **body)


def chart(page: Page) -> Locator:
    """Return the chart."""
    return page.locator("#timeline .chart")


def bins_with_changes(page: Page) -> Locator:
    """Return the bins that have events."""
    return page.locator("#timeline .chart a[aria-label]")


def drag(page: Page, start: float, end: float) -> None:
    """Press at one position of the chart (0 to 1 of its width), and move to another without releasing the button."""
    box = chart(page).bounding_box()
    assert box
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * start, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * end, middle, steps=4)


def custom_range(page: Page) -> list[str]:
    """Return the start and the end of the range in the filter form."""
    return [page.locator(f"#filter [name={name}]").input_value() for name in ("start_date", "end_date")]


# The chart


def test_dragging_zooms_and_back_and_forward_restore_chart_feed_and_form(page: Page, server: str) -> None:
    connector = add(server)
    page.goto(f"{connector.feed}&range=7d")
    expect(page.locator("#feed article")).to_have_count(1)
    drag(page, 0.2, 0.5)
    expect(page.locator(".selection")).to_be_visible()
    expect(page.locator(".tip")).to_contain_text("0 events")
    page.mouse.up()

    expect(page).to_have_url(re.compile(rf"connector={connector.id}&start_date=\S+&end_date=\S+"))
    expect(page.locator("#feed article")).to_have_count(0)
    expect(page.locator("#timeline .count")).to_have_text("0 events")
    expect(page.locator(".now")).to_have_count(0)
    zoomed = custom_range(page)
    assert all(zoomed)

    page.go_back()
    expect(page).to_have_url(f"{connector.feed}&range=7d")
    expect(page.locator("#feed article")).to_have_count(1)
    expect(page.locator("#timeline .count")).to_have_text("1 event")
    expect(page.locator(".ranges a[aria-current]")).to_have_text("7d")
    expect(page.locator(".now")).to_have_text("now")
    page.go_forward()
    expect(page.locator("#timeline .count")).to_have_text("0 events")
    expect(page.locator("#menu-custom summary")).to_have_attribute("aria-current", "true")
    assert custom_range(page) == zoomed


def test_a_range_dragged_up_to_now_stays_live(page: Page, server: str) -> None:
    connector = add(server)
    page.goto(f"{connector.feed}&range=7d")
    drag(page, 0.999, 0.7)
    page.mouse.up()
    expect(page.locator("#menu-custom summary")).to_have_attribute("aria-current", "true")
    expect(page.locator(".now")).to_have_text("now")
    connector.change(poll_interval=3600)
    expect(page.locator("#feed article")).to_have_count(3)


def test_escape_cancels_a_drag_and_a_tiny_drag_is_a_click(page: Page, server: str) -> None:
    connector = add(server)
    page.goto(connector.feed)
    drag(page, 0.3, 0.6)
    page.keyboard.press("Escape")
    expect(page.locator(".selection")).to_have_count(0)
    page.mouse.up()
    page.wait_for_timeout(300)
    expect(page).to_have_url(connector.feed)

    drag(page, 0.3, 0.302)
    page.mouse.up()
    expect(page).to_have_url(re.compile("start_date="))
    start, end = custom_range(page)
    assert start[:11] <= end[:11]
    assert 0 < (int(end[11:13]) * 60 + int(end[14:]) - int(start[11:13]) * 60 - int(start[14:])) % 1440 <= 30


def test_a_touch_drag_selects_a_range(open_context: OpenContext, server: str) -> None:
    connector = add(server)
    page = open_context(viewport={"width": 390, "height": 800}, has_touch=True, is_mobile=True).new_page()
    page.goto(f"{connector.feed}&range=7d")
    expect(chart(page)).to_have_css("touch-action", "pan-y")
    box = chart(page).bounding_box()
    assert box
    touches = page.context.new_cdp_session(page)
    y = box["y"] + 40

    def touch(kind: str, *parts: float) -> None:
        points = [{"x": box["x"] + box["width"] * part, "y": y} for part in parts]
        touches.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    touch("touchStart", 0.2)
    for part in (0.25, 0.3, 0.4, 0.5):
        touch("touchMove", part)
    expect(page.locator(".selection")).to_be_visible()
    touch("touchEnd")
    expect(page).to_have_url(re.compile(r"start_date=\S+&end_date="))
    expect(page.locator("#timeline .count")).to_have_text("0 events")


def test_hover_and_focus_show_the_counts_of_each_source(page: Page, own_server: str) -> None:
    report(own_server, "made-up", 4)
    reported = f"{own_server}/?q=made-up"  # the first event of the instance can be in an earlier bar
    page.goto(reported)
    last = bins_with_changes(page).last
    last.hover()
    tip = page.locator(".tip")
    expect(tip.locator(".row")).to_have_text(["PainChain4"])
    expect(tip.locator("strong")).to_have_text(re.compile(r"^\w{3} \d+ \w{3}, \d\d:\d\d–\d\d:\d\d$"))
    expect(tip).to_contain_text("4 events")
    page.mouse.move(5, 5)
    expect(tip).to_have_count(0)

    last.focus()
    expect(tip.locator(".row")).to_have_text(["PainChain4"])
    expect(last).to_have_accessible_name(re.compile(r": 4 events \(PainChain 4\)$"))
    page.goto(f"{reported}&range=24h&compare=1d")
    last.hover()
    expect(tip).to_contain_text("4 events, yesterday 0 events")
    page.goto(reported)
    last.focus()
    report(own_server, "made-up")
    expect(tip).to_contain_text("5 events")  # the focus survives the update
    expect(bins_with_changes(page).last).to_be_focused()


def test_the_chart_is_one_tab_stop_and_arrow_keys_select_a_range(page: Page, server: str) -> None:
    page.goto(f"{server}/?range=1h")
    add(server)
    expect(bins_with_changes(page).last).to_have_attribute("tabindex", "0")
    assert page.locator("#timeline .chart a[tabindex='0']").count() == 1
    bins_with_changes(page).last.focus()
    page.keyboard.press("Shift+ArrowLeft")
    expect(page.locator(".selection")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator(".selection")).to_have_count(0)
    page.keyboard.press("Shift+Home")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"start_date=\S+&end_date="))
    expect(page.locator("#timeline .chart a:focus")).to_have_count(1)
    page.keyboard.press("Home")
    expect(bins_with_changes(page).first).to_be_focused()


def test_clicking_the_legend_hides_a_source_and_going_back_shows_it(page: Page, own_server: str) -> None:
    page.goto(own_server)
    source = page.get_by_role("button", name=re.compile("^PainChain"))
    expect(source).to_have_attribute("aria-pressed", "true")
    source.focus()
    page.keyboard.press("Space")
    expect(source).to_have_attribute("aria-pressed", "false")
    expect(source).to_be_focused()
    expect(page.locator("#feed article")).to_have_count(0)
    expect(page.locator("#timeline .count")).to_have_text("0 events")
    expect(page).to_have_url(re.compile(r"source=github&source=gitlab&source=kubernetes"))
    page.go_back()
    expect(source).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#feed article")).to_have_count(1)
    source.click()
    expect(source).to_have_attribute("aria-pressed", "false")
    source.click()
    expect(page.locator("#feed article")).to_have_count(1)
    expect(page).to_have_url(f"{own_server}/")


def test_without_javascript_the_legend_hides_a_source(plain_page: Page, own_server: str) -> None:
    plain_page.goto(own_server)
    source = plain_page.get_by_role("button", name=re.compile("^PainChain"))
    source.click()
    expect(source).to_have_attribute("aria-pressed", "false")
    expect(plain_page.locator("#feed article")).to_have_count(0)
    source.click()
    expect(plain_page.locator("#feed article")).to_have_count(1)


# The open dashboard


def test_new_events_appear_within_two_seconds(page: Page, own_server: str) -> None:
    page.goto(own_server)
    expect(page.locator("#live")).to_be_visible()
    for number in range(2, 6):
        time.sleep(0.37 * number)  # at different times between two polls
        report(own_server, "made-up")
        expect(page.locator("#feed article")).to_have_count(number, timeout=2000)


def test_the_title_counts_new_events_while_the_tab_is_hidden(page: Page, own_server: str) -> None:
    page.clock.install()
    page.add_init_script(HIDDEN_TABS)
    page.goto(own_server)
    expect(page).to_have_title("Timeline · PainChain")
    report(own_server, "made-up")
    page.clock.run_for(2000)
    expect(page.locator("#feed article")).to_have_count(2)
    expect(page).to_have_title("Timeline · PainChain")  # the page was visible

    page.evaluate("hide(true)")
    report(own_server, "made-up", 2)
    page.clock.run_for(17_000)
    expect(page).to_have_title("(2) Timeline · PainChain")
    report(own_server, "made-up")
    page.clock.run_for(17_000)
    expect(page).to_have_title("(3) Timeline · PainChain")
    page.evaluate("hide(false)")
    expect(page).to_have_title("Timeline · PainChain")


def test_a_hidden_tab_rarely_polls_and_a_past_range_never_does(page: Page, own_server: str) -> None:
    page.clock.install()
    page.add_init_script(HIDDEN_TABS)
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url) if "/news" in request.url else None)
    page.goto(own_server)
    page.evaluate("hide(true)")
    for _ in range(30):
        page.clock.run_for(1000)
    assert 1 <= len(requests) <= 3

    page.goto(f"{own_server}/?start_date=2020-01-01&end_date=2020-01-02")
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


def test_many_new_events_do_not_replace_the_event_being_read(page: Page, server: str, complaints: Complaints) -> None:
    connector = add(server)
    report(server, connector.name, 30)
    page.goto(f"{server}/?q={connector.name.rsplit(' ', 1)[1]}")
    reading = page.locator("#feed article").nth(20)
    reading.locator("summary").click()
    number = reading.get_attribute("id")
    page.context.set_offline(True)
    expect(page.locator("#live")).to_have_class(re.compile("lost"))
    report(server, connector.name, 70)
    page.context.set_offline(False)
    expect(page.locator("#feed article")).to_have_count(101)
    expect(page.locator(f"#{number} dl.fields")).to_be_visible()
    expect(page.get_by_role("button", name="70 new events")).to_be_visible()
    for complaint in ("net::ERR_", "htmx:sendError", "htmx:afterRequest"):
        complaints.take(complaint)


class Deployments:
    """A GitHub connector whose deployments change their state through signed deliveries of its webhook."""

    def __init__(self, server: str) -> None:
        self.connector = add(server, enabled=True)
        self._webhook = call("POST", f"{self.connector.api}/webhook", made="up")
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


def test_a_new_state_joins_the_row_of_its_deployment(page: Page, own_server: str) -> None:
    deployments = Deployments(own_server)
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


def test_a_new_note_is_marked_on_the_shown_row_and_in_its_open_details(page: Page, own_server: str) -> None:
    connector = add(own_server)
    page.goto(f"{connector.feed}&event_type=ConnectorCreated")
    row = page.locator("#feed article")
    row.locator("summary").click()
    expect(row.locator("dl.fields")).to_be_visible()
    number = str(row.get_attribute("data-id"))
    for count in (1, 2):
        call("POST", f"{own_server}/api/changes/{number}/notes", text=f"Note {count}")
        expect(row.locator(".note-mark")).to_have_text(re.compile(rf"^\s*{count} notes?$"))
        expect(row.locator(".note-text").last).to_have_text(f"Note {count}")
        expect(row.locator("summary")).to_be_focused()
    expect(page.locator("#feed article")).to_have_count(1)
