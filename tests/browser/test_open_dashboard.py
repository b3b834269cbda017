"""An open dashboard shows new events, older ones and what a filter finds, also after a lost connection."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import add, serving
from tests.browser.feed import events_of, is_marked_page, log, mark_page, types
from tests.browser.windows import Complaints

pytestmark = pytest.mark.browser


def test_the_chosen_theme_persists(page: Page, server: str) -> None:
    page.goto(server)
    page.get_by_role("button", name="Switch theme").click()
    expect(page.locator("body")).to_have_css("background-color", "rgb(16, 22, 26)")
    page.reload()
    expect(page.locator("body")).to_have_css("background-color", "rgb(16, 22, 26)")


def test_an_open_dashboard_shows_changes_saved_in_another_tab(page: Page, server: str) -> None:
    github = add(server)
    page.goto(server)
    mark_page(page)
    other = page.context.new_page()
    other.goto(github.page)
    other.get_by_label("Poll interval").fill("3600")
    other.get_by_role("button", name="Save", exact=True).first.click()
    expect(types(events_of(page, github.name))).to_have_text(
        ["Connector Updated", "Config Changed", "Connector Created"]
    )
    assert is_marked_page(page)
    expect(page).to_have_url(f"{server}/")


def test_new_events_leave_an_open_event_open_and_in_place(page: Page, server: str) -> None:
    github = add(server)
    log(server, github.name, 40)
    page.goto(github.feed)
    reading = page.locator("#feed article").nth(30)
    reading.locator("summary").click()
    reading.scroll_into_view_if_needed()
    box, count = reading.bounding_box(), page.locator("#feed article").count()
    number = reading.get_attribute("id")

    github.change(poll_interval=3600)
    expect(page.locator("#feed article")).to_have_count(count + 2)
    reading = page.locator(f"#{number}")
    expect(reading.locator("dl.fields")).to_be_visible()
    after = reading.bounding_box()
    assert box
    assert after
    assert abs(after["y"] - box["y"]) < 2
    expect(page.locator("#timeline .count")).to_have_text(f"{count + 2} events")
    expect(page.locator("#timeline")).to_have_attribute("hx-trigger", "every 60s")


def test_new_events_outside_the_filter_do_not_appear(page: Page, server: str) -> None:
    connector, other = add(server), add(server)
    page.goto(connector.feed)
    other.change(poll_interval=3600)
    connector.change(poll_interval=600)
    expect(page.locator("#feed article")).to_have_count(3)
    expect(events_of(page, other.name)).to_have_count(0)


def test_new_events_replace_the_empty_feed_message(page: Page, server: str) -> None:
    page.goto(f"{server}/?q=nightly-job")
    expect(page.locator("#feed")).to_contain_text("No events match this filter")
    log(server, add(server).name, 1, author="nightly-job")
    expect(types(page.locator("#feed article"))).to_have_text(["Connector Enabled"])
    expect(page.get_by_text("No events match this filter")).to_be_hidden()


def test_loading_older_changes_repeats_no_day_and_no_change(page: Page, server: str) -> None:
    github = add(server)
    log(server, github.name, 100)
    page.goto(github.feed)
    articles = page.locator("#feed article")
    expect(articles).to_have_count(50)
    page.get_by_role("link", name="Older events").click()
    expect(articles).to_have_count(100)
    page.get_by_role("link", name="Older events").click()
    expect(articles).to_have_count(101)
    expect(page.get_by_role("link", name="Older events")).to_have_count(0)
    days = page.locator("#feed .day").all_inner_texts()
    numbers = articles.evaluate_all("articles => articles.map(article => article.id)")
    assert len(set(days)) == len(days)
    assert len(set(numbers)) == 101


def test_filters_combine_and_are_in_the_address(page: Page, server: str) -> None:
    connector, other = add(server), add(server)
    connector.change(poll_interval=600)
    page.goto(server)
    mark_page(page)
    page.locator("#menu-connector summary").click()
    page.get_by_label(connector.name).check()
    expect(events_of(page, other.name)).to_have_count(0)
    page.get_by_label(other.name).check()
    expect(events_of(page, other.name)).to_have_count(1)
    page.locator("#menu-event_type summary").click()
    page.get_by_label("Config Changed").check()
    expect(types(page.locator("#feed article"))).to_have_text(["Config Changed"])
    assert is_marked_page(page)
    for part in ("event_type=ConfigChanged", f"connector={connector.id}", f"connector={other.id}"):
        expect(page).to_have_url(re.compile(rf"[?&]{part}(&|$)"))

    again = page.context.new_page()
    again.goto(page.url)
    expect(types(again.locator("#feed article"))).to_have_text(["Config Changed"])
    page.go_back()
    # The save of the connector and its creation. The row of the setting is within the save.
    expect(events_of(page, connector.name)).to_have_count(2)
    expect(events_of(page, connector.name).locator("article")).to_have_count(1)


def test_an_invalid_filter_is_reported_once_and_live_updates_continue(
    page: Page, server: str, complaints: Complaints
) -> None:
    github = add(server)
    page.goto(f"{server}/?range=sometimes")
    expect(page.get_by_role("alert")).to_contain_text("range must be one of")
    complaints.take("422")
    github.change(poll_interval=600)
    expect(types(events_of(page, github.name)).first).to_have_text("Connector Updated")
    expect(page.locator(".toast")).to_have_count(0)
    page.get_by_role("link", name="7d", exact=True).click()
    expect(page.get_by_role("alert")).to_have_count(0)


def test_a_search_finds_old_values(page: Page, server: str) -> None:
    github = add(server, config={"repos": ["acme/old-thing"]})
    github.change(repos=["acme/new-thing"])
    page.goto(server)
    page.get_by_label("Search", exact=True).fill("old-thing")
    page.keyboard.press("Enter")
    expect(page.locator("#feed .change del").first).to_contain_text("acme/old-thing")
    expect(page).to_have_url(re.compile(r"[?&]q=old-thing"))


# A lost connection


def test_a_lost_connection_is_shown_until_it_returns(
    page: Page, empty_page: str, tmp_path: Path, complaints: Complaints
) -> None:
    live = page.locator("#live")
    with serving(tmp_path / "instance") as address:
        page.goto(address)
        expect(live).to_have_text("Live")
        expect(live).not_to_have_class(re.compile("lost"))
    expect(live).to_have_class(re.compile("lost"))
    content = live.evaluate("element => getComputedStyle(element.querySelector('span'), '::after').content")
    assert "connection lost" in content
    with serving(tmp_path / "instance", address.rpartition(":")[2]):
        expect(live).not_to_have_class(re.compile("lost"))
        log(address, "Work GitHub", 1)
        expect(events_of(page, "Work GitHub")).to_have_count(1)
        page.goto(empty_page)  # so that it no longer polls when this server stops
    complaints.take("net::ERR_")
    complaints.take("htmx:sendError")
    complaints.take("htmx:afterRequest")
