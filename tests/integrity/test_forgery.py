"""Forgeries are detected that PainChain could itself sign, overlook or fail to read."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import insert, text, update

from painchain.core.crypto import Keyring, new_key, parse_key
from painchain.database.models import ChangeEvent, LogHead
from painchain.database.session import db
from painchain.eventlog import writer
from painchain.eventlog.chain import FIELDS, Chain
from tests.integrity.configuration import check_completeness
from tests.support.command_line import Run
from tests.support.event_log import NOW, new_event, rotate, verify_log, write
from tests.support.tampering import edit_database


@pytest.mark.parametrize("removed", [[4], [2], [2, 4], [3]])
def test_retention_does_not_seal_a_forged_run(app: Flask, removed: list[int]) -> None:
    write(app, *({} for _ in range(5)))
    edit_database(app, "INSERT INTO pruned_runs SELECT 3, 3, mac, mac FROM change_events WHERE id = 3")
    if removed != [3]:
        edit_database(app, "DELETE FROM change_events WHERE id = 3")
    with app.app_context(), writer.writing() as event_log:
        event_log.remove(removed)
    broken = verify_log(app).broken
    assert broken
    assert (broken.kind, broken.event <= 3, "was forged" in broken.words) == ("removed", True, True)


def copy_statement(table: str, name: str, **changes: str) -> str:
    """Return the statement that inserts a copy of a row."""
    with db.engine.connect() as connection:
        row = connection.execute(text(f"SELECT * FROM {table} WHERE name = '{name}'")).one()._mapping
    columns = [column for column in row if column not in ("id", "email")]
    values = [f"'{changes[column]}'" if column in changes else column for column in columns]
    return f"INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(values)} FROM {table} WHERE name = '{name}'"


@pytest.mark.parametrize(
    ("table", "name", "changes", "what"),
    [
        ("people", "ann", {"key": "ann "}, "Account “ann”"),
        ("api_tokens", "deploy", {"key": "deploy ", "hash": "another"}, "API token “deploy”"),
    ],
)
def test_duplicate_name_is_drift(
    configured_app: Flask, table: str, name: str, changes: dict[str, str], what: str
) -> None:
    with configured_app.app_context():
        statement = copy_statement(table, name, **changes)
    edit_database(configured_app, statement)
    [drift] = check_completeness(configured_app).drift
    assert drift.message.startswith(f"{what} exists, but the log does not contain its creation")


FAILED = "Integrity: FAILED"
NO_SENSE = "  The configuration cannot be compared with the log"


@pytest.mark.parametrize("database", ["sqlite"])
@pytest.mark.parametrize(
    ("statement", "verdict"),
    [
        ("UPDATE change_events SET description = 'no JSON' WHERE id = 1", FAILED),
        ("UPDATE change_events SET description = '[1]' WHERE id = 1", FAILED),
        ("UPDATE change_events SET timestamp = 'yesterday' WHERE id = 1", FAILED),
        ("UPDATE change_events SET timestamp = 9000000000000000000 WHERE id = 1", FAILED),
        ("UPDATE change_events SET mac = 'text'", FAILED),
        ("UPDATE log_head SET last_event = 'end'", FAILED),
        ("UPDATE change_events SET metadata = 'x', event_type = 'BackupRestored'; DELETE FROM log_head", ""),
        ("UPDATE connectors SET config = '[]'", NO_SENSE),
        ("UPDATE connectors SET tags = 'x'", NO_SENSE),
        ("UPDATE connectors SET enabled = 2", NO_SENSE),
    ],
)
def test_unreadable_values_do_not_stop_verification(
    app: Flask, run: Run, statement: str, verdict: str, database: str
) -> None:
    assert run("checkpoint").exit_code == 0
    edit_database(app, statement)
    result = run("verify", "--checkpoint", str(app.extensions["painchain"].settings.checkpoint_file))
    assert result.exit_code == (1 if verdict else 2), result.output
    assert any(line.startswith(verdict) for line in result.stdout.splitlines()) or not verdict


def test_log_forged_with_a_replaced_key_does_not_match_its_checkpoints(app: Flask, run: Run) -> None:
    key = new_key()
    old = Path(app.instance_path, "secret.key").read_text()
    file = str(app.extensions["painchain"].settings.checkpoint_file)
    write(app, {}, {})
    Path(app.instance_path, "secret.key").write_text(f"{key}\n{old}")
    rotate(app, parse_key(key, "test").roots[0])
    write(app, {})
    assert run("checkpoint").exit_code == 0
    assert run("verify", "--checkpoint", file).exit_code == 0
    forge_with_the_old_key(app)
    assert run("verify").exit_code == 0, "the log alone shows it only in a warning"
    result = run("verify", "--checkpoint", file)
    assert result.exit_code == 1
    assert "Checkpoints: FAILED. 1 of 1 do not match." in result.stdout


def forge_with_the_old_key(app: Flask) -> None:
    """Rewrite the log with a replaced key, as if a restore had discarded the rest."""
    keys = app.extensions["painchain"].keys
    old = Chain(Keyring(keys.roots[1:]))
    facts = {"backup_size": 3, "abandoned_size": 1000}
    later = {"timestamp": NOW.replace(year=2100), "recorded_at": NOW.replace(year=2100)}
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(text("DELETE FROM change_events WHERE id > 3"))
        mac = bytes(connection.execute(text("SELECT mac FROM change_events WHERE id = 3")).scalar_one())
        new = new_event(4, source="painchain", event_type="BackupRestored", metadata=facts, **later)
        mac = old.link(mac, 4, new.prepared.content)
        row = {"id": 4, "words": new.prepared.values[-1], "mac": mac, **{name: vars(new)[name] for name in FIELDS}}
        connection.execute(insert(ChangeEvent.__table__), row)
        values = {"last_event": 4, "mac": mac, "seal": old.seal_head(4, mac), "key_id": old.key_id}
        connection.execute(update(LogHead.__table__).values(values))
