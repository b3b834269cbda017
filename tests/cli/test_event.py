"""`painchain event`: scripts and pipelines record changes on a server, and what cannot be sent is kept."""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from click.testing import CliRunner, Result

from painchain.cli.main import main
from painchain.cli.sending import spool as spool_module
from painchain.cli.sending.server import Server
from painchain.cli.sending.spool import Spool
from tests.cli.conftest import CLOSED_PORT, RunningServer
from tests.support.certificates import certificate
from tests.support.server_process import PATIENCE, ServerProcess

ROOT = Path(__file__).parents[2]
SendEvent = Callable[..., Result]


@pytest.fixture
def send_event(client_environment: None) -> SendEvent:
    """Run `painchain event` with arguments."""
    return lambda *arguments, **more: CliRunner().invoke(main, ["event", *arguments], prog_name="painchain", **more)


@contextmanager
def answering(
    answer: Callable[[BaseHTTPRequestHandler, bytes], None], context: ssl.SSLContext | None = None
) -> Iterator[str]:
    """Serve an address, with TLS if there is a context, where `answer` handles each POST request with its body."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            answer(self, self.rfile.read(int(self.headers["Content-Length"])))

        def log_message(self, format: str, *args: object) -> None:
            """Print nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        if context:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"{'https' if context else 'http'}://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_an_event_is_recorded_with_its_members_and_its_id_printed(
    send_event: SendEvent, running_server: RunningServer, tmp_path: Path
) -> None:
    data = tmp_path / "data.json"
    data.write_text('{"replicas": 3}')
    result = send_event(
        *("Deployed shop 1.4.2", "--kind", "feature_flag", "--service", "members", "--environment", "production"),
        *("--version", "1.4.2", "--sha", "0123ABCD", "--digest", "sha256:12", "--repository", "acme/shop"),
        *("--url", "https://ci.example/7", "--status", "success", "--actor", "ada", "--description", "Two\nlines"),
        *("--tag", "one", "--tag", "two", "--data", f"@{data}", "--external-id", "pipeline-7"),
        *("--time", "2026-01-31T14:00:00Z", "--end-time", "2026-01-31T14:01:30Z"),
    )
    assert (result.exit_code, result.stderr) == (0, "")
    (event,) = running_server.events("members")
    assert result.stdout == f"{event['event_id']}\n"
    assert {name: event[name] for name in ("title", "event_type", "source", "author", "status", "url", "tags")} == {
        "title": "Deployed shop 1.4.2",
        "event_type": "FeatureFlag",
        "source": "api",
        "author": "token:ci editor",
        "status": "success",
        "url": "https://ci.example/7",
        "tags": ["one", "two"],
    }
    assert event["timestamp"].startswith("2026-01-31T14:00:00")
    assert event["description"]["text"] == "Two\nlines"
    assert {name: event["metadata"][name] for name in ("sha", "duration", "data", "actor", "external_id")} == {
        "sha": "0123abcd",
        "duration": 90,
        "data": {"replicas": 3},
        "actor": "ada",
        "external_id": "pipeline-7",
    }


def test_the_same_event_is_recorded_once_and_other_content_is_refused(
    send_event: SendEvent, running_server: RunningServer
) -> None:
    arguments = ("Deployed", "--service", "twice", "--version", "", "--external-id", "twice-1")
    first, second = send_event(*arguments, "--data", "-", input="[1]"), send_event(*arguments, "--data", "[1]")
    assert (first.exit_code, second.exit_code, second.stdout) == (0, 0, first.stdout)
    other = send_event("Deployed again", "--external-id", "twice-1")
    assert (other.exit_code, other.stdout) == (1, "")
    assert other.stderr.startswith("painchain: external_id: An event with this ID is recorded with other content.")
    assert len(running_server.events("twice")) == 1


def redirect(request: BaseHTTPRequestHandler, body: bytes) -> None:
    """Redirect to an address that must not get the token."""
    request.send_response(307)
    request.send_header("Location", f"{CLOSED_PORT}/api/events?token=1")
    request.end_headers()


def greet(request: BaseHTTPRequestHandler, body: bytes) -> None:
    """Answer as some other server does."""
    request.send_response(404)
    request.end_headers()
    request.wfile.write(b"<h1>Welcome</h1>")


