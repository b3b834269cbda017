"""A restore is complete on both databases or has no effect, and the log continues after it."""

from __future__ import annotations

import gzip
import os
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text

from painchain.audit.trail import Trail
from painchain.configuration import connector_store, onboarding, saved_views, secrets
from painchain.configuration.connector_edit import ConnectorEdit
from painchain.configuration.saved_views import Member
from painchain.connectors import TYPES
from painchain.core.config import Settings
from painchain.database.models import Connector
from painchain.database.session import db
from painchain.eventlog import writer as eventlog_writer
from painchain.history import snapshots
from painchain.integrity import verification
from painchain.maintenance import backup, backup_format, used_keys
from painchain.maintenance.backup import BACKED_UP_TABLES, RestoreRefused
from painchain.maintenance.backup_format import BadBackup
from painchain.startup import create_app
from painchain.timeline import queries
from tests.conftest import close, settings_for
from tests.support.accounts import add_person, sign_in
from tests.support.backups import keep_delivery, lines, restore_backup, take_backup, with_new_digest
from tests.support.command_line import Run

NOW = datetime(2026, 1, 15, 14, tzinfo=UTC)


@contextmanager
def audited_transaction(app: Flask) -> Iterator[Trail]:
    """Open an audited transaction."""
    with app.app_context(), eventlog_writer.writing() as event_log:
        yield Trail(event_log, "ann", eventlog_writer.new_request_id(NOW), datetime.now(UTC))


def add(app: Flask, name: str, **values: Any) -> int:
    """Add a GitHub connector with a token, and change it once."""
    with audited_transaction(app) as trail:
        connector = connector_store.create(
            TYPES["github"], {"name": name, "token": "canary-token", **values}, True, trail
        )
        connector_store.update(connector, ConnectorEdit({"poll_interval": 600}), trail)
        return int(connector.id)


def remove(app: Flask, number: int) -> None:
    with audited_transaction(app) as trail:
        connector_store.delete(db.session.get_one(Connector, number), trail)


def save_view(app: Flask, person: int) -> None:
    """Save a view as a person's start page."""
    with audited_transaction(app) as trail:
        member = Member(person, "alice", may_share=True)
        view = saved_views.create({"name": "Mine", "filter": "q=a"}, ["q", "range"], member, trail)
        assert saved_views.set_start(view, True, member, trail)


def confirm_key_copy(app: Flask) -> None:
    """Confirm that a copy of the root key is stored elsewhere."""
    with audited_transaction(app) as trail:
        assert onboarding.confirm_key_copy(onboarding.key_copy().key_id, trail)


def stored(app: Flask) -> dict[str, list[Any]]:
    """Return every row that a backup contains, by table."""
    with app.app_context(), db.engine.connect() as connection:
        rows_by_table = {table.name: connection.execute(table.select()) for table in BACKED_UP_TABLES}
        return {name: sorted(map(tuple, rows), key=repr) for name, rows in rows_by_table.items()}


def verify_intact(app: Flask) -> verification.Integrity:
    with app.app_context():
        result = verification.verify_chain()
        assert result.broken is None, result
        return result


def newest(app: Flask) -> Any:
    with app.app_context():
        return queries.event_by_id(queries.head().last_event)


@pytest.mark.both_databases
def test_everything_moves_to_another_database_and_continues_there(app: Flask, other: Flask, tmp_path: Path) -> None:
    kept_connector, deleted_connector = add(app, "Über “Work”\u202d 😀", tags=["b", "a"]), add(app, "Deleted")
    remove(app, deleted_connector)
    person = add_person(app)
    save_view(app, person)
    keep_delivery(app, kept_connector)
    confirm_key_copy(app)
    assert sign_in(app.test_client()).status_code == 303
    with app.app_context(), eventlog_writer.writing() as event_log:
        event_log.remove([2])
        used_keys.add(event_log.connection, ["0123456789abcdef"])
    before, head = stored(app), verify_intact(app)
    manifest = take_backup(app, tmp_path / "file")
    assert (manifest.events, manifest.head, len(before["kept_deliveries"])) == (head.last, head.head.hex(), 1)
    restored = restore_backup(other, tmp_path / "file")
    assert (restored.events, restored.broken) == (head.events, "")
    after, newest_event = stored(other), newest(other)
    assert (newest_event.event_type, newest_event.author, newest_event.id) == ("BackupRestored", "ann", head.last + 1)
    assert (newest_event.metadata["backup_head"], newest_event.metadata["abandoned_size"]) == (head.head.hex(), 1)
    after["change_events"] = [row for row in after["change_events"] if row[0] != newest_event.id]
    assert after == before
    assert verify_intact(other).events == head.events + 1
    with other.app_context():
        assert secrets.decrypted_secrets(db.session.get_one(Connector, kept_connector)) == {"token": "canary-token"}
    assert other.test_client().get("/").status_code == 303  # sessions are not restored
    assert sign_in(other.test_client()).status_code == 303
    # No id is reused on either database.
    assert add(other, "New") > deleted_connector
    assert add_person(other, "bob") > person


