"""Instances that several tests begin with: made once, and copied for each test."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask

from painchain.core.config import Settings
from painchain.startup import create_app
from tests.conftest import close, settings_for


def make_instance(started_instance: Path, folder: Path, make: Callable[[Flask], None]) -> Path:
    """Return the folder of a started instance in which `make` has made something."""
    instance = shutil.copytree(started_instance, folder / "instance")
    app = create_app(settings_for(instance))
    make(app)
    close(app)
    return instance


def app_from(fixture: str, make: Callable[[Flask], None], settings: Settings, request: pytest.FixtureRequest) -> Flask:
    """Return the app of a test: on SQLite of a copy of the instance of a fixture, on PostgreSQL made anew."""
    is_sqlite = request.getfixturevalue("database") == "sqlite"
    if is_sqlite:
        shutil.copytree(request.getfixturevalue(fixture), settings.instance, dirs_exist_ok=True)
    app: Flask = request.getfixturevalue("app")
    if not is_sqlite:
        make(app)
    return app
