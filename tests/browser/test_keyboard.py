"""The palette, and the keys that move through every list without a mouse."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import add, call

pytestmark = pytest.mark.browser

FOCUSED_ROW = "document.activeElement.closest('article, tr')?.textContent.replace(/\\s+/g, ' ').trim() ?? ''"


def fill_server(server: str) -> None:
    """Add two rows to every list: connectors with events, teams, views, rules, accounts and tokens."""
    for name in ("First", "Second"):
        call("PATCH", add(server, name=f"{name} connector").api, config={"poll_interval": 600})
        call("POST", f"{server}/api/teams", name=f"{name} team", tags=["a"])
        call("POST", f"{server}/api/views", name=f"{name} view", filter="q=a")
        rule = {"url": "json://127.0.0.1:9/", "kinds": ["connector_deleted"]}
        call("POST", f"{server}/api/notify-rules", name=f"{name} rule", **rule)


def sign_in_first_account(page: Page, server: str) -> None:
    """Create an admin and sign in."""
    good = "a pass phrase that is long"
    for name in ("ann", "bob"):
        if name == "ann":
            call("POST", f"{server}/api/people", name=name, role="admin", password=good)
            page.goto(f"{server}/sign-in")
            page.get_by_label("Name").fill(name)
            page.get_by_label("Password", exact=True).fill(good)
            page.get_by_role("button", name="Sign in", exact=True).click()
            expect(page.locator(".who")).to_be_visible()
        else:
            page.request.post(f"{server}/api/people", data={"name": name, "role": "viewer", "password": good})
    for name in ("first", "second"):
        assert page.request.post(f"{server}/api/tokens", data={"name": name, "role": "viewer"}).ok


def test_every_list_is_walked_with_j_and_k_and_opened_with_enter(page: Page, own_server: str) -> None:
    fill_server(own_server)
    [event] = call("GET", f"{own_server}/api/changes?event_type=TeamCreated&limit=1")
    sign_in_first_account(page, own_server)
    lists = (
        "/",
        "/?source=painchain",
        f"/events/{event['id']}/around",
        "/settings/integrations/2/history",
        "/settings/integrations",
        "/settings/teams",
        "/settings/views",
        "/settings/people",
        "/settings/tokens",
        "/settings/notifications",
        "/report",
    )
    for address in lists:
        page.goto(own_server + address)
        page.evaluate("document.activeElement.blur()")
        page.keyboard.press("j")
        first = page.evaluate(FOCUSED_ROW)
        page.keyboard.press("j")
        second = page.evaluate(FOCUSED_ROW)
        page.keyboard.press("k")
        assert first, address
        assert second, address
        assert first != second, address
        assert page.evaluate(FOCUSED_ROW) == first, address
        opens_in_place = page.evaluate("document.activeElement.matches('summary')")
        was_open = opens_in_place and page.evaluate("document.activeElement.parentElement.open")
        page.keyboard.press("Enter")
        if opens_in_place:
            page.wait_for_function(f"document.activeElement.parentElement.open === {str(not was_open).lower()}")
        else:
            page.wait_for_url(lambda url, here=address: url != own_server + here, wait_until="commit")


def test_the_lists_of_a_monthly_report_are_walked_with_the_keyboard(page: Page, demo_server: str) -> None:
    month = f"{datetime.now(UTC) - timedelta(days=3):%Y-%m}"
    page.goto(f"{demo_server}/report?month={month}")
    names = page.locator(".figures tbody th a, .event-types tbody th a").all_inner_texts()
    assert len(names) > 8
    for name in names:
        page.keyboard.press("j")
        assert page.evaluate("document.activeElement.innerText") == name
    page.keyboard.press("j")
    assert page.evaluate("document.activeElement.innerText") == names[-1]
    page.keyboard.press("k")
    assert page.evaluate("document.activeElement.innerText") == names[-2]
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/\?.*event_type="))
    expect(page.locator("#feed .event-type").first).to_have_text(names[-2])


def test_slash_searches_on_every_page_and_escape_leaves_the_search(page: Page, server: str) -> None:
    for address in ("/", "/settings/integrations", "/settings/teams", "/report", "/help/README.md", "/palette"):
        page.goto(server + address)
        page.evaluate("document.activeElement.blur()")
        page.keyboard.press("/")
        field = page.locator("input:focus")
        expect(field).to_have_attribute("type", "search")
        page.keyboard.type("abc")
        for _ in range(2):  # the first may close the suggestions
            page.keyboard.press("Escape")
        expect(field).to_have_count(0)


def test_the_first_event_is_five_tab_stops_away_at_most(page: Page, server: str) -> None:
    add(server)
    lists = ("/", "/settings/integrations/1/history", "/settings/integrations", "/settings/teams")
    call("POST", f"{server}/api/teams", name=f"Tabs {server[-5:]}", tags=["a"])
    for address in lists:
        page.goto(server + address)
        page.keyboard.press("Tab")
        page.keyboard.press("Tab")
        expect(page.locator("a.skip:focus")).to_have_text(re.compile("Skip to (events|list)"))
        page.keyboard.press("Enter")
        for _ in range(3):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.matches('#feed summary, #cards h2 a')"):
                break
        else:
            pytest.fail(f"the first row of {address} takes more than five tab stops")


def open_palette(page: Page) -> None:
    page.keyboard.press("Control+k")
    expect(page.locator("#palette")).to_be_visible()
    expect(page.locator("#palette-found a").first).to_be_visible()


def test_the_palette_leads_to_a_connector_with_the_keyboard_alone(page: Page, server: str) -> None:
    connector = add(server)
    page.goto(server)
    open_palette(page)
    expect(page.locator("#palette-q")).to_be_focused()
    page.keyboard.type(connector.name[-6:])
    expect(page.locator("#palette-found a").first).to_contain_text(connector.name)
    page.keyboard.press("Enter")
    page.wait_for_url(connector.page)


def test_enter_waits_for_the_places_of_what_was_typed(page: Page, server: str) -> None:
    connector = add(server)
    page.goto(server)
    open_palette(page)
    page.keyboard.type(connector.name[-6:])
    page.keyboard.press("Enter")  # before the server has answered
    page.wait_for_url(connector.page)


def test_arrows_move_between_places_typing_returns_and_escape_closes(page: Page, server: str) -> None:
    page.goto(f"{server}/settings/teams")
    page.keyboard.press("Meta+k")
    places = page.locator("#palette-found a")
    expect(places.nth(3)).to_be_visible()
    page.keyboard.press("ArrowDown")
    expect(places.nth(1)).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(places.nth(2)).to_be_focused()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    expect(places.nth(0)).to_be_focused()
    page.keyboard.press("ArrowUp")
    field = page.locator("#palette-q")
    expect(field).to_be_focused()
    page.keyboard.press("ArrowDown")
    with page.expect_response("**/palette?q=a"):  # the next search would abort it, which htmx reports as an error
        page.keyboard.type("a")
    with page.expect_response("**/palette?q=audit"):
        page.keyboard.insert_text("udit")
    expect(field).to_have_value("audit")
    page.keyboard.press("Escape")
    expect(page.locator("#palette")).to_be_hidden()
    open_palette(page)
    expect(field).to_have_value("")
    page.keyboard.press("Control+k")
    expect(page.locator("#palette")).to_be_hidden()


def test_the_link_in_the_foot_opens_the_palette_and_searches_the_timeline(page: Page, server: str) -> None:
    page.goto(f"{server}/report")
    page.get_by_role("link", name="Go to …").click()
    page.locator("#palette-q").fill("nothing so called")
    search = page.get_by_role("link", name="Search the timeline for “nothing so called”")
    search.click()
    page.wait_for_url(f"{server}/?q={quote('nothing so called').replace('%20', '+')}")


def test_escape_closes_a_menu_and_returns_to_it(page: Page, server: str) -> None:
    page.goto(server)
    summary = page.locator("#menu-views > summary")
    summary.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#menu-views .panel")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#menu-views .panel")).to_be_hidden()
    expect(summary).to_be_focused()


def test_the_list_of_keys_is_complete(page: Page, server: str) -> None:
    """Every key that the scripts handle is listed, and the guide lists the same."""
    page.goto(server)
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Keyboard shortcuts")
    expect(dialog).to_be_visible()
    keys = ["".join(term.split()) for term in dialog.locator("dt").all_inner_texts()]
    assert keys == ["jk", "Enter", "/", "CtrlK", "Esc", "←→", "gt", "gs", "?"]
    source = page.locator("script[src*=keyboard]").get_attribute("src")
    script = page.request.get(f"{server}{source}").text()
    handled = set(re.findall(r'event\.key(?:\.toLowerCase\(\))? [!=]== "(\w|/|\?|Escape)"', script))
    assert handled == {"j", "k", "g", "/", "?", "Escape"}
    page.goto(f"{server}/help/timeline.md")
    guide = page.locator("#keyboard + p + table tbody tr td:first-child, #keyboard ~ table tr td:first-child")
    assert set(keys) <= {"".join(text.split()) for text in guide.all_inner_texts()}


def test_without_javascript_the_palette_is_a_page(plain_page: Page, server: str) -> None:
    plain_page.goto(server)
    plain_page.get_by_role("link", name="Go to …").click()
    plain_page.locator("main input[type=search]").fill("retention")
    plain_page.get_by_role("button", name="Find").click()
    plain_page.locator("main").get_by_role("link", name="Retention", exact=True).click()
    expect(plain_page.get_by_role("heading", name="Retention", level=1)).to_be_visible()
