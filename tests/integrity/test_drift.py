"""The log contains the complete configuration, and unrecorded changes are reported as drift."""

from __future__ import annotations

from threading import Thread

import pytest
from flask import Flask
from sqlalchemy import event as sqlalchemy_event
from sqlalchemy import text

from painchain.configuration import connector_store, teams
from painchain.configuration.connector_edit import ConnectorEdit
from painchain.database.session import db
from painchain.eventlog import writer
from painchain.integrity.verification import Completeness
from tests.integrity.configuration import audited_transaction, check_completeness, connector_named
from tests.support.databases import on_databases


def set_auditing(app: Flask, enabled: bool) -> None:
    """Switch auditing on or off."""
    with audited_transaction(app) as trail:
        connector_store.set_enabled(connector_store.list_all()[0], enabled, trail)


def test_recorded_changes_are_not_drift(configured_app: Flask) -> None:
    assert check_completeness(configured_app) == Completeness([], [], True, [])


EDITS = [
    (
        "UPDATE connectors SET config = replace(config::text, '600', '60')::json WHERE name = 'Work GitHub'",
        "Poll interval of connector “Work GitHub”: the log says 600, it is 60",
    ),
    (
        "UPDATE connectors SET name = 'W' WHERE name = 'Work GitHub'",
        "Name of connector “W”: the log says “Work GitHub”, it is “W”",
    ),
    (
        "UPDATE connectors SET tags = '[]' WHERE name = 'Home'",
        "Tags of connector “Home”: the log says “ci”, “infra”, it is nothing",
    ),
    (
        "UPDATE connectors SET enabled = true WHERE name = 'Home'",
        "Enabled of connector “Home”: the log says off, it is on",
    ),
    (
        "UPDATE connectors SET secrets = '{{}}' WHERE name = 'Home'",
        "Token of connector “Home”: the log says set, it is not set",
    ),
    (
        "DELETE FROM connectors WHERE name = 'Home'",
        "Connector “Home” is gone, but the log does not contain its deletion",
    ),
    (
        "DELETE FROM hidden_fields",
        "Showing Branches of PullRequest of connector “Work GitHub”: the log says off, it is on",
    ),
    ("DELETE FROM webhooks", "Webhook secret of connector “Work GitHub”: the log says set, it is not set"),
    ("UPDATE teams SET tags = '[\"ci\"]' WHERE name = 'Sky'", "Tags of team “Sky”: the log says “infra”, it is “ci”"),
    ("DELETE FROM teams WHERE name = 'Sky'", "Team “Sky” is gone, but the log does not contain its deletion"),
    (
        "UPDATE notify_rules SET enabled = true WHERE name = 'Sky'",
        "Enabled of notify rule “Sky”: the log says off, it is on",
    ),
    (
        "UPDATE notify_rules SET kinds = '[]' WHERE name = 'Red'",
        "Kinds of events of notify rule “Red”: the log says “sign_in_failed”, it is nothing",
    ),
    (
        "UPDATE people SET role = 'admin' WHERE name = 'bert'",
        "Role of account “bert”: the log says “editor”, it is “admin”",
    ),
    (
        "UPDATE people SET disabled_at = NULL WHERE name = 'bert'",
        "Disabled of account “bert”: the log says on, it is off",
    ),
    (
        "UPDATE people SET email = 'm@example.com' WHERE name = 'bert'",
        "Email of account “bert”: the log says “bert@example.com”, it is “m@example.com”",
    ),
    (
        "UPDATE people SET issuer = 'https://i.example' WHERE name = 'ann'",
        "Signs in through of account “ann”: the log says nothing, it is “https://i.example”",
    ),
    (
        "UPDATE api_tokens SET role = 'admin' WHERE name = 'deploy'",
        "Role of API token “deploy”: the log says “viewer”, it is “admin”",
    ),
    ("UPDATE api_tokens SET expires = NULL WHERE name = 'deploy'", "it is nothing"),
    (
        "UPDATE api_tokens SET person_id = 1 WHERE name = 'deploy'",
        "Owner of API token “deploy”: the log says “bert”, it is “ann”",
    ),
    (
        "DELETE FROM api_tokens WHERE name = 'report'",
        "API token “report” is gone, but the log does not contain its deletion",
    ),
    (
        "UPDATE retention SET days = 1 WHERE source = 'github'",
        "Retention of the events of “GitHub”: the log says “90 days”, it is “1 day”",
    ),
    (
        "UPDATE saved_views SET filter = 'range=1h' WHERE name = 'Everything'",
        "Filter of view “Everything (for everybody)”: the log says “tag=ci&range=7d”, it is “range=1h”",
    ),
    (
        "DELETE FROM saved_views WHERE name = 'Mine again'",
        "View “Mine again (for kai)” is gone, but the log does not contain its deletion",
    ),
    (
        "INSERT INTO saved_views (name, filter, version, created_at, created_by, updated_at, updated_by) "
        "VALUES ('Planted', 'range=1h', 1, 0, 'x', 0, 'x')",
        "View “Planted (for everybody)” exists, but the log does not contain its creation",
    ),
    ("INSERT INTO retention VALUES ('kubernetes', 1)", "the log says “for ever”, it is “1 day”"),
]


