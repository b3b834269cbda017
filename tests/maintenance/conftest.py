"""Servers whose key can be rotated."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from painchain.core.config import Settings
from painchain.startup import create_app
from tests.conftest import close
from tests.maintenance.keys import TOKEN, URL


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
