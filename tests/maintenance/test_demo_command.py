"""`painchain demo` fills an empty log, and can serve it."""

from __future__ import annotations

import os
import re
import urllib.request
from functools import partial
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from click.testing import CliRunner, Result

from painchain.cli.main import main
from painchain.core.config import Settings
from painchain.eventlog import writer
from painchain.timeline import histogram
from painchain.timeline.filter import Filter
from tests.conftest import ON_SQLITE
from tests.support.forked_command import PreparedProcess, run_elsewhere
from tests.support.sample_events import new
from tests.support.server_process import PATIENCE


@pytest.fixture
def run(settings: Settings, monkeypatch: pytest.MonkeyPatch):
    """Run the command on the test's database."""
    monkeypatch.setenv("PAINCHAIN_INSTANCE", str(settings.instance))
    monkeypatch.setenv("PAINCHAIN_DATABASE_URL", settings.database_url)

    def invoke(*words: str) -> Result:
        return CliRunner().invoke(main, ["demo", *words])

    return invoke


@pytest.mark.both_databases
def test_the_command_prints_its_result(run, app):
    result = run("--events", "200", "--days", "7", "--seed", "3")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "Added 200 sample events over 7 days to the log." in result.stdout
    with app.app_context():
        assert histogram.count(Filter()) == 201


def test_a_log_in_use_is_not_changed_unless_forced(run, app):
    assert run("--events", "100").exit_code == 0
    refused = run("--events", "100")
    assert refused.exit_code == 2
    assert "Nothing was written: this log already has 101 events." in refused.stderr
    assert "--force" in refused.stderr
    with app.app_context():
        assert histogram.count(Filter()) == 101
    assert run("--events", "100", "--force").exit_code == 0
    with app.app_context():
        assert histogram.count(Filter()) == 201


@pytest.fixture
def serve(tmp_path: Path):
    """Run `demo --serve` in an empty folder and return its address, and what it printed: this number of lines."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PAINCHAIN_")}
    environ |= {"PAINCHAIN_PORT": "0", "PAINCHAIN_ALLOW_PRIVATE_ADDRESSES": "yes"}
    folder = tmp_path / "empty"
    folder.mkdir()
    processes = []

    def start(lines: int) -> tuple[str, str]:
        files = [tmp_path / f"{len(processes)}.{name}" for name in ("out", "err")]
        prepare = partial(run_elsewhere, str(folder))
        process = PreparedProcess(prepare, environ, *files, "demo", "--serve", "--events", "150")
        processes.append(process)
        printed = "".join(process.printed(lines))
        address = re.search(r"http://\S+", printed)
        return address[0] if address else "", printed

    yield start
    for process in processes:
        process.terminate()
        process.wait(PATIENCE)


def test_serve_fills_its_own_instance_once_and_serves_it(serve, tmp_path):
    address, printed = serve(lines=3)
    assert "Added 150 sample events over 14 days to the log." in printed
    assert (tmp_path / "empty" / "instance" / "demo" / "painchain.db").exists()
    assert [path.name for path in (tmp_path / "empty").iterdir()] == ["instance"]
    assert [path.name for path in (tmp_path / "empty" / "instance").iterdir()] == ["demo"]
    page = BeautifulSoup(urllib.request.urlopen(f"{address}/?range=all").read(), "html.parser")
    assert "checkout" in page.get_text()
    again, printed = serve(lines=2)
    assert (bool(again), "The demo already exists, with " in printed, "Added" in printed) == (True, True, False)


@ON_SQLITE
def test_serve_does_not_serve_a_log_that_is_no_demo(run, app):
    with app.app_context(), writer.writing() as event_log:
        event_log.append(new("real-1"))
    refused = run("--serve", "--events", "100")
    assert (refused.exit_code, "Nothing was written: this log already has 2 events." in refused.stderr) == (2, True)


@ON_SQLITE
@pytest.mark.parametrize("words", [("--events", "0"), ("--days", "0"), ("--events", "many")])
def test_an_invalid_number_is_refused(run, words):
    assert run(*words).exit_code == 2