def test_every_problem_is_said_in_words_without_the_token(
    send_event: SendEvent, running_server: RunningServer, spool: Path, tmp_path: Path
) -> None:
    _, context = certificate(tmp_path)
    (tmp_path / "token").write_text("pct_made-up\n")
    with answering(redirect) as redirecting, answering(greet) as foreign, answering(greet, context) as https:
        cases = [
            (["Title", "--server", ""], 2, "Set PAINCHAIN_URL"),
            (["Title", "--server", "painchain.example"], 2, "is not a URL such as"),
            (["Title", "--server", "http://ada:hunter2@127.0.0.1"], 2, "is not a URL such as"),
            (["Title", "--token-file", "/no/such"], 2, "Cannot read the token file /no/such: No such file"),
            (["Title", "--data", "{replicas: 3}"], 2, "not valid JSON"),
            (["Title", "--data", "@/no/such"], 2, "cannot read /no/such: No such file"),
            (["Title", "--tag", "\udcff"], 2, "not valid UTF-8"),
            ([""], 2, "title: "),
            (["Title", "--sha", "xyz", "--kind", "New kind"], 2, "sha: String should match"),
            (["Title", "--token-file", str(tmp_path / "token")], 1, "rejected the token (401). Check PAINCHAIN_TOKEN."),
            (["Title", "--server", "http://a..b", "--no-spool"], 1, "Could not resolve a..b. Check PAINCHAIN_URL"),
            (["Title", "--server", CLOSED_PORT, "--no-spool"], 1, "Could not connect to 127.0.0.1:9. Check"),
            (["Title", "--server", https, "--no-spool"], 1, "could not be verified. Check PAINCHAIN_URL. If the"),
            (["Title", "--server", redirecting, "--no-spool"], 1, f"redirects to {CLOSED_PORT} (307). The token is"),
            (["Title", "--server", foreign, "--no-spool"], 1, "does not answer as PainChain does (404). Check"),
        ]
        for arguments, code, words in cases:
            result = send_event(*arguments)
            assert (result.exit_code, result.stdout) == (code, ""), arguments
            assert words in result.stderr, arguments
            assert "Traceback" not in result.stderr
            assert not any(secret in result.stderr for secret in (running_server.token, "hunter2", "pct_made-up"))
    assert not spool.exists()


def test_a_token_that_may_only_read_is_refused_and_its_kept_events_stay(
    send_event: SendEvent, running_server: RunningServer, spool: Path
) -> None:
    environ = {"PAINCHAIN_TOKEN": running_server.viewer_token}
    assert send_event("Kept", "--server", CLOSED_PORT, env=environ).exit_code == 0
    result = send_event("Title", env=environ)
    assert (result.exit_code, result.stdout, len(list(spool.glob("*.json")))) == (1, "", 1)
    assert "refused the event (403): " in result.stderr
    assert "editor" in result.stderr


def test_events_are_kept_while_painchain_is_away_and_sent_once_with_their_time(
    send_event: SendEvent, running_server: RunningServer, spool: Path
) -> None:
    before = datetime.now(UTC)
    for number in (1, 2):
        result = send_event(f"Away {number}", "--service", "kept", "--server", CLOSED_PORT)
        assert (result.exit_code, result.stdout) == (0, "")
        assert "Could not connect to 127.0.0.1:9. Check PAINCHAIN_URL and whether" in result.stderr
        assert f"The event is kept in {spool}. The next painchain event or painchain run sends it." in result.stderr
    send_event("Away", "--service", "kept", "--server", CLOSED_PORT, env={"PAINCHAIN_TOKEN": "pct_another"})
    after = datetime.now(UTC)
    assert spool.stat().st_mode & 0o777 == 0o700
    files = sorted(spool.glob("*.json"))
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    assert not any(running_server.token in file.name + file.read_text() for file in files)
    result = send_event("Back", "--service", "kept")
    assert (result.exit_code, result.stderr) == (0, "painchain: 2 kept events sent.\n")
    assert sorted(spool.glob("*.json")) == files[2:]  # that of another token
    assert send_event("Once more", "--service", "kept").stderr == ""
    events = running_server.events("kept")
    assert [event["title"] for event in events] == ["Away 1", "Away 2", "Back", "Once more"]
    assert all(before <= datetime.fromisoformat(event["timestamp"]) <= after for event in events[:2])


