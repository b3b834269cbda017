"""A key rotation loses no stored secret, the log continues, and the old key is useless."""

from __future__ import annotations

import base64
import gzip
import hashlib
import hmac
import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import flask_migrate
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, text
from sqlalchemy.orm import undefer

from painchain.audit.trail import SYSTEM, Trail
from painchain.configuration import connector_store
from painchain.core import key_file
from painchain.core.config import Settings
from painchain.core.crypto import Keyring, KeyUnusable, new_key, open_sealed, parse_key
from painchain.database import encrypted_columns
from painchain.database.models import ChangeEvent
from painchain.database.session import Base, WrongKey, db
from painchain.database.types import EPOCH
from painchain.eventlog import outbox, writer
from painchain.eventlog.chain import Chain
from painchain.ingestion import polling, watching
from painchain.integrity import check_job, checkpoints
from painchain.integrity.checkpoints import Checkpoint
from painchain.maintenance import key_rotation
from painchain.retention import pruning
from painchain.retention import rules as retention_rules
from painchain.startup import create_app
from painchain.workers import scheduler
from painchain.workers.integrity import IntegrityWorker
from tests.conftest import ON_SQLITE, close, settings_for
from tests.support.api import refuse
from tests.support.command_line import Run
from tests.support.event_log import verify_log, write
from tests.support.html import fill, form_of
from tests.support.migrations import alembic
from tests.support.tampering import change

TOKEN, HOOK, URL = "made-up-token", "webhook", "json://me:made-up-password@127.0.0.1:9/x"


@pytest.fixture
def file(settings: Settings) -> Path:
    """The key file."""
    return settings.instance / "secret.key"


@pytest.fixture
def start_server(settings: Settings) -> Iterator[Callable[[], Flask]]:
    """Return a function that starts another server on the same database."""
    apps: list[Flask] = []

    def start() -> Flask:
        apps.append(create_app(settings))
        return apps[-1]

    yield start
    for app in apps:
        close(app)


@pytest.fixture
def connector_with_secrets(client: FlaskClient, make_connector: Callable[..., int]) -> int:
    """The number of a connector with every kind of encrypted secret: token, webhook secret, notify rule URL."""
    number = make_connector(token=TOKEN)
    assert client.post(f"/api/connectors/{number}/webhook").status_code == 201
    rule = {"name": "Chat", "url": URL, "kinds": ["connector_disabled"]}
    assert client.post("/api/notify-rules", json=rule).status_code == 201
    return number


def keys_in(file: Path) -> Keyring:
    """Return the keys of a file."""
    return parse_key(file.read_text(), "the file")


def decrypted_secrets(app: Flask) -> list[str]:
    """Return every stored secret in plain text."""
    with app.app_context(), db.engine.connect() as connection:
        return sorted(
            open_sealed(app.extensions["painchain"].box, text) for text in encrypted_columns.encrypted_texts(connection)
        )


def new_trail(event_log: writer.EventLogWriter) -> Trail:
    """Return the audit trail of a test."""
    now = datetime.now(UTC)
    return Trail(event_log, SYSTEM, writer.new_request_id(now), now)


def newest(app: Flask, count: int = 1) -> list[Any]:
    """Return the newest events, the newest first."""
    with app.app_context():
        query = db.select(ChangeEvent).options(undefer(ChangeEvent.mac)).order_by(ChangeEvent.id.desc())
        return list(db.session.scalars(query.limit(count)))


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


DIE = """
import os, signal, sys
from sqlalchemy import event
from sqlalchemy.engine import Engine
from pathlib import Path
def die(*of): os.kill(os.getpid(), signal.SIGKILL)
replace = Path.replace
def replaced(draft, file):
    if where == "before the file": die()
    replace(draft, file)
    if where == "after the file": die()
where, key = sys.argv.pop(1), sys.argv.pop(1)
Path.replace = replaced
from painchain.maintenance import key_rotation
if where == "before the commit":
    event.listen(Engine, "commit", lambda connection: die() if Path(key).read_text().count("=") > 1 else None)
if where == "after the commit":
    key_rotation.RotationResult = die
from painchain.cli.main import main
main(["rotate-key"])
"""


