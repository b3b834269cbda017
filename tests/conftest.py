"""Fixtures that give every test its own app, on SQLite and, if a server is configured, on PostgreSQL."""

from __future__ import annotations

import gc
import io
import json
import logging
import os
import shutil
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher
from flask import Flask
from flask.testing import FlaskClient

from painchain import connectors
from painchain.connectors.contract import ConnectionTestResult, PollResult
from painchain.core import address_policy, config, logs, passwords
from painchain.database.session import db
from painchain.startup import create_app
from tests.support import thorough
from tests.support.caching import DATABASES, reuse_compiled_code
from tests.support.command_line import auditing_off, environment, report, run  # noqa: F401  fixtures
from tests.support.html import fill, form_of, soup
from tests.support.postgresql import POSTGRES, Copy, keep_rows, on_server, postgres_url

NO_POSTGRES = "PAINCHAIN_TEST_POSTGRES does not name a PostgreSQL server (.ci/run starts one)"
# Folders and modules of tests that run on both databases: there the SQL differs. Elsewhere a test marked
# `both_databases` does.
SQL_DIFFERS = (
    *("database/", "indexes/", "timeline/", "eventlog/test_bytes.py", "eventlog/test_group_commit.py"),
    *("eventlog/test_writer.py", "faults/test_disk.py", "faults/test_edited_json.py", "faults/test_kill.py"),
    *("integrity/test_derived_data.py", "integrity/test_random_tampering.py"),
)
# A test that always runs only on SQLite.
ON_SQLITE = pytest.mark.parametrize("database", ["sqlite"])
WITH_POSTGRES = pytest.mark.skipif(not POSTGRES, reason=NO_POSTGRES)

LEFT_OUT = pytest.StashKey[int]()  # tests that run on SQLite only
THOROUGH = pytest.StashKey[int]()

gc.disable()  # until the tests are collected: what is imported stays

# Without cached byte code, compiling would take most of the start of a PainChain process.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
os.environ.pop("PYTHONUNBUFFERED", None)  # it hides output that is written at exit, and fails there

if "postgresql" in os.environ.get("PAINCHAIN_TEST_REQUIRE", "").split() and not POSTGRES:
    raise pytest.UsageError(NO_POSTGRES)

FULL_HASHER = passwords.HASHER  # the one of the product

LOOPBACK = "127.0.0.0/8, ::1"  # the fake servers of the tests listen here


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add options that run every test with a database on SQLite and PostgreSQL, and the tests marked `thorough`."""
    parser.addoption("--all-databases", action="store_true", help="Run every test on SQLite and on PostgreSQL.")
    parser.addoption("--thorough", action="store_true", help="Run the tests that are marked `thorough` too.")


def pytest_configure(config: pytest.Config) -> None:
    """Choose how many random examples the tests try."""
    thorough.choose(config.getoption("thorough"))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests that are marked `thorough`, unless they are asked for."""
    if config.getoption("thorough"):
        return
    left_out = [item for item in items if item.get_closest_marker("thorough")]
    items[:] = [item for item in items if not item.get_closest_marker("thorough")]
    config.hook.pytest_deselected(items=left_out)
    config.stash[THOROUGH] = len(left_out)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that uses `database`, even through `app`, on SQLite; and on PostgreSQL where that can differ."""
    parametrized = [name for mark in metafunc.definition.iter_markers("parametrize") for name in names_of(mark.args[0])]
    if "database" not in metafunc.fixturenames or "database" in parametrized:
        return
    module = metafunc.definition.nodeid.removeprefix("tests/")
    on_both = (
        metafunc.config.getoption("all_databases")
        or module.startswith(SQL_DIFFERS)
        or metafunc.definition.get_closest_marker("both_databases")
    )
    postgresql = [pytest.param("postgresql", marks=WITH_POSTGRES)] if on_both else []
    if not on_both:
        metafunc.config.stash[LEFT_OUT] = metafunc.config.stash.get(LEFT_OUT, 0) + 1
    metafunc.parametrize("database", ["sqlite", *postgresql], indirect=True)


def pytest_collection_finish() -> None:
    """Collect garbage rarely: searching parsed pages, which are large cycles, took an eighth of the time."""
    gc.freeze()  # what was imported and collected stays until the end
    gc.set_threshold(20_000, 10, 10)
    gc.enable()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Copy the numbers of left-out tests from a pytest-xdist worker; all workers collect the same tests."""
    if left_out := getattr(node, "workeroutput", {}).get("left_out"):
        node.config.stash[LEFT_OUT], node.config.stash[THOROUGH] = left_out


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Send the numbers of left-out tests from a pytest-xdist worker to the main process."""
    if hasattr(session.config, "workeroutput"):
        stash = session.config.stash
        session.config.workeroutput["left_out"] = (stash.get(LEFT_OUT, 0), stash.get(THOROUGH, 0))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print why tests were run again; which tests were left out, and the commands that run them."""
    for first_try in terminalreporter.getreports("rerun"):
        terminalreporter.section(f"run again: {first_try.nodeid}")
        terminalreporter.line(first_try.longreprtext)
    rows = [
        (f"{config.stash.get(THOROUGH, 0):,} further cases of tests that ran", "make test-all"),
        (f"{config.stash.get(LEFT_OUT, 0):,} tests on PostgreSQL too", "make test-all"),
        ("more examples against the API's description", "make test-fuzz"),
        ("long runs with kills, full disks and clock changes", "make test-faults"),
        ("half an hour of an incident with kills", "make test-soak"),
        ("a real Kubernetes API server", "make test-kubernetes"),
        ("a real Unleash", "make test-far"),
    ]
    terminalreporter.section("left out")
    for what, command in rows:
        terminalreporter.write_line(f"{command:<22} {what}")


