"""Servers on a database that can fail. `make test-faults` runs everything at its full length."""

from __future__ import annotations

import os
import shutil
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from painchain.integrity import verification
from painchain.startup import create_app
from tests.conftest import close, settings_for
from tests.support.collector import collector  # noqa: F401  a fixture
from tests.support.postgresql import on_server, postgres_url
from tests.support.started_server import Server, launch, start, wait_until_ready  # noqa: F401  fixtures

LONG = bool(os.environ.get("PAINCHAIN_TEST_FAULTS"))
GITHUB = {"name": "Work GitHub", "type": "github", "config": {"token": "made-up-token"}}

Ask = Callable[..., tuple[int, Any]]


@pytest.fixture
def instance(tmp_path: Path, started_instance: Path) -> Path:
    """An instance folder after its first start; starting here would double the time of a test."""
    return shutil.copytree(started_instance, tmp_path / "served")


@pytest.fixture
def url(database: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of a database after its first start: "" for the file in the instance folder."""
    if database == "sqlite":
        yield ""
        return
    name = f"painchain_fault_{uuid.uuid4().hex[:8]}"
    on_server(f"CREATE DATABASE {name} TEMPLATE {request.getfixturevalue('postgres_template')}")
    yield postgres_url(name)
    on_server(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def small_disk(tmp_path: Path, started_instance: Path) -> Iterator[Path]:
    """A small mounted disk that contains an instance folder after its first start."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", "size=16m,mode=0755", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(mounting, capture_output=True).returncode:
        pytest.skip("a small disk can be mounted by root alone")
    shutil.copytree(started_instance, folder, dirs_exist_ok=True)
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def verify_log(folder: Path, url: str = "") -> verification.Integrity:
    """Verify the chain in the database of a stopped server."""
    app = create_app(settings_for(folder, url))
    try:
        with app.app_context():
            return verification.verify_chain()
    finally:
        close(app)


def add_connector(server: Server, name: str = "Work GitHub") -> str:
    """Add a connector and return its address."""
    status, connector = server.ask("POST", "/api/connectors", {**GITHUB, "name": name})
    assert status == 201, connector
    return f"/api/connectors/{connector['id']}"
