"""An old key remains until no event needs it, and can neither hide nor write events."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from flask import Flask
from sqlalchemy import text

from painchain.core.config import Settings
from painchain.database.session import Base, db
from painchain.eventlog import writer
from painchain.eventlog.chain import Chain
from painchain.integrity import checkpoints
from painchain.integrity.checkpoints import Checkpoint
from tests.conftest import ON_SQLITE
from tests.maintenance.keys import keys_in, newest
from tests.support.command_line import Run
from tests.support.event_log import verify_log, write
from tests.support.tampering import change


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