@ON_SQLITE
@pytest.mark.parametrize("where", ["before the file", "after the file", "before the commit", "after the commit"])
def test_a_rotation_killed_at_any_point_leaves_a_server_that_starts_and_can_rotate(
    app: Flask,
    environment: None,
    run: Run,
    start_server: Callable[[], Flask],
    connector_with_secrets: int,
    file: Path,
    where: str,
) -> None:
    before, secrets = keys_in(file), decrypted_secrets(app)
    killed = subprocess.run([sys.executable, "-c", DIE, where, str(file)], capture_output=True, check=False)
    assert killed.returncode == -9, killed.stderr
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


def test_old_keys_remain_until_no_event_needs_them(
    app: Flask, settings: Settings, run: Run, start_server: Callable[[], Flask], file: Path
) -> None:
    write(app, {}, {}, {})
    assert run("rotate-key").exit_code == 0
    write(start_server(), {"event_id": "between"})
    assert run("rotate-key").exit_code == 0
    drop_output = run("rotate-key", "--drop-old")
    assert "No key was removed" in drop_output.stdout
    assert len(keys_in(file).roots) == 3
    second_server = start_server()
    kept_checkpoints = settings.checkpoint_file
    with second_server.app_context():
        oldest = keys_in(file).led_by(keys_in(file).ids[-1])
        with writer.writing() as event_log:
            event_log.remove([1, 2, 3, 4])
        second_server.extensions["painchain"].keys = oldest
        checkpoints.append(kept_checkpoints, Checkpoint(3, b"x" * 32, datetime.now(UTC), oldest.id))
    needed = run("rotate-key", "--drop-old")
    assert (needed.exit_code, len(keys_in(file).roots)) == (0, 3)
    assert f"checkpoints in {kept_checkpoints}" in needed.stdout
    kept_checkpoints.unlink()
    dropped = run("rotate-key", "--drop-old")
    assert dropped.stdout.startswith("Old keys removed: 1. Keys left: 2.\n")
    assert "Backups and checkpoints signed with the removed keys can no longer be used." in dropped.stdout
    assert verify_log(start_server()).broken is None
    assert run("rotate-key", "--drop-old").exit_code == 0
    change(second_server, "UPDATE change_events SET title = 'x' WHERE id = 5")
    refused = run("rotate-key", "--drop-old")
    assert (refused.exit_code, len(keys_in(file).roots)) == (1, 2)
    assert "event 5, matches none of the keys" in refused.stderr


def test_an_old_key_can_neither_hide_nor_write_events(
    app: Flask, run: Run, start_server: Callable[[], Flask], file: Path
) -> None:
    write(app, {}, {}, {})
    leaked = Chain(keys_in(file))
    assert run("rotate-key").exit_code == 0
    second_server = start_server()
    write(second_server, {"event_id": "later"})
    rows = {event.id: event.mac for event in newest(second_server, 9)}
    with second_server.app_context():
        forged = {"first": 3, "last": 3, "mac": rows[3], "seal": leaked.seal_run(3, 3, rows[3])}
        db.session.execute(Base.metadata.tables["pruned_runs"].insert(), forged)
        db.session.execute(text("DELETE FROM change_events WHERE id = 3"))
        db.session.commit()
    broken = verify_log(second_server).broken
    assert broken
    assert (broken.kind, broken.event) == ("removed", 3)


@ON_SQLITE
def test_a_rotation_does_not_make_forged_events_genuine(
    app: Flask, run: Run, start_server: Callable[[], Flask]
) -> None:
    write(app, {}, {}, {})
    with app.app_context(), writer.writing() as event_log:
        event_log.remove([2])
    change(app, "INSERT INTO pruned_runs SELECT id, id, mac, mac FROM change_events WHERE id = 4")
    change(app, "DELETE FROM change_events WHERE id = 4")
    assert run("rotate-key").exit_code == 0
    broken = verify_log(start_server()).broken
    assert broken
    assert broken.event == 4


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


# The key is lost


