"""`painchain log`: scripts record events."""

from __future__ import annotations

import getpass
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text

from painchain.database.session import db
from tests.support.command_line import CHANGED, INTERVAL, Run, happened
from tests.support.databases import on_databases

REPORTS: list[tuple[dict[str, Any], list[str]]] = [
    (
        {"event_type": event_type, "connector_name": "Work GitHub", "connector_type": "github"},
        ["--event-type", event_type, "--connector-name", "Work GitHub", "--connector-type", "github"],
    )
    for event_type in ("connector_created", "connector_deleted", "connector_enabled", "connector_disabled")
]
REPORTS += [
    (
        {
            "event_type": "connector_updated",
            "connector_name": "Work GitHub",
            "connector_type": "github",
            "changes": {"poll_interval": {"old": 300, "new": 3600}, "tags": {"old": [], "new": ["ui-team"]}},
            "author": "ada",
        },
        [
            *("--event-type", "connector_updated", "--connector-name", "Work GitHub", "--connector-type", "github"),
            *("--changes", '{"poll_interval": {"old": 300, "new": 3600}, "tags": {"old": [], "new": ["ui-team"]}}'),
            *("--author", "ada"),
        ],
    ),
    (
        {
            "event_type": "config_changed",
            "connector_name": "Work GitHub",
            "connector_type": "github",
            "field": "poll_interval",
            "old_value": 300,
            "new_value": 3600,
            "author": "https://ada:hunter2@host.example",
        },
        [*INTERVAL[1:], "--author", "https://ada:hunter2@host.example"],
    ),
    (
        {
            "event_type": "field_visibility_changed",
            "connector_type": "PullRequest",
            "field_key": "branches",
            "visible": False,
        },
        [
            *("--event-type", "field_visibility_changed", "--connector-type", "PullRequest"),
            *("--field-key", "branches", "--hidden"),
        ],
    ),
]


@pytest.mark.parametrize(
    ("database", "body", "arguments"),
    on_databases(REPORTS, (2,)),
    ids=[f"{database}-{body['event_type']}" for database in ("sqlite", "postgresql") for body, _ in REPORTS],
    indirect=["database"],
)
def test_log_records_the_same_event_as_the_api(
    run: Run,
    client: FlaskClient,
    events: Callable[..., list[dict[str, Any]]],
    body: dict[str, Any],
    arguments: list[str],
) -> None:
    assert client.post("/api/painchain/log", json=body).status_code == 201
    assert run("log", *arguments).exit_code == 0
    _, through_api, through_cli = events()
    for event in (through_api, through_cli):
        for its_own in ("id", "event_id", "timestamp", "recorded_at", "request_id"):
            assert event.pop(its_own)
    causes = [event["description"].pop("cause") for event in (through_api, through_cli)]
    assert causes == ["no accounts yet", f"command line ({getpass.getuser()})"]
    assert through_cli == through_api
    assert "hunter2" not in str(through_cli)


def test_log_prints_only_the_event_id(run: Run, events: Callable[..., list[dict[str, Any]]]) -> None:
    result = run(*INTERVAL)
    assert result.exit_code == 0
    assert result.stdout == events()[-1]["event_id"] + "\n"


def test_every_event_from_the_command_line_has_its_own_request_id(
    run: Run, events: Callable[..., list[dict[str, Any]]]
) -> None:
    run(*INTERVAL)
    run(*INTERVAL)
    assert len({event["request_id"] for event in events()}) == 3
    assert [event["author"] for event in events()] == ["system"] * 3


VALUES = (
    ("3600", 3600),
    ("-1", -1),
    ("1.5", 1.5),
    ("true", True),
    ('"3600"', "3600"),
    ('["a", {"b": null}]', ["a", {"b": None}]),
    ("null", None),
    ("main", "main"),
    ("007", "007"),
    ("", ""),
    ("NaN", "NaN"),
    ("-Infinity", "-Infinity"),
    ("1e999", "1e999"),
    ("[1,", "[1,"),
    ("[" * 5000, "[" * 5000),
    ("9" * 5000, "9" * 5000),
    ("größer → 3", "größer → 3"),
    ("two\nlines", "two\nlines"),
)