def test_an_event_whose_answer_was_lost_is_not_doubled(
    send_event: SendEvent, running_server: RunningServer, spool: Path
) -> None:
    def pass_on(request: BaseHTTPRequestHandler, body: bytes) -> None:
        address = urlsplit(running_server.url)
        with socket.create_connection((address.hostname, address.port)) as upstream:
            head = f"POST /api/events HTTP/1.0\r\nHost: {address.netloc}\r\n"
            head += "".join(f"{name}: {value}\r\n" for name, value in request.headers.items() if name != "Host")
            upstream.sendall(f"{head}\r\n".encode() + body)
            assert b"201" in upstream.recv(100)

    with answering(pass_on) as losing:
        for arguments in ([], ["--time", "2026-01-31T14:00:00Z"], ["--external-id", "lost-1"]):
            result = send_event("Lost", "--service", "lost", "--server", losing, *arguments)
            assert (result.exit_code, result.stdout) == (0, "")
            assert "was lost. The event is kept" in result.stderr
    lines = send_event("Found", "--service", "lost").stderr.splitlines()
    # Only the sender knows whether its own ID means the same event.
    assert [line[:60] for line in lines] == [
        "painchain: A kept event was refused. external_id: An event w",
        "painchain: 1 kept event sent.",
    ]
    assert not list(spool.glob("*.json"))
    assert len(running_server.events("lost")) == 4


def test_the_kept_events_are_bounded_and_nobody_else_can_add_one(
    send_event: SendEvent, running_server: RunningServer, spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool_module, "MAX_EVENTS", 1)
    results = [send_event("Full", "--server", CLOSED_PORT) for _ in range(2)]
    assert [result.exit_code for result in results] == [0, 1]
    assert f"The event was not recorded and is not kept. {spool} is full." in results[1].stderr
    spool.chmod(0o777)
    result = send_event("Refused", "--service", "bounded")
    assert (result.exit_code, len(running_server.events("bounded"))) == (0, 1)
    assert "nobody else may write to it" in result.stderr
    assert len(list(spool.glob("*.json"))) == 1
    result = send_event("No home", "--server", CLOSED_PORT, env={"PAINCHAIN_SPOOL": "/dev/null/no"})
    assert (result.exit_code, "is not kept. Cannot write to /dev/null/no" in result.stderr) == (1, True)


def test_an_event_that_did_not_fit_on_the_disk_takes_no_place_in_the_folder(
    client_environment: None, spool: Path
) -> None:
    python = [sys.executable, "-B", "-c", "from painchain.cli.main import main; main()"]
    command = ["sh", "-c", 'ulimit -f 0; exec "$@"', "sh", *python, "event", "Full", "--server", CLOSED_PORT]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (result.returncode, f"is not kept. Cannot write to {spool}" in result.stderr) == (1, True)
    assert list(spool.iterdir()) == []


def test_a_link_in_the_folder_is_not_followed(
    send_event: SendEvent, running_server: RunningServer, spool: Path, tmp_path: Path
) -> None:
    send_event("Kept", "--service", "linked", "--server", CLOSED_PORT)
    [kept] = spool.glob("*.json")
    private = tmp_path / "private"
    private.write_text(json.dumps({"title": "Private", "service": "linked"}))
    link, pipe = (kept.with_name(f"{number:020}{kept.name[20:]}") for number in (1, 2))
    link.symlink_to(private)
    os.mkfifo(pipe)
    result = send_event("Now", "--service", "linked")
    assert (result.exit_code, result.stderr) == (0, "painchain: 1 kept event sent.\n")
    assert {event["title"] for event in running_server.events("linked")} == {"Kept", "Now"}
    assert (link.is_symlink(), pipe.is_fifo()) == (True, True)


def test_commands_at_once_send_every_kept_event_once(
    client_environment: None, running_server: RunningServer, spool: Path, tmp_path: Path
) -> None:
    kept = Spool(spool, Server(running_server.url, running_server.token))
    for number in range(20):
        kept.keep({"title": f"Kept {number}", "service": "at once", "external_id": f"at-once-{number}"})
    files = [(tmp_path / f"{number}.out", tmp_path / f"{number}.err") for number in range(3)]
    processes = [ServerProcess(os.environ, *each, "event", "Now", "--service", "at once") for each in files]
    assert [process.wait(PATIENCE) for process in processes] == [0, 0, 0]
    titles = sorted(event["title"] for event in running_server.events("at once"))
    assert titles == sorted([f"Kept {number}" for number in range(20)] + ["Now"] * 3)
    assert not list(spool.glob("*.json"))


def test_the_command_loads_neither_the_database_nor_the_server(client_environment: None) -> None:
    arguments = json.dumps(["run", "--title", "Title", "--server", CLOSED_PORT, "--", "true"])
    code = f"import sys; from painchain.cli.main import main; main({arguments}, standalone_mode=False)"
    show = "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    result = subprocess.run(
        [sys.executable, "-c", f"{code}; {show}"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    packages = result.stdout.splitlines()[-1].split()
    assert "click" in packages
    assert {"flask", "sqlalchemy", "pydantic", "cryptography", "httpx2", "alembic"}.isdisjoint(packages)
