"""Servers whose key can be rotated, and a second server for a restored backup."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from painchain.core.config import Settings
from painchain.startup import create_app
from tests.conftest import POSTGRES, close, settings_for
from tests.maintenance.keys import TOKEN, URL
from tests.support.postgresql import on_server, postgres_url


@pytest.fixture
def file(settings: Settings) -> Path:
    """The key file."""
    return settings.instance / "secret.key"


@pytest.fixture
def start_server(settings: Settings) -> Iterator[Callable[[], Flask]]:
    """Return a function that starts another server on the same database."""
    apps: list[Flask] = []

    def start() -> Flask:
        apps.append(create_app(settings))
        return apps[-1]

    yield start
    for app in apps:
        close(app)


@pytest.fixture
def connector_with_secrets(client: FlaskClient, make_connector: Callable[..., int]) -> int:
    """The number of a connector with every kind of encrypted secret: token, webhook secret, notify rule URL."""
    number = make_connector(token=TOKEN)
    assert client.post(f"/api/connectors/{number}/webhook").status_code == 201
    rule = {"name": "Chat", "url": URL, "kinds": ["connector_disabled"]}
    assert client.post("/api/notify-rules", json=rule).status_code == 201
    return number


@pytest.fixture
def other(started_instance: Path, database: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Flask]:
    """An app with the same key and a new database; of the other kind, if PostgreSQL is available."""
    instance = shutil.copytree(started_instance, tmp_path / "other")
    name = f"painchain_backup_{uuid.uuid4().hex[:8]}"
    on_postgres = database == "sqlite" and POSTGRES
    if on_postgres:
        on_server(f"CREATE DATABASE {name} TEMPLATE {request.getfixturevalue('postgres_template')}")
    app = create_app(settings_for(instance, postgres_url(name) if on_postgres else ""))
    yield app
    close(app)
    if on_postgres:
        on_server(f"DROP DATABASE {name} WITH (FORCE)")
