"""Actions send few statements to the database, because each is a round trip that the person waits for.

A statement is one ``execute``, ``executemany`` or COPY on the driver's cursor, counted below SQLAlchemy and below
PainChain's own prepared statements. BEGIN counts, COMMIT and ROLLBACK do not. Loading the session of the person counts
too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text

from painchain import connectors
from painchain.connectors.contract import PollResult, SourceEvent
from painchain.database.session import db
from painchain.ingestion import poll_results, polling
from painchain.ingestion.source_events import STEP
from tests.conftest import ON_SQLITE
from tests.support.accounts import add_person, sign_in
from tests.support.html import fill, form_of, soup, texts
from tests.support.statements import recorded_statements

HTMX = {"HX-Request": "true"}
LIST = "/settings/integrations"
NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)

HTMX_EDIT, PLAIN_EDIT, POLLED_EVENT = 15, 9, 8
POLLED_BATCHES = 45  # of four batches; each second one adds the events since the last to counts and indexes
DASHBOARD, DASHBOARD_AFTER_WRITE, DELIVERY, BATCH_OF_EVENTS = 14, 11, 15, 13


def numbered(statements: list[str]) -> str:
    """Return a numbered list of the statements, for the message of a failed test."""
    return "\n".join(f"{number}. {statement[:140]}" for number, statement in enumerate(statements, 1))


@pytest.fixture
def edited_form(app: Flask, client: FlaskClient, make_connector: Callable[..., int]) -> tuple[str, dict[str, Any]]:
    """The address of an enabled connector and its form with two changed fields, opened by a signed-in person."""
    number = make_connector(enabled="y", tags="early")
    add_person(app)
    sign_in(client)
    address = f"{LIST}/{number}"
    form = fill(form_of(client.get(address), "#connector-form"), tags="late, later", poll_interval="600")
    return address, form


@pytest.mark.both_databases
def test_an_htmx_edit_of_a_connector(app, client, edited_form):
    address, form = edited_form
    with recorded_statements(app) as statements:
        response = client.post(address, data=form, headers=HTMX)
        assert (response.status_code, "Saved" in response.text) == (200, True)
    assert len(statements) <= HTMX_EDIT, numbered(statements)


@pytest.mark.parametrize("enabled", [True, False])
def test_the_api_reads_the_polls_of_enabled_connectors_only(app, client, make_connector, enabled):
    number = make_connector(**({"enabled": "y"} if enabled else {}))
    with recorded_statements(app) as statements:
        assert client.get(f"/api/connectors/{number}").json["enabled"] == enabled
    assert any("FROM poll_states" in statement for statement in statements) == enabled


@pytest.mark.both_databases
def test_a_plain_edit_of_a_connector(app, client, edited_form):
    address, form = edited_form
    with recorded_statements(app) as statements:
        assert client.post(address, data=form).status_code == 303
    assert len(statements) <= PLAIN_EDIT, numbered(statements)


@pytest.mark.both_databases
def test_a_poll_that_finds_one_event(app, make_connector, monkeypatch):
    event = SourceEvent("github-Commit-1", "Commit", "[Commit] one", NOW, "dev", text="one")
    connector_type = replace(connectors.TYPES["github"], poll=lambda context: PollResult([event], {}))
    monkeypatch.setitem(connectors.TYPES, "github", connector_type)
    make_connector(enabled="y")
    now = datetime.now(UTC) + timedelta(seconds=1)
    with recorded_statements(app) as statements, app.app_context():
        lease = polling.acquire(now)
        assert lease is not None
        assert polling.poll(lease, lambda: now) == 1
    assert len(statements) <= POLLED_EVENT, numbered(statements)


@pytest.mark.both_databases
def test_a_poll_that_finds_several_batches_of_events(app, make_connector):
    number = make_connector(enabled="y", tags="early, late")
    events = [
        SourceEvent(f"github-Commit-{index}", "Commit", f"[Commit] {index}", NOW, "dev", text="one")
        for index in range(STEP * 4)
    ]
    with recorded_statements(app) as statements, app.app_context():
        assert poll_results.store(number, PollResult(events, {}), NOW + timedelta(hours=1)) == len(events)
    assert len(statements) <= POLLED_BATCHES, numbered(statements)


@pytest.mark.both_databases
@pytest.mark.parametrize("query", ["", "?author=dev"])
def test_an_uncached_dashboard(app, client, make_connector, query):
    make_connector(enabled="y", tags="early")
    add_person(app)
    sign_in(client)
    with recorded_statements(app) as statements:
        response = client.get(f"/{query}")
        assert (response.status_code, 'id="feed"' in response.text) == (200, True)
    assert len(statements) <= DASHBOARD, numbered(statements)


@pytest.mark.both_databases
def test_a_dashboard_after_a_write(app, client, make_connector):
    make_connector(enabled="y", tags="early")
    add_person(app)
    sign_in(client)
    client.get("/")
    for number in range(2):
        client.post("/api/events", json={"title": f"Deployed {number}"})
        with recorded_statements(app) as statements:
            assert f"Deployed {number}" in client.get("/").text
        assert len(statements) <= DASHBOARD_AFTER_WRITE, numbered(statements)


@pytest.mark.both_databases
def test_an_uncached_dashboard_of_events_with_notes(app, client, make_connector):
    make_connector(enabled="y", tags="early")
    for turn in range(12):
        assert client.post(f"/api/changes/{1 + turn % 3}/notes", json={"text": f"Note {turn}"}).status_code == 201
    add_person(app)
    sign_in(client)
    with recorded_statements(app) as statements:
        page = soup(client.get("/"))
    assert sum(int(mark.split()[0]) for mark in texts(page, "#feed .note-mark")) >= 12
    assert len(statements) <= DASHBOARD, numbered(statements)


@pytest.mark.both_databases
def test_a_webhook_delivery(app, client):
    body = {"type": "webhook", "name": "Alerts", "enabled": True, "config": {}}
    number = client.post("/api/connectors", json=body).get_json()["id"]
    secret = client.post(f"/api/connectors/{number}/webhook").get_json()["secret"]
    with recorded_statements(app) as statements:
        headers = {"Authorization": f"Bearer {secret}"}
        assert client.post(f"/hooks/webhook/{number}", json={"title": "Deployed"}, headers=headers).status_code == 202
    assert len(statements) <= DELIVERY, numbered(statements)


@pytest.mark.both_databases
def test_a_batch_of_a_thousand_events(app, client):
    batch = [{"title": f"Deployed 1.{index}", "service": "shop", "external_id": str(index)} for index in range(1000)]
    with recorded_statements(app) as statements:
        assert client.post("/api/events", json=batch).status_code == 201
    assert len(statements) <= BATCH_OF_EVENTS, numbered(statements)


@ON_SQLITE
def test_events_are_looked_up_in_the_index_of_their_ids(app, client, make_connector):
    number = make_connector(enabled="y")
    event = SourceEvent("github-2", "Commit", "[Commit] two", NOW, "dev", former_ids={"github-1": NOW})
    with recorded_statements(app) as statements, app.app_context():
        assert poll_results.store(number, PollResult([event], {}), NOW + timedelta(hours=1)) == 1
        client.post("/api/events", json={"title": "Deployed", "external_id": "1"})
        lookups = [statement for statement in statements if "json_each" in statement]
        plans = [
            db.session.execute(text(f"EXPLAIN QUERY PLAN {statement.replace('?', 'NULL')}")).all()
            for statement in lookups
        ]
    assert len(plans) == 3
    assert all("event_id=?" in str(plan) for plan in plans), numbered(list(map(str, plans)))
