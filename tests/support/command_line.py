"""The command line: run it with arguments, and read what it prints."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from flask import Flask
from flask.testing import FlaskClient

from painchain.cli.main import main
from painchain.core.config import Settings
from tests.support.accounts import report_as

ROOT = Path(__file__).parents[2]
PATIENCE = 30
COMMAND = [sys.executable, "-c", "from painchain.cli.main import main; main(prog_name='painchain')"]
CHANGED = ["log", "--event-type", "config_changed", "--connector-name", "Work GitHub", "--connector-type", "github"]
INTERVAL = [*CHANGED, "--field", "poll_interval", "--old-value", "300", "--new-value", "3600"]
Run = Callable[..., Result]


@pytest.fixture
def environment(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Point the command line to the test's database, and log at debug level."""
    monkeypatch.setenv("PAINCHAIN_INSTANCE", str(settings.instance))
    monkeypatch.setenv("PAINCHAIN_DATABASE_URL", settings.database_url)
    monkeypatch.setenv("PAINCHAIN_LOG_LEVEL", "debug")
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.delenv("NO_COLOR", raising=False)


@pytest.fixture
def run(environment: None) -> Iterator[Run]:
    """Run `painchain` with arguments."""
    handlers, level = logging.root.handlers[:], logging.root.level
    logging.root.handlers.clear()
    yield lambda *arguments, **more: CliRunner().invoke(main, arguments, prog_name="painchain", **more)
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


@pytest.fixture
def auditing_off(client: FlaskClient) -> None:
    """Turn auditing off."""
    (builtin,) = client.get("/api/connectors").get_json()
    assert client.post(f"/api/connectors/{builtin['id']}/disable").status_code == 200


@pytest.fixture
def report(app: Flask) -> Callable[..., str]:
    """Record a Config Changed event as if a script had reported it, and return its id."""

    def report(author: str = "system", **members: Any) -> str:
        body = {"event_type": "config_changed", "connector_name": "Work GitHub", "field": "poll_interval", **members}
        return report_as(app, author, **body)

    return report


def happened(result: Result) -> list[str]:
    """Return the lines of `painchain events` without time, source and author."""
    assert result.exit_code == 0, result.output
    return [line[33:].rpartition(" by ")[0].rstrip() for line in result.stdout.splitlines()]