@pytest.mark.both_databases
def test_a_running_server_shows_the_events_of_another_one_whose_backup_is_restored(
    app: Flask, other: Flask, start_server: Callable[[], Flask], tmp_path: Path
) -> None:
    for server, names in ((app, ("Here", "Also here")), (other, ("There", "Also there"))):
        for name in names:
            add(server, name)
    addresses = ("/api/changes", "/api/changes?q=there", "/api/stats", "/api/stats?q=also")
    client = app.test_client()
    before = [client.get(address).text for address in addresses]
    take_backup(other, tmp_path / "backup")
    restore_backup(app, tmp_path / "backup")
    after = [client.get(address).text for address in addresses]
    restarted = start_server().test_client()
    assert after == [restarted.get(address).text for address in addresses]
    assert all(map(str.__ne__, after, before))


def test_events_after_the_backup_are_dropped_and_no_number_is_reused(app: Flask, tmp_path: Path) -> None:
    add(app, "First")
    then = verify_intact(app)
    take_backup(app, tmp_path / "file")
    second = add(app, "Second")
    lost = verify_intact(app)
    restore_backup(app, tmp_path / "file")
    newest_event, result = newest(app), verify_intact(app)
    assert (newest_event.id, newest_event.metadata["abandoned_size"], newest_event.metadata["abandoned_head"]) == (
        *(lost.last + 1, lost.last),
        lost.head.hex(),
    )
    assert (result.events, result.pruned) == (then.events + 1, lost.last - then.last)
    assert add(app, "Third") > second
    assert [item["name"] for item in app.test_client().get("/api/connectors").get_json()] == [
        *("PainChain System", "First", "Third")
    ]
    # The same file can be restored again.
    restore_backup(app, tmp_path / "file")
    assert verify_intact(app).events == then.events + 1


@pytest.mark.both_databases
def test_a_backup_during_writes_is_a_consistent_snapshot(app: Flask, other: Flask, tmp_path: Path) -> None:
    number, stopping = add(app, "Busy"), threading.Event()

    def edit() -> None:
        while not stopping.is_set():
            with audited_transaction(app) as trail:
                connector = db.session.get_one(Connector, number)
                values = {"poll_interval": 60 + trail.now.microsecond % 3000}
                connector_store.update(connector, ConnectorEdit(values), trail)

    writers = [threading.Thread(target=edit) for _ in range(8)]
    for writer in writers:
        writer.start()
    try:
        while verify_intact(app).last < 30:
            pass
        manifest = take_backup(app, tmp_path / "file")
    finally:
        stopping.set()
        for writer in writers:
            writer.join()
    restore_backup(other, tmp_path / "file")
    assert verify_intact(other).last == manifest.events + 1
    with other.app_context():
        replayed = {connector.id: connector.values for connector in snapshots.snapshot_at(datetime.now(UTC)).connectors}
        present = connector_store.configuration(db.session.get_one(Connector, number))
        assert replayed[number]["poll_interval"] == present["poll_interval"]


def test_a_modified_backup_is_refused_and_changes_nothing(app: Flask, tmp_path: Path) -> None:
    add(app, "First")
    file = tmp_path / "file"
    take_backup(app, file)
    before, good = stored(app), file.read_bytes()
    swapped = [line.replace(b"First", b"Worst") for line in lines(file)]
    position = len(good) // 2
    flipped = bytes([*good[:position], good[position] ^ 1, *good[position + 1 :]])
    for content, words in (
        (b"", "not a PainChain backup"),
        (b"hunter2", "not a PainChain backup"),
        (gzip.compress(b"{}\n"), "not a PainChain backup"),
        (gzip.compress(b'{"format": 3, "rows": {}}\n'), "newer version"),
        (good[:-30], "incomplete"),
        (gzip.compress(b"".join(lines(file)[:-1])), "incomplete"),
        (flipped, "not a PainChain backup|damaged|changed"),
        (gzip.compress(b"".join(swapped)), "changed after it was created"),
        (with_new_digest(swapped), "its signature does not match"),
        (with_new_digest(swapped, seal="\u00e9"), "its signature does not match"),
        (with_new_digest(swapped, seal="\ud800"), "its signature does not match"),
        (with_new_digest(swapped, seal=None), "its signature does not match"),
    ):
        file.write_bytes(content)
        with pytest.raises(BadBackup, match=words):
            restore_backup(app, file)
    assert stored(app) == before


