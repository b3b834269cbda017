"""The migrations create exactly the tables of the models, and only once."""

from __future__ import annotations

from typing import Any

import flask_migrate
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import Flask
from sqlalchemy import inspect, text

from painchain import migrations
from painchain.core import config
from painchain.database.session import Base, db
from painchain.startup import create_app
from painchain.timeline import queries
from tests.conftest import close
from tests.support.migrations import alembic


def everything() -> dict[str, tuple[Any, list[Any]]]:
    """Return the columns and the rows of every table."""
    schema = inspect(db.engine)
    with db.engine.connect() as connection:
        return {
            name: (
                [str(column) for column in schema.get_columns(name)],
                sorted(map(str, connection.execute(text(f"SELECT * FROM {name}")))),
            )
            for name in schema.get_table_names()
        }


def is_in_models(name: str | None, kind: str, parents: Any) -> bool:
    """Return whether the models describe a table, index or constraint. Some exist only in the migrations."""
    return not str(name).startswith(("event_words", "ix_change_events_words", "uq_change_events_event_id"))


def test_the_migrations_create_the_tables_of_the_models(app: Flask) -> None:
    with app.app_context(), db.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "include_name": is_in_models})
        assert compare_metadata(context, Base.metadata) == []


def test_a_new_database_is_at_the_newest_migration(app: Flask) -> None:
    with app.app_context(), db.engine.connect() as connection:
        assert connection.execute(text("SELECT version_num FROM alembic_version")).all() == [(migrations.NEWEST,)]


def test_newest_returns_the_newest_migration() -> None:
    assert ScriptDirectory(str(migrations.FOLDER)).get_heads() == [migrations.NEWEST]


def test_upgrading_twice_does_nothing(app: Flask) -> None:
    with app.app_context():
        before = everything()
        migrations.upgrade()
        flask_migrate.upgrade(directory=alembic(app))
        assert everything() == before
    assert len(before["connectors"][1]) == len(before["change_events"][1]) == 1


def test_a_second_start_changes_no_row(app: Flask, settings: config.Settings) -> None:
    with app.app_context():
        before = everything()
    close(create_app(settings))
    with app.app_context():
        after = everything()
    # A start may change the head of the log, which counts all writes.
    assert before.pop("log_head")[0] == after.pop("log_head")[0]
    assert after == before


def test_a_database_of_an_older_version_is_upgraded(app: Flask) -> None:
    with app.app_context():
        before = {name: columns for name, (columns, _) in everything().items()}
        flask_migrate.downgrade(directory=alembic(app), revision="base")
        assert inspect(db.engine).get_table_names() == ["alembic_version"]
        migrations.upgrade()
        assert {name: columns for name, (columns, _) in everything().items()} == before


def test_upgrading_does_not_block_other_servers(app: Flask, settings: config.Settings) -> None:
    with app.app_context():
        flask_migrate.downgrade(directory=alembic(app), revision="base")
        migrations.upgrade()
    # The second server starts while the first one is still running.
    second_app = create_app(settings)
    with second_app.app_context():
        flask_migrate.upgrade(directory=alembic(second_app))
    close(second_app)


def test_a_database_of_a_newer_version_is_not_changed(app: Flask) -> None:
    with app.app_context():
        db.session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        db.session.commit()
        with pytest.raises(migrations.NewerDatabase, match="newer version of PainChain"):
            migrations.upgrade()


def test_a_second_start_writes_nothing(app: Flask, settings: config.Settings) -> None:
    with app.app_context():
        before = queries.head()
    second = create_app(settings)
    with second.app_context():
        assert queries.head() == before
    close(second)
