"""The command line as a whole: settings, help, failures, reasons."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import click
import pytest
from sqlalchemy.engine import make_url

from painchain import __version__
from painchain.cli.main import COMMANDS, main
from painchain.core.config import Settings
from tests.support.caching import DATABASES
from tests.support.command_line import INTERVAL, ROOT, Run
from tests.support.postgresql import on_server


@pytest.mark.both_databases
def test_a_database_that_cannot_write_is_reported(
    run: Run, settings: Settings, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if database == "sqlite":
        url = f"sqlite:///file:{settings.instance}/painchain.db?mode=ro&uri=true"
        monkeypatch.setenv("PAINCHAIN_DATABASE_URL", url)
    else:
        name = make_url(settings.database_url).database
        on_server(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        DATABASES.drop()  # the next connections have the setting
    result = run(*INTERVAL)
    assert (result.exit_code, result.stdout) == (1, "")
    line = result.stderr.splitlines()[-1]
    assert line.startswith("painchain: ")
    assert "readonly database" in line or "read-only transaction" in line


@pytest.mark.parametrize("command", [INTERVAL, ["events"], ["serve"]], ids=["log", "events", "serve"])
def test_a_bad_setting_stops_every_command(run: Run, monkeypatch: pytest.MonkeyPatch, command: list[str]) -> None:
    monkeypatch.setenv("PAINCHAIN_THREADS", "many")
    result = run(*command)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "painchain: PAINCHAIN_THREADS ('many'): must be an integer between 1 and 256.\n"


def test_a_password_in_the_wrong_setting_is_not_repeated(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAINCHAIN_HOST", "postgresql+psycopg://me:hunter2@db.example/painchain")
    result = run("events")
    assert result.exit_code == 2
    assert "PAINCHAIN_HOST" in result.stderr
    assert "hunter2" not in result.stderr


def test_version_and_help_need_no_database(run: Run, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAINCHAIN_INSTANCE", "/dev/null/nowhere")
    assert run("--version").stdout == f"painchain, version {__version__}\n"
    assert [name for name in ("serve", "log", "events") if f"\n  {name} " not in run("--help").stdout] == []
    assert "--follow" in run("events", "--help").stdout


def test_the_overview_lists_every_command_with_the_first_line_of_its_help() -> None:
    context = click.Context(main)
    modules = {module for module, _ in COMMANDS.values()}
    shared = {"__init__", "common", "main", "messages"}
    assert modules == {path.stem for path in (ROOT / "painchain" / "cli").glob("*.py")} - shared
    for name, (_, summary) in COMMANDS.items():
        command = main.get_command(context, name)
        assert command is not None
        assert (command.name, (command.help or "").splitlines()[0]) == (name, summary)
    assert main.get_command(context, "nonsense") is None


@pytest.mark.parametrize("option", ["--version", "--help"])
def test_version_and_help_load_only_the_command_line(option: str) -> None:
    code = f"import sys; from painchain.cli.main import main; main(['{option}'], standalone_mode=False)"
    show = "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    result = subprocess.run(
        [sys.executable, "-c", f"{code}; {show}"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    packages = result.stdout.splitlines()[-1].split()
    assert "click" in packages
    assert {"flask", "sqlalchemy", "pydantic", "cryptography", "httpx2"}.isdisjoint(packages)


def test_a_server_loads_no_libraries_that_few_need() -> None:
    show = "print(*sys.modules)"
    serving = "import painchain.web.installation, painchain.web.serving.server"
    code = f"import sys, painchain.cli.serve; {show}; {serving}; {show}"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    before, modules = (set(line.split()) for line in result.stdout.splitlines())
    assert "sqlalchemy" in before
    served = {"painchain.web.api", "painchain.web.dashboard", "pydantic", "wtforms", "waitress"}
    assert served & before == set()  # as in commands
    assert served <= modules
    # For single sign-on, PostgreSQL, stored secrets, messages, help, migrations and polls: together 31 MB.
    rare = {"authlib", "joserfc", "sqlalchemy.dialects.postgresql", "cryptography"}
    assert (rare | {"apprise", "markdown_it", "alembic", "httpx2", "httpcore2", "anyio"}) & modules == set()


def test_a_command_takes_a_reason(run: Run, events: Callable[..., list[dict[str, Any]]]) -> None:
    assert run(*INTERVAL, "--author", "ada", "--reason", " The\nincident ").exit_code == 0
    assert run("export", "--reason", "An audit").exit_code == 0
    logged, exported = (event["description"] for event in events()[-2:])
    assert (logged["reason"], logged["claimed_author"], exported["reason"]) == ("The incident", "ada", "An audit")
    refused = run(*INTERVAL, "--reason", "x" * 501)
    assert (refused.exit_code, "at most 500 characters" in refused.stderr) == (2, True)
    assert "by system (claimed author: ada)  “The incident”" in run("events").stdout
