"""Changes around an event, the history of a connector, and who set each of its fields."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from bs4 import BeautifulSoup
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event as listening
from sqlalchemy import update

from painchain.configuration import connector_store
from painchain.database.models import ChangeEvent
from painchain.database.session import db
from painchain.eventlog import writer
from painchain.history import blame
from painchain.timeline import context
from tests.support.html import fill, form_of, soup, texts, unfold, words

HTMX = {"HX-Request": "true"}
LIST = "/settings/integrations"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SYSTEM = 1

RecordEvent = Callable[..., int]


@pytest.fixture
def record_event(app: Flask) -> RecordEvent:
    """Return a function that records an event some minutes after noon and returns its number."""

    def record_event(title: str, minutes: float = 0, **more: Any) -> int:
        when = NOON + timedelta(minutes=minutes)
        facts = {"source": "github", "event_type": "Commit", "request_id": title, "author": "dev", **more}
        with app.app_context(), writer.writing() as event_log:
            new = writer.NewEvent(
                event_id=title, title=title, description={}, metadata={}, timestamp=when, recorded_at=when, **facts
            )
            return event_log.append(new)

    return record_event


def titles(page: BeautifulSoup) -> list[str]:
    return texts(page, "#feed .subject") or texts(page, "article .subject")


def edit(client: FlaskClient, number: int, **values: Any) -> None:
    """Save a connector's form in a plain browser."""
    form = fill(form_of(client.get(f"{LIST}/{number}"), "#connector-form"), **values)
    assert client.post(f"{LIST}/{number}", data=form).status_code == 303


# Around an event


@pytest.mark.both_databases
def test_an_event_is_shown_within_an_hour_of_all_sources_newest_first(client, record_event):
    record_event("too early", -61)
    record_event("early", -60)
    chosen = record_event("chosen")
    record_event("late", 60, source="gitlab", event_type="Pipeline")
    record_event("too late", 61)
    page = soup(client.get(f"/events/{chosen}/around"))
    assert titles(page) == ["late", "chosen", "early"]
    [marked] = page.select("#feed [aria-current]")
    assert marked["id"] == f"event-{chosen}"
    assert marked.select_one("details").has_attr("open")


def test_links_set_the_span_from_five_minutes_to_a_day(client, record_event):
    minutes = (-1440, -120, -5, 5, 120, 1440)
    for minute in minutes:
        record_event(str(minute), minute)
    chosen = record_event("chosen")
    page = soup(client.get(f"/events/{chosen}/around"))
    links = {words(link): str(link["href"]) for link in page.select(".spans a")}
    assert list(links) == ["±5m", "±30m", "±1h", "±2h", "±24h"]
    assert texts(page, ".spans [aria-current]") == ["±1h"]
    events_by_name = {name: titles(soup(client.get(link.partition("#")[0]))) for name, link in links.items()}
    assert events_by_name["±5m"] == ["5", "chosen", "-5"]
    assert events_by_name["±2h"] == ["120", "5", "chosen", "-5", "-120"]
    assert events_by_name["±24h"] == ["1440", "120", "5", "chosen", "-5", "-120", "-1440"]
    assert all(link.endswith(f"#event-{chosen}") for link in links.values())


def timeline_around(client, number):
    """Follow the link from the events around an event to the timeline: its parameters, and the titles on it."""
    link = str(soup(client.get(f"/events/{number}/around")).select_one(".on-timeline")["href"])
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
    assert titles(soup(client.get(f"/events/{chosen}/around"))) == ["4", "3", "2", "1", "0"]


def test_the_nearest_events_are_shown_with_links_to_earlier_and_later_ones(client, record_event, monkeypatch):
    monkeypatch.setattr(context.events_before, "__defaults__", (2,))
    monkeypatch.setattr(context.events_after, "__defaults__", (2,))
    numbers = [record_event(str(number), number) for number in range(-5, 6)]
    page = soup(client.get(f"/events/{numbers[5]}/around"))
    assert titles(page) == ["2", "1", "0", "-1", "-2"]
    above, below = page.select_one("#newer"), page.select_one("#older")
    more = soup(client.get(str(above["hx-get"]), headers=HTMX))
    assert (titles(more), bool(more.select_one("#newer")), more.find("html")) == (["4", "3"], True, None)
    last = soup(client.get(str(more.select_one("#newer")["href"]), headers=HTMX))
    assert (titles(last), last.select_one("#newer")) == (["5"], None)
    plain = soup(client.get(str(below["href"])))
    assert (titles(plain), plain.select_one("#newer")) == (["-3", "-4"], None)
    assert titles(soup(client.get(str(plain.select_one("#older")["href"])))) == ["-5"]


