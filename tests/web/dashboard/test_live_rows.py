"""An open dashboard shows what reloading it would show: one row for a group, and the notes on its events."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from bs4 import BeautifulSoup
from flask import Flask
from flask.testing import FlaskClient

from painchain.eventlog import writer
from tests.support.html import soup, texts
from tests.support.sample_events import new
from tests.support.statements import recorded_statements

HTMX = {"HX-Request": "true"}
SECOND = timedelta(seconds=1)


@pytest.fixture
def noon(app: Flask) -> datetime:
    """A time of today, so that the events of a test are of one day."""
    now = datetime.now(UTC)
    return max(now - timedelta(minutes=20), now.replace(hour=0, minute=6, second=0))


def run(number: int, status: str, time: datetime, **members: Any) -> Any:
    """Return an event: a state of a run."""
    members = {"connector_id": 3, "connector_name": "Work", "title": "[Workflow] CI - main", **members}
    event_id = f"github:3:4711:run:{number}:1:{status}"
    return new(0, event_id=event_id, event_type="WorkflowRun", status=status, timestamp=time, **members)


def write(app: Flask, *events: Any) -> list[int]:
    """Write events and return their numbers."""
    with app.app_context(), writer.writing() as event_log:
        return [event_log.append(event) for event in events]


def opened(client: FlaskClient, address: str = "/") -> BeautifulSoup:
    return soup(client.get(address))


def news(client: FlaskClient, page: BeautifulSoup, **parameters: str) -> BeautifulSoup:
    """Return what an open page gets, as its script asks for it."""
    older = page.select_one("#older")
    oldest = {"oldest": parse_qs(urlsplit(str(older["href"])).query)["cursor"][0]} if older else {}
    address = urlsplit(str(page.select_one("#live")["hx-get"]))
    query = {**parse_qs(address.query), **oldest, **parameters}
    response = client.get(address.path, query_string=query, headers=HTMX)
    assert response.status_code == 200
    return soup(response)


def rows(page: BeautifulSoup) -> list[list[int]]:
    """Return the numbers of the events of each row with more than one event, or which is not PainChain's own."""
    numbers = []
    for row in page.select("article.event"):
        if row.find_parent("article") is None and row["data-source"] != "painchain":
            numbers.append([int(str(row["data-id"])), *(int(str(part["data-id"])) for part in row.select("article"))])
    return numbers


@pytest.mark.parametrize("keep", [{}, {"keep": "yes"}], ids=["at the top", "reading"])
def test_a_new_state_of_a_shown_run_comes_with_its_other_states_as_one_row(app, client, noon, keep):
    first, other = write(app, run(1, "queued", noon), run(2, "success", noon + SECOND))
    page = opened(client)
    [state] = write(app, run(1, "in_progress", noon + 5 * SECOND))
    update = news(client, page, **keep)
    assert rows(update) == [[state, first]]
    assert texts(update, ".group-count")[0].startswith("2 states")
    [last] = write(app, run(1, "failure", noon + 9 * SECOND))
    update = news(client, update, **keep)
    assert rows(update) == [[last, state, first]]
    assert rows(opened(client)) == [[last, state, first], [other]], "as after reloading"


@pytest.mark.both_databases
def test_events_that_are_not_shown_stay_away(app, client, noon):
    write(app, run(1, "queued", noon, author="mia"))
    [old] = write(app, run(2, "queued", noon - timedelta(minutes=5)))
    write(app, *(new(number, timestamp=noon) for number in range(1, 61)))
    page, searching = opened(client), opened(client, "/?author=zoe")
    assert page.select_one("#older")
    one, two = write(app, run(1, "success", noon + SECOND, author="zoe"), run(2, "success", noon + SECOND))
    assert [two] in rows(news(client, page)), "the state before is on the second page"
    assert [two, old] in rows(news(client, page, oldest="")), "without pages all is shown"
    assert rows(news(client, searching)) == [[one]]


