"""A key rotation loses no stored secret, and the log continues."""

from __future__ import annotations

import base64
import gzip
import hashlib
import hmac
import json
import os
import stat
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from painchain.core.config import Settings
from painchain.core.crypto import Keyring, KeyUnusable, new_key, open_sealed
from painchain.database import encrypted_columns
from painchain.database.models import ChangeEvent
from painchain.database.session import Base, WrongKey, db
from painchain.database.types import EPOCH
from painchain.eventlog import outbox, writer
from painchain.ingestion import polling, watching
from painchain.integrity import check_job
from painchain.retention import pruning
from painchain.retention import rules as retention_rules
from painchain.startup import create_app
from painchain.workers import scheduler
from painchain.workers.integrity import IntegrityWorker
from tests.conftest import ON_SQLITE, close, settings_for
from tests.maintenance.keys import decrypted_secrets, keys_in, new_trail, newest
from tests.support.command_line import Run
from tests.support.event_log import verify_log, write
from tests.support.html import fill, form_of


@pytest.mark.both_databases
def test_a_rotation_encrypts_every_secret_again_and_continues_the_chain_with_the_new_key(
    app: Flask, run: Run, start_server: Callable[[], Flask], connector_with_secrets: int, file: Path
) -> None:
    before, secrets = keys_in(file), decrypted_secrets(app)
    assert len(secrets) == 3
    [last] = newest(app)
    done = run("rotate-key", "--reason", "someone left")
    assert done.exit_code == 0, done.output
    keys = keys_in(file)
    assert keys.roots[1:] == before.roots
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert f"The key is now {keys.id}; it was {before.id}. Re-encrypted 3 stored secrets." in done.stdout
    assert "Restart every running server" in done.stdout
    second_server = start_server()
    assert decrypted_secrets(second_server) == secrets
    with pytest.raises(KeyUnusable), second_server.app_context(), db.engine.connect() as connection:
        open_sealed(before.box(), next(encrypted_columns.encrypted_texts(connection)))
    [event] = newest(second_server)
    assert (event.id, event.event_type, event.author) == (last.id + 1, "KeyRotated", "system")
    assert event.description["reason"] == "someone left"
    assert event.description["cause"].startswith("command line (")
    assert (event.event_metadata["old_key"], event.event_metadata["new_key"]) == (before.id, keys.id)
    write(second_server, {})
    result = verify_log(second_server)
    assert (result.broken, result.last) == (None, event.id + 1)
    with second_server.app_context():
        assert writer.key_id() == keys.id


def test_only_the_known_columns_contain_encrypted_text(app: Flask, connector_with_secrets: int) -> None:
    """A rotation only re-encrypts the columns in ``encrypted_columns.COLUMNS``."""
    columns = set()
    with app.app_context(), db.engine.connect() as connection:
        for table in Base.metadata.tables.values():
            for row in connection.execute(table.select()):
                columns |= {(table.name, name) for name, value in row._mapping.items() if "gAAAA" in str(value)}
    assert columns == set(encrypted_columns.COLUMNS)


def test_a_server_with_the_old_key_keeps_reading_and_writes_nothing(
    app: Flask, client: FlaskClient, run: Run, connector_with_secrets: int
) -> None:
    form = form_of(client.get(f"/settings/integrations/{connector_with_secrets}"), "#connector-form")
    for done in ("enable", "disable", "enable"):  # leaves an unsent notification and a due poll
        assert client.post(f"/api/connectors/{connector_with_secrets}/{done}").status_code == 200
    with app.app_context(), writer.writing() as event_log:  # leaves a removal that a stopped server began
        retention_rules.change({"github": 30}, {"github": None}, new_trail(event_log))
        prune = retention_rules.PrunableEvents("github", 30, datetime.now(UTC), 1, None, None)
        retention_rules.schedule_prune([prune], retention_rules.ON_DEMAND, new_trail(event_log), EPOCH)
    assert run("rotate-key").exit_code == 0
    events = client.get("/api/changes").get_json()
    refused = client.post(f"/settings/integrations/{connector_with_secrets}", data=fill(form, poll_interval="600"))
    assert refused.status_code == 503
    assert "the encryption key was replaced. Nothing was lost. Restart PainChain with the new key." in refused.text
    for path in ("/health", f"/hooks/github/{connector_with_secrets}"):
        answer = client.post(path, data=b"{}") if path.startswith("/hooks") else client.get(path)
        assert answer.status_code == 503, path
    assert "key was replaced" in client.get("/health").get_json()["message"]
    assert client.get("/api/changes").get_json() == events
    now = datetime.now(UTC)
    with app.app_context():
        assert "restart PainChain with the new key" in str(WrongKey())
        due = retention_rules.due()
        orders = pruning.acquire, scheduler.schedule_daily_prune
        for take in (polling.acquire, outbox.claim, lambda now: watching.acquire(connector_with_secrets, now), *orders):
            with pytest.raises(WrongKey):
                take(now)
        assert retention_rules.due() == due, "the others have the turn"
    for path in (f"/api/connectors/{connector_with_secrets}/test", "/api/notify-rules/1/test"):
        assert "If the key was just replaced, restart PainChain" in client.post(path).text, path


