"""The log contains the complete configuration, and unrecorded changes are reported as drift."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from threading import Thread
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event as sqlalchemy_event
from sqlalchemy import text

from painchain import connectors
from painchain.accounts import api_tokens, invitations, users
from painchain.audit.trail import Trail
from painchain.configuration import connector_store, saved_views, teams
from painchain.configuration.connector_edit import ConnectorEdit
from painchain.configuration.saved_views import Member
from painchain.database.models import SavedView
from painchain.database.session import db
from painchain.eventlog import writer
from painchain.ingestion import webhooks
from painchain.integrity import verification
from painchain.integrity.verification import Completeness
from painchain.notifications import rules as notification_rules
from painchain.retention import rules as retention_rules
from painchain.web.dashboard.filter_view import PARAMETERS

NOW = datetime(2026, 11, 2, 9, tzinfo=UTC)
TOKEN = {"token": "made-up-token"}


@contextmanager
def audited_transaction(app: Flask) -> Iterator[Trail]:
    """Open an audited transaction."""
    with app.app_context():
        with writer.writing() as event_log:
            yield Trail(event_log, "ann", writer.new_request_id(NOW), NOW + timedelta(minutes=event_log.last_event))
        db.session.remove()


def check_completeness(app: Flask) -> Completeness:
    """Compare the log with the configuration."""
    with app.app_context():
        result = verification.completeness()
        db.session.remove()
        return result


def connector_named(name: str) -> Any:
    """Return the connector with a name."""
    return next(connector for connector in connector_store.list_all() if connector.name == name)


def set_auditing(app: Flask, enabled: bool) -> None:
    """Switch auditing on or off."""
    with audited_transaction(app) as trail:
        connector_store.set_enabled(connector_store.list_all()[0], enabled, trail)


@pytest.fixture
def configured_app(app: Flask) -> Flask:
    """An app in which objects of every kind were created, changed, renamed and removed."""
    github = connectors.ADDABLE["github"]
    with audited_transaction(app) as trail:
        for name in ("Work", "Home", "Deleted"):
            connector_store.create(github, {**TOKEN, "name": name, "tags": "ci, infra"}, name != "Home", trail)
        for name in ("Blue", "Red", "Grey"):
            teams.create({"name": name, "tags": "ci, infra"}, trail)
            notification_rules.create({"name": name, "url": "json://example.com/", "kinds": ["sign_in_failed"]}, trail)
        for name in ("ann", "bob", "eve"):
            users.add(name, "admin" if name == "ann" else "editor", trail, f"{name}@example.com")
        for name in ("deploy", "report", "old"):
            api_tokens.create(name, "viewer", 0 if name == "old" else 30, users.find_by_name("bob"), trail)
    with audited_transaction(app) as trail:
        work = connector_named("Work")
        connector_store.update(
            work, ConnectorEdit({"name": "Work GitHub", "poll_interval": 600, "token": "another"}), trail
        )
        connector_store.set_visible(work, ConnectorEdit(visibility={("PullRequest", "branches"): False}), trail)
        connector_store.set_enabled(work, False, trail)
        webhooks.set_secret(work, trail)
        webhooks.set_secret(connector_named("Home"), trail)
        webhooks.remove(connector_named("Home"), trail)
        connector_store.delete(connector_named("Deleted"), trail)
    with audited_transaction(app) as trail:
        blue, red, grey = teams.list_all()[0], teams.list_all()[2], teams.list_all()[1]
        teams.update(blue, {"name": "Sky", "tags": "infra"}, None, trail)
        teams.update(red, {"name": "Blue"}, None, trail)
        teams.delete(grey, None, trail)
        rules = {rule.name: rule for rule in notification_rules.list_all()}
        notification_rules.update(
            rules["Blue"], {"name": "Sky", "enabled": False, "url": "json://example.org/"}, None, trail
        )
        notification_rules.delete(rules["Grey"], None, trail)
        bob, eve = users.find_by_name("bob"), users.find_by_name("eve")
        assert bob
        assert eve
        users.change(bob, trail, None, name="bert", role="editor", email="bert@example.com")
        users.disable(bob, trail)
        api_tokens.create("of eve", "viewer", 7, eve, trail)
        users.remove(eve, trail)
        api_tokens.revoke(
            next(token for token in map(api_tokens.get, (1, 2, 3)) if token and token.name == "old"), trail
        )
        retention_rules.change({"github": 90, "gitlab": 30}, {}, trail)
        retention_rules.change({"gitlab": None}, {}, trail)
        assert invitations.first_role() == "viewer"
    save_views(app)
    return app


def member(name: str) -> Member:
    """Return a person who saves views and may share them."""
    person = users.find_by_name(name)
    assert person
    return Member(person.id, person.name, may_share=True)


def save_views(app: Flask) -> None:
    """Save, share, take back, star and delete views of two people, of which one is renamed and one is removed."""
    query = "tag=ci&range=7d"

    def save(name: str, owner: str, trail: Trail, shared: bool = False) -> SavedView:
        trail.author = owner
        values = {"name": name, "filter": query, "shared": shared}
        return saved_views.create(values, PARAMETERS, member(owner), trail)

    def change(view: SavedView, trail: Trail, **values: Any) -> None:
        saved_views.update(view, values, PARAMETERS, None, member(trail.author), trail)

    with audited_transaction(app) as trail:
        users.add("kim", "editor", trail)
        users.add("lee", "editor", trail)
        for owner in ("ann", "kim", "lee"):
            save("Prod", owner, trail)
        shared = save("Prod", "ann", trail, shared=True)
        save("Deleted", "ann", trail, shared=True)
        taken_back, given = save("Mine again", "kim", trail, shared=True), save("Given", "kim", trail)
        change(taken_back, trail, shared=False, filter="range=30d")
        change(given, trail, shared=True, name="For all")
        change(given, trail, filter="range=1h")
        saved_views.set_start(shared, True, member("lee"), trail)
    with audited_transaction(app) as trail:
        views = {(view.name, view.owner_id): view for view in saved_views.list_all(member("ann"))}
        change(views["Prod", None], trail, name="Everything")
        saved_views.delete(views["Deleted", None], None, member("ann"), trail)
        kim, lee = users.find_by_name("kim"), users.find_by_name("lee")
        assert kim
        assert lee
        users.change(kim, trail, None, name="kai", role="editor")
        users.remove(lee, trail)


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


@pytest.mark.both_databases
@pytest.mark.parametrize(("statement", "words"), EDITS)
def test_edited_configuration_is_drift(configured_app: Flask, statement: str, words: str) -> None:
    edit_database(configured_app, statement)
    result = check_completeness(configured_app)
    [drift] = result.drift
    assert drift.message.endswith(f"{words}: someone edited the database by hand.")
    assert not drift.explained


def edit_database(app: Flask, statement: str) -> None:
    """Run a statement, as an attacker with write access to the database would."""
    with app.app_context(), db.engine.begin() as connection:
        if connection.dialect.name == "sqlite":
            statement = statement.replace("::text", "").replace("::json", "")
        connection.exec_driver_sql(statement.replace("{{}}", "{}"))


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
