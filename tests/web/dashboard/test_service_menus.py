"""The menus Service and Environment choose among the values that events have, and select as a search for them does."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask
from sqlalchemy import text

from painchain.database.session import db
from painchain.eventlog import writer
from painchain.indexes import rollups
from painchain.timeline import grouped_events, queries
from tests.support.html import fill, form_of, soup, texts, words
from tests.support.sample_events import new
from tests.support.statements import recorded_statements
from tests.web.dashboard.test_chips_and_axis import chips
from tests.web.parts import part_of

CHANGES = [
    {"title": "Shop 1", "kind": "deployment", "service": "shop", "environment": "production"},
    {"title": "Shop 2", "kind": "deployment", "service": "shop", "environment": "staging"},
    {"title": "Pay, 1", "kind": "migration", "service": "Pay, Berlin", "environment": "production"},
    {"title": "Nothing of these", "data": {"service": "inner"}},
]


def choices(page: Any, name: str) -> list[str]:
    return [str(box["value"]) for box in page.select(f"#menu-{name} [type=checkbox]")]


def titles(page: Any) -> set[str]:
    shown = texts(page, "#feed article.event")
    return {change["title"] for change in CHANGES if any(change["title"] in row for row in shown)}


@pytest.mark.both_databases
def test_events_are_chosen_by_service_and_environment(app, client):
    assert soup(client.get("/")).select("#menu-service, #menu-environment") == []
    assert client.post("/api/events", json=CHANGES).status_code == 201
    for is_counted in (False, True):
        page = part_of(client.get("/?range=7d"), "filter")
        assert (choices(page, "service"), choices(page, "environment")) == (
            ["Pay, Berlin", "shop"],
            ["production", "staging"],
        )
        form = form_of(client.get("/?range=7d"), "#filter")
        shown = client.get("/", query_string=fill(form, service=["shop", "Pay, Berlin"], environment="production"))
        page = part_of(shown, "dashboard")
        assert titles(page) == {"Shop 1", "Pay, 1"}
        assert words(page.select_one("#timeline .count")) == "2 events"
        assert [box["value"] for box in page.select("#menu-service [checked]")] == ["Pay, Berlin", "shop"]
        with app.app_context(), writer.writing() as event_log:
            assert (event_log.counted == event_log.last_event) is is_counted
            event_log.count()
    with app.app_context(), writer.writing() as event_log:  # the last event of a service takes its choice along
        event_log.remove(db.session.scalars(text("SELECT id FROM change_events WHERE title LIKE 'Pay%'")).all())
    assert choices(part_of(client.get("/"), "menu-service"), "service") == ["shop"]


def test_a_chosen_service_is_in_addresses_chips_exports_saved_views_and_live_updates(client):
    client.post("/api/events", json=CHANGES)
    page = part_of(client.get("/?service=Pay,+Berlin&environment=production"), "dashboard")
    assert chips(page) == {
        "Service: Pay, Berlin": {"environment": ["production"]},
        "Environment: production": {"service": ["Pay, Berlin"]},
    }
    assert page.select_one("#menu-service summary")["aria-current"] == "true"
    for link in page.select(".export, .ranges a, #chart-table a, #switch-failures, .legend a"):
        query = parse_qs(urlsplit(str(link["href"])).query)
        assert (query["service"], query["environment"]) == (["Pay, Berlin"], ["production"]), link
    export = part_of(client.get(str(page.select_one("a.export")["href"])), "main")
    assert "Pay, Berlin" in words(export.main)
    assert "1 event" in words(export.main)
    view = client.post(
        "/api/views", json={"name": "Pay", "filter": "service=Pay%2C+Berlin&environment=production&range=7d"}
    )
    assert view.status_code == 201, view.json
    assert titles(part_of(client.get("/", query_string=view.json["filter"]), "feed")) == {"Pay, 1"}
    news = client.get("/news?after=0&service=shop&environment=staging", headers={"HX-Request": "true"})
    assert [change["title"] for change in CHANGES if change["title"] in news.text] == ["Shop 2"]


def test_the_api_and_an_empty_feed_know_the_service(client):
    client.post("/api/events", json=CHANGES)
    for query, expected in (
        ("service=SHOP", {"Shop 1", "Shop 2"}),
        ("service=shop&service=Pay,+Berlin&environment=production", {"Shop 1", "Pay, 1"}),
        ("service=shop&q=env:staging", {"Shop 2"}),
        ("service=inner", set()),
    ):
        assert {event["title"] for event in client.get(f"/api/changes?{query}").json} == expected, query
        assert client.get(f"/api/stats?{query}").json["total"] == len(expected)
    lines = client.post("/api/export?service=shop").text.splitlines()
    assert len(lines) == 2
    page = part_of(client.get("/?service=shop&environment=none"), "menu-environment")
    assert choices(page, "environment") == ["production", "staging", "none"]
    assert "without the environment" in words(soup(client.get("/feed/other-views?service=shop&environment=none")))


def test_an_event_of_any_source_is_offered_and_what_is_no_text_is_not(app, client):
    facts = [{"environment": "preview"}, {"service": 5}, {"service": ["x"]}, {"service": ""}, {"service": "s" * 201}]
    with app.app_context(), writer.writing() as event_log:
        event_log.append(*(new(number, metadata=metadata) for number, metadata in enumerate(facts)))
        event_log.append(new(9, source="retired", event_type="Gone", metadata={"service": "old"}))
    page = part_of(client.get("/?start_date=2026-03-01T00:00:00Z"), "filter")
    assert (choices(page, "service"), choices(page, "environment")) == (["old"], ["preview"])
    assert (
        len(part_of(client.get("/?start_date=2026-03-01T00:00:00Z&service=old"), "feed").select("#feed article.event"))
        == 1
    )


def test_the_choices_cost_as_much_in_a_long_log(app: Flask, client) -> None:
    """They are read with the other menus, from the counts and the newest events only; 500 of each are offered."""

    def statements() -> list[str]:
        with recorded_statements(app) as recorded:
            client.get("/?start_date=2026-03-01T00:00:00Z")
        return recorded

    with app.app_context(), writer.writing() as event_log:
        event_log.append(new(0, metadata={"service": "shop"}))
    statements()
    few = statements()
    with app.app_context(), writer.writing() as event_log:
        facts = ({"service": f"s{number % 600}", "environment": "production"} for number in range(3_000))
        event_log.append(*(new(number, metadata=metadata) for number, metadata in enumerate(facts, 1)))
        event_log.count()
    statements()
    assert len(statements()) <= len(few)
    with app.app_context():
        assert len(queries.filter_values().services) == 500
        if db.engine.dialect.name == "sqlite":
            for prepared in (queries._IN_ROLLUPS, grouped_events._NEWER):
                statement = str(prepared._for(db.engine.dialect).text)
                plan = db.session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", _values(statement))
                assert [step[-1] for step in plan if "SCAN change_events" in step[-1]] == []
        assert db.session.scalar(text("SELECT count(*) FROM event_counts WHERE facet = 'environment'")) == 1
    assert rollups.LISTED == ("service", "environment")


def _values(statement: str) -> tuple[Any, ...]:
    return ("0",) * statement.count("?")
