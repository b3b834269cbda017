"""The disk is full, read-only or broken: clear message, reads continue, no partial writes, recovery."""

from __future__ import annotations

import os
import secrets
import shutil
import sqlite3
import subprocess
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event, text

from painchain.database.session import db
from painchain.integrity import verification
from painchain.startup import create_app
from tests.conftest import WITH_POSTGRES, close, settings_for
from tests.faults.capabilities import drop_capabilities
from tests.faults.conftest import LONG, add_connector, verify_log
from tests.support.forked_command import PreparedProcess
from tests.support.html import fill, form_of, soup, words
from tests.support.postgresql import POSTGRES, connected, on_server, postgres_url
from tests.support.server_process import PATIENCE
from tests.support.started_server import Server, refusal_of

REPORT = {"event_type": "config_changed", "connector_name": "Work GitHub", "field": "poll_interval", "new_value": 60}
LOG = "/api/painchain/log"
LONG_TEXT = "long text " * 20_000


def newest(server: Server) -> int:
    status, (event,) = server.ask("GET", "/api/changes?limit=1")
    assert status == 200
    return int(event["id"])


def assert_full(body: Any) -> None:
    assert "Not saved: " in body["message"]
    assert "the disk is full" in body["message"]
    assert "Free some space" in body["message"]


def test_a_full_disk_is_reported_reads_continue_and_saving_works_afterwards(
    start: Callable[..., Server], small_disk: Path
) -> None:
    server = start(instance=str(small_disk), log_level="error")
    address = add_connector(server)
    (small_disk / "ballast").write_bytes(b"x" * 8 * 2**20)
    acknowledged = 0
    for _ in range(400):
        status, body = server.ask("POST", LOG, {**REPORT, "new_value": LONG_TEXT})
        if status != 201:
            break
        acknowledged += 1
    assert status == 503
    assert_full(body)
    last = newest(server)
    for _ in range(5 if LONG else 1):
        status, body = server.ask("PATCH", address, {"config": {"poll_interval": 900}})
        assert (status, newest(server)) in ((503, last), (428, last))
        status, body = server.ask("POST", LOG, {**REPORT, "new_value": LONG_TEXT})
        assert status == 503
        assert_full(body)
        status, body = server.ask("GET", "/health")  # which itself writes so little that it still fits
        assert (status, body["status"], body["database"]) == (503, "failing", "the disk is full")
    assert newest(server) == last == acknowledged + 2
    (small_disk / "ballast").unlink()
    assert server.ask("GET", "/health")[0] == 200
    assert server.ask("POST", LOG, REPORT)[0] == 201
    server.stop()
    result = verify_log(small_disk)
    assert (result.broken, result.last) == (None, last + 1)


def test_health_reports_a_full_disk(start: Callable[..., Server], small_disk: Path) -> None:
    server = start(instance=str(small_disk), log_level="error")
    with closing(sqlite3.connect(small_disk / "painchain.db")) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    ballast = small_disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            for size in (65536, 4096, 1):
                while file.write(b"x" * size) == size:
                    pass
        except OSError:
            pass
    status, body = server.ask("GET", "/health")
    assert (status, body["status"], body["database"]) == (503, "failing", "the disk is full")
    assert "Free some space" in body["message"]
    assert server.ask("GET", "/api/connectors")[0] == 200
    os.truncate(ballast, ballast.stat().st_size - 160 * 2**10)
    assert server.ask("GET", "/health")[0] == 200, "its own write fits"
    assert server.ask("POST", LOG, {**REPORT, "new_value": LONG_TEXT})[0] == 503
    for _ in range(2):
        status, body = server.ask("GET", "/health")
        assert (status, body["database"]) == (503, "the disk is full"), "a save was refused"
    ballast.unlink()
    assert server.ask("GET", "/health")[0] == 200


@pytest.fixture
def full_server(tmp_path: Path, started_instance: Path, postgres_template: str) -> Iterator[tuple[Flask, Path]]:
    """An app whose PostgreSQL database is on a small disk, and a file on it that can be deleted to make room."""
    name = f"painchain_full_{uuid.uuid4().hex[:8]}"
    folder = Path(tempfile.mkdtemp(prefix="painchain-disk-"))
    with connected(POSTGRES) as connection:
        files = Path(connection.execute(text("SHOW data_directory")).scalar_one())
    owner = files.stat().st_uid if files.exists() else None
    options = f"size=24m,mode=0700,uid={owner}"
    mounting = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    if os.geteuid() or owner is None or subprocess.run(mounting, capture_output=True).returncode:
        pytest.skip("a small disk can be mounted by root alone, for a server on this machine")
    folder.chmod(0o700)
    on_server(f"CREATE TABLESPACE {name} LOCATION '{folder}'")
    on_server(f"CREATE DATABASE {name} TEMPLATE {postgres_template} TABLESPACE {name}")
    try:
        disk = os.statvfs(folder)
        (folder / "ballast").write_bytes(b"x" * (disk.f_bavail * disk.f_frsize - 3_000_000))
        app = create_app(settings_for(shutil.copytree(started_instance, tmp_path / "served"), postgres_url(name)))
        yield app, folder / "ballast"
        close(app)
    finally:
        on_server(f"DROP DATABASE {name} WITH (FORCE)")
        on_server(f"DROP TABLESPACE {name}")
        subprocess.run(["umount", str(folder)], check=True)
        folder.rmdir()


