"""Older events are paged, and new ones come to an open dashboard."""

from __future__ import annotations

from datetime import UTC, datetime

from painchain.timeline.queries import PAGE
from tests.support.html import soup, texts, unfold, words
from tests.web.dashboard.pages import HTMX, LONG_AGO, MINUTE, follow, live_address, numbers, out_of_band, read

BESIDE_THE_FEED = ["timeline", "connector_problems", "live", "setup-start", "setup-header"]


def test_older_pages_repeat_no_event_during_writes(client, write):
    new_numbers = write(*({"timestamp": datetime.now(UTC) - MINUTE} for _ in range(2 * PAGE + 20)))
    for attribute in ("href", "hx-get"):
        page = read(client, source="github")
        numbers_seen = numbers(page)
        while page.select_one("#older"):
            write({"timestamp": datetime.now(UTC)}, {"timestamp": LONG_AGO})
            page = follow(client, page, "#older", attribute)
            numbers_seen += numbers(page)
        old_numbers = [number for number in numbers_seen if number in set(new_numbers)]
        assert old_numbers == sorted(new_numbers, reverse=True)
        assert len(numbers_seen) == len(set(numbers_seen))


def test_an_older_page_keeps_the_filter_and_links_to_the_newest(client, write):
    write(*({"tags": ["ci" if number % 2 else "ui"]} for number in range(3 * PAGE)))
    page = read(client, tag="ci", range="7d")
    older = follow(client, page, "#older")
    assert len(numbers(older)) == PAGE / 2
    assert set(texts(unfold(client, older), "#feed .fields .tag")) == {"ci"}
    assert not older.select("#live[hx-get]")
    assert numbers(follow(client, older, "#live a")) == numbers(page)


def test_an_open_dashboard_requests_updates_when_its_script_triggers_them(client):
    assert read(client).select_one("#live")["hx-trigger"] == "news"


def test_without_new_events_the_response_is_empty_and_keeps_the_connection(client, write):
    write({})
    response = client.get(live_address(read(client)), headers=HTMX)
    assert (response.status_code, response.data) == (200, b"")
    assert response.headers["Content-Length"] == "0"
    assert response.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert response.headers["Cache-Control"] == "no-store"


def test_live_updates_for_unknown_hosts_are_refused(client):
    response = client.get(live_address(read(client)), headers={**HTMX, "Host": "elsewhere.example"})
    assert response.status_code == 400
    assert client.get(live_address(read(client)), headers={**HTMX, "Host": "[::1"}).status_code == 400


def test_a_past_range_sends_no_live_requests(client):
    page = read(client, start_date="2020-01-01", end_date="2020-02-01")
    assert not page.select("#live[hx-get], #timeline[hx-get]")
    assert not page.select(".now")


def test_an_open_dashboard_stops_live_updates_when_its_range_has_ended(client, write):
    past = (datetime.now(UTC) - MINUTE).isoformat()
    write({})
    updates = soup(client.get("/news", query_string={"after": "0", "end_date": past}, headers=HTMX))
    assert [element["id"] for element in updates.find_all(recursive=False)] == ["live"]
    assert not updates.select("[hx-get]")
    assert words(updates) == "Show newest"


def test_new_events_are_sent_with_chart_and_next_address(client, write):
    page = read(client)
    numbers_written = write({}, {})
    updates = soup(client.get(live_address(page), headers=HTMX))
    assert numbers(updates) == sorted(numbers_written)
    assert out_of_band(updates) == BESIDE_THE_FEED
    assert words(updates.select_one("#timeline .count strong")) == "3"
    assert client.get(live_address(updates), headers=HTMX).data == b""


def test_new_events_match_the_filter(client, write):
    page = read(client, tag="ci")
    write({"tags": ["ui"]})
    nothing = soup(client.get(live_address(page), headers=HTMX))
    assert [element["id"] for element in nothing.find_all(recursive=False)] == ["live"]
    assert client.get(live_address(nothing), headers=HTMX).data == b""  # events that do not match are not read again
    [number] = write({"tags": ["ci"]})
    assert numbers(soup(client.get(live_address(nothing), headers=HTMX))) == [number]


def test_many_new_events_replace_the_feed(client, write):
    page = read(client)
    write(*({} for _ in range(PAGE + 5)))
    updates = soup(client.get(live_address(page), headers=HTMX))
    assert out_of_band(updates) == ["feed", *BESIDE_THE_FEED]
    assert numbers(updates) == numbers(read(client))
    assert client.get(live_address(updates), headers=HTMX).data == b""


def test_many_new_events_are_added_page_by_page_while_reading(client, write):
    page = read(client)
    new_numbers = write(*({} for _ in range(PAGE + 5)))
    first = soup(client.get(live_address(page) + "&keep=yes", headers=HTMX))
    assert out_of_band(first) == BESIDE_THE_FEED
    rest = soup(client.get(live_address(first) + "&keep=yes", headers=HTMX))
    assert {*numbers(first), *numbers(rest)} == set(new_numbers)
    assert len(numbers(first)) == PAGE


def test_an_event_recorded_late_is_a_new_event(client, write):
    page = read(client, range="all")
    [number] = write({"timestamp": LONG_AGO})
    assert numbers(soup(client.get(live_address(page), headers=HTMX))) == [number]
