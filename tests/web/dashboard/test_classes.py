"""The switches of the dashboard: only failures, and the events of the class Access."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from painchain.eventlog import writer
from tests.support.html import soup, texts, words
from tests.support.sample_events import new
from tests.support.thorough import further
from tests.web.parts import part_of

STATES = (
    ("github", "WorkflowRun", "failure"),
    ("gitlab", "Pipeline", "failed"),
    ("gitlab", "Pipeline", "success"),
    ("kubernetes", "K8sPod", "CrashLoopBackOff"),
    ("painchain", "SignedIn", "signed in"),
    ("painchain", "SignInFailed", "failed"),
    ("painchain", "EventsExported", "exported"),
)


def titled(number: int) -> dict[str, Any]:
    """Return the members of one of the events, a few minutes old."""
    source, event_type, status = STATES[number]
    time = datetime.now(UTC) - timedelta(minutes=number + 1)
    return new(1_000 + number, source=source, event_type=event_type, status=status, title=f"{status}!", timestamp=time)


@pytest.fixture(params=[True, *further(False)], ids=["in rollups", "not in rollups"])
def log(app: Flask, request: pytest.FixtureRequest) -> Flask:
    """An app whose log has one event of each state; all other events in it are PainChain's own."""
    with app.app_context(), writer.writing() as event_log:
        event_log.append(*(titled(number) for number in range(len(STATES))))
        if request.param:
            event_log.count()
    return app


def shown(client: FlaskClient, address: str) -> list[str]:
    """Return the source and the status of the made-up events that a page shows, the newest first."""
    events = part_of(client.get(address), "feed").select("#feed article.event")
    return [event["data-source"] + " " + event["data-event-type"] for event in events if is_made_up(event)]


def is_made_up(event: Any) -> bool:
    """Return whether an event is one of ours: the first start has recorded others."""
    return (event["data-source"], event["data-event-type"]) in {(source, kind) for source, kind, _ in STATES}


FAILED = ["github WorkflowRun", "gitlab Pipeline", "kubernetes K8sPod"]
OTHERS = ["github WorkflowRun", "gitlab Pipeline", "gitlab Pipeline", "kubernetes K8sPod"]
EVERYTHING = [*OTHERS, "painchain SignedIn", "painchain SignInFailed", "painchain EventsExported"]


@pytest.mark.both_databases
def test_failures_of_every_source_are_one_click_away(log, client):
    page = part_of(client.get("/"), "switch-failures")
    switch = page.select_one("#switch-failures")
    assert (words(switch), switch["aria-pressed"]) == ("Failures 3", "false")
    assert shown(client, switch["href"]) == FAILED
    page = part_of(client.get(switch["href"]), "dashboard")
    assert words(page.select_one("#timeline .count")) == "3 events"
    pressed = page.select_one("#switch-failures")
    assert (words(pressed), pressed["aria-pressed"], pressed["href"]) == ("Failures 3", "true", "/")
    assert page.select_one('form#filter input[name="outcome"]')["value"] == "bad"


def test_access_events_are_left_out_and_one_click_away(log, client):
    page = part_of(client.get("/"), "timeline")
    assert shown(client, "/") == OTHERS
    switch = page.select_one("#switch-access")
    before = int(words(page.select_one("#timeline .count")).split()[0])
    hidden = int(words(switch).removeprefix("Access events ").removesuffix(" hidden"))
    assert hidden >= 3
    page = part_of(client.get(switch["href"]), "timeline")
    assert shown(client, switch["href"]) == EVERYTHING
    assert int(words(page.select_one("#timeline .count")).split()[0]) == before + hidden
    assert (words(page.select_one("#switch-access")), page.select_one("#switch-access")["href"]) == (
        "Access events",
        "/",
    )
    assert words(page.select_one("#switch-failures")) == "Failures 4"


COMBINED = [
    ("event_type=SignedIn", ["painchain SignedIn"]),
    ("q=type:SignedIn", ["painchain SignedIn"]),
    ("source=painchain", EVERYTHING[4:]),
    ("q=status:failed", ["gitlab Pipeline", "painchain SignInFailed"]),
    ("status=failed", ["gitlab Pipeline", "painchain SignInFailed"]),
    ("q=outcome:bad", FAILED),
    ("q=-outcome:bad", ["gitlab Pipeline"]),
    ("outcome=bad&access=1", [*FAILED, "painchain SignInFailed"]),
    ("outcome=bad&source=gitlab", ["gitlab Pipeline"]),
    ("outcome=good,bad&source=gitlab", ["gitlab Pipeline", "gitlab Pipeline"]),
    ("outcome=running", []),
]


