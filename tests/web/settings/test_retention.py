"""Settings → Retention: how long events are kept, the preview of a removal, and the removal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from painchain.database.session import db
from painchain.retention import rules as retention_rules
from painchain.workers.scheduler import Scheduler
from tests.support.accounts import report_as
from tests.support.html import fill, form_of, texts, words
from tests.web.common.hostile_input import HOSTILE
from tests.web.parts import part_of

Events = Callable[..., list[dict[str, Any]]]
PAGE = "/settings/retention"
SOURCES = ("painchain", "github", "gitlab", "kubernetes", "webhook", "api")
WEEK = 7 * 86_400 * 1_000_000


@pytest.fixture
def old_events(app: Flask, client: FlaskClient) -> None:
    """Record three GitLab events that are a week old."""
    for _ in range(3):
        body = {"event_type": "config_changed", "connector_name": "Deploy", "field": "replicas"}
        report_as(client.application, "ann", **body)
    with app.app_context():
        age = "UPDATE change_events SET source = 'gitlab', timestamp = timestamp - :week WHERE author = 'ann'"
        db.session.execute(db.text(age), {"week": WEEK})
        db.session.commit()


def send(client: FlaskClient, do: str = "save", **days: Any) -> TestResponse:
    """Fill in the form and press a button."""
    typed = {name if name == "sure" else f"days.{name}": value for name, value in days.items()}
    return client.post(PAGE, data={**fill(form_of(client.get(PAGE), "#retention"), **typed), "do": do})


def entered(response: TestResponse) -> dict[str, str]:
    form = form_of(response, "#retention")
    return {name.removeprefix("days."): value for name, value in form.items() if name.startswith("days.")}


def test_by_default_events_are_kept_forever(client: FlaskClient) -> None:
    page = client.get(PAGE)
    assert entered(page) == dict.fromkeys(SOURCES, "")
    assert [field["placeholder"] for field in part_of(page, "retention").select("#retention input[type=number]")] == [
        "forever"
    ] * 6
    [current] = part_of(page, "main").select(".sidebar [aria-current=page]")
    assert words(current) == "Retention"


def test_saving_stores_the_days_and_records_old_and_new(client: FlaskClient, events: Events) -> None:
    response = send(client, gitlab="90")
    assert response.status_code == 303
    page = client.get(response.location)
    assert texts(part_of(page, "toast"), ".toast > span") == ["Saved. Retention: GitLab 90 days."]
    assert entered(page)["gitlab"] == "90"
    [event] = [event for event in events() if event["event_type"] == "RetentionChanged"]
    assert (event["description"]["old_value"], event["description"]["new_value"]) == ("for ever", "90 days")
    feed = part_of(client.get("/?event_type=RetentionChanged"), "feed")
    assert texts(feed.select_one("#feed article"), ".event-type, .what") == [
        "Retention Changed",
        "GitLab: for ever → 90 days",
    ]


def test_saving_without_a_change_records_nothing(client: FlaskClient, events: Events) -> None:
    before = events()
    assert texts(part_of(client.get(send(client).location), "toast"), ".toast > span") == ["No changes to save."]
    assert events() == before


INVALID = ["0", "-1", "1.5", "36501", "9" * 30, "x", "٣", "1e3"]


def test_an_invalid_number_of_days_is_reported_at_its_field(
    client: FlaskClient, events: Events, subtests: pytest.Subtests
) -> None:
    before = events()
    for text in INVALID:
        with subtests.test(text):
            response = send(client, gitlab=text)
            assert response.status_code == 422
            page = part_of(response, "retention")
            assert words(page.select_one("#error-gitlab")).startswith("Enter a whole number from 1 to 36,500")
            assert page.select_one("#days-gitlab")["aria-invalid"] == "true"
            assert entered(response)["gitlab"] == text
            assert events() == before


def test_audit_events_are_removed_only_after_an_explicit_choice(client: FlaskClient) -> None:
    page = part_of(client.get(PAGE), "retention")
    assert "past configurations" in words(page.select_one("[data-source=painchain] .warning"))
    refused = send(client, painchain="365")
    assert refused.status_code == 422
    assert "tick the box" in words(part_of(refused, "error-painchain").select_one("#error-painchain"))
    assert entered(client.get(PAGE))["painchain"] == ""
    assert send(client, painchain="365", sure="1").status_code == 303
    assert send(client, painchain="400").status_code == 303, "longer needs no second thought"
    assert send(client, painchain="30").status_code == 422
    assert send(client, painchain="").status_code == 303


def test_a_stale_form_does_not_overwrite_another_change(client: FlaskClient) -> None:
    old = form_of(client.get(PAGE), "#retention")
    assert send(client, gitlab="90").status_code == 303
    response = client.post(PAGE, data={**old, "days.github": "30", "do": "save"})
    assert response.status_code == 409
    assert "Another user has changed" in words(part_of(response, "main").select_one("main"))
    assert entered(client.get(PAGE)) == {**dict.fromkeys(SOURCES, ""), "gitlab": "90"}


def test_the_preview_shows_expired_events_and_saves_nothing(
    client: FlaskClient, events: Events, old_events: None
) -> None:
    before = events()
    response = send(client, "preview", gitlab="5", kubernetes="5")
    assert response.status_code == 200
    page = part_of(response, "prunable")
    assert texts(page, "#prunable tbody th") == ["GitLab", "Kubernetes"]
    assert texts(page, "#prunable .number") == ["3", "0"]
    assert len(page.select("#prunable [data-source=gitlab] time")) == 2
    assert entered(response)["gitlab"] == "5"
    assert events() == before
    assert entered(client.get(PAGE))["gitlab"] == ""


@pytest.mark.both_databases
def test_prune_now_lists_expired_events_and_the_scheduler_removes_them(
    app: Flask, client: FlaskClient, events: Events, old_events: None
) -> None:
    assert send(client, gitlab="5").status_code == 303
    assert part_of(client.get(PAGE), "pruning").select_one("#pruning a.button[href='/settings/retention/prune']")
    page = client.get(f"{PAGE}/prune")
    assert words(part_of(page, "main").select_one("h1")) == "Delete 3 events?"
    assert words(part_of(page, "prune").select_one("#prune button")) == "Delete 3 events"
    response = client.post(f"{PAGE}/prune", data=form_of(page, "#prune"))
    assert response.status_code == 303
    waiting = part_of(client.get(response.location), "pruning").select_one("#pruning")
    assert words(waiting.select_one("label")) == "GitLab: 0 of 3 deleted"
    assert waiting["hx-get"] == "/settings/retention/progress"
    assert waiting.select("a.button") == []
    again = client.post(f"{PAGE}/prune", data=form_of(page, "#prune"))
    assert (again.status_code, "already" in again.text) == (409, True)
    Scheduler(app).run_once()
    progress = part_of(client.get(f"{PAGE}/progress"), "pruning")
    assert words(progress.select_one("#pruning p")).startswith("No deletion is running.")
    assert "hx-get" not in progress.select_one("#pruning").attrs
    assert events(source="gitlab") == []
    assert [(event["event_type"], event["metadata"].get("events")) for event in events()[-1:]] == [("EventsPruned", 3)]
    row = part_of(client.get("/"), "feed").select_one("#feed article")
    assert texts(row, ".event-type, .what") == ["Events Pruned", "GitLab · 3 events"]


def test_no_more_events_are_removed_than_the_page_showed(
    app: Flask, client: FlaskClient, events: Events, old_events: None
) -> None:
    assert send(client, gitlab="5").status_code == 303
    form = form_of(client.get(f"{PAGE}/prune"), "#prune")
    assert send(client, gitlab="9").status_code == 303
    response = client.post(f"{PAGE}/prune", data=form)
    assert response.status_code == 409
    for as_of in (
        "",
        "soon",
        "2999-01-01T00:00:00Z",
        "2001-01-01T00:00:00Z",
        "2026-01-01T00:00:00",
        "0001-01-01T00:00:00+14:00",
    ):
        assert client.post(f"{PAGE}/prune", data={**form, "as_of": as_of}).status_code == 409, as_of
    Scheduler(app).run_once()
    assert len(events(source="gitlab")) == 3


def test_having_nothing_to_remove_is_reported(client: FlaskClient) -> None:
    assert words(part_of(client.get(f"{PAGE}/prune"), "main").select_one("h1")) == "Nothing to delete"


def test_while_auditing_is_off_the_page_shows_that_nothing_is_removed(
    client: FlaskClient, events: Events, old_events: None
) -> None:
    assert send(client, gitlab="5").status_code == 303
    form = form_of(client.get(f"{PAGE}/prune"), "#prune")
    assert client.post("/api/connectors/1/disable").status_code == 200
    assert "Nothing is deleted while auditing is off" in words(
        part_of(client.get(PAGE), "pruning").select_one("#pruning")
    )
    assert part_of(client.get(f"{PAGE}/prune"), "prune").select("#prune") == []
    response = client.post(f"{PAGE}/prune", data=form)
    assert (response.status_code, "Auditing is off" in response.text) == (409, True)
    assert len(events(source="gitlab")) == 3


def test_no_input_breaks_retention(app: Flask, client: FlaskClient) -> None:
    token = form_of(client.get(PAGE), "#retention")["csrf_token"]
    for name in ("days.gitlab", "days.nowhere", "was.gitlab", "sure", "do", "as_of"):
        for value in HOSTILE:
            for address in (PAGE, f"{PAGE}/prune"):
                response = client.post(address, data={"csrf_token": token, name: value.decode("latin-1")})
                assert response.status_code in (200, 303, 409, 422), (address, name, value)
    assert client.get(PAGE).status_code == 200
    with app.app_context():
        assert retention_rules.progress() == []
