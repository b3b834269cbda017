"""Each field of a connector shows who last changed it."""

from __future__ import annotations

from flask.testing import FlaskClient
from sqlalchemy import event as listening
from sqlalchemy import update

from painchain.configuration import connector_store
from painchain.database.models import ChangeEvent
from painchain.database.session import db
from painchain.history import blame
from tests.support.html import fill, form_of, soup, texts, words
from tests.web.dashboard.edits import HTMX, LIST, SYSTEM, edit, set_interval
from tests.web.parts import part_of


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
    page = part_of(client.get(f"{LIST}/{connector_id}"), "as-created")
    assert texts(page, ".blame") == ["Set at creation by system, just now"], "one line for all fields"
    link = part_of(client.get(f"{LIST}/{connector_id}"), "as-created").select_one(".blame a")
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
    link = part_of(client.get(f"{LIST}/{connector_id}"), "connector-form").select_one(
        "[data-field=poll_interval] .blame a"
    )
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
    page = part_of(client.post(f"{LIST}/{connector_id}", data=form, headers=HTMX), "connector")
    assert texts(page, "#connector [data-field=poll_interval] .blame") == ["Changed from 300 by system, just now"]


def test_a_refused_form_still_shows_who_changed_each_field(client, make_connector):
    connector_id = make_connector()
    edit(client, connector_id, poll_interval="600")
    form = fill(form_of(client.get(f"{LIST}/{connector_id}"), "#connector-form"), poll_interval="nonsense")
    for headers in ({}, HTMX):
        page = part_of(client.post(f"{LIST}/{connector_id}", data=form, headers=headers), "connector-form")
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


def test_blame_takes_one_query_for_any_number_of_events(app, client, make_connector):
    connector_id = make_connector()
    for number in range(20):
        set_interval(client, connector_id, 60 + number)
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
