"""A real Unleash: a flag that is created and enabled makes an event for each, in the order of their own times."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from tests.far.conftest import Hook
from tests.far.programs import PATIENCE, free_port, require, running, until
from tests.support.postgresql import POSTGRES, on_server, postgres_url

FOLDER = os.environ.get("PAINCHAIN_TEST_FAR", "")
pytestmark = pytest.mark.skipif(not FOLDER, reason="make test-far installs Unleash")
STARTS = Path(__file__).with_name("unleash.js")


class Unleash:
    """A real Unleash without accounts."""

    def __init__(self, port: int):
        self.address = f"http://127.0.0.1:{port}"

    def post(self, path: str, body: Any = None) -> Any:
        """Send a request to the admin API, and return what it answers."""
        data = b"" if body is None else json.dumps(body).encode()
        request = Request(f"{self.address}/api/admin/{path}", data, {"Content-Type": "application/json"})
        with urlopen(request, timeout=PATIENCE) as response:
            return json.loads(response.read() or "null")


@contextmanager
def unleash(folder: Path, database: str) -> Iterator[Unleash]:
    """Run Unleash with an empty database until the end of the block."""
    server = Unleash(port := free_port())
    environ = {"DATABASE_URL": database, "DATABASE_SSL": "false", "PORT": str(port), "NODE_ENV": "production"}
    command = ["node", str(STARTS), str(Path(FOLDER).resolve())]
    with running(command, f"{server.address}/health", folder / "unleash.log", **environ):
        yield server


@contextmanager
def database() -> Iterator[str]:
    """Create an empty database, and yield its address for node."""
    if not POSTGRES:
        pytest.fail("Unleash needs PostgreSQL: PAINCHAIN_TEST_POSTGRES names a server")
    name = f"painchain_far_{uuid.uuid4().hex[:8]}"
    on_server(f"CREATE DATABASE {name}")
    try:
        yield postgres_url(name).replace("postgresql+psycopg", "postgres")
    finally:
        on_server(f"DROP DATABASE {name} WITH (FORCE)")


def test_a_flag_that_is_created_and_enabled_makes_an_event_for_each(hook: Hook, tmp_path: Path) -> None:
    require("node")
    url, secret = hook.add("unleash")
    with database() as address, unleash(tmp_path, address) as server:
        receiver = {"url": url, "authorization": f"Bearer {secret}"}
        wanted = ["feature-created", "feature-environment-enabled", "feature-tagged"]
        server.post("addons", {"provider": "webhook", "enabled": True, "parameters": receiver, "events": wanted})
        features = "projects/default/features"
        server.post(features, {"name": "gift-cards", "type": "release"})
        server.post("features/gift-cards/tags", {"type": "simple", "value": "shop"})
        server.post(f"{features}/gift-cards/environments/development/strategies", {"name": "default"})
        server.post(f"{features}/gift-cards/environments/development/on")
        until(lambda: len(hook.events()) >= 2, "the flag is created and enabled")
    enabled, created = hook.events()
    assert (created["event_type"], created["metadata"]["service"]) == ("FeatureFlag", "default")
    assert created["title"] == "gift-cards: created"
    assert (enabled["title"], enabled["status"]) == ("gift-cards: environment enabled (development)", "enabled")
    assert enabled["metadata"]["environment"] == "development"
    assert created["timestamp"] < enabled["timestamp"]
    assert [delivery["events"] for delivery in hook.deliveries()].count(1) == 2
