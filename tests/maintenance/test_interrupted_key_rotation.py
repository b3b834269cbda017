"""A key rotation that is refused, killed or repeated leaves a server that starts and can rotate."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from flask import Flask

from painchain.core.config import Settings
from painchain.database.session import WrongKey, db
from painchain.eventlog import writer
from painchain.maintenance import key_rotation
from painchain.startup import create_app
from tests.conftest import ON_SQLITE, close
from tests.maintenance.dying import die_at
from tests.maintenance.keys import decrypted_secrets, keys_in, new_trail
from tests.support.api import refuse
from tests.support.command_line import Run
from tests.support.event_log import verify_log
from tests.support.forked_command import PreparedProcess
from tests.support.server_process import PATIENCE
from tests.support.tampering import change


@pytest.mark.both_databases
def test_a_rotation_that_the_database_refuses_changes_nothing_and_the_next_uses_its_key(
    app: Flask, run: Run, start_server: Callable[[], Flask], connector_with_secrets: int, file: Path
) -> None:
    before, secrets = keys_in(file), decrypted_secrets(app)
    refuse(app, "INSERT", "change_events")
    failed = run("rotate-key")
    assert (failed.exit_code, failed.stdout) == (1, "")
    assert "Nothing was changed" in failed.stderr
    waiting = keys_in(file)
    assert waiting.roots[1:] == before.roots
    assert decrypted_secrets(start_server()) == secrets
    change(app, "DROP TRIGGER refuse" + ("" if db_name(app) == "sqlite" else " ON change_events"))
    assert run("rotate-key").exit_code == 0
    assert keys_in(file) == waiting
    second_server = start_server()
    assert decrypted_secrets(second_server) == secrets
    assert verify_log(second_server).broken is None


def db_name(app: Flask) -> str:
    """Return the kind of an app's database."""
    with app.app_context():
        return db.engine.dialect.name


@ON_SQLITE
@pytest.mark.parametrize("where", ["before the file", "after the file", "before the commit", "after the commit"])
def test_a_rotation_killed_at_any_point_leaves_a_server_that_starts_and_can_rotate(
    app: Flask,
    environment: None,
    run: Run,
    start_server: Callable[[], Flask],
    connector_with_secrets: int,
    file: Path,
    tmp_path: Path,
    where: str,
) -> None:
    before, secrets = keys_in(file), decrypted_secrets(app)
    prepare = partial(die_at, where, str(file))
    killed = PreparedProcess(prepare, os.environ, tmp_path / "out", tmp_path / "err", "rotate-key")
    assert killed.wait(PATIENCE) == -9, killed.err.read_text()
    keys = keys_in(file)
    second_server = start_server()
    with second_server.app_context():
        current = writer.key_id()
    assert current == (keys.id if where == "after the commit" else before.id)
    assert len(keys.roots) == (1 if where == "before the file" else 2)
    assert decrypted_secrets(second_server) == secrets
    assert verify_log(second_server).broken is None
    assert run("rotate-key").exit_code == 0
    last = start_server()
    assert decrypted_secrets(last) == secrets
    assert verify_log(last).broken is None
    assert len(keys_in(file).roots) == (3 if where == "after the commit" else 2)
    assert list(file.parent.glob(".secret.key*")) == [], "a killed rotation leaves no key file behind"


@pytest.mark.both_databases
def test_of_two_simultaneous_rotations_only_one_succeeds(
    settings: Settings, connector_with_secrets: int, file: Path
) -> None:
    apps = [create_app(settings) for _ in range(3)]

    def rotate(app: Flask) -> bool:
        with app.app_context():
            try:
                return bool(key_rotation.rotate(new_trail))
            except WrongKey:
                return False

    with ThreadPoolExecutor(len(apps)) as pool:
        assert sorted(pool.map(rotate, apps)) == [False, False, True]
    assert len(keys_in(file).roots) == 2
    for app in apps:
        close(app)
    app = create_app(settings)
    assert len(decrypted_secrets(app)) == 3
    close(app)
