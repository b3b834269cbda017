"""A database of each older version is upgraded: its log verifies, and it shows the same events."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import flask_migrate
import pytest
import sqlalchemy as sa
from alembic.script import ScriptDirectory

from painchain import connectors, migrations
from painchain.audit import event_kinds
from painchain.audit.diff import Change
from painchain.audit.records import AuditRecord, RetentionChange
from painchain.audit.trail import Trail
from painchain.connectors.base import Kind
from painchain.core import key_file, runtime
from painchain.database.session import Base, db
from painchain.eventlog import writer
from painchain.factory import build_app
from painchain.indexes import rollups
from painchain.integrity import derived_data, verification
from painchain.maintenance import demo_data
from painchain.migrations.frozen import repository_words_0016, words_0003
from painchain.startup import create_app, use_keys
from tests.conftest import WITH_POSTGRES, close, settings_for
from tests.support.event_log import new_event
from tests.support.migrations import alembic
from tests.support.thorough import further

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
OLD = [script.revision for script in ScriptDirectory(str(migrations.FOLDER)).walk_revisions()][1:]
# Each migration runs in the first case. The others are of databases whose events have other forms.
ALWAYS = (OLD[-1], "0011", "0023", OLD[0])
# Frozen migrations use other SQL on PostgreSQL: test one database from before all of them, and one from between.
CASES = [
    *(pytest.param("sqlite", revision, id=f"sqlite-{revision}") for revision in ALWAYS),
    *further(
        *(("sqlite", revision) for revision in OLD if revision not in ALWAYS),
        ids=[f"sqlite-{revision}" for revision in OLD if revision not in ALWAYS],
    ),
    *(pytest.param("postgresql", revision, marks=WITH_POSTGRES, id=f"postgresql-{revision}") for revision in OLD[-1:]),
    pytest.param("postgresql", "0011", marks=WITH_POSTGRES, id="postgresql-0011"),
]
# Kinds of audit events that do not describe the configuration, or only with details that these events do not have.
KINDS = (
    *("connector_failing", "connector_recovered", "connector_disabled", "connector_deleted"),
    *("field_visibility_changed", "webhook_changed", "notify_rule_created", "notify_rule_changed"),
    *("notify_rule_deleted", "events_exported", "events_pruned", "backup_restored", "key_rotated"),
    *("key_copy_confirmed", "setup_list_hidden"),
    "note_added",  # without the number of an event: databases before 0023 have no table of notes
    *("key_replaced", "person_added", "person_changed", "person_disabled", "person_enabled", "person_removed"),
    *("password_set", "password_link_made", "signed_in", "signed_out", "sign_in_failed", "token_created"),
    *("token_revoked", "checkpoint_made", "chain_begun", "chain_broken", "chain_mended"),
)
NAMES_A_KEY = ("backup_restored", "key_replaced", "key_rotated")
FORMER_ID = "pr-acme/api-12-merged"  # of an event that names its repository nowhere else
Rows = dict[str, Sequence[dict[str, Any]]]


@pytest.fixture(scope="module")
def filled_instance(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Rows]:
    """An instance folder with events of every type, and every row of its database."""
    folder = tmp_path_factory.mktemp("written")
    app = create_app(settings_for(folder))
    with app.app_context():
        demo_data.fill(300, 90, 1, NOW, lambda events: None)
        with writer.writing() as event_log:
            trail = Trail(event_log, "ann", writer.new_request_id(NOW), NOW, reason="Größe 東京 – naïve")
            trail.log(event_kinds.team_created("Müller", ["a"]))
            trail.log(event_kinds.team_updated("Müller", [Change("tags", "Tags", Kind.LIST, ["a"], ["a", "é"])]))
            trail.log(event_kinds.team_deleted("Müller", ["a", "é"]))
            trail.log(event_kinds.view_saved("Müller", "q=%C3%A9&range=7d", "everybody"))
            trail.log(event_kinds.view_changed("東京", [Change("name", "Name", Kind.TEXT, "Müller", "東京")]))
            trail.log(event_kinds.view_deleted("東京", "q=%C3%A9&range=7d", "everybody"))
            trail.log(event_kinds.retention_changed(RetentionChange("gitlab", None, 60)))
            trail.log(event_kinds.retention_changed(RetentionChange("gitlab", 60, None)))
            for kind in KINDS:
                facts = {"action": kind, **({"old_key": f"{kind} key"} if kind in NAMES_A_KEY else {})}
                trail.log(AuditRecord(kind, "made up", "done", {"text": f"{kind} – 東京"}, facts))
            tags = ["long " * 50, "longer " * 50, "é"]  # too long for a facet
            event_log.append(new_event(event_log.last_event + 1, tags=tags, connector_name="Deleted", status="failed"))
            event_log.append(new_event(event_log.last_event + 1, event_id=FORMER_ID, source="github"))
            event_log.count()
        with db.engine.connect() as connection:
            rows = {
                table.name: [dict(row) for row in connection.execute(sa.select(typed_table(table))).mappings()]
                for table in Base.metadata.sorted_tables
            }
        every_type = {event_type.name for event_type in connectors.BUILTIN.event_types}
        assert every_type - {row["event_type"] for row in rows["change_events"]} == set()
    close(app)
    return folder, rows


def typed_table(table: sa.Table, *names: str) -> sa.TableClause:
    """Return a table without default values, with the columns of these names, by default with all of them."""
    return sa.table(
        table.name, *(sa.column(column.name, column.type) for column in table.c if not names or column.name in names)
    )


def old_database(folder: Path, url: str, revision: str, rows: Rows) -> None:
    """Create a database at an old revision, with the rows and columns that it already had then."""
    app = build_app(settings_for(folder, url))
    with app.app_context():
        keys = key_file.read_keys(runtime.of(app).key_source)
        assert keys
        use_keys(app, keys)
        flask_migrate.upgrade(directory=alembic(app), revision=revision)
        columns = {name: {column["name"] for column in sa.inspect(db.engine).get_columns(name)} for name in _tables()}
        with db.engine.begin() as connection:
            for table in Base.metadata.sorted_tables:
                if table.name in columns:
                    of_then = [_as_of(revision, row) for row in rows[table.name] if _existed(revision, row)]
                    _fill(connection, typed_table(table, *columns[table.name]), of_then)
            if revision < "0024":
                _fill_tags(connection, revision, rows["change_events"])
            if "words" in columns["change_events"] and connection.dialect.name == "sqlite":
                connection.execute(sa.text("INSERT INTO event_words (event_words) VALUES ('rebuild')"))
    close(app)


def _existed(revision: str, row: dict[str, Any]) -> bool:
    """Return whether a revision wrote a row: it counted no services and environments before 0031."""
    return revision >= "0031" or row.get("facet") not in rollups.LISTED


def _as_of(revision: str, row: dict[str, Any]) -> dict[str, Any]:
    """Return a row as a revision wrote it: the words of an event had other forms before 0016, 0024, 0027 and 0029."""
    if not {"words", "tags"} <= row.keys():
        return row
    if revision >= "0024":
        has_environment = revision < "0029" and "environment" in row["metadata"]
        has_term = (revision < "0027" and row["event_id"] == FORMER_ID) or has_environment
        return {**row, "words": row["words"].partition(" ")[2]} if has_term else row
    former = {**row, "words": words_0003.words_of(row)}
    return former if revision < "0016" else {**former, "words": repository_words_0016.words_of(former)}


def _fill_tags(connection: sa.Connection, revision: str, events: Sequence[dict[str, Any]]) -> None:
    """Fill the former table of tags.

    Until 0024, the notation of a list of tags did not matter; the migrations that make rollups (0002, 0005) expect it
    without spaces.
    """
    event_tags = sa.table("event_tags", sa.column("tag"), sa.column("event"))
    _fill(connection, event_tags, [{"tag": tag, "event": row["id"]} for row in events for tag in row["tags"]])
    if revision < "0005":
        return
    tags = sa.table("change_events", sa.column("id"), sa.column("tags"))
    kind = sa.JSON() if connection.dialect.name == "postgresql" else sa.Text()
    change = sa.update(tags).where(tags.c.id == sa.bindparam("number"))
    change = change.values(tags=sa.cast(sa.bindparam("list", type_=sa.Text()), kind))
    connection.execute(change, [{"number": row["id"], "list": json.dumps(row["tags"])} for row in events])


def _tables() -> list[str]:
    return [name for name in sa.inspect(db.engine).get_table_names() if name in Base.metadata.tables]


def _fill(connection: sa.Connection, table: sa.TableClause, rows: Sequence[dict[str, Any]]) -> None:
    connection.execute(sa.delete(table))
    if rows:
        names = table.c.keys()
        connection.execute(sa.insert(table), [{name: row[name] for name in names} for row in rows])


@pytest.mark.parametrize(("database", "revision"), CASES)
def test_a_database_of_each_older_version_verifies_and_shows_the_same_events(
    filled_instance: tuple[Path, Rows],
    empty_database: str,
    database: str,
    revision: str,
    tmp_path: Path,
) -> None:
    folder, rows = filled_instance
    instance = tmp_path / "instance"
    shutil.copytree(folder, instance, ignore=shutil.ignore_patterns("*.db*"))
    old_database(instance, empty_database, revision, rows)
    app = create_app(settings_for(instance, empty_database))
    with app.app_context():
        with db.engine.connect() as connection:
            query = sa.select(typed_table(Base.metadata.tables["change_events"])).order_by(sa.column("id"))
            events = [dict(row) for row in connection.execute(query).mappings()]
            replaced_keys = connection.scalars(sa.text("SELECT id FROM used_keys ORDER BY id")).all()
        assert replaced_keys == ([f"{kind} key" for kind in NAMES_A_KEY] if revision < "0028" else [])
        new = events[len(rows["change_events"]) :]
        assert events[: len(rows["change_events"])] == sorted(rows["change_events"], key=lambda row: row["id"])
        assert [event["event_type"] for event in new] == (["ChainBegun"] if revision < migrations.CHAINED else [])
        assert verification.verify_chain().broken is None
        completeness = verification.completeness()
        assert (completeness.drift, completeness.explained) == ([], [])
        assert derived_data.find_problems() == []
    close(app)
