"""A server refuses to start with a wrong setting, folder, key or database, and says why."""

from __future__ import annotations

import os
import shutil
import socket
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from painchain.core.crypto import new_key
from painchain.startup import create_app
from tests.conftest import close, settings_for
from tests.support.started_server import Server, refusal_of


@pytest.mark.parametrize("port", ["http", "-1", "65536"])
def test_an_invalid_port_is_refused(refusal: Callable[..., str], instance: Path, port: str) -> None:
    assert "PAINCHAIN_PORT" in refusal(port=port)
    assert not instance.exists()


@pytest.mark.usefixtures("used_instance")
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
    start: Callable[..., Server], refusal: Callable[..., str], instance: Path, started_instance: Path
) -> None:
    shutil.copytree(started_instance, instance)
    app = create_app(settings_for(instance))
    body = {"name": "Work GitHub", "type": "github", "config": {"token": "made-up-token"}}
    created = app.test_client().post("/api/connectors", json=body)
    assert created.status_code == 201
    connector = created.get_json()
    close(app)
    right = (instance / "secret.key").read_text()
    (instance / "secret.key").write_text(new_key())
    assert "Put the right secret.key back" in refusal()
    (instance / "secret.key").write_text(right)
    again = start()
    warnings = connector.pop("warnings")
    assert (again.ask("GET", f"/api/connectors/{connector['id']}"), warnings) == ((200, connector), [])


def test_a_secret_that_was_edited_by_hand_is_named(
    refusal: Callable[..., str], instance: Path, started_instance: Path
) -> None:
    shutil.copytree(started_instance, instance)
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


def test_no_new_key_is_created_for_an_existing_log(
    start: Callable[..., Server], refusal: Callable[..., str], instance: Path, started_instance: Path
) -> None:
    shutil.copytree(started_instance, instance)
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
