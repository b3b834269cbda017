"""A server with an account, for the commands that send events to one."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from painchain.accounts import api_tokens, users
from painchain.audit.trail import Trail
from painchain.database.session import db
from painchain.eventlog.writer import new_request_id, writing
from painchain.startup import create_app
from tests.conftest import settings_for
from tests.support.server_process import PATIENCE, ServerProcess

CLOSED_PORT = "http://127.0.0.1:9"


@dataclass(frozen=True)
class RunningServer:
    """A server that runs, with a token that may record events and one that may only read."""

    url: str
    token: str
    viewer_token: str

    def events(self, service: str) -> list[dict[str, Any]]:
        """Return the change events of a service, oldest first."""
        request = Request(f"{self.url}/api/changes?source=api&limit=500")
        request.add_header("Authorization", f"Bearer {self.token}")
        with urlopen(request, timeout=PATIENCE) as response:
            found = json.loads(response.read())
        return [event for event in reversed(found) if event["metadata"].get("service") == service]


def add_tokens(instance: Path) -> list[str]:
    """Add an account to a new instance, with a token that may record events and one that may only read."""
    app = create_app(settings_for(instance))
    now = datetime.now(UTC)
    with app.app_context():
        try:
            with writing() as event_log:
                trail = Trail(event_log, "system", new_request_id(now), now)
                owner = users.add("alice", "admin", trail, password="correct horse battery staple")
                return [api_tokens.create(f"ci {role}", role, 0, owner, trail)[1] for role in ("editor", "viewer")]
        finally:
            db.session.remove()
            db.engine.dispose()


@pytest.fixture(scope="session")
def running_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """Run a server that everyone has to sign in to."""
    folder = tmp_path_factory.mktemp("server")
    tokens = add_tokens(folder / "instance")
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PAINCHAIN_")}
    environ |= {"PAINCHAIN_INSTANCE": str(folder / "instance"), "PAINCHAIN_PORT": "0"}
    process = ServerProcess(environ, folder / "out", folder / "err")
    try:
        address = re.search(r"http://[\w.:]+", process.printed(1)[-1])
        assert address
        yield RunningServer(address[0], *tokens)
    finally:
        process.terminate()
        process.wait(PATIENCE)


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    """The folder of unsent events; it does not exist yet."""
    return tmp_path / "state" / "spool"


@pytest.fixture
def client_environment(running_server: RunningServer, spool: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set what the commands that send events need, and nothing else."""
    for name in list(os.environ):
        if name.startswith("PAINCHAIN_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PAINCHAIN_URL", running_server.url)
    monkeypatch.setenv("PAINCHAIN_TOKEN", running_server.token)
    monkeypatch.setenv("PAINCHAIN_TIMEOUT", str(PATIENCE))
    monkeypatch.setenv("PAINCHAIN_SPOOL", str(spool))