@WITH_POSTGRES
def test_health_reports_a_full_disk_of_postgresql_and_recovers(full_server: tuple[Flask, Path]) -> None:
    app, ballast = full_server
    client = app.test_client()
    for _ in range(200):
        answer = client.post(LOG, json={**REPORT, "new_value": secrets.token_hex(100_000)})
        if answer.status_code != 201:
            break
    assert answer.status_code == 503
    assert_full(answer.json)
    for _ in range(2):
        health = client.get("/health")
        assert (health.status_code, health.json["database"]) == (503, "the disk is full")
    last = client.get("/api/changes?limit=1").json[0]["id"]
    ballast.unlink()
    assert client.get("/health").status_code == 200
    assert client.post(LOG, json=REPORT).status_code == 201
    with app.app_context():
        log_check = verification.verify_chain()
    assert (log_check.broken, log_check.last) == (None, last + 1)


def limit_pages(app: Flask, pages: int) -> None:
    """Limit the pages of the database file in new connections, like a full disk."""
    with app.app_context():
        db.session.remove()
        db.engine.dispose()

        @event.listens_for(db.engine, "connect")
        def limit(connection: Any, record: Any) -> None:
            connection.execute(f"PRAGMA max_page_count = {pages}")


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_form_refused_by_a_full_disk_reports_it_and_can_be_sent_again(
    app: Flask, client: FlaskClient, make_connector: Callable[..., int], events: Callable[..., list[dict[str, Any]]]
) -> None:
    address = f"/settings/integrations/{make_connector()}"
    before = events()
    limit_pages(app, 1)
    form = fill(form_of(client.get(address)), name="N" * 100, tags=", ".join(f"{'t' * 40}{n}" for n in range(20)))
    for _ in range(200):
        answer = client.post(address, data={**form, "name": "Work 2"})
        if answer.status_code == 503:
            break
        form = fill(form_of(client.get(address)), tags=f"{len(events())}" + "t" * 40)
    assert answer.status_code == 503
    message = words(soup(answer).select_one("main p"))
    assert message.startswith("Not saved: the disk is full. Nothing was lost.")
    assert message.endswith("PainChain then recovers by itself.")
    assert client.get(address).status_code == 200
    limit_pages(app, 2**30)
    assert client.post(address, data=fill(form_of(client.get(address)), tags="later")).status_code == 303
    assert len(events()) > len(before)
    with app.app_context():
        assert verification.verify_chain().broken is None


def test_a_read_only_database_stops_the_start_with_a_message_and_is_not_changed(instance: Path, tmp_path: Path) -> None:
    before = (instance / "painchain.db").read_bytes()
    for file, mode in ((instance / "painchain.db", 0o444), (instance, 0o555)):
        file.chmod(mode)
    try:
        out, err = tmp_path / "ro.out", tmp_path / "ro.err"
        environ = {**os.environ, "PAINCHAIN_INSTANCE": str(instance), "PAINCHAIN_PORT": "0"}
        message = refusal_of(Server(PreparedProcess(drop_capabilities, environ, out, err), out, err))
    finally:
        instance.chmod(0o755)
    assert "Cannot use the database: the database is read-only" in message
    assert (instance / "painchain.db").read_bytes() == before


def test_commands_that_read_name_a_folder_that_they_cannot_write_to(
    started_instance: Path, tmp_path: Path, thorough: bool
) -> None:
    instance = tmp_path / "mounted"
    shutil.copytree(started_instance, instance)
    environ = {**os.environ, "PAINCHAIN_INSTANCE": str(instance)}
    further = (["verify"], ["events"]) if thorough else ()
    for number, command in enumerate([*further, ["backup", str(tmp_path / "backup")], ["verify"]]):
        instance.chmod(0o555)
        out, err = (tmp_path / f"{number}.{name}" for name in ("out", "err"))
        code = PreparedProcess(drop_capabilities, environ, out, err, *command).wait(PATIENCE)
        instance.chmod(0o755)
        assert (code in (1, 2), out.read_text()) == (True, "")
        [line] = err.read_text().splitlines()
        assert line.startswith("painchain: Cannot use the database: the database "), line
        assert f"This account cannot write to the folder {instance}, and SQLite writes files there" in line
        if command[0] == "backup":
            (instance / "secret.key").unlink()  # then it does not advise to create a key
    assert not (tmp_path / "backup").exists()


def refuse_writes(app: Flask, refused: bool) -> None:
    """Make new connections read-only, or writable again."""
    with app.app_context():
        db.session.remove()
        db.engine.dispose()
        sqlite = db.engine.dialect.name == "sqlite"

        @event.listens_for(db.engine, "connect")
        def limit(connection: Any, record: Any) -> None:
            statement = f"PRAGMA query_only = {refused}" if sqlite else f"SET default_transaction_read_only = {refused}"
            connection.execute(statement)
            connection.commit()


def test_a_read_only_database_is_reported_reads_continue_and_saving_works_when_writable(
    app: Flask, client: FlaskClient
) -> None:
    refuse_writes(app, True)
    answer = client.post(LOG, json=REPORT)
    assert (answer.status_code, "the database is read-only" in answer.json["message"]) == (503, True)
    health = client.get("/health")
    assert (health.status_code, health.json["status"]) == (503, "failing")
    assert health.json["database"] == "the database is read-only"
    assert "Let the account that runs PainChain write" in health.json["message"]
    assert [client.get(address).status_code for address in ("/", "/settings/integrations", "/api/changes")] == [200] * 3
    refuse_writes(app, False)
    assert client.post(LOG, json=REPORT).status_code == 201
    assert client.get("/health").status_code == 200