def test_a_tampered_log_is_restored_only_with_an_explicit_option(app: Flask, other: Flask, tmp_path: Path) -> None:
    add(app, "First")
    with app.app_context():
        db.session.execute(text("UPDATE change_events SET author = 'eve' WHERE id = 2"))
        db.session.commit()
    take_backup(app, tmp_path / "file")
    before = stored(other)
    with pytest.raises(RestoreRefused, match="--even-broken"):
        restore_backup(other, tmp_path / "file")
    assert stored(other) == before
    assert restore_backup(other, tmp_path / "file", even_broken=True).broken
    with other.app_context():
        broken = verification.verify_chain().broken
        assert broken
        assert broken.event == 2


def test_a_restore_is_audited_even_if_auditing_was_off_in_the_backup(app: Flask, tmp_path: Path) -> None:
    app.test_client().post("/api/connectors/1/disable")
    take_backup(app, tmp_path / "file")
    restore_backup(app, tmp_path / "file")
    assert newest(app).event_type == "BackupRestored"
    verify_intact(app)


def test_a_busy_database_leaves_everything_unchanged(
    app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(app, "First")
    take_backup(app, tmp_path / "file")
    add(app, "Second")
    before = stored(app)
    monkeypatch.setattr(secrets, "check_key", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        restore_backup(app, tmp_path / "file")
    assert stored(app) == before
    verify_intact(app)
    add(app, "Third")


def test_the_backup_file_is_readable_only_by_its_owner_and_restorable(
    run: Run,
    app: Flask,
    settings: Settings,
    tmp_path: Path,
) -> None:
    add(app, "First")
    file = tmp_path / "the backup"
    result = run("backup", str(file))
    assert result.exit_code == 0, result.output
    assert "secret.key" in result.stderr
    assert "does NOT contain the key" in result.stderr
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir() if "backup" in path.name] == ["the backup"]
    content = b"".join(lines(file))
    assert b"canary-token" not in content
    assert (settings.instance / "secret.key").read_bytes().strip() not in content

    again = run("backup", str(file))
    assert (again.exit_code, "--force" in again.stderr) == (2, True)
    partial_file = tmp_path / f".{file.name}.{os.getpid()}.part"
    partial_file.write_bytes(b"of a killed process; in a container every process can have the same number")
    assert run("backup", str(file), "--force").exit_code == 0
    os.mkfifo(tmp_path / "pipe")
    refused = run("backup", str(tmp_path / "pipe"), "--force")
    assert (refused.exit_code, "not a regular file" in refused.stderr) == (2, True)
    assert (tmp_path / "pipe").is_fifo(), "special files such as /dev/null are not replaced"

    before = stored(app)
    for arguments, words in (
        ((), "add --replace"),
        (("--replace",), "--yes"),
        (("--replace", "--yes"), "Restored"),
    ):
        output = run("restore", str(file), *arguments)
        assert words in output.output
        assert (stored(app) == before) == (words != "Restored")
    assert newest(app).description["cause"].startswith("command line (")


def test_a_backup_with_another_key_names_the_missing_file(app: Flask, tmp_path: Path, started_instance: Path) -> None:
    take_backup(app, tmp_path / "file")
    elsewhere = create_app(settings_for(tmp_path / "elsewhere"))
    try:
        with pytest.raises(BadBackup, match=r"another key\. Copy its secret\.key"):
            restore_backup(elsewhere, tmp_path / "file")
    finally:
        close(elsewhere)


@pytest.mark.parametrize(("schema", "words"), [("0001", "an older version"), ("9999", "a newer version")])
def test_a_backup_of_another_version_names_the_version_that_restores_it(schema: str, words: str) -> None:
    manifest = backup_format.Manifest(1, schema, "0.9", "", "sqlite", 1, "", "", "", 0, 0, {}, {})
    with pytest.raises(RestoreRefused, match=rf"{words} of PainChain \(0\.9\)\. Its schema is {schema};"):
        backup.refuse_other_versions(manifest)
