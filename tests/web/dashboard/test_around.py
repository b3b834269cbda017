"""An event is shown with the changes around it."""

from __future__ import annotations

from urllib.parse import parse_qs, quote, urlsplit

import pytest

from painchain.timeline import context
from tests.support.html import soup, texts, unfold, words
from tests.web.dashboard.edits import HTMX, LIST, titles
from tests.web.parts import part_of


@pytest.mark.both_databases
def test_an_event_is_shown_within_an_hour_of_all_sources_newest_first(client, record_event):
    record_event("too early", -61)
    record_event("early", -60)
    chosen = record_event("chosen")
    record_event("late", 60, source="gitlab", event_type="Pipeline")
    record_event("too late", 61)
    page = part_of(client.get(f"/events/{chosen}/around"), "feed")
    assert titles(page) == ["late", "chosen", "early"]
    [marked] = page.select("#feed [aria-current]")
    assert marked["id"] == f"event-{chosen}"
    assert marked.select_one("details").has_attr("open")


def test_links_set_the_span_from_five_minutes_to_a_day(client, record_event):
    minutes = (-1440, -120, -5, 5, 120, 1440)
    for minute in minutes:
        record_event(str(minute), minute)
    chosen = record_event("chosen")
    page = part_of(client.get(f"/events/{chosen}/around"), "main")
    links = {words(link): str(link["href"]) for link in page.select(".spans a")}
    assert list(links) == ["±5m", "±30m", "±1h", "±2h", "±24h"]
    assert texts(page, ".spans [aria-current]") == ["±1h"]
    events_by_name = {name: titles(part_of(client.get(link.partition("#")[0]), "feed")) for name, link in links.items()}
    assert events_by_name["±5m"] == ["5", "chosen", "-5"]
    assert events_by_name["±2h"] == ["120", "5", "chosen", "-5", "-120"]
    assert events_by_name["±24h"] == ["1440", "120", "5", "chosen", "-5", "-120", "-1440"]
    assert all(link.endswith(f"#event-{chosen}") for link in links.values())


def timeline_around(client, number):
    """Follow the link from the events around an event to the timeline: its parameters, and the titles on it."""
    link = str(part_of(client.get(f"/events/{number}/around"), "main").select_one(".on-timeline")["href"])
    address, _, fragment = link.partition("#")
    assert fragment == f"event-{number}"
    page = soup(client.get(address))
    assert page.select_one(f"#feed #{fragment}")
    return parse_qs(urlsplit(address).query), titles(page)


def test_a_link_shows_the_hour_before_and_after_on_the_timeline(client, record_event):
    record_event("too early", -61)
    record_event("early", -60)
    chosen = record_event("chosen")
    record_event("late", 59)
    record_event("too late", 61)
    query, shown = timeline_around(client, chosen)
    assert shown == ["late", "chosen", "early"]
    assert query.keys() == {"start_date", "end_date"}
    assert all(values[0].endswith("Z") for values in query.values())


def test_the_timeline_of_an_event_shows_it_also_among_many_newer_ones(client, record_event):
    chosen = record_event("chosen")
    for minute in range(45):
        record_event(str(minute), 1 + minute)
        record_event(f"{minute} and a half", 1.5 + minute)
    _, shown = timeline_around(client, chosen)
    assert shown == [
        *(title for minute in range(9, -1, -1) for title in (f"{minute} and a half", str(minute))),
        "chosen",
    ]


def test_the_timeline_of_an_access_event_shows_access_events(client, record_event):
    chosen = record_event("chosen", source="painchain", event_type="CheckpointMade")
    assert timeline_around(client, chosen)[0]["access"] == ["1"]


def test_every_event_links_to_the_changes_around_it(client, record_event):
    chosen = record_event("chosen")
    link = f"/events/{chosen}/around#event-{chosen}"
    for address in (f"/events/{chosen}", "/?range=all"):
        page = unfold(client, soup(client.get(address)))
        assert link in [str(element["href"]) for element in page.select(f"#event-{chosen} .links a")]


def test_events_with_the_same_time_keep_their_written_order(client, record_event):
    chosen = [record_event(str(number)) for number in range(5)][2]
    assert titles(part_of(client.get(f"/events/{chosen}/around"), "feed")) == ["4", "3", "2", "1", "0"]


def test_the_nearest_events_are_shown_with_links_to_earlier_and_later_ones(client, record_event, monkeypatch):
    monkeypatch.setattr(context.events_before, "__defaults__", (2,))
    monkeypatch.setattr(context.events_after, "__defaults__", (2,))
    numbers = [record_event(str(number), number) for number in range(-5, 6)]
    page = part_of(client.get(f"/events/{numbers[5]}/around"), "feed")
    assert titles(page) == ["2", "1", "0", "-1", "-2"]
    above, below = page.select_one("#newer"), page.select_one("#older")
    more = soup(client.get(str(above["hx-get"]), headers=HTMX))
    assert (titles(more), bool(more.select_one("#newer")), more.find("html")) == (["4", "3"], True, None)
    last = soup(client.get(str(more.select_one("#newer")["href"]), headers=HTMX))
    assert (titles(last), last.select_one("#newer")) == (["5"], None)
    plain = soup(client.get(str(below["href"])))
    assert (titles(plain), plain.select_one("#newer")) == (["-3", "-4"], None)
    assert titles(part_of(client.get(str(plain.select_one("#older")["href"])), "feed")) == ["-5"]


def test_an_event_within_a_large_action_is_not_collapsed(client, record_event):
    of_action = {"source": "painchain", "event_type": "ConfigChanged", "request_id": "one action"}
    numbers = [record_event(str(number), 0, **of_action) for number in range(15)]
    page = part_of(client.get(f"/events/{numbers[0]}/around"), "feed")
    [marked] = page.select("[aria-current].event")
    assert marked.find_parent("details", class_="rest").has_attr("open")
    page = part_of(client.get(f"/events/{numbers[14]}/around"), "feed")
    assert not page.select_one("details.rest").has_attr("open")


def test_an_event_without_neighbours_has_a_message(client, record_event):
    chosen = record_event("chosen")
    page = part_of(client.get(f"/events/{chosen}/around"), "main")
    assert "No other events within 1h of this event." in texts(page, "main p")


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("/events/999999/around", 404),
        (f"/events/{2**70}/around", 404),
        ("/events/1/around?within=1y", 422),
        ("/events/1/around?earlier=nonsense", 422),
        (f"{LIST}/999999/history", 404),
        (f"{LIST}/{2**70}/history", 404),
        (f"{LIST}/1/history?cursor=nonsense", 422),
    ],
)
def test_an_unknown_event_or_invalid_parameter_is_reported(client, address, status):
    for headers in ({}, HTMX):
        assert client.get(address, headers=headers).status_code == status


def test_an_event_id_redirects_to_its_event(client, events):
    event = events()[0]
    assert client.get(f"/events/{quote(event['event_id'])}").location == f"/events/{event['id']}"
