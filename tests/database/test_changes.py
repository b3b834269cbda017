"""The version of the data changes with each write, of this process and of others, and with nothing else."""

from __future__ import annotations

from collections.abc import Hashable
from threading import Thread

import pytest
from flask import Flask
from sqlalchemy import create_engine, text

from painchain.core import runtime
from painchain.database.session import autocommit_write, db, write_transaction
from tests.conftest import ON_SQLITE

CHANGE = text("UPDATE log_head SET revision = revision + 1")


@pytest.fixture
def inside(app: Flask) -> object:
    with app.app_context():
        yield app


def version() -> Hashable:
    return runtime.current().changes.version(db.engine)


@pytest.mark.both_databases
@pytest.mark.usefixtures("inside")
def test_the_version_changes_with_the_writes_of_this_process_and_of_others() -> None:
    versions = [version()]
    with write_transaction() as connection:
        connection.execute(CHANGE)
    versions.append(version())
    with autocommit_write() as connection:
        connection.execute(CHANGE)
    versions.append(version())
    other = create_engine(db.engine.url)
    with other.begin() as connection:
        connection.execute(CHANGE)
    other.dispose()
    versions.append(version())
    assert len(set(versions)) == 4


@ON_SQLITE  # on PostgreSQL, other tests change it at any time
@pytest.mark.usefixtures("inside")
def test_the_version_stays_the_same_while_others_read_or_have_not_committed() -> None:
    before = version()
    assert db.session.execute(text("SELECT revision FROM log_head")).scalar_one() >= 0
    assert version() == before
    other = create_engine(db.engine.url)
    with other.connect() as connection:
        connection.execute(CHANGE)
        versions = {version(), version()}
        connection.rollback()
    other.dispose()
    assert len(versions) == 1


@ON_SQLITE
def test_threads_see_the_same_versions(app: Flask) -> None:
    versions: list[Hashable] = []

    def look() -> None:
        with app.app_context():
            versions.extend(version() for _ in range(50))

    threads = [Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(versions) == 200
    assert len(set(versions)) == 1


@ON_SQLITE
@pytest.mark.usefixtures("inside")
def test_a_new_connection_counts_as_a_change() -> None:
    before = version()
    db.engine.dispose()
    assert version() != before