def test_an_event_within_a_large_action_is_not_collapsed(client, record_event):
    of_action = {"source": "painchain", "event_type": "ConfigChanged", "request_id": "one action"}
    numbers = [record_event(str(number), 0, **of_action) for number in range(15)]
    page = soup(client.get(f"/events/{numbers[0]}/around"))
    [marked] = page.select("[aria-current].event")
    assert marked.find_parent("details", class_="rest").has_attr("open")
    page = soup(client.get(f"/events/{numbers[14]}/around"))
    assert not page.select_one("details.rest").has_attr("open")


def test_an_event_without_neighbours_has_a_message(client, record_event):
    chosen = record_event("chosen")
    page = soup(client.get(f"/events/{chosen}/around"))
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


# The history of a connector


def test_the_history_has_exactly_the_changes_of_one_connector(client, make_connector):
    connector_id, other = make_connector(name="Work"), make_connector(name=str(2))
    edit(client, connector_id, poll_interval="600")
    edit(client, other, poll_interval="900")
    page = soup(client.get(f"{LIST}/{connector_id}/history"))
    assert words(page.h1) == "History of “Work”"
    assert texts(page, ".event-type") == ["Connector Updated", "Config Changed", "Connector Created"]
    assert texts(page, "#feed .change") == ["Poll interval: 300 → 600"]


def test_card_connector_and_event_link_to_the_history(client, make_connector, events):
    connector_id = make_connector()
    address = f"{LIST}/{connector_id}/history"
    for page, selector in (
        (LIST, f"#card-{connector_id} a"),
        (f"{LIST}/{connector_id}", "#connector_header a"),
        (f"/events/{events()[-1]['id']}", "main > .meta a"),
        ("/", "#feed .links a"),
    ):
        links = unfold(client, soup(client.get(page))).select(selector)
        assert address in [str(link["href"]) for link in links], page


def test_a_deleted_connector_still_has_its_history(client, make_connector):
    connector_id = make_connector(name="Gone")
    client.post(f"{LIST}/{connector_id}/delete", data=form_of(client.get(f"{LIST}/{connector_id}/delete")))
    page = soup(client.get(f"{LIST}/{connector_id}/history"))
    assert words(page.h1) == "History of “Gone”"
    assert "This connector was deleted just now by system." in words(page.select_one("main .meta"))
    assert texts(page, ".event-type") == ["Connector Deleted", "Connector Created"]


def test_a_long_history_is_paged(client, make_connector):
    connector_id = make_connector()
    for number in range(30):
        edit(client, connector_id, poll_interval=str(60 + number))
    page = soup(client.get(f"{LIST}/{connector_id}/history"))
    older = page.select_one("#older")
    assert len(page.select("article")) == context.SIDE
    fragment, whole = client.get(older["hx-get"], headers=HTMX), client.get(older["href"])
    assert len(soup(fragment).select("article")) == len(soup(whole).select("article")) == 11
    assert soup(fragment).find("html") is None
    assert soup(whole).select_one("#older") is None
    assert f"{LIST}/{connector_id}/history" in [link["href"] for link in soup(whole).select("main .meta a")]


def test_events_reported_by_a_connector_are_not_changes_of_it(client, make_connector, record_event):
    connector_id = make_connector()
    record_event("a commit", connector_id=connector_id)
    page = soup(client.get(f"{LIST}/{connector_id}/history"))
    assert (titles(page), texts(page, "#feed .where")) == ([], ["Work GitHub"])


# Who set each field


def blames(client: FlaskClient, number: int) -> dict[str, str]:
    """Return the note about the last change of each field in a connector's form."""
    page = soup(client.get(f"{LIST}/{number}"))
    # A value that is as it was created has no line of its own.
    created = page.select_one("#as-created a")
    return {
        str(element["data-field"]): words(element.select_one(".blame") or created)
        for element in page.select("#connector [data-field]")
    }


def test_every_field_of_a_new_connector_shows_its_creator(client, make_connector, events):
    connector_id = make_connector()
    assert set(blames(client, connector_id).values()) == {"Set at creation by system, just now"}
    page = soup(client.get(f"{LIST}/{connector_id}"))
    assert texts(page, ".blame") == ["Set at creation by system, just now"], "one line for all fields"
    link = soup(client.get(f"{LIST}/{connector_id}")).select_one(".blame a")
    assert link["href"] == f"/events/{events()[-1]['id']}"


def test_each_field_shows_who_last_changed_it_and_the_old_value(client, make_connector, events):
    connector_id = make_connector(tags="a, b")
    edit(client, connector_id, poll_interval="600", name="Home")
    edit(client, connector_id, poll_interval="900", tags="", token="another", repos="acme/api\r\nacme/web")
    assert blames(client, connector_id) == {
        "name": "Changed from “Work GitHub” by system, just now",
        "tags": "Changed from “a”, “b” by system, just now",
        "base_url": "Set at creation by system, just now",
        "token": "Replaced by system, just now",
        "poll_interval": "Changed from 600 by system, just now",
        "repos": "Changed from nothing by system, just now",
        "branches": "Set at creation by system, just now",
    }
    page = soup(client.get(f"{LIST}/{connector_id}"))
    assert words(page.select_one("#as-created")) == "Other settings: Set at creation by system, just now"
    assert page.select_one("[data-field=branches] .blame") is None
    link = soup(client.get(f"{LIST}/{connector_id}")).select_one("[data-field=poll_interval] .blame a")
    newest = [event for event in events() if event["metadata"].get("field") == "poll_interval"][-1]
    assert link["href"] == f"/events/{newest['id']}"


