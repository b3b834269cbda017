"""`painchain events --follow` prints events continuously."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text

from painchain.database.session import db
from tests.support.command_line import PATIENCE
from tests.support.forked_command import PreparedProcess, be_interruptible


class Follower:
    """`painchain events --follow` in a separate process; its output goes to files."""

    def __init__(self, folder: Path, *arguments: str):
        self.out, self.err = folder / "follow.out", folder / "follow.err"
        command = ("events", "--follow", *arguments)
        self.process = PreparedProcess(be_interruptible, os.environ, self.out, self.err, *command)

    def printed(self, lines: int) -> list[str]:
        """Wait until this number of lines is printed, and return all lines."""
        return [line.rstrip("\n") for line in self.process.printed(lines)]

    def interrupt(self) -> int:
        """Press Ctrl-C and return the exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(PATIENCE)


@pytest.fixture
def follow(environment: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Follower]]:
    """Start `painchain events --follow`; stop it after the test."""
    monkeypatch.setenv("PAINCHAIN_LOG_LEVEL", "warning")
    followers: list[Follower] = []

    def follow(*arguments: str) -> Follower:
        followers.append(Follower(tmp_path, *arguments))
        return followers[-1]

    yield follow
    for follower in followers:
        if follower.process.poll() is None:
            follower.process.kill()
            follower.process.wait()


def test_follow_prints_existing_events_and_then_new_ones(
    follow: Callable[..., Follower], report: Callable[..., str], client: FlaskClient
) -> None:
    report(new_value=1)
    follower = follow()
    assert [line[33:70].split()[0] for line in follower.printed(2)] == ["PainChain", "Work"]
    report(new_value=2)
    assert "Poll interval: nothing → 2" in follower.printed(3)[2]
    # More events than one read returns, and a field that is hidden from now on.
    (builtin,) = client.get("/api/connectors").get_json()
    address = f"/api/connectors/{builtin['id']}/visibility/ConfigChanged/new_value"
    assert client.put(address, json={"visible": False}).status_code == 200
    for number in range(60):
        report(new_value=number)
    lines = follower.printed(64)
    assert len(lines) == 64
    assert "New value of ConfigChanged hidden" in lines[3]
    assert "Poll interval: nothing →  " in lines[-1]
    assert follower.interrupt() == 0
    assert follower.err.read_text() == ""


def test_follow_prints_each_event_once_during_concurrent_writes(
    follow: Callable[..., Follower], report: Callable[..., str], events: Callable[..., list[dict[str, Any]]]
) -> None:
    for number in range(20):
        report(new_value=number)
    follower = follow("--json", "--limit", "500")
    for number in range(150):
        report(new_value=number)
    printed_events = [json.loads(line) for line in follower.printed(171)]
    assert printed_events == events()
    assert follower.interrupt() == 0


def test_follow_applies_the_filter(follow: Callable[..., Follower], report: Callable[..., str]) -> None:
    expected = [report(author="ada")]
    follower = follow("--json", "--author", "ada")
    assert len(follower.printed(1)) == 1
    for number in range(3):
        report(new_value=number, author="bob")
        expected.append(report(new_value=number, author="ada"))
    assert [json.loads(line)["event_id"] for line in follower.printed(4)] == expected
    assert follower.interrupt() == 0


def test_follow_waits_if_there_is_no_event(follow: Callable[..., Follower], report: Callable[..., str]) -> None:
    follower = follow("--author", "ada")
    for _ in range(PATIENCE * 20):
        if follower.err.read_text():
            break
        time.sleep(0.05)
    assert follower.err.read_text() == "No matching events yet.\n"
    report(author="ada")
    assert follower.printed(1)[0].endswith("  by ada")
    assert follower.interrupt() == 0


def test_follow_reports_a_lost_database(
    follow: Callable[..., Follower], report: Callable[..., str], app: Flask
) -> None:
    follower = follow()
    follower.printed(1)
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(text("ALTER TABLE log_head RENAME TO renamed"))
    assert follower.process.wait(PATIENCE) == 1
    (line,) = follower.err.read_text().splitlines()
    assert line.startswith("painchain: Cannot read the events: ")