def names_of(argnames: str | Sequence[str]) -> list[str]:
    """Return the names that a `parametrize` mark sets."""
    return [name.strip() for name in argnames.split(",")] if isinstance(argnames, str) else list(argnames)


def settings_for(instance: Path, database_url: str = "", **more: str) -> config.Settings:
    """Return the settings of a test server."""
    environ = {"PAINCHAIN_INSTANCE": str(instance), "PAINCHAIN_DATABASE_URL": database_url, "PAINCHAIN_THREADS": "16"}
    environ["PAINCHAIN_ALLOW_PRIVATE_ADDRESSES"] = LOOPBACK
    return config.load({**environ, **{f"PAINCHAIN_{name.upper()}": value for name, value in more.items()}})


def close(app: Flask) -> None:
    """Close the session and the database connections of an app."""
    with app.app_context():
        db.session.remove()
        DATABASES.release(db.engine)


@pytest.fixture(scope="session", name="thorough")
def is_thorough(request: pytest.FixtureRequest) -> bool:
    """Whether the further cases of a test run too."""
    return bool(request.config.getoption("thorough"))


@pytest.fixture(autouse=True)
def allow_loopback() -> None:
    """Allow connections to the fake servers on this machine, also without an app; reset this before every test."""
    address_policy.allow_networks(address_policy.parse_networks(LOOPBACK))


@pytest.fixture(scope="session", autouse=True)
def compiled() -> Iterator[None]:
    """Reuse compiled code: otherwise each test's app would compile again, which takes most of the time."""
    with reuse_compiled_code():
        yield


@pytest.fixture(scope="session", autouse=True)
def quick_password_hashes() -> Iterator[None]:
    """Hash passwords with little work: with all of it, hashing took a twelfth of the time of the tests of pages."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
        yield


@pytest.fixture(scope="session")
def started_instance(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An instance folder after its first start, for copies."""
    folder = tmp_path_factory.mktemp("started")
    close(create_app(settings_for(folder)))
    return folder