def test_a_server_with_the_old_key_does_not_check_the_log(
    app: Flask, run: Run, start_server: Callable[[], Flask]
) -> None:
    now = datetime.now(UTC)
    write(app, *({"event_id": str(number)} for number in range(3)))
    with app.app_context():
        lease = check_job.acquire(now)  # before the key is replaced
        assert run("rotate-key").exit_code == 0
        assert lease
        with pytest.raises(WrongKey):
            IntegrityWorker(app, lambda: now)._check(lease)
        with pytest.raises(WrongKey):
            IntegrityWorker(app, lambda: now).run_once()
        state = check_job.state()
        assert (state.running, state.result, state.error) == (None, None, None)
    second_server = start_server()
    IntegrityWorker(second_server, lambda: now).run_once()
    with second_server.app_context():
        result = check_job.state().result
        assert result
        assert (result.broken, result.last) == (None, 5)


def test_a_key_managed_by_the_operator_is_prepended_by_the_operator(
    settings: Settings,
    connector_with_secrets: int,
    file: Path,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    old, new = file.read_text().strip(), new_key()
    file.unlink()
    secret = tmp_path / "secret"
    for variable in ("PAINCHAIN_SECRET_KEY", "PAINCHAIN_SECRET_KEY_FILE"):
        set_variable = monkeypatch.setenv if variable == "PAINCHAIN_SECRET_KEY" else lambda name, _: None
        set_variable(variable, old)
        if variable == "PAINCHAIN_SECRET_KEY_FILE":
            secret.write_text(old)
            monkeypatch.delenv("PAINCHAIN_SECRET_KEY")
            monkeypatch.setenv(variable, str(secret))
        refused = run("rotate-key")
        assert (refused.exit_code, refused.stdout) == (1, "")
        assert f"There is no new key in {variable}" in refused.stderr
        assert "Put one before the old key" in refused.stderr
        both_keys = f"{new}\n{old}" if variable == "PAINCHAIN_SECRET_KEY_FILE" else f"{new} {old}"
        set_variable(variable, both_keys)
        secret.write_text(both_keys)
        assert "The first key in" in run("events", "--limit", "0").stderr
        assert run("rotate-key").exit_code == 0
        reordered_keys = f"{old} {both_keys}"
        set_variable(variable, reordered_keys)
        secret.write_text(reordered_keys)
        assert "There is no new key" in run("rotate-key").stderr, "the chain never returns to an old key"
        set_variable(variable, f"{both_keys}")
        old, new = both_keys, new_key()
    assert not file.exists()
    assert secret.read_text() == reordered_keys
    forget_rotations(settings)
    assert "There is no new key" in run("rotate-key").stderr, "nor after retention"


def forget_rotations(settings: Settings) -> None:
    """Let retention delete the events of rotations."""
    key = os.environ["PAINCHAIN_SECRET_KEY_FILE"]
    app = create_app(settings_for(settings.instance, settings.database_url, secret_key_file=key))
    with app.app_context(), writer.writing() as event_log:
        rotations = select(ChangeEvent.id).where(ChangeEvent.event_type == "KeyRotated")
        assert event_log.remove(list(event_log.connection.scalars(rotations)))
    close(app)


@ON_SQLITE
def test_a_rotation_is_recorded_while_auditing_is_off(
    client: FlaskClient, run: Run, start_server: Callable[[], Flask]
) -> None:
    assert client.post("/api/connectors/1/disable").status_code == 200
    assert run("rotate-key").exit_code == 0
    second_server = start_server()
    assert newest(second_server)[0].event_type == "KeyRotated"
    assert verify_log(second_server).broken is None


def test_a_backup_from_before_a_rotation_is_restored_under_the_new_key(
    app: Flask,
    settings: Settings,
    run: Run,
    start_server: Callable[[], Flask],
    connector_with_secrets: int,
    tmp_path: Path,
) -> None:
    write(app, {}, {}, {})
    with app.app_context(), writer.writing() as event_log:
        event_log.remove([2])
    secrets = decrypted_secrets(app)
    assert run("backup", str(tmp_path / "backup")).exit_code == 0
    assert run("rotate-key").exit_code == 0
    old, keys = app.extensions["painchain"].keys, keys_in(settings.instance / "secret.key")
    (tmp_path / "forged").write_bytes(with_claimed_key(tmp_path / "backup", old, keys.id))
    refused = run("restore", str(tmp_path / "forged"), "--replace", "--yes")
    assert (refused.exit_code, "its signature does not match" in refused.stderr) == (1, True)
    restored = run("restore", str(tmp_path / "backup"), "--replace", "--yes")
    assert restored.exit_code == 0, restored.output
    assert f"is signed with the key {old.id}, which has since been replaced" in restored.stderr
    second_server = start_server()
    assert decrypted_secrets(second_server) == secrets
    [event] = newest(second_server)
    assert (event.event_type, event.event_metadata["old_key"]) == ("BackupRestored", old.id)
    assert verify_log(second_server).broken is None
    again_old = {"PAINCHAIN_SECRET_KEY": " ".join(base64.urlsafe_b64encode(root).decode() for root in keys.roots[::-1])}
    assert "There is no new key" in run("rotate-key", env=again_old).stderr, "the rotation is on record no more"
    with second_server.app_context(), writer.writing() as event_log:
        event_log.remove([event.id])
    assert "There is no new key" in run("rotate-key", env=again_old).stderr, "nor is the restore"


def with_claimed_key(file: Path, keys: Keyring, key_id: str) -> bytes:
    """Return a backup that names another key than the one that signed it."""
    lines = gzip.decompress(file.read_bytes()).splitlines(keepends=True)
    lines[0] = lines[0].replace(keys.id.encode(), key_id.encode())
    digest = hashlib.sha256(b"".join(lines[:-1])).digest()
    end = {"sha256": digest.hex(), "seal": hmac.digest(keys.derive("backups"), digest, "sha256").hex()}
    return gzip.compress(b"".join(lines[:-1]) + json.dumps(end, separators=(",", ":")).encode() + b"\n")
