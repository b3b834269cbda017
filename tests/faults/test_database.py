"""The database is locked, damaged or unreachable: clear message, reads if possible, recovery."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import event
from sqlalchemy.engine import make_url

from painchain.database.session import db
from painchain.startup import create_app
from tests.conftest import WITH_POSTGRES, close, settings_for
from tests.faults.conftest import LONG, verify_log
from tests.support.command_line import Run
from tests.support.database_proxy import DatabaseProxy, proxy_to
from tests.support.started_server import PATIENCE, Server, refusal_of

REPORT = {"event_type": "config_changed", "connector_name": "Work GitHub", "field": "poll_interval", "new_value": 60}
LOG = "/api/painchain/log"
PAGES = ("/api/connectors", "/api/changes", "/api/stats", "/api/timeline", "/api/changes?q=work")


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_lock_of_another_process_is_reported_and_reads_continue(app: Flask) -> None:
    client = app.test_client()
    if not LONG:
        with app.app_context():
            db.session.remove()
            db.engine.dispose()
            event.listen(
                db.engine, "connect", lambda raw_connection, record: raw_connection.execute("PRAGMA busy_timeout = 100")
            )
    with closing(sqlite3.connect(make_url(app.extensions["painchain"].settings.database_url).database or "")) as other:
        other.execute("BEGIN EXCLUSIVE")
        answer = client.post(LOG, json=REPORT)
        assert answer.status_code == 503
        assert "the database is locked by another process" in answer.json["message"]
        assert client.get("/").status_code == 200
        health = client.get("/health")
        assert (health.status_code, health.json["status"]) == (503, "failing")
        assert "Check which other program has the database open" in health.json["message"]
        other.rollback()
    assert client.post(LOG, json=REPORT).status_code == 201
    assert client.get("/health").status_code == 200


def fill_database(instance: Path) -> None:
    """Write events, and close the database, so that all data is in the main file."""
    app = create_app(settings_for(instance))
    client = app.test_client()
    for number in range(40):
        assert client.post(LOG, json={**REPORT, "new_value": f"{number} " * 3000}).status_code == 201
    with app.app_context():
        db.session.remove()
        db.engine.dispose()
    close(app)
    assert not (instance / "painchain.db-wal").exists()


def root_page(file: Path, table: str) -> tuple[int, int]:
    """Return the size of a page, and the first page of a table."""
    with closing(sqlite3.connect(file)) as connection:
        ((size,),) = connection.execute("PRAGMA page_size").fetchall()
        ((page,),) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchall()
    return size, page


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_damaged_page_is_reported_where_it_is_read_and_the_rest_works(
    start: Callable[..., Server],
    instance: Path,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PAINCHAIN_INSTANCE", str(instance))
    monkeypatch.delenv("PAINCHAIN_DATABASE_URL")
    fill_database(instance)
    file = instance / "painchain.db"
    size, page = root_page(file, "change_events")
    with file.open("r+b") as pages:
        pages.seek((page - 1) * size)
        pages.write(b"\xa5" * size)
    walked = run("verify")
    assert "the database file is damaged" in walked.stderr
    assert walked.exit_code != 0
    server = start(log_level="error")
    assert server.ask("GET", "/api/connectors")[0] == 200
    status, body = server.ask("GET", "/api/changes")
    assert status == 503
    assert body["message"].startswith("The database cannot be read: the database file is damaged. Stop PainChain")
    assert "painchain restore" in body["message"]
    status, body = server.ask("GET", "/health")
    assert (status, body["status"], body["database"]) == (503, "failing", "the database file is damaged")
    with closing(server.connect()) as connection:
        connection.request("GET", "/")
        answer = connection.getresponse()
        assert (answer.status, b"the database file is damaged" in answer.read()) == (503, True)
    assert server.ask("GET", "/api/connector-types")[0] == 200


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize("lock_seconds", [0.5, 0.02] if LONG else [0.5])
def test_a_truncated_file_is_detected(
    launch: Callable[..., Server], instance: Path, lock_seconds: float, database: str
) -> None:
    fill_database(instance)
    file = instance / "painchain.db"
    size, _ = root_page(file, "change_events")
    with file.open("r+b") as pages:
        pages.truncate(int(file.stat().st_size * lock_seconds) // size * size)
    server = launch(log_level="error")
    for _ in range(PATIENCE * 20):
        if server.process.poll() is not None or "\n" in server.out.read_text():
            break
        time.sleep(0.05)
    if server.process.poll() is not None:
        assert "the database file is damaged" in refusal_of(server)
        return
    answers = [server.ask("GET", address) for address in PAGES]
    assert any(status == 503 and "the database file is damaged" in body["message"] for status, body in answers)
    assert server.ask("GET", "/health")[1]["database"] == "the database file is damaged"


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_an_empty_write_ahead_log_is_harmless(start: Callable[..., Server], instance: Path, database: str) -> None:
    (instance / "painchain.db-wal").touch()
    server = start()
    assert server.ask("POST", LOG, REPORT)[0] == 201
    server.stop()
    assert verify_log(instance).broken is None


@pytest.fixture
def proxy(url: str) -> Iterator[DatabaseProxy]:
    """A proxy to the test's database."""
    with proxy_to(url) as proxy:
        yield proxy


@WITH_POSTGRES
@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_lost_database_server_is_reported_and_everything_works_again_when_it_returns(
    start: Callable[..., Server], instance: Path, url: str, proxy: DatabaseProxy
) -> None:
    server = start(database_url=proxy.url, log_level="error")
    assert server.ask("POST", LOG, REPORT)[0] == 201
    proxy.cut(True)
    status, body = server.ask("POST", LOG, REPORT)
    assert (status, "the database server does not answer" in body["message"]) == (503, True)
    status, body = server.ask("GET", "/api/changes")
    assert (status, "the database server does not answer" in body["message"]) == (503, True)
    status, body = server.ask("GET", "/health")
    assert (status, body["database"]) == (503, "the database server does not answer")
    assert "Start it, or check the connection to it" in body["message"]
    proxy.cut(False)
    assert server.ask("POST", LOG, REPORT)[0] == 201
    assert server.ask("GET", "/health")[0] == 200
    server.stop()
    assert (verify_log(instance, url).broken, verify_log(instance, url).last) == (None, 3)


@WITH_POSTGRES
@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_silent_database_server_keeps_nobody_waiting_and_everything_works_again_when_it_answers(
    start: Callable[..., Server], instance: Path, url: str, proxy: DatabaseProxy
) -> None:
    server = start(database_url=proxy.url, log_level="error")
    assert server.ask("POST", LOG, REPORT)[0] == 201
    proxy.silence(True)
    status, body = server.ask("GET", "/health")
    assert (status, body["database"]) == (503, "the database server does not answer")
    status, body = server.ask("POST", LOG, REPORT)
    assert (status, "the database server does not answer" in body["message"]) == (503, True)
    with ThreadPoolExecutor(50) as people:  # more than the server has threads
        answers = list(people.map(lambda address: server.ask("GET", address), PAGES * 10))
    assert {status for status, body in answers} == {503}
    proxy.silence(False)
    assert server.ask("POST", LOG, REPORT)[0] == 201
    assert server.ask("GET", "/health")[0] == 200
    server.stop()
    assert "Exception during reset" not in server.err.read_text()  # of the pool, with a traceback for each request
    assert verify_log(instance, url).broken is None
