"""A server prints its address, creates its files, and loses nothing at the next start."""

from __future__ import annotations

import json
import stat
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from painchain.cli.main import main
from tests.support.postgresql import on_server, postgres_url
from tests.support.started_server import REPORT, Server, rows, wait_until_ready


@pytest.mark.own_interpreter
def test_a_first_start_prints_its_address_responds_and_creates_files_that_only_the_owner_can_read(
    start: Callable[..., Server], instance: Path
) -> None:
    server = start()
    assert server.out.read_text() == f"PainChain is running at http://127.0.0.1:{server.port}\n"
    status, health = server.ask("GET", "/health")
    assert (status, health["status"], health["database"]) == (200, "ok", "ok")
    server.stop()
    assert server.out.read_text().splitlines()[1] == "PainChain stopped."
    assert server.err.read_text() == ""
    assert sorted(file.name for file in instance.iterdir()) == ["painchain.db", "secret.key"]
    assert stat.S_IMODE((instance / "secret.key").stat().st_mode) == 0o600


def test_a_command_prints_a_link_to_the_running_server(start: Callable[..., Server], used_instance: Path) -> None:
    server = start()
    arguments = ["user", "add", "alice"]
    result = CliRunner().invoke(main, arguments, prog_name="painchain", env={"PAINCHAIN_INSTANCE": str(used_instance)})
    assert f" http://127.0.0.1:{server.port}/link/" in result.stdout, result.stderr
    server.stop()
    assert "server.url" not in [file.name for file in used_instance.iterdir()]


def test_a_second_start_migrates_and_loses_nothing(start: Callable[..., Server], instance: Path) -> None:
    first = start()
    assert first.ask("POST", "/api/painchain/log", REPORT)[0] == 201
    before = first.ask("GET", "/api/changes"), first.ask("GET", "/api/connectors")
    first.stop()
    before_restart = (instance / "secret.key").read_bytes(), rows(instance, "PRAGMA schema_version")
    second = start(log_level="info")
    assert (second.ask("GET", "/api/changes"), second.ask("GET", "/api/connectors")) == before
    second.stop()
    assert ((instance / "secret.key").read_bytes(), rows(instance, "PRAGMA schema_version")) == before_restart
    assert rows(instance, "SELECT name FROM connectors") == [("PainChain System",)]
    log_lines = [
        json.loads(line) for line in second.err.read_text().splitlines()
    ]  # JSON, because standard error is not a terminal
    assert [line["message"] for line in log_lines] == ["GET /api/changes 200", "GET /api/connectors 200"]


def test_servers_that_start_together_without_a_database_all_start(
    launch: Callable[..., Server], database: str, instance: Path
) -> None:
    name = f"painchain_start_{uuid.uuid4().hex[:8]}"
    if database == "postgresql":
        on_server(f"CREATE DATABASE {name}")
    try:
        url = postgres_url(name) if database == "postgresql" else ""
        servers = [wait_until_ready(server) for server in [launch(database_url=url) for _ in range(3)]]
        for server in servers:
            types = [connector["type"] for connector in server.ask("GET", "/api/connectors")[1]]
            created = [event["event_type"] for event in server.ask("GET", "/api/changes")[1]]
            assert (types, created) == (["painchain"], ["ConnectorCreated"])
            server.stop()
    finally:
        if database == "postgresql":
            on_server(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.mark.usefixtures("used_instance")
def test_a_misspelt_setting_causes_a_warning_but_not_a_failure(start: Callable[..., Server]) -> None:
    server = start(prot="8000")
    assert server.err.read_text().startswith(
        "painchain: PAINCHAIN_PROT is not a known setting and is ignored. See docs"
    )