def test_blame_shows_only_that_a_secret_was_set_replaced_or_cleared(client, make_connector):
    connector_id = make_connector("kubernetes")
    edit(client, connector_id, token="made-up-secret")
    assert blames(client, connector_id)["token"] == "Set by system, just now"
    edit(client, connector_id, token_clear=True)
    assert blames(client, connector_id)["token"] == "Cleared by system, just now"
    assert "made-up-secret" not in client.get(f"{LIST}/{connector_id}").text


def test_the_built_in_connector_was_created_by_the_first_start(client):
    assert [text.rpartition(",")[0] for text in blames(client, SYSTEM).values()] == ["Set at creation by system"] * 2


def test_an_htmx_save_returns_the_updated_blame(client, make_connector):
    connector_id = make_connector()
    form = fill(form_of(client.get(f"{LIST}/{connector_id}"), "#connector-form"), poll_interval="600")
    page = soup(client.post(f"{LIST}/{connector_id}", data=form, headers=HTMX))
    assert texts(page, "#connector [data-field=poll_interval] .blame") == ["Changed from 300 by system, just now"]


def test_a_refused_form_still_shows_who_changed_each_field(client, make_connector):
    connector_id = make_connector()
    edit(client, connector_id, poll_interval="600")
    form = fill(form_of(client.get(f"{LIST}/{connector_id}"), "#connector-form"), poll_interval="nonsense")
    for headers in ({}, HTMX):
        page = soup(client.post(f"{LIST}/{connector_id}", data=form, headers=headers))
        assert texts(page, "[data-field=poll_interval] .blame") == ["Changed from 300 by system, just now"]
        assert words(page.select_one("#as-created a")) == "Set at creation by system, just now"


def test_an_event_reported_by_a_script_gives_blame_only_if_it_matches(client, make_connector):
    connector_id = make_connector()
    edit(client, connector_id, poll_interval="600")
    report = {"event_type": "config_changed", "connector_name": "Work GitHub", "author": "script"}
    client.post("/api/painchain/log", json={**report, "field": "poll_interval", "old_value": 600, "new_value": 61})
    assert blames(client, connector_id)["poll_interval"] == "Changed from 300 by system, just now"


def test_changes_while_auditing_was_off_have_no_blame(client, make_connector):
    connector_id = make_connector()
    client.post("/api/connectors/1/disable")
    edit(client, connector_id, poll_interval="600")
    client.post("/api/connectors/1/enable")
    connector_blames = blames(client, connector_id)
    assert connector_blames["poll_interval"] == "The log does not contain who set this. Show history"
    assert connector_blames["name"] == "Set at creation by system, just now"


def test_changes_older_than_the_read_limit_have_no_blame(client, make_connector, monkeypatch):
    connector_id = make_connector()
    edit(client, connector_id, name="Home")
    edit(client, connector_id, poll_interval="600")
    monkeypatch.setattr(blame, "REACH", 1)
    connector_blames = blames(client, connector_id)
    assert connector_blames["poll_interval"] == "Changed from 300 by system, just now"
    unknown = "The log does not contain who set this. Show history"
    assert connector_blames["name"] == connector_blames["base_url"] == unknown


@pytest.mark.both_databases
def test_blame_takes_one_query_for_any_number_of_events(app, client, make_connector):
    connector_id = make_connector()
    for number in range(20):
        edit(client, connector_id, poll_interval=str(60 + number))
    statements: list[str] = []
    with app.app_context():
        connector = connector_store.get(connector_id)
        listening.listen(db.engine, "before_cursor_execute", lambda *arguments: statements.append(arguments[2]))
        connector_blame = blame.of(connector)
    assert (connector_blame["poll_interval"].before, connector_blame["name"].verb) == (78, "created")
    assert len(statements) == 1


def test_blame_escapes_a_hostile_name(app, client, make_connector):
    connector_id = make_connector()
    edit(client, connector_id, poll_interval="600")
    with app.app_context():
        db.session.execute(update(ChangeEvent).values(author="<b>eve\u202e</b>"))
        db.session.commit()
    assert blames(client, connector_id)["poll_interval"].endswith(" by <b>eve\\u202e</b>, just now")


def test_an_event_id_redirects_to_its_event(client, events):
    event = events()[0]
    assert client.get(f"/events/{quote(event['event_id'])}").location == f"/events/{event['id']}"
