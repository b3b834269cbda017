"""Settings → Audit log: the result of the check, the checkpoints, and the same through the API."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from bs4 import BeautifulSoup
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from painchain.integrity import check_job, checkpoints, latest_checkpoint
from painchain.workers.integrity import IntegrityWorker
from tests.support.accounts import add_person, sign_in
from tests.support.event_log import write
from tests.support.html import action_of, fill, form_of, soup, texts, unfold, words
from tests.support.tampering import change
from tests.web.common.hostile_input import HOSTILE
from tests.web.parts import part_of

Events = Callable[..., list[dict[str, Any]]]
PAGE = "/settings/audit-log"


def read(client: FlaskClient) -> BeautifulSoup:
    """Return the page without its header and footer."""
    response = client.get(PAGE)
    assert response.status_code == 200
    return part_of(response, "main")


def run_worker(app: Flask) -> None:
    """Run the integrity worker once."""
    IntegrityWorker(app).run_once()


def press(client: FlaskClient, selector: str, **values: Any) -> TestResponse:
    """Fill in a form of the page and send it."""
    page = client.get(PAGE)
    address = action_of(page, selector)
    return client.post(address, data=fill(form_of(page, selector), **values))


def test_before_the_first_check_the_page_has_a_message(client: FlaskClient) -> None:
    page = read(client)
    assert words(page.select_one(".log-verdict h2")) == "The log has not been checked yet."
    assert "none yet" in words(page.select_one(".log-facts"))
    assert page.select_one("#integrity_status[hx-get][hx-trigger]"), "the first result appears without a reload"
    assert press(client, "#check-now").status_code == 303
    assert words(read(client).select_one(".log-verdict h2")) == "The first check of the log is running."
    [current] = page.select(".sidebar [aria-current=page]")
    assert words(current) == "Audit log"
    assert client.get("/api/integrity").get_json()["state"] == "unknown"
    assert client.get(f"{PAGE}/checkpoints.ndjson").status_code == 404


def test_an_unchanged_log_is_reported_in_plain_words(app: Flask, client: FlaskClient) -> None:
    write(app, {}, {})
    run_worker(app)
    page = read(client)
    assert not page.select("#integrity_status[hx-get]")
    assert words(page.select_one(".log-verdict h2")) == "All 3 events verified."
    assert "Checked just now" in words(page.select_one(".log-verdict p"))
    assert words(page.select_one("#complete-title ~ p")).startswith("Yes.")
    assert words(page.select_one(".log-facts dd")) == "just now, 3 events"
    integrity = client.get("/api/integrity").get_json()
    assert (integrity["state"], integrity["events"], integrity["complete"], integrity["drift"]) == (
        "whole",
        3,
        True,
        [],
    )
    assert integrity["checkpoint"]["last"]["size"] == 3


def test_check_now_shows_progress_until_it_is_done(app: Flask, client: FlaskClient) -> None:
    write(app, {}, {}, {})
    run_worker(app)
    assert press(client, "#check-now").status_code == 303
    waiting = read(client).select_one("#integrity_status")
    assert waiting["hx-get"] == f"{PAGE}/progress"
    assert words(waiting.select_one("label")) == "The check will start shortly."
    with app.app_context():
        check = check_job.acquire(datetime.now(UTC))
        assert check
        assert check_job.report_progress(check, 1, 4, datetime.now(UTC))
    running = read(client).select_one("#integrity_status")
    assert words(running.select_one("label")) == "Checking: 25%"
    assert running.select("#check-now") == []
    assert words(running.select_one("noscript a")) == "Show progress"
    with app.app_context():
        check_job.release(check)
    run_worker(app)
    status = part_of(client.get(f"{PAGE}/progress"), "integrity_status").select_one("#integrity_status")
    assert "hx-get" not in status.attrs
    assert words(status.select_one("h2")) == "All 4 events verified."


@pytest.mark.both_databases
def test_a_broken_log_is_reported_on_every_page_with_event_and_advice(app: Flask, client: FlaskClient) -> None:
    write(app, {}, {}, {})
    assert soup(client.get("/")).select("#log-broken") == []
    change(app, "UPDATE change_events SET author = 'eve' WHERE id = 3")
    run_worker(app)
    page = read(client)
    verdict = page.select_one(".log-verdict.broken")
    assert "Event 3" in words(verdict.select_one("h2"))
    [link] = verdict.select("a")
    assert (link["href"], words(link)) == ("/events/3", "Show event 3")
    feed = unfold(client, part_of(client.get("/?event_type=ChainBroken"), "feed"))
    assert words(feed.select_one("#feed .links a[href='/settings/audit-log']")) == "Open Audit log"
    assert client.get("/events/3").status_code == 200
    assert "copy" in words(verdict.select_one("ol"))
    assert "The 2 events before it are intact." in words(verdict)
    assert words(part_of(client.get("/"), "log-broken").select_one("#log-broken a")) == "Show details"
    integrity = client.get("/api/integrity").get_json()
    assert (integrity["state"], integrity["broken"]["kind"], integrity["broken"]["event"]) == ("broken", "edited", 3)
    change(app, "UPDATE change_events SET author = 'ann' WHERE id = 3")
    assert press(client, "#check-now").status_code == 303
    run_worker(app)
    assert soup(client.get(PAGE)).select("#log-broken, .log-verdict.broken") == []


def test_for_a_removed_event_the_previous_one_is_shown(app: Flask, client: FlaskClient) -> None:
    write(app, {}, {}, {})
    change(app, "DELETE FROM change_events WHERE id = 3")
    run_worker(app)
    [link] = read(client).select(".log-verdict.broken a")
    assert (link["href"], words(link)) == ("/events/2", "Show the last event before it")


def test_a_log_that_is_shorter_than_its_checkpoint_is_broken_at_once(app: Flask, client: FlaskClient) -> None:
    write(app, {}, {})
    run_worker(app)
    change(app, "DELETE FROM change_events WHERE id = 3")
    change(app, "UPDATE log_head SET last_event = 2")
    assert "has fewer now" in words(read(client).select_one(".log-verdict.broken h2")), "before any check"
    refused = press(client, "#make-checkpoint")
    assert refused.status_code == 409
    assert "does not match the log" in words(
        part_of(refused, "checkpoint-problem").select_one("#checkpoint-problem")
    ), "on the same page"
    assert "does not match the log" in words(read(client).select_one("#checkpoint-problem"))
    assert client.post("/api/checkpoints").status_code == 409


def test_changes_outside_painchain_are_listed(app: Flask, client: FlaskClient, make_connector: Any) -> None:
    make_connector("gitlab", "Deploy")
    change(app, "UPDATE connectors SET name = 'Other' WHERE name = 'Deploy'")
    run_worker(app)
    page = read(client)
    assert words(page.select_one(".log-verdict h2")).startswith("All "), "the events themselves are as they were"
    assert words(page.select_one("#complete-title ~ p")).startswith(
        "No. 1 setting differs from the log. It was changed outside PainChain"
    )
    [drift] = texts(page, "#drift li")
    assert "Name of" in drift
    assert "save a different value first" in words(page.select_one("#drift ~ .help"))
    assert client.get("/api/integrity").get_json()["drift"] == [drift]


def test_differences_possibly_made_while_auditing_was_off_are_not_reported_as_a_match(
    app: Flask, client: FlaskClient, make_connector: Any
) -> None:
    make_connector("gitlab", "Deploy")
    assert client.post("/api/connectors/1/disable").status_code == 200
    change(app, "UPDATE connectors SET name = 'Other' WHERE name = 'Deploy'")
    run_worker(app)
    page = read(client)
    assert words(page.select_one("#complete-title ~ p")).startswith("No. Auditing was off for some time")
    [explained] = texts(page, "#explained li")
    assert "Name of" in explained


def test_periods_without_auditing_are_listed(client: FlaskClient) -> None:
    assert client.post("/api/connectors/1/disable").status_code == 200
    assert words(read(client).select_one(".unrecorded li")).startswith("since ")


def test_a_checkpoint_on_demand_is_audited_and_can_be_downloaded(client: FlaskClient, events: Events) -> None:
    response = press(client, "#make-checkpoint", reason="before the audit")
    assert texts(part_of(client.get(response.location), "toast"), ".toast > span") == [
        "Created a checkpoint of 1 event."
    ]
    [event] = [event for event in events() if event["event_type"] == "CheckpointMade"]
    assert (event["metadata"]["events"], event["description"]["reason"]) == (1, "before the audit")
    feed = part_of(client.get("/?event_type=CheckpointMade"), "feed")
    [kind, what] = texts(feed.select_one("#feed article"), ".event-type, .what")
    assert (kind, what.partition(" “")[0]) == ("Checkpoint Made", "1 event")
    file = client.get(f"{PAGE}/checkpoints.ndjson")
    assert "attachment" in file.headers["Content-Disposition"]
    assert json.loads(file.text)["head"] == event["metadata"]["head"]


def test_a_pasted_checkpoint_is_compared(app: Flask, client: FlaskClient) -> None:
    line = json.dumps(client.post("/api/checkpoints").get_json())
    response = press(client, "#compare", checkpoints=line)
    assert response.status_code == 200
    assert "still has the same 1 event as at" in texts(part_of(response, "compared"), "#compared li")[0]
    change(app, "UPDATE change_events SET mac = (SELECT seal FROM log_head) WHERE id = 1")
    [line_result] = part_of(press(client, "#compare", checkpoints=line), "compared").select("#compared li.broken")
    assert "rewritten" in words(line_result)
    wrong = press(client, "#compare", checkpoints=f"{line.replace(': 1,', ': 2,')}\nnonsense")
    assert wrong.status_code == 422
    assert [text.split(":")[0] for text in texts(part_of(wrong, "compared"), "#compared li")] == [
        "Another version of PainChain made this checkpoint.",
        "This is not a checkpoint. A checkpoint is a line that “painchain checkpoint” prints.",
    ]
    assert "nonsense" in words(part_of(wrong, "checkpoints").select_one("#checkpoints"))
    assert press(client, "#compare").status_code == 422


def test_an_unwritable_or_unreadable_file_is_reported_on_the_page(app: Flask, client: FlaskClient) -> None:
    with app.app_context():
        latest_checkpoint.file().mkdir()
    assert press(client, "#make-checkpoint").status_code == 409
    page = read(client)
    assert "Is a directory" in words(page.select_one("#checkpoint-problem"))
    assert "cannot be read" in words(page.select_one("#integrity_status .problem"))
    assert words(page.select_one(".log-facts dd")) == "unreadable"
    assert client.get("/api/integrity").get_json()["checkpoint"]["problem"]


def test_a_damaged_checkpoint_line_is_reported_until_it_is_removed(app: Flask, client: FlaskClient) -> None:
    run_worker(app)
    file = app.extensions["painchain"].settings.checkpoint_file
    good = file.read_text()
    file.write_text(f"nonsense\n{good}")
    for words_of_page, content in ("line 1: This is not a checkpoint", good), ("", good):
        assert press(client, "#check-now").status_code == 303
        run_worker(app)
        page = read(client)
        assert words(page.select_one(".log-verdict h2")) == "1 event verified."
        problems = texts(page, "#integrity_status .problem")
        assert [words_of_page in problem for problem in problems] == ([True] if words_of_page else [])
        file.write_text(content)


def test_an_undelivered_checkpoint_is_shown_until_it_is_delivered(app: Flask, client: FlaskClient) -> None:
    object.__setattr__(app.extensions["painchain"].settings, "checkpoint_url", "http://127.0.0.1:9/take?key=hunter2")
    assert press(client, "#make-checkpoint").status_code == 303
    assert "127.0.0.1, sending now" in words(read(client).select_one(".log-facts"))
    run_worker(app)
    page = read(client)
    assert "Posting failed just now: Could not connect to 127.0.0.1." in words(page.select_one(".log-facts .bad-news"))
    assert "Next attempt within a minute." in words(page.select_one(".log-facts .bad-news"))
    checkpoint = client.get("/api/integrity").get_json()["checkpoint"]
    assert (checkpoint["post_waiting"], checkpoint["posted_at"]) == (True, None)
    assert "hunter2" not in page.text + json.dumps(checkpoint)


def test_a_viewer_can_read_and_an_admin_can_act(app: Flask, client: FlaskClient) -> None:
    add_person(app, "root", "admin")
    add_person(app, "bob", "viewer")
    sign_in(client, "bob")
    page = read(client)
    assert page.select("#check-now, #make-checkpoint") == []
    assert str(app.extensions["painchain"].settings.checkpoint_file) not in page.text
    for address in (f"{PAGE}/check", f"{PAGE}/checkpoint"):
        token = form_of(client.get(PAGE), "#compare")["csrf_token"]
        assert client.post(address, data={"csrf_token": token}).status_code == 403
    assert client.post("/api/checkpoints").status_code == 403
    assert press(client, "#compare", checkpoints="nonsense").status_code == 422


@pytest.mark.parametrize("database", ["sqlite"])
def test_no_input_causes_a_server_error(client: FlaskClient) -> None:
    token = form_of(client.get(PAGE), "#compare")["csrf_token"]
    for value in (*HOSTILE, b'{"size": 1}', b'{"seal": ""}' * 600):
        response = client.post(f"{PAGE}/compare", data={"csrf_token": token, "checkpoints": value.decode("latin-1")})
        assert response.status_code == 422, value


def test_the_api_returns_a_verifiable_checkpoint(app: Flask, client: FlaskClient) -> None:
    response = client.post("/api/checkpoints")
    assert response.status_code == 201
    with app.app_context():
        assert checkpoints.parse(json.dumps(response.get_json())).size == 1
        assert checkpoints.read(latest_checkpoint.file()) == [checkpoints.parse(json.dumps(response.get_json()))]
