"""A complete configuration, and whether the log contains it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from painchain import connectors
from painchain.accounts import api_tokens, invitations, users
from painchain.audit.trail import Trail
from painchain.configuration import connector_store, saved_views, teams
from painchain.configuration.connector_edit import ConnectorEdit
from painchain.configuration.saved_views import Member
from painchain.core.config import Settings
from painchain.database.models import SavedView
from painchain.database.session import db
from painchain.eventlog import writer
from painchain.ingestion import webhooks
from painchain.integrity import verification
from painchain.integrity.verification import Completeness
from painchain.notifications import rules as notification_rules
from painchain.retention import rules as retention_rules
from painchain.web.dashboard.filter_view import PARAMETERS
from tests.integrity.instances import app_from, make_instance

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


@pytest.fixture(scope="session")
def configured_instance(started_instance: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An instance folder with a complete configuration, for copies."""
    return make_instance(started_instance, tmp_path_factory.mktemp("configured"), configure)


@pytest.fixture
def configured_app(settings: Settings, request: pytest.FixtureRequest) -> Flask:
    """An app in which objects of every kind were created, changed, renamed and removed."""
    return app_from("configured_instance", configure, settings, request)


def configure(app: Flask) -> None:
    """Create, change, rename and remove objects of every kind."""
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