def test_an_event_of_yesterday_stays_with_its_day(app, client):
    now = datetime.now(UTC)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    client.set_cookie("zone", "UTC")
    write(app, run(1, "in_progress", midnight - SECOND))
    page = opened(client)
    [state] = write(app, run(1, "success", midnight))
    assert rows(news(client, page)) == [[state]]


def note(client: FlaskClient, number: int, text: str = "Rolled back") -> int:
    response = client.post(f"/api/changes/{number}/notes", json={"text": text})
    assert response.status_code == 201
    return int(response.get_json()["id"])


def changed(page: BeautifulSoup) -> dict[str, list[str]]:
    """Return the marks of notes in the rows that are replaced, by what they replace."""
    rows = page.select("details[hx-swap-oob]")
    return {str(row["hx-swap-oob"]): texts(row, ".note-mark") for row in rows}


@pytest.mark.both_databases
def test_a_new_note_marks_the_shown_row_of_its_event(app, client, noon):
    first, last, other = write(
        app, run(1, "queued", noon), run(1, "success", noon + SECOND), run(2, "success", noon - SECOND)
    )
    page = opened(client)
    note(client, other)
    note(client, first)
    update = news(client, page)
    assert changed(update) == {
        f"outerHTML:#event-{last} > details": ["1 note", "1 note"],
        f"outerHTML:#event-{other} > details": ["1 note"],
    }
    assert len(update.select("article[data-event-type=NoteAdded]")) == 2
    assert changed(news(client, update)) == {}

    [failed] = write(app, run(1, "failure", noon + 2 * SECOND))
    note(client, first)
    update = news(client, update)
    assert (rows(update), changed(update)) == ([[failed, last, first]], {})
    assert texts(update, f"#event-{failed} > details > summary .note-mark") == ["2 notes"]


@pytest.mark.both_databases
def test_a_note_that_the_filter_leaves_out_marks_its_event_and_adds_no_row(app, client, noon):
    [number] = write(app, run(1, "success", noon))
    page, elsewhere = opened(client, "/?source=github"), opened(client, "/?source=gitlab")
    note(client, number)
    update = news(client, page)
    assert changed(update) == {f"outerHTML:#event-{number} > details": ["1 note"]}
    assert not update.select("article, #timeline")
    assert changed(news(client, update)) == {}
    assert not news(client, elsewhere).select("details")


def test_the_news_of_one_event_cost_few_statements(app, client, noon):
    write(app, run(1, "queued", noon))
    page = opened(client)
    write(app, run(1, "success", noon + SECOND))
    with recorded_statements(app) as statements:
        news(client, page)
    assert len(statements) <= 15, statements


def save(count: int, time: datetime) -> list[Any]:
    """Return the events of one save: its own, and those of its settings."""
    about = {"source": "painchain", "connector_id": 3, "connector_name": "Work", "request_id": "one", "timestamp": time}
    settings = [
        new(0, event_id=f"setting-{number}", event_type="ConfigChanged", metadata={"field": f"f{number}"}, **about)
        for number in range(count)
    ]
    return [*settings, new(0, event_id="save", event_type="ConnectorUpdated", **about)]


@pytest.mark.both_databases
def test_the_news_of_a_save_read_no_shown_events(app, client, noon):
    page = opened(client)
    write(app, *save(3, noon))
    with recorded_statements(app) as statements:
        update = news(client, page)
    assert [len(row.select("article")) for row in update.select("article.request")] == [3]
    assert not any("change_events.timestamp BETWEEN" in statement for statement in statements), statements


def test_a_save_that_is_cut_in_two_by_a_page_is_one_row(app, client, noon):
    page = opened(client)
    write(app, *save(55, noon))
    first = news(client, page, keep="yes")
    assert len(first.select("article")) == 50
    [head] = news(client, first, keep="yes").select("article.request")
    assert len(head.select("article")) == 55