def test_replacing_a_lost_key_is_audited_and_drops_its_secrets(
    app: Flask,
    settings: Settings,
    client: FlaskClient,
    run: Run,
    start_server: Callable[[], Flask],
    connector_with_secrets: int,
    file: Path,
) -> None:
    assert client.post(f"/api/connectors/{connector_with_secrets}/enable").status_code == 200
    write(app, {}, {}, {})
    assert run("checkpoint").exit_code == 0
    with app.app_context(), writer.writing() as event_log:
        event_log.remove([2])
        before, old = event_log.last_event, writer.key_id()
    file.unlink()
    missing = run("rotate-key")
    assert missing.exit_code == 2
    assert "rotate-key --lost" in missing.stderr
    assert not file.exists()
    assert run("rotate-key", "--lost", input="n\n").exit_code == 1
    assert not file.exists()
    done = run("rotate-key", "--lost", "--yes", "--reason", "the disk died")
    assert done.exit_code == 0, done.output
    assert f"{before} events can no longer be verified." in done.stdout
    assert (
        "Deleted: secrets of Work GitHub\nDeleted: webhook of Work GitHub\nDeleted: notify rule Chat\n" in done.stdout
    )
    assert done.stdout.endswith(
        f"Move {settings.checkpoint_file} elsewhere: new checkpoints cannot follow those of the lost key.\n"
    )
    assert run("checkpoint").exit_code == 1
    settings.checkpoint_file.unlink()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    second_server = start_server()
    assert decrypted_secrets(second_server) == []
    result = verify_log(second_server)
    assert (result.broken, result.pruned) == (None, 1)
    events = newest(second_server, result.last - before)[::-1]
    kinds = ["KeyReplaced", "ConfigChanged", "ConnectorUpdated", "ConnectorDisabled"]
    assert [event.event_type for event in events] == [*kinds, "WebhookChanged", "NotifyRuleDeleted"]
    assert {event.request_id for event in events} == {events[0].request_id}
    assert (events[0].event_metadata["old_key"], events[0].event_metadata["unverified"]) == (old, before)
    assert events[0].description["reason"] == "the disk died"
    with second_server.app_context():
        connector = connector_store.get(connector_with_secrets)
        assert connector
        assert (connector.secrets, connector.enabled) == ({}, False)
    assert second_server.test_client().get(f"/settings/integrations/{connector_with_secrets}").status_code == 200
    again_lost = run("rotate-key", "--lost", "--yes")
    assert (again_lost.exit_code, again_lost.stdout) == (2, "")
    assert "The key is not lost" in again_lost.stderr


@ON_SQLITE
def test_manual_removals_are_still_detected_after_replacing_a_lost_key(
    app: Flask, run: Run, start_server: Callable[[], Flask], file: Path
) -> None:
    write(app, {}, {}, {})
    change(app, "DELETE FROM change_events WHERE id = 3")
    file.unlink()
    assert run("rotate-key", "--lost", "--yes").exit_code == 0
    broken = verify_log(start_server()).broken
    assert broken
    assert (broken.kind, broken.event) == ("removed", 3)


@ON_SQLITE
def test_a_replacement_that_the_database_refuses_can_be_repeated(
    app: Flask, run: Run, start_server: Callable[[], Flask], connector_with_secrets: int, file: Path
) -> None:
    file.unlink()
    refuse(app, "INSERT", "change_events")
    assert run("rotate-key", "--lost", "--yes").exit_code == 1
    key = file.read_text()
    refused = run("events")
    assert refused.exit_code == 2
    assert "Put the right secret.key back" in refused.stderr
    change(app, "DROP TRIGGER refuse")
    assert run("rotate-key", "--lost", "--yes").exit_code == 0
    assert file.read_text() == key
    assert verify_log(start_server()).broken is None


def test_a_wrong_key_cannot_chain_an_older_log(
    app: Flask, settings: Settings, connector_with_secrets: int, file: Path
) -> None:
    with app.app_context():
        flask_migrate.downgrade(directory=alembic(app), revision="0011")
    right = file.read_text()
    file.write_text(new_key())
    with pytest.raises(KeyUnusable, match="does not decrypt the stored tokens"):
        create_app(settings)
    file.write_text(right)
    second_server = create_app(settings)
    assert len(decrypted_secrets(second_server)) == 3
    assert verify_log(second_server).broken is None
    close(second_server)


def test_the_key_source_never_shows_the_keys(settings: Settings) -> None:
    key = new_key()
    where = key_file.KeySource("PAINCHAIN_SECRET_KEY", text=key)
    assert key not in repr(where) + repr(key_file.read_keys(where))
