"""`painchain run`: a command runs as if it were called directly, and an event says when and how it ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path

import pytest

from tests.cli.conftest import CLOSED_PORT, RunningServer
from tests.support.server_process import PATIENCE, ServerProcess

ROOT = Path(__file__).parents[2]
RUN = [sys.executable, "-c", "from painchain.cli.main import main; main(prog_name='painchain')", "run"]
pytestmark = pytest.mark.usefixtures("client_environment")


def run_with_input(given: str, *arguments: str) -> tuple[int, str, str]:
    """Run `painchain run` with arguments and an input; return exit code, standard output and standard error."""
    result = subprocess.run(
        [*RUN, *arguments], cwd=ROOT, input=given, capture_output=True, text=True, check=False, timeout=PATIENCE
    )
    return result.returncode, result.stdout, result.stderr


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., tuple[int, str, str]]:
    """Return a function like `run_with_input` for a forked process that gets no input."""

    def run(*arguments: str) -> tuple[int, str, str]:
        out, err = tmp_path / "command.out", tmp_path / "command.err"
        for file in (out, err):
            file.write_bytes(b"")
        process = ServerProcess(os.environ, out, err, "run", *arguments)
        return process.wait(PATIENCE), out.read_text(), err.read_text()

    return run


def test_a_command_keeps_its_streams_and_exit_status_and_is_recorded(
    running_server: RunningServer, run: Callable[..., tuple[int, str, str]]
) -> None:
    script = "cat; echo trouble >&2; exit 3"
    options = ["--title", "Migrate orders", "--kind", "migration", "--service", "streams", "--data", '{"tables": 2}']
    assert run_with_input("in\n", *options, "--", "sh", "-c", script) == (3, "in\n", "trouble\n")
    assert run("--title", "Fine", "--service", "streams", "true") == (0, "", "")
    failed, fine = running_server.events("streams")
    assert (failed["title"], failed["event_type"], failed["status"]) == ("Migrate orders", "Migration", "failure")
    assert failed["metadata"]["data"] == {"tables": 2, "exit_status": 3}
    start, end = (datetime.fromisoformat(time) for time in (failed["timestamp"], failed["metadata"]["end_time"]))
    assert (end - start).total_seconds() == failed["metadata"]["duration"] > 0
    assert (fine["event_type"], fine["status"], fine["metadata"]["data"]) == ("Other", "success", {"exit_status": 0})


@pytest.mark.parametrize(
    ("number", "script", "status", "data"),
    [
        (signal.SIGTERM, "", 143, {"exit_status": 143, "signal": "SIGTERM"}),
        (signal.SIGINT, "trap 'exit 7' INT;", 7, {"exit_status": 7}),
    ],
)
def test_a_signal_reaches_the_command(
    running_server: RunningServer, number: signal.Signals, script: str, status: int, data: dict[str, object]
) -> None:
    service = f"signal {status}"
    command = ["sh", "-c", f"{script} echo ready; while :; do sleep 0.05; done"]
    with subprocess.Popen(
        [*RUN, "--title", "Stopped", "--service", service, "--", *command],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        start_new_session=True,  # no terminal sends the signal to both
        preexec_fn=partial(signal.signal, number, signal.SIG_DFL),  # a shell's background job ignores SIGINT
    ) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == b"ready\n"
            process.send_signal(number)
            assert process.wait(PATIENCE) == status
        finally:
            process.kill()
    (event,) = running_server.events(service)
    assert (event["status"], event["metadata"]["data"]) == ("failure", data)


def test_a_command_does_not_notice_that_painchain_is_away(
    running_server: RunningServer,
    spool: Path,
    monkeypatch: pytest.MonkeyPatch,
    run: Callable[..., tuple[int, str, str]],
) -> None:
    code, out, err = run("--title", "Away", "--service", "away", "--server", CLOSED_PORT, "--", "sh", "-c", "exit 4")
    assert (code, out) == (4, "")
    assert err.startswith("painchain: Could not connect to 127.0.0.1:9.")
    assert f"The event is kept in {spool}." in err
    assert run("--title", "Back", "--service", "away", "--", "true") == (0, "", "painchain: 1 kept event sent.\n")
    assert [event["title"] for event in running_server.events("away")] == ["Away", "Back"]
    invalid = run("--title", "Invalid", "--sha", "xyz", "--", "sh", "-c", "exit 5")
    assert invalid[0] == 5
    assert "The event was not recorded. sha: String should match" in invalid[2]
    monkeypatch.setenv("PAINCHAIN_SPOOL", "/dev/null/no")
    code, _, err = run("--title", "Lost", "--server", CLOSED_PORT, "--", "true")
    assert (code, "is not kept. Cannot write to /dev/null/no" in err) == (0, True)
    monkeypatch.delenv("PAINCHAIN_URL")
    code, _, err = run("--title", "No server", "--", "true")
    assert (code, "Set PAINCHAIN_URL" in err, list(spool.glob("*.json"))) == (0, True, [])


def test_a_message_that_nobody_reads_does_not_change_the_exit_status(spool: Path) -> None:
    command = [*RUN, "--title", "Unread", "--server", CLOSED_PORT, "--", "sh", "-c", "read line; exit 3"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stderr
        process.stderr.close()
        process.stdin.close()
        assert process.wait(PATIENCE) == 3
    assert len(list(spool.glob("*.json"))) == 1


def test_a_command_that_cannot_start_has_the_exit_status_of_a_shell(
    running_server: RunningServer, tmp_path: Path, run: Callable[..., tuple[int, str, str]]
) -> None:
    (tmp_path / "text").write_text("no program")
    for command, status in (("/no/such", 127), (str(tmp_path / "text"), 126)):
        code, _, err = run("--title", "Missing", "--service", "missing", "--", command)
        assert (code, err.startswith(f"painchain: Cannot run {command}: ")) == (status, True)
    assert [event["metadata"]["data"] for event in running_server.events("missing")] == [
        {"exit_status": 127},
        {"exit_status": 126},
    ]


def test_with_invalid_options_the_command_does_not_run(run: Callable[..., tuple[int, str, str]]) -> None:
    for arguments in (["--", "echo", "ran"], ["--title", "x"], ["--title", "x", "--data", "[]", "--", "echo", "ran"]):
        code, out, err = run(*arguments)
        assert (code, out, "Error: " in err) == (2, "", True)


SLOW_CERTIFICATES = """
import threading, time
from painchain.cli.sending.execution import SignalForwarder, execute

def read_certificates():
    threading.main_thread().join()
    time.sleep(0.5)
    print("read", flush=True)

print("exit status", execute(["true"], SignalForwarder(), read_certificates).exit_status, flush=True)
"""


def test_painchain_waits_for_certificates_that_take_longer_than_the_command() -> None:
    """OpenSSL crashes if the interpreter ends while a thread still reads certificates."""
    python = [sys.executable, "-c", SLOW_CERTIFICATES]
    result = subprocess.run(python, cwd=ROOT, capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert (result.stdout, result.returncode) == ("exit status 0\nread\n", 0), result.stderr
