"""The real server starts and stops: its output, its files, and its refusals to start."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from painchain.cli.main import main
from painchain.core.crypto import new_key
from painchain.startup import create_app
from tests.conftest import close, settings_for
from tests.support.postgresql import on_server, postgres_url
from tests.support.server_process import ServerProcess

ROOT = Path(__file__).parent.parent
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
def instance(tmp_path: Path) -> Path:
    """An instance folder that does not exist yet."""
    return tmp_path / "instance"


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


@pytest.fixture
def refusal(instance: Path, own_logging: None) -> Callable[..., str]:
    """Return a function that starts a server in this process, which must refuse, and returns its message."""

    def refusal(**settings: str) -> str:
        environ = {name: None for name in os.environ if name.startswith("PAINCHAIN_")}
        environ |= {f"PAINCHAIN_{name.upper()}": value for name, value in settings_of(instance, settings).items()}
        result = CliRunner().invoke(main, ["serve"], prog_name="painchain", env=environ)
        return only_line(result.exit_code, result.stdout, result.stderr)

    return refusal


def rows(instance: Path, query: str) -> list[Any]:
    """Return the rows that a query selects from the database file."""
    with closing(sqlite3.connect(instance / "painchain.db")) as connection:
        return connection.execute(query).fetchall()


@pytest.mark.own_interpreter
def test_a_first_start_prints_its_address_and_responds(start: Callable[..., Server]) -> None:
    server = start()
    assert server.out.read_text() == f"PainChain is running at http://127.0.0.1:{server.port}\n"
    status, health = server.ask("GET", "/health")
    assert (status, health["status"], health["database"]) == (200, "ok", "ok")
    server.stop()
    assert server.out.read_text().splitlines()[1] == "PainChain stopped."
    assert server.err.read_text() == ""


@pytest.mark.own_interpreter
def test_a_first_start_creates_folder_database_and_key_readable_only_by_the_owner(
    start: Callable[..., Server], instance: Path
) -> None:
    start().stop()
    assert sorted(file.name for file in instance.iterdir()) == ["painchain.db", "secret.key"]
    assert stat.S_IMODE((instance / "secret.key").stat().st_mode) == 0o600


def test_a_command_prints_a_link_to_the_running_server(start: Callable[..., Server], instance: Path) -> None:
    server = start()
    arguments = ["user", "add", "alice"]
    result = CliRunner().invoke(main, arguments, prog_name="painchain", env={"PAINCHAIN_INSTANCE": str(instance)})
    assert f" http://127.0.0.1:{server.port}/link/" in result.stdout, result.stderr
    server.stop()
    assert "server.url" not in [file.name for file in instance.iterdir()]


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


def test_sigterm_loses_no_acknowledged_event(start: Callable[..., Server], instance: Path) -> None:
    server = start()
    answered: list[str] = []

    def report(_: int) -> None:
        with suppress(OSError, http.client.HTTPException):  # the server has stopped
            for _ in range(500):
                status, answer = server.ask("POST", "/api/painchain/log", REPORT)
                assert status == 201
                answered.append(answer["event_id"])
                if len(answered) == 20:
                    server.send_sigterm()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(report, range(4)))
    assert server.process.wait(PATIENCE) == 0
    assert 20 <= len(answered) < 2000
    assert set(answered) <= {event_id for (event_id,) in rows(instance, "SELECT event_id FROM change_events")}
    again = start()
    assert {again.ask("GET", f"/api/changes/{event_id}")[0] for event_id in answered} == {200}


@pytest.fixture
def in_progress(
    start: Callable[..., Server], instance: Path
) -> Iterator[tuple[Server, sqlite3.Connection, http.client.HTTPConnection]]:
    """A server, a write lock that blocks it, and the connection of a request that waits for the lock."""
    server = start()
    with closing(sqlite3.connect(instance / "painchain.db", isolation_level=None)) as lock:
        lock.execute("BEGIN IMMEDIATE")
        with closing(server.connect()) as connection:
            request(connection, "POST", "/api/painchain/log", REPORT)
            # Requests are accepted in order: once a later one is answered, this one is in progress.
            assert server.ask("GET", "/api/connector-types")[0] == 200
            yield server, lock, connection


def test_a_running_request_is_answered_before_the_server_stops(
    in_progress: tuple[Server, sqlite3.Connection, http.client.HTTPConnection], instance: Path
) -> None:
    server, lock, connection = in_progress
    server.send_sigterm()
    lock.execute("ROLLBACK")
    answer = connection.getresponse()
    assert answer.status == 201
    event_id = json.loads(answer.read())["event_id"]
    assert server.process.wait(PATIENCE) == 0
    assert rows(instance, "SELECT event_id FROM change_events ORDER BY id DESC LIMIT 1") == [(event_id,)]


def test_a_hanging_request_does_not_delay_the_stop(
    in_progress: tuple[Server, sqlite3.Connection, http.client.HTTPConnection], instance: Path
) -> None:
    server, lock, connection = in_progress
    server.send_sigterm()
    assert server.process.wait(PATIENCE) == 0
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        connection.getresponse()
    # After 5 seconds waitress would have logged that it gives up waiting.
    assert server.err.read_text() == ""
    lock.execute("ROLLBACK")
    assert rows(instance, "SELECT event_type FROM change_events") == [("ConnectorCreated",)]


def test_a_second_stop_signal_has_no_effect(start: Callable[..., Server]) -> None:
    server = start()
    server.send_sigterm()
    server.stop()
    assert server.err.read_text() == ""


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


@pytest.mark.parametrize("port", ["http", "-1", "65536"])
def test_an_invalid_port_is_refused(refusal: Callable[..., str], instance: Path, port: str) -> None:
    assert "PAINCHAIN_PORT" in refusal(port=port)
    assert not instance.exists()


def test_a_port_in_use_is_refused(launch: Callable[..., Server]) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port = listener.getsockname()[1]
        assert f"127.0.0.1:{port}: Address already in use" in refusal_of(launch(port=str(port)))


def test_a_folder_that_cannot_be_created_is_refused(refusal: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "Not a directory" in refusal(instance=str(tmp_path / "file" / "instance"))


def test_an_unwritable_folder_is_refused(refusal: Callable[..., str]) -> None:
    # Not even root can add a file there.
    assert "/proc/self" in refusal(instance="/proc/self")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write to any folder")
def test_a_folder_of_another_user_is_refused(refusal: Callable[..., str], instance: Path) -> None:
    instance.mkdir(mode=0o555)
    assert "Permission denied" in refusal()


@pytest.mark.parametrize("content", [b"", b"hunter2", b"\xff\x00"])
def test_a_corrupt_key_file_is_refused_and_not_replaced(
    refusal: Callable[..., str], instance: Path, content: bytes
) -> None:
    instance.mkdir()
    (instance / "secret.key").write_bytes(content)
    line = refusal()
    assert str(instance / "secret.key") in line
    assert "hunter2" not in line
    assert (instance / "secret.key").read_bytes() == content


def test_a_wrong_key_is_refused_and_the_right_one_works_again(
    start: Callable[..., Server], refusal: Callable[..., str], instance: Path
) -> None:
    server = start()
    body = {"name": "Work GitHub", "type": "github", "config": {"token": "made-up-token"}}
    status, connector = server.ask("POST", "/api/connectors", body)
    assert status == 201
    server.stop()
    right = (instance / "secret.key").read_text()
    (instance / "secret.key").write_text(new_key())
    assert "Put the right secret.key back" in refusal()
    (instance / "secret.key").write_text(right)
    again = start()
    warnings = connector.pop("warnings")
    assert (again.ask("GET", f"/api/connectors/{connector['id']}"), warnings) == ((200, connector), [])


def test_a_secret_that_was_edited_by_hand_is_named(refusal: Callable[..., str], instance: Path) -> None:
    app = create_app(settings_for(instance))
    with app.test_client() as client:
        body = {"name": "Work GitHub", "type": "github", "config": {"token": "made-up-token"}}
        assert client.post("/api/connectors", json=body).status_code == 201
    close(app)
    statement = "UPDATE connectors SET secrets = '{}' WHERE id = 2"
    for value in ("no JSON", "[]", "null", '"text"', '{"token": 5}', b"\xff"):
        with closing(sqlite3.connect(instance / "painchain.db")) as connection, connection:
            connection.execute("UPDATE connectors SET secrets = ? WHERE id = 2", (value,))
        line = refusal()
        assert "The secrets of “Work GitHub” in the table connectors cannot be read" in line
        assert line.endswith(f": {statement}.")
    with closing(sqlite3.connect(instance / "painchain.db")) as connection, connection:
        connection.execute(statement)
    close(create_app(settings_for(instance)))


@pytest.mark.own_interpreter
def test_no_new_key_is_created_for_an_existing_log(
    start: Callable[..., Server], refusal: Callable[..., str], instance: Path
) -> None:
    start().stop()
    right, before = (instance / "secret.key").read_text(), (instance / "painchain.db").read_bytes()
    (instance / "secret.key").unlink()
    assert f"{instance / 'secret.key'} does not exist" in refusal()
    assert [file.name for file in instance.iterdir()] == ["painchain.db"]
    (instance / "secret.key").touch(0o600)
    (instance / "secret.key").write_text(new_key())
    assert "Put the right secret.key back" in refusal()
    assert (instance / "painchain.db").read_bytes() == before
    (instance / "secret.key").unlink()
    file = instance / "other"
    file.write_text(right)
    assert start(secret_key_file=str(file)).ask("GET", "/health")[0] == 200


@pytest.mark.parametrize("content", [b"this is not a database\n" * 100, b"SQLite format 3\0" + b"x" * 4080])
def test_a_file_that_is_not_a_database_is_refused_and_not_replaced(
    refusal: Callable[..., str], instance: Path, content: bytes
) -> None:
    instance.mkdir()
    (instance / "painchain.db").write_bytes(content)
    assert "Cannot use the database: " in refusal()
    assert (instance / "painchain.db").read_bytes() == content


def test_an_unreachable_database_server_is_reported_without_the_password(refusal: Callable[..., str]) -> None:
    with closing(socket.socket()) as unused:
        unused.bind(("127.0.0.1", 0))  # reserved, but not listening
        port = unused.getsockname()[1]
        line = refusal(database_url=f"postgresql+psycopg://me:hunter2@127.0.0.1:{port}/painchain")
    assert "Cannot use the database: " in line
    assert "hunter2" not in line


def test_a_misspelt_setting_causes_a_warning_but_not_a_failure(start: Callable[..., Server]) -> None:
    server = start(prot="8000")
    assert server.err.read_text().startswith(
        "painchain: PAINCHAIN_PROT is not a known setting and is ignored. See docs"
    )
