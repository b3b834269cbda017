"""Replacing a lost key is audited, drops its secrets, and hides no tampering."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

import flask_migrate
import pytest
from flask import Flask
from flask.testing import FlaskClient

from painchain.configuration import connector_store
from painchain.core import key_file
from painchain.core.config import Settings
from painchain.core.crypto import KeyUnusable, new_key
from painchain.eventlog import writer
from painchain.startup import create_app
from tests.conftest import ON_SQLITE, close
from tests.maintenance.keys import decrypted_secrets, newest
from tests.support.api import refuse
from tests.support.command_line import Run
from tests.support.event_log import verify_log, write
from tests.support.migrations import alembic
from tests.support.tampering import change


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
