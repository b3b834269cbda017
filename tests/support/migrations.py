"""Databases to migrate: empty ones, and servers that start on them."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import flask_migrate
import pytest
from flask import Flask

from painchain import migrations
from painchain.database.session import db
from painchain.startup import create_app
from tests.conftest import close, settings_for
from tests.support.postgresql import on_server, postgres_url


@pytest.fixture
def empty_database(database: str, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database."""
    if database == "sqlite":
        yield f"sqlite:///{tmp_path}/new.db"
        return
    name = f"painchain_new_{uuid.uuid4().hex[:8]}"
    on_server(f"CREATE DATABASE {name}")
    yield postgres_url(name)
    on_server(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def new_app(empty_database: str, tmp_path: Path) -> Iterator[Flask]:
    """An app after its first start on an empty database."""
    app = create_app(settings_for(tmp_path, empty_database))
    yield app
    close(app)


def alembic(app: Flask) -> str:
    """Return the folder for Flask-Migrate's commands."""
    flask_migrate.Migrate(app, db, directory=str(migrations.FOLDER), render_as_batch=True)
    return str(migrations.FOLDER)