def test_outcome_and_access_combine_with_other_filters(log, client, subtests):
    for query, sees in COMBINED:
        with subtests.test(query):
            assert shown(client, f"/?{query}") == sees


def test_the_chart_marks_and_names_failures(log, client):
    page = part_of(client.get("/"), "timeline")
    bins = [bin for bin in page.select("#timeline .chart a") if bin.select("rect.failed")]
    assert sum(int(bin["data-failures"]) for bin in bins) == 3
    for bin in bins:
        number = int(bin["data-failures"])
        failures = f", {number} failure{'' if number == 1 else 's'}"
        assert bin["aria-label"].endswith(failures)
        assert words(bin.title).endswith(failures)
    table = part_of(client.get(page.select_one("#chart-text a")["href"]), "chart-table").select_one("#chart-table")
    assert texts(table, "th") == ["From", "To", "Failures", "Events"]
    assert sum(int(number) for number in texts(table, "td:nth-child(3)")) == 3
    assert not soup(client.get("/?outcome=good")).select(".chart .failed")


def test_live_updates_leave_access_events_out(log, client):
    def news(query: str) -> list[str]:
        response = client.get(f"/news?after=0&keep=1{query}", headers={"HX-Request": "true"})
        return [event["data-event-type"] for event in soup(response).select("article.event") if is_made_up(event)]

    assert "SignedIn" not in news("")
    assert "WorkflowRun" in news("")
    assert "SignedIn" in news("&access=1")
    assert set(news("&outcome=bad")) == {"WorkflowRun", "Pipeline", "K8sPod"}
    assert 'id="switches"' in client.get("/news?after=0&keep=1", headers={"HX-Request": "true"}).text


def test_a_wrong_outcome_is_refused(client):
    response = client.get("/?outcome=worse")
    assert response.status_code == 422
    assert "outcome must be one of good, bad, running, neutral." in words(
        part_of(response, "dashboard").select_one("[role=alert]")
    )
    assert client.get("/?access=x&q=outcome:worse").status_code == 422
    assert client.get("/?access=%00").status_code in (200, 422)


@pytest.mark.both_databases
def test_the_api_filters_by_outcome_and_has_access_events(log, client):
    def numbers(query: str) -> list[int]:
        events = client.get(f"/api/changes?limit=500{query}").json
        total = client.get(f"/api/timeline?{query}").json["total"], client.get(f"/api/stats?{query}").json["total"]
        assert total == (len(events), len(events))
        timeline = client.get(f"/api/timeline?{query}").json
        assert timeline["failures"] == sum(bin["failures"] for bin in timeline["bins"])
        bad = [event["event_type"] for event in client.get(f"/api/changes?limit=500{query}&outcome=bad").json]
        if "outcome" not in query:
            assert timeline["failures"] == len(bad) == 4
        return sorted(event["event_type"] for event in events)

    assert numbers("&outcome=bad") == ["K8sPod", "Pipeline", "SignInFailed", "WorkflowRun"]
    assert numbers("&outcome=bad,good&source=gitlab") == ["Pipeline", "Pipeline"]
    assert numbers("&q=outcome:bad&source=gitlab") == ["Pipeline"]
    assert {"SignedIn", "SignInFailed", "EventsExported"} <= set(numbers(""))
    assert client.get("/api/changes?outcome=worse").status_code == 422
    assert client.get("/api/changes?access=1").status_code == 422
    described = client.get("/openapi.json").json["paths"]["/api/changes"]["get"]["parameters"]
    assert any("outcome" in str(parameter) for parameter in described)


def test_an_export_of_the_view_has_the_outcome_and_access_events(log, client):
    page = part_of(client.get("/export?outcome=bad"), "main")
    assert "Outcome" in page.main.text
    assert "bad" in page.main.text
    assert page.select_one('form input[name="outcome"]')["value"] == "bad"
    assert "4 events" in page.main.text


def test_outcomes_are_suggested(client: FlaskClient) -> None:
    page = soup(client.get("/search/suggestions?q=outcome:"))
    assert [part for part in page.text.split() if part.startswith("outcome:")] == [
        "outcome:bad",
        "outcome:good",
        "outcome:running",
        "outcome:neutral",
    ]
    assert "outcome:" in client.get("/search/suggestions?q=outc").text
