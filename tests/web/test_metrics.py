"""/metrics requires a token, is cheap, and has only labels with few values."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import event, update
from sqlalchemy.exc import IntegrityError

from painchain.connectors.contract import ErrorKind, PollError, PollResult
from painchain.core import runtime
from painchain.core.config import Settings
from painchain.database.models import NotifyRule, PollState
from painchain.database.session import db
from painchain.eventlog import writer
from painchain.ingestion import polling
from painchain.integrity import latest_checkpoint
from painchain.scheduling import poll_leases
from painchain.startup import create_app
from painchain.web.common.access_log import METHODS
from painchain.workers.integrity import IntegrityWorker
from tests.conftest import ON_SQLITE, close, settings_for
from tests.support.accounts import add_person
from tests.support.api import refuse
from tests.support.sample_events import NOW, new

TOKEN = "a-long-made-up-token"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
Make = Callable[..., int]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """The same settings with metrics on."""
    return settings_for(settings.instance, settings.database_url, metrics_token=TOKEN)


@pytest.fixture
def app_without_metrics(settings: Settings) -> Iterator[Flask]:
    """A server without a metrics token."""
    app = create_app(settings_for(settings.instance, settings.database_url))
    yield app
    close(app)


def scrape(client: FlaskClient) -> dict[str, Metric]:
    """Return the metrics as Prometheus parses them, by name."""
    answer = client.get("/metrics", headers=BEARER)
    assert answer.status_code == 200, answer.text
    return {family.name: family for family in text_string_to_metric_families(answer.text)}


def values(metric: Metric, *labels: str) -> dict[Any, float]:
    """Return the samples of a metric by the values of some labels."""
    return {tuple(sample.labels[name] for name in labels): sample.value for sample in metric.samples}


def value(client: FlaskClient, name: str) -> float:
    [sample] = scrape(client)[name].samples
    return sample.value


# Access


@ON_SQLITE
def test_metrics_are_off_until_a_token_is_set(app_without_metrics: Flask) -> None:
    for headers in ({}, BEARER, {"Authorization": "Bearer "}):
        assert app_without_metrics.test_client().get("/metrics", headers=headers).status_code == 404


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", f"Bearer {TOKEN[:-1]}", f"Bearer {TOKEN}x", f"Basic {TOKEN}", TOKEN, "Bearer é"]
)
@ON_SQLITE
def test_without_the_token_no_metrics_are_returned(app: Flask, client: FlaskClient, header: str) -> None:
    answer = client.get("/metrics", headers={"Authorization": header})
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert "painchain_" not in answer.text


@ON_SQLITE
def test_the_metrics_token_gives_access_only_to_the_metrics(app: Flask, client: FlaskClient) -> None:
    add_person(app)
    answer = client.get("/metrics", headers={"Authorization": f"bearer  {TOKEN}"})
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert answer.headers["Cache-Control"] == "no-store"
    assert client.get("/api/changes", headers=BEARER).status_code == 401
    assert client.post("/metrics", headers=BEARER).status_code in (401, 405)


# Content


def test_the_output_is_valid_for_prometheus(app: Flask, client: FlaskClient, make_connector: Make) -> None:
    make_connector()
    client.get("/")
    families = scrape(client)
    text = client.get("/metrics", headers=BEARER).text
    for name, family in families.items():
        assert family.documentation.endswith((".", ";")) or name.startswith("process_"), name
        assert family.type in ("counter", "gauge", "histogram"), name
        full_name = f"{name}_total" if family.type == "counter" else name
        assert text.count(f"# HELP {full_name} ") == text.count(f"# TYPE {full_name} ") == 1
        assert not name.endswith(("_total", "_count", "_sum", "_bucket", "_created")), name
        labels = [(sample.name, tuple(sorted(sample.labels.items()))) for sample in family.samples]
        assert len(labels) == len(set(labels)), name
        assert {key for sample in family.samples for key in sample.labels} <= LABELS, name
    assert set(families) >= NAMES
    assert "Work GitHub" not in text
    assert TOKEN not in text


LABELS = {
    "route",
    "method",
    "status",
    "source",
    "reason",
    "type",
    "outcome",
    "work",
    "state",
    "le",
    "version",
    "python",
}
NAMES = {
    *("painchain_http_requests", "painchain_http_request_duration_seconds", "painchain_events_written"),
    *("painchain_writes_refused", "painchain_polls", "painchain_build_info", "painchain_background_threads"),
    *("painchain_database_up", "painchain_log_last_event", "painchain_events", "painchain_auditing_on"),
    *("painchain_connectors", "painchain_poll_lag_seconds", "painchain_notices_waiting", "painchain_notices_lost"),
    *("painchain_log_broken", "painchain_log_checked_timestamp_seconds", "painchain_checkpoint_failing"),
    *("process_cpu_seconds", "process_resident_memory_bytes"),
}


@ON_SQLITE
def test_requests_are_counted_by_route_and_input_is_never_a_label(client: FlaskClient) -> None:
    for number in range(5):
        client.get(f"/made-up/{number}")
        client.open("/", method=f"MADEUP{number}")
        client.get(f"/people/nobody-{number}")
        client.get("/news?after=1")
    families = scrape(client)
    requests = values(families["painchain_http_requests"], "route", "method", "status")
    assert requests["none", "GET", "4xx"] == 5
    assert requests["none", "OTHER", "4xx"] == 5
    assert requests["/people/<path:name>", "GET", "4xx"] == 5
    assert requests["/news", "GET", "2xx"] == 5, "also requests that are answered before they reach the app"
    assert len(requests) == 4
    counts = [
        sample
        for sample in families["painchain_http_request_duration_seconds"].samples
        if sample.name.endswith("_count")
    ]
    assert sum(count.value for count in counts) == 20
    assert {count.labels["method"] for count in counts} <= {*METHODS, "OTHER"}


def test_events_are_counted_by_source_once_they_are_written(
    app: Flask, client: FlaskClient, make_connector: Make
) -> None:
    before = values(scrape(client)["painchain_events_written"], "source").get(("painchain",), 0)
    make_connector()
    with app.app_context(), writer.writing() as event_log:
        event_log.append(*(new(number) for number in range(600)))
    with app.app_context(), pytest.raises(IntegrityError), writer.writing() as event_log:
        event_log.append(new(601), new(1))
    families = scrape(client)
    assert values(families["painchain_events_written"], "source") == {("painchain",): before + 1, ("github",): 600}
    assert values(families["painchain_events"], "source") == {("painchain",): 2, ("github",): 600}
    assert value(client, "painchain_log_last_event") == 602


def test_failed_writes_are_counted(app: Flask, client: FlaskClient) -> None:
    refuse(app, "INSERT", "change_events")
    assert client.post("/api/connectors", json={"name": "New", "type": "kubernetes"}).status_code == 503
    refused = values(scrape(client)["painchain_writes_refused"], "reason")
    assert refused == {("busy",): 0, ("database",): 1}


def test_polls_are_counted_by_type_and_outcome_and_connectors_by_state(
    app: Flask, client: FlaskClient, make_connector: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    connector_id = make_connector(enabled=True)
    answers: list[PollResult | PollError] = [
        PollResult([], {}),
        PollError("no", ErrorKind.RATE_LIMITED),
        PollError("no", ErrorKind.AUTHENTICATION),
    ]

    def answer(context: object, stopping: object) -> PollResult:
        result = answers.pop(0)
        if isinstance(result, PollError):
            raise result
        return result

    monkeypatch.setattr(polling, "_ask", answer)
    for days in range(3):
        with app.app_context():
            now = datetime.now(UTC) + timedelta(days=2 * days)
            lease = poll_leases.acquire(now)
            assert lease is not None
            polling.poll(lease, lambda now=now: now)
    families = scrape(client)
    outcomes = ("good", "rate_limited", "failed")
    assert values(families["painchain_polls"], "type", "outcome") == {("github", outcome): 1 for outcome in outcomes}
    states = values(families["painchain_connectors"], "type", "state")
    assert {key for key, number in states.items() if number} == {("github", "failing")}
    with app.app_context():
        late = datetime.now(UTC) - timedelta(minutes=10)
        db.session.execute(update(PollState).where(PollState.connector_id == connector_id).values(due=late))
        db.session.commit()
    assert 600 <= value(client, "painchain_poll_lag_seconds") < 700


@ON_SQLITE
def test_waiting_and_given_up_messages_are_counted(app: Flask, client: FlaskClient, make_connector: Make) -> None:
    rule = {"name": "On call", "url": "json://127.0.0.1:9/", "kinds": ["connector_deleted"]}
    assert client.post("/api/notify-rules", json=rule).status_code == 201
    assert client.delete(f"/api/connectors/{make_connector()}").status_code == 204
    with app.app_context():
        db.session.execute(update(NotifyRule).values(lost=3))
        db.session.commit()
    assert (value(client, "painchain_notices_waiting"), value(client, "painchain_notices_lost")) == (1, 3)
    assert value(client, "painchain_auditing_on") == 1
    assert client.post("/api/connectors/1/disable").status_code == 200
    assert value(client, "painchain_auditing_on") == 0


def test_a_broken_log_and_failing_checkpoints_are_in_the_metrics(app: Flask, client: FlaskClient) -> None:
    series = ("painchain_log_broken", "painchain_log_checked_timestamp_seconds", "painchain_checkpoint_failing")
    assert [value(client, name) for name in series] == [0, 0, 0]
    with app.app_context():
        latest_checkpoint.file().mkdir()
    IntegrityWorker(app, lambda: NOW).run_once()
    assert [value(client, name) for name in series] == [0, NOW.timestamp(), 1]
    with app.app_context():
        db.session.execute(db.text("UPDATE change_events SET author = 'eve'"))
        db.session.commit()
    IntegrityWorker(app, lambda: NOW + timedelta(days=1)).run_once()
    assert value(client, "painchain_log_broken") == 1


def test_an_unreadable_database_is_in_the_metrics(app: Flask, client: FlaskClient) -> None:
    assert value(client, "painchain_database_up") == 1
    with app.app_context():
        db.session.execute(db.text("ALTER TABLE log_head RENAME TO renamed"))
        db.session.commit()
    families = scrape(client)
    assert families["painchain_database_up"].samples[0].value == 0
    assert "painchain_log_last_event" not in families
    assert "painchain_http_requests" in families


# Cost


@ON_SQLITE
def test_a_scrape_takes_few_queries_for_any_log_length(app: Flask, client: FlaskClient) -> None:
    with app.app_context():
        with writer.writing() as event_log:
            event_log.append(*(new(number) for number in range(2000)))
        statements: list[tuple[str, Any]] = []
        event.listen(db.engine, "before_cursor_execute", lambda *args: statements.append((args[2], args[3])))
        scrape(client)
        selects = [(statement, bound) for statement, bound in statements if statement.startswith("SELECT")]
        with db.engine.connect() as connection:
            plans = [
                str(connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}", bound).all()) for query, bound in selects
            ]
    assert 5 <= len(plans) <= 12
    assert [plan for plan in plans if "SCAN change_events" in plan] == []


@ON_SQLITE
def test_two_apps_in_one_process_count_separately(
    app_without_metrics: Flask, client: FlaskClient, tmp_path: Path
) -> None:
    app_without_metrics.test_client().get("/report")
    routes = values(scrape(client).get("painchain_http_requests", Metric("none", "", "counter")), "route")
    assert ("/report",) not in routes
    with app_without_metrics.app_context():
        assert runtime.current().metrics.registry is not client.application.extensions["painchain"].metrics.registry
