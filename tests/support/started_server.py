"""Servers in processes of their own, started and stopped as people do."""

from __future__ import annotations

import http.client
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.server_process import ServerProcess

ROOT = Path(__file__).parents[2]
PATIENCE = 30
REPORT = {"event_type": "config_changed", "connector_name": "Work GitHub", "field": "poll_interval", "new_value": 60}


@dataclass
class Server:
    """A server in a separate process; its output goes to files."""

    process: subprocess.Popen[bytes] | ServerProcess
    out: Path
    err: Path

    @property
    def port(self) -> int:
        """The port in the printed address."""
        return int(self.out.read_text().splitlines()[0].rsplit(":", 1)[1])

    def connect(self) -> http.client.HTTPConnection:
        """Open a connection to the server."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Send a request, and return status and JSON of the response."""
        with closing(self.connect()) as connection:
            request(connection, method, path, body)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())

    def send_sigterm(self) -> None:
        """Ask the server to stop."""
        self.process.send_signal(signal.SIGTERM)

    def stop(self) -> None:
        """Send SIGTERM, and wait until the process has exited with code 0."""
        self.send_sigterm()
        assert self.process.wait(PATIENCE) == 0, self.err.read_text()


def request(connection: http.client.HTTPConnection, method: str, path: str, body: Any = None) -> None:
    """Send a request, with a JSON body if `body` is given."""
    headers = {} if body is None else {"Content-Type": "application/json"}
    connection.request(method, path, None if body is None else json.dumps(body), headers)


def settings_of(instance: Path, overrides: Mapping[str, str]) -> dict[str, str]:
    """Return settings with this instance folder and a free port; `overrides` replaces them."""
    defaults = {"instance": str(instance), "port": "0", "log_level": "warning", "allow_private_addresses": "yes"}
    return {**defaults, **overrides}


@pytest.fixture
def launch(tmp_path: Path, instance: Path, request: pytest.FixtureRequest) -> Iterator[Callable[..., Server]]:
    """Return a function that starts a server, by default with `instance` and a free port; stop all in the end.

    Servers are forked. In a test marked `own_interpreter` each is a new interpreter: only its end closes connections to
    the database that its threads still have, so that a database file is alone in its folder.
    """
    servers: list[Server] = []
    own_interpreter = request.node.get_closest_marker("own_interpreter")

    def launch(**settings: str) -> Server:
        environ = {name: value for name, value in os.environ.items() if not name.startswith("PAINCHAIN_")}
        environ |= {f"PAINCHAIN_{name.upper()}": value for name, value in settings_of(instance, settings).items()}
        out, err = tmp_path / f"{len(servers)}.out", tmp_path / f"{len(servers)}.err"
        process = interpreter(environ, out, err) if own_interpreter else ServerProcess(environ, out, err)
        servers.append(Server(process, out, err))
        return servers[-1]

    yield launch
    for server in servers:
        if server.process.poll() is None:
            server.process.kill()
            server.process.wait()


def interpreter(environ: Mapping[str, str], out: Path, err: Path) -> subprocess.Popen[bytes]:
    """Start a server as `python app.py` does, with its output in two files."""
    with out.open("wb") as stdout, err.open("wb") as stderr:
        return subprocess.Popen([sys.executable, "app.py"], cwd=ROOT, env=environ, stdout=stdout, stderr=stderr)


@pytest.fixture
def start(launch: Callable[..., Server]) -> Callable[..., Server]:
    """Return a function that starts a server like `launch`, and waits until it has printed its address."""

    def start(**settings: str) -> Server:
        return wait_until_ready(launch(**settings))

    return start


def wait_until_ready(server: Server) -> Server:
    """Wait until a server has printed its address."""
    for _ in range(PATIENCE * 20):
        if "\n" in server.out.read_text():
            return server
        assert server.process.poll() is None, server.err.read_text()
        time.sleep(0.05)
    return pytest.fail(f"no address after {PATIENCE} s: {server.err.read_text()}")


def only_line(code: int | None, out: str, err: str) -> str:
    """Return the only line of output of a server that refused to start."""
    assert (code, out) == (2, "")
    (line,) = err.splitlines()
    assert line.startswith("painchain: ")
    assert line.endswith(".")
    return line


def refusal_of(server: Server) -> str:
    """Return the only line of output of a server process that refused to start."""
    return only_line(server.process.wait(PATIENCE), server.out.read_text(), server.err.read_text())


def rows(instance: Path, query: str) -> list[Any]:
    """Return the rows that a query selects from the database file."""
    with closing(sqlite3.connect(instance / "painchain.db")) as connection:
        return connection.execute(query).fetchall()