@pytest.fixture(scope="session")
def instance_of_today(started_instance: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    """Return a function that returns such a folder, with the same key, whose first event is of today."""
    folders = {datetime.now(UTC).date(): started_instance}

    def find() -> Path:
        today = datetime.now(UTC).date()
        if today not in folders:
            folder = tmp_path_factory.mktemp("started")
            shutil.copy2(started_instance / "secret.key", folder)
            close(create_app(settings_for(folder)))
            folders[today] = folder
        return folders[today]

    return find


@pytest.fixture(scope="session")
def postgres_template(started_instance: Path) -> Iterator[str]:
    """The name of a PostgreSQL database after its first start, for copies."""
    name = f"painchain_template_{uuid.uuid4().hex[:8]}"
    on_server(f"CREATE DATABASE {name}")
    close(create_app(settings_for(started_instance, postgres_url(name))))
    keep_rows(postgres_url(name))
    yield name
    on_server(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def postgres_copy(postgres_template: str) -> Iterator[Copy]:
    """A copy of the template that is reset between tests."""
    copy = Copy(postgres_template)
    yield copy
    copy.drop()


@pytest.fixture
def database(request: pytest.FixtureRequest) -> str:
    """The kind of database. `pytest_generate_tests` decides which tests run on which."""
    return str(request.param)


@pytest.fixture
def settings(
    database: str, instance_of_today: Callable[[], Path], tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[config.Settings]:
    """Settings of a server after its first start."""
    instance = tmp_path / "instance"
    if database == "sqlite":
        shutil.copytree(instance_of_today(), instance)
        yield settings_for(instance)
        return
    shutil.copytree(request.getfixturevalue("started_instance"), instance)
    copy: Copy = request.getfixturevalue("postgres_copy")
    yield settings_for(instance, postgres_url(copy.fresh()))


@pytest.fixture
def app(settings: config.Settings) -> Iterator[Flask]:
    """The app of the test."""
    app = create_app(settings)
    yield app
    close(app)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A browser without JavaScript: Flask's test client."""
    return app.test_client()


def add_connector(client: FlaskClient, type: str = "github", name: str = "Work GitHub", **values: Any) -> int:
    """Add a connector through its form and return its id."""
    address = f"/settings/integrations/new/{type}"
    token = {} if type == "kubernetes" else {"token": "made-up-token"}
    form = fill(form_of(client.get(address)), name=name, **{**token, **values})
    response = client.post(address, data=form)
    assert response.status_code == 303, soup(response).get_text(" ", strip=True)
    return int(response.location.rsplit("/", 1)[1])


@pytest.fixture
def make_connector(client: FlaskClient) -> Callable[..., int]:
    """Return a function that adds a connector through its form and returns its id."""
    return partial(add_connector, client)


def use_fake_sources(patch: pytest.MonkeyPatch) -> None:
    """Replace the source of every connector type: no poll finds events, connection tests succeed, nothing is sent."""
    result = ConnectionTestResult(True, "smith", ("everything",), ("nothing",))
    for key, connector_type in connectors.ADDABLE.items():
        with_fake_source = replace(
            connector_type, poll=lambda context: PollResult((), {}), test_connection=lambda settings, now: result
        )
        patch.setitem(connectors.TYPES, key, with_fake_source)
        patch.setitem(connectors.ADDABLE, key, with_fake_source)


@pytest.fixture
def fake_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connector types with fake sources, which send no requests."""
    use_fake_sources(monkeypatch)


@pytest.fixture
def events(client: FlaskClient) -> Callable[..., list[dict[str, Any]]]:
    """Return a function that reads events through the API, oldest first."""

    def read(**query: Any) -> list[dict[str, Any]]:
        response = client.get("/api/changes", query_string={"limit": 500, **query})
        assert response.status_code == 200, response.get_data(as_text=True)
        return list(reversed(response.get_json()))

    return read


@pytest.fixture
def own_logging() -> Iterator[None]:
    """Let a test configure logging, and restore the configuration after it."""
    handlers, level = logging.root.handlers[:], logging.root.level
    logging.root.handlers.clear()
    logs.set_context()
    yield
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


@pytest.fixture
def log_text(own_logging: None) -> Callable[[], str]:
    """Log everything as JSON, and return a function that returns the text logged since its last call."""
    text = io.StringIO()
    logs.configure("debug", "json")
    [handler] = logging.root.handlers
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(text)
    read = 0

    def new() -> str:
        nonlocal read
        new_text = text.getvalue()[read:]
        read += len(new_text)
        return new_text

    return new


@pytest.fixture
def logged(log_text: Callable[[], str]) -> Callable[[], list[dict[str, Any]]]:
    """Return a function that returns the lines logged since its last call, as objects."""
    return lambda: [json.loads(line) for line in log_text().split("\n")[:-1]]