def test_a_value_is_json_or_else_text(
    run: Run, events: Callable[..., list[dict[str, Any]]], subtests: pytest.Subtests
) -> None:
    for given, value in VALUES:
        with subtests.test(given=given[:20]):
            assert run(*CHANGED, "--field", "setting", "--new-value", given).exit_code == 0
            recorded = events()[-1]["description"]["new_value"]
            assert (type(recorded), recorded) == (type(value), value)


def test_log_never_records_a_secret(run: Run, events: Callable[..., list[dict[str, Any]]]) -> None:
    result = run(*CHANGED, "--field", "token", "--old-value", "made-up-token", "--new-value", "made-up-token-2")
    assert result.exit_code == 0
    assert "made-up-token" not in str(events()) + result.output
    assert happened(run("events"))[-1] == "Work GitHub · Token replaced"


@pytest.mark.parametrize(
    ("arguments", "complaints"),
    [
        ([], ["--event-type"]),
        (["--event-type", "connector_exploded"], ["--event-type", "connector_created"]),
        (["--event-type", "config_changed"], ["connector_name", "field"]),
        ([*CHANGED[1:], "--field", ""], ["--field: String should have at least 1 character"]),
        ([*INTERVAL[1:], "--author", "x" * 201], ["--author: String should have at most 200 characters"]),
        (
            ["--event-type", "connector_created", "--connector-name", "x" * 201, "--connector-type", ""],
            ["--connector-name: String should have at most", "--connector-type: String should have at least"],
        ),
        (
            ["--event-type", "connector_created", "--connector-name", "x", "--connector-type", "jira"],
            ["connector_type must be one of painchain, github, gitlab, kubernetes"],
        ),
        ([*CHANGED[1:], "--changes", "poll_interval=300"], ["--changes", "not valid JSON"]),
        ([*CHANGED[1:], "--changes", '{"a": {"old": NaN}}'], ["--changes", "not valid JSON"]),
        ([*CHANGED[1:], "--changes", "[" * 5000], ["--changes", "not valid JSON"]),
        ([*CHANGED[1:], "--changes", "[1]"], ["--changes: Input should be an object"]),
        ([*CHANGED[1:], "--changes", '{"a\\u001b[2J": {"was": 1}}'], [r"--changes (a\x1b[2J.was): Extra inputs"]),
        ([*INTERVAL[1:], "--author", "\udcff"], ["--author", "UTF-8"]),
        ([*CHANGED[1:], "--field", "f", "--new-value", "\udcff"], ["--new-value", "UTF-8"]),
        ([*CHANGED[1:], "--field", "f", "--new-value", '"\\u0000"'], ["--new-value: A NUL character"]),
        ([*INTERVAL[1:], "--colour", "red"], ["--colour"]),
    ],
)
def test_log_reports_every_invalid_option_and_records_nothing(
    run: Run, events: Callable[..., list[dict[str, Any]]], arguments: list[str], complaints: list[str]
) -> None:
    result = run("log", *arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert [complaint for complaint in complaints if complaint not in result.stderr] == []
    assert "Traceback" not in result.stderr
    assert len(events()) == 1


def test_while_auditing_is_off_log_reports_it(
    run: Run, auditing_off: None, events: Callable[..., list[dict[str, Any]]]
) -> None:
    before = events()
    result = run(*INTERVAL)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.splitlines()[-1].startswith("painchain: Nothing was recorded, because auditing is off. Enable")
    assert events() == before


def refuse_events(app: Flask, database: str) -> None:
    """Make the database refuse every new event."""
    refusals = {
        "sqlite": ["CREATE TRIGGER full BEFORE INSERT ON change_events BEGIN SELECT RAISE(ABORT, 'disk full'); END"],
        "postgresql": [
            "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'disk full'; END$$",
            "CREATE TRIGGER full_disk BEFORE INSERT ON change_events FOR EACH ROW EXECUTE FUNCTION no()",
        ],
    }
    with app.app_context(), db.engine.begin() as connection:
        for statement in refusals[database]:
            connection.execute(text(statement))


@pytest.mark.both_databases
def test_a_database_that_refuses_the_event_is_reported(
    run: Run, app: Flask, database: str, events: Callable[..., list[dict[str, Any]]]
) -> None:
    refuse_events(app, database)
    result = run(*INTERVAL)
    assert (result.exit_code, result.stdout) == (1, "")
    line = result.stderr.splitlines()[-1]
    assert line == "painchain: The database did not record the event: disk full."
    assert len(events()) == 1