@pytest.mark.parametrize(("database", "statement", "words"), on_databases(EDITS, range(3)))
def test_edited_configuration_is_drift(configured_app: Flask, database: str, statement: str, words: str) -> None:
    edit_database(configured_app, statement)
    result = check_completeness(configured_app)
    [drift] = result.drift
    assert drift.message.endswith(f"{words}: someone edited the database by hand.")
    assert not drift.explained


def edit_database(app: Flask, statement: str) -> None:
    """Run a statement, as an attacker with write access to the database would."""
    with app.app_context(), db.engine.begin() as connection:
        connection.exec_driver_sql(of_database(statement))


def of_database(statement: str) -> str:
    """Return a statement without casts that only PostgreSQL knows, on SQLite."""
    if db.engine.dialect.name == "sqlite":
        statement = statement.replace("::text", "").replace("::json", "")
    return statement.replace("{{}}", "{}")


def test_concurrent_save_is_not_drift(configured_app: Flask) -> None:
    def save() -> None:
        with audited_transaction(configured_app) as trail:
            connector_store.update(connector_named("Home"), ConnectorEdit({"poll_interval": 900}), trail)
            teams.create({"name": "Late", "tags": "x"}, trail)

    def save_once(connection: object, cursor: object, statement: str, *_: object) -> None:
        if "FROM change_events" in statement and not threads:
            threads.append(Thread(target=save))
            threads[0].start()
            threads[0].join()

    threads: list[Thread] = []
    with configured_app.app_context():
        sqlalchemy_event.listen(db.engine, "before_cursor_execute", save_once)
    assert check_completeness(configured_app).drift == []
    assert threads
    assert check_completeness(configured_app).drift == []


def test_inserted_account_is_drift(configured_app: Flask) -> None:
    edit_database(
        configured_app,
        "INSERT INTO people (id, name, key, role, created_at, created_by, version) "
        "VALUES (90, 'mallory', 'mallory', 'admin', 0, 'x', 1)",
    )
    [drift] = check_completeness(configured_app).drift
    assert drift.message.startswith("Account “mallory” exists, but the log does not contain its creation: someone")


def test_changes_while_auditing_was_off_are_explained(configured_app: Flask) -> None:
    with audited_transaction(configured_app) as trail:
        connector_store.update(connector_named("Home"), ConnectorEdit({"poll_interval": 900}), trail)
    set_auditing(configured_app, False)
    with audited_transaction(configured_app) as trail:
        connector_store.update(connector_named("Home"), ConnectorEdit({"poll_interval": 1200}), trail)
        teams.create({"name": "Unseen", "tags": "x"}, trail)
        teams.delete(next(team for team in teams.list_all() if team.name == "Sky"), None, trail)
    open_gap = check_completeness(configured_app)
    assert (len(open_gap.explained), open_gap.drift) == (3, [])
    assert "auditing was off from 2026-11-02" in open_gap.explained[0].message
    assert "to now" in open_gap.explained[0].message
    set_auditing(configured_app, True)
    with audited_transaction(configured_app) as trail:
        connector_store.update(connector_named("Home"), ConnectorEdit({"tags": "new"}), trail)
    result = check_completeness(configured_app)
    assert (result.drift, [drift.subject for drift in result.explained]) == (
        [],
        ["Poll interval of connector “Home”", "Team “Unseen”", "Team “Sky”"],
    )
    assert result.explained[0].logged == 900
    edit_database(configured_app, "UPDATE connectors SET tags = '[]' WHERE name = 'Home'")
    assert [drift.subject for drift in check_completeness(configured_app).drift] == ["Tags of connector “Home”"], (
        "that change was recorded later"
    )


def test_pruned_log_compares_only_recorded_values(configured_app: Flask) -> None:
    with configured_app.app_context():
        ids = db.session.scalars(text("SELECT id FROM change_events ORDER BY id")).all()
        with writer.writing() as event_log:
            event_log.remove(ids[:20])
    result = check_completeness(configured_app)
    assert (result.drift, result.is_log_complete) == ([], False)
    edit_database(configured_app, "UPDATE people SET role = 'admin' WHERE name = 'bert'")
    edit_database(configured_app, "UPDATE teams SET tags = '[\"ci\"]' WHERE name = 'Sky'")
    assert [drift.subject for drift in check_completeness(configured_app).drift] == ["Tags of team “Sky”"]


def test_reported_events_do_not_count_as_configuration(configured_app: Flask) -> None:
    with audited_transaction(configured_app) as trail:
        trail.reported = True
        trail.log_connector_deleted(connector_store.subject(connector_named("Home")))
    assert check_completeness(configured_app).drift == []
