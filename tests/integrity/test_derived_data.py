"""`painchain verify --deep` compares the data behind searches, filters and charts with the events."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text

from painchain.core.config import Settings
from painchain.database.session import db
from painchain.eventlog import writer
from painchain.indexes import rollups
from painchain.integrity import derived_data
from tests.integrity.instances import app_from, make_instance
from tests.support.command_line import Run
from tests.support.databases import on_databases
from tests.support.event_log import verify_log, write
from tests.support.tampering import edit_database

INDEX = "ix_change_events_feed"
UNCOUNTED = 40  # events that readers count one by one, instead of more than ten times as many


@pytest.fixture(scope="module", autouse=True)
def soon_counted() -> Iterator[None]:
    """Count events in the rollups after a few."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rollups, "MAX_UNCOUNTED", UNCOUNTED)
        yield


@pytest.fixture(scope="module")
def filled_instance(soon_counted: None, started_instance: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An instance folder with a log to check, for copies."""
    return make_instance(started_instance, tmp_path_factory.mktemp("filled"), fill)


@pytest.fixture
def log(settings: Settings, request: pytest.FixtureRequest) -> Flask:
    """A log with removed events, and with events that are not yet counted in the rollups."""
    return app_from("filled_instance", fill, settings, request)


def fill(app: Flask) -> None:
    """Write a log with removed events, and with events that are not yet counted in the rollups."""
    write(
        app,
        *(
            {"tags": ["ci", f"t{n}"], "status": "failed", "connector_name": "Work", "metadata": {"service": "shop"}}
            for n in range(UNCOUNTED)
        ),
    )
    write(app, *({"title": f"late {n}", "tags": ["ci"]} for n in range(9)))
    with app.app_context(), writer.writing() as event_log:
        event_log.remove([3, 30, UNCOUNTED + 5])
    assert find_problems(app) == []


def find_problems(app: Flask) -> list[str]:
    """Return the differences between derived data and the events."""
    with app.app_context():
        return derived_data.find_problems()


LATE = UNCOUNTED + 7
SPACED_TAGS = 'UPDATE change_events SET tags = \'["ci", "t5"]\''  # the same tags, in another notation
CASES = [
    ("UPDATE change_events SET words = '' WHERE id = 5", "A search does not find the text of an event, first at"),
    (f"UPDATE change_events SET words = words || ' x' WHERE id = {LATE}", f"first at event {LATE}."),
    (f"{SPACED_TAGS} WHERE id = 7", "A filter by tag does not find a tag of an event, first at event 7."),
    ("UPDATE change_events SET tags = ' [\"ci\",\"t7\"]' WHERE id = 9", "first at event 9."),
    ("DELETE FROM event_counts WHERE facet = 'author'", "The counts of authors do not match the events."),
    ("UPDATE event_counts SET events = events + 1 WHERE facet = 'all' AND grain = 0", "The counts of all events"),
    ("UPDATE event_counts SET slot = slot + 1 WHERE facet = 'status' AND grain = 86400", "The counts of outcomes"),
    ("DELETE FROM event_counts WHERE facet = 'service'", "The counts of services do not match the events."),
    ("DELETE FROM event_sets WHERE facet = 'source'", "A chart does not count an event correctly, first at event 1."),
    ("UPDATE event_sets SET value = 'Other' WHERE value = 'Job'", "A chart does not count an event correctly"),
    ("UPDATE log_head SET counted = counted + 1", "A chart does not count an event correctly"),
]  # fmt: skip


ON_POSTGRESQL = (0, 2, 5, 8)  # of words, tags, counts and sets


@pytest.mark.parametrize(("database", "statement", "words"), on_databases(CASES, ON_POSTGRESQL))
def test_tampered_derived_data_is_reported(log: Flask, database: str, statement: str, words: str) -> None:
    edit_database(log, statement)
    assert verify_log(log).broken is None
    problems = find_problems(log)
    assert any(words in problem for problem in problems), problems


@pytest.mark.parametrize("database", ["sqlite"])
def test_event_missing_from_the_full_text_index_is_reported(log: Flask, database: str) -> None:
    edit_database(
        log,
        "INSERT INTO event_words (event_words, rowid, words) "
        "SELECT 'delete', id, words FROM change_events WHERE id = 5",
    )
    [problem] = find_problems(log)
    assert problem.startswith("The full-text index does not match the events")


@pytest.mark.parametrize("database", ["sqlite"])
def test_partial_index_is_reported(log: Flask, database: str) -> None:
    with log.app_context():
        full_index = db.session.execute(text(f"SELECT sql FROM sqlite_schema WHERE name = '{INDEX}'")).scalar_one()
        db.session.rollback()
    edit_database(log, f"DROP INDEX {INDEX}; {full_index} WHERE id <> 5; PRAGMA writable_schema = ON")
    edit_database(
        log, f"PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = '{full_index}' WHERE name = '{INDEX}'"
    )
    [problem] = find_problems(log)
    assert problem.startswith("An index of change_events omits or invents rows")


def test_foreign_database_code_is_reported(log: Flask) -> None:
    with log.app_context(), db.engine.begin() as connection:
        if connection.dialect.name == "sqlite":
            connection.execute(text("CREATE TRIGGER hide AFTER INSERT ON event_notes BEGIN SELECT 1; END"))
        else:
            connection.execute(text("CREATE POLICY hide ON event_notes USING (event <> 5)"))
    [problem] = find_problems(log)
    assert problem.endswith(("trigger hide.", "policy hide."))
    with log.app_context(), db.engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("DROP POLICY hide ON event_notes"))


def test_verify_deep_reports_wrong_indexes(log: Flask, run: Run) -> None:
    assert "Indexes" not in run("verify").stdout
    good = run("verify", "--deep")
    assert (good.exit_code, good.stdout.splitlines()[2]) == (
        0,
        "Indexes: OK. Searches, filters and charts match the events.",
    )
    edit_database(log, f"{SPACED_TAGS} WHERE id = 7")
    result = run("verify", "--deep")
    lines = result.stdout.splitlines()
    assert (result.exit_code, lines[0][:14], lines[2][:16]) == (
        1,
        "Integrity: OK.",
        "Indexes: FAILED.",
    )
    assert lines[3] == "  A filter by tag does not find a tag of an event, first at event 7."
    report: dict[str, Any] = json.loads(run("verify", "--deep", "--json").stdout)
    assert (report["ok"], report["derived"]["ok"]) == (False, False)
    assert json.loads(run("verify", "--json").stdout)["derived"] is None
