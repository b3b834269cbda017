"""What is forged so that PainChain itself vouches for it, overlooks it or cannot read it: it shows all the same."""

from __future__ import annotations

import pytest
from flask import Flask
from sqlalchemy import text

from painchain import ledger
from painchain.db import db
from tests.test_chain import checked, write
from tests.test_cli import Run, environment, run
from tests.test_drift import busy, compared
from tests.test_verify import by_hand

__all__ = ["busy", "environment", "run"]


@pytest.mark.parametrize("removed", [[4], [2], [2, 4], [3]])
def test_retention_does_not_vouch_for_a_run_that_was_forged(app: Flask, removed: list[int]) -> None:
    write(app, *({} for _ in range(5)))
    by_hand(app, "INSERT INTO pruned_runs SELECT 3, 3, mac, mac FROM change_events WHERE id = 3")
    if removed != [3]:
        by_hand(app, "DELETE FROM change_events WHERE id = 3")
    with app.app_context(), ledger.writing() as book:
        book.remove(removed)
    broken = checked(app).broken
    assert broken
    assert (broken.kind, broken.event <= 3, "is forged" in broken.words) == ("removed", True, True)


def copied(table: str, name: str, **other: str) -> str:
    """Return the statement that puts in a row like another."""
    with db.engine.connect() as connection:
        found = connection.execute(text(f"SELECT * FROM {table} WHERE name = '{name}'")).one()._mapping
    columns = [column for column in found if column not in ("id", "email")]
    values = [f"'{other[column]}'" if column in other else column for column in columns]
    return f"INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(values)} FROM {table} WHERE name = '{name}'"


@pytest.mark.parametrize(
    ("table", "name", "other", "what"),
    [
        ("people", "ann", {"key": "ann "}, "Account “ann”"),
        ("api_tokens", "deploy", {"key": "deploy ", "hash": "another"}, "API token “deploy”"),
    ],
)
def test_a_second_one_of_the_same_name_is_drift(
    busy: Flask, table: str, name: str, other: dict[str, str], what: str
) -> None:
    with busy.app_context():
        statement = copied(table, name, **other)
    by_hand(busy, statement)
    [drift] = compared(busy).drift
    assert drift.words.startswith(f"{what} is there, but the log does not say that it was added")


BROKEN = "Integrity: BROKEN"
NO_SENSE = "  What is configured cannot be compared with the log"


@pytest.mark.parametrize("database", ["sqlite"])
@pytest.mark.parametrize(
    ("statement", "verdict"),
    [
        ("UPDATE change_events SET description = 'no JSON' WHERE id = 1", BROKEN),
        ("UPDATE change_events SET description = '[1]' WHERE id = 1", BROKEN),
        ("UPDATE change_events SET timestamp = 'yesterday' WHERE id = 1", BROKEN),
        ("UPDATE change_events SET timestamp = 9000000000000000000 WHERE id = 1", BROKEN),
        ("UPDATE change_events SET mac = 'text'", BROKEN),
        ("UPDATE log_head SET last_event = 'end'", BROKEN),
        ("UPDATE change_events SET metadata = 'x', event_type = 'BackupRestored'; DELETE FROM log_head", ""),
        ("UPDATE connectors SET config = '[]'", NO_SENSE),
        ("UPDATE connectors SET tags = 'x'", NO_SENSE),
        ("UPDATE connectors SET enabled = 2", NO_SENSE),
    ],
)
def test_what_cannot_be_read_keeps_nobody_from_a_verdict(
    app: Flask, run: Run, statement: str, verdict: str, database: str
) -> None:
    assert run("checkpoint").exit_code == 0
    by_hand(app, statement)
    result = run("verify", "--checkpoint", str(app.config["SETTINGS"].checkpoint_file))
    assert result.exit_code == (1 if verdict else 2), result.output
    assert any(line.startswith(verdict) for line in result.stdout.splitlines()) or not verdict
