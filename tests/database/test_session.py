"""The engine waits for locks, and prepared statements bypass SQLAlchemy."""

import sqlite3
from contextlib import closing
from threading import Timer

import pytest
from sqlalchemy import bindparam, create_engine, select, text
from sqlalchemy.exc import DBAPIError

from painchain.database.models import LogHead
from painchain.database.prepared import Prepared
from painchain.database.session import (
    IDLE_CONNECTIONS,
    autocommit_connection,
    autocommit_write,
    db,
    engine_options,
    write_transaction,
)
from painchain.database.sqlite import CACHED_KIB, PAGE_BYTES, configure_sqlite
from painchain.database.transaction_values import of_transaction
from tests.conftest import ON_SQLITE


def test_a_connection_waits_while_another_process_creates_the_database(tmp_path):
    file = tmp_path / "painchain.db"
    with closing(sqlite3.connect(file, isolation_level=None, check_same_thread=False)) as other_process:
        other_process.execute("BEGIN EXCLUSIVE")
        timer = Timer(0.3, other_process.execute, ["COMMIT"])
        timer.start()
        engine = create_engine(f"sqlite:///{file}", **engine_options(f"sqlite:///{file}", 1))
        configure_sqlite(engine)
        with engine.connect() as connection:
            assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        timer.join()
        engine.dispose()


@pytest.mark.parametrize("page_bytes", [PAGE_BYTES, 4096], ids=["new", "old"])
def test_a_new_database_has_large_pages_and_an_old_one_keeps_its_own(tmp_path, page_bytes):
    file = tmp_path / "painchain.db"
    if page_bytes != PAGE_BYTES:
        with closing(sqlite3.connect(file)) as old:
            old.execute(f"PRAGMA page_size = {page_bytes}")
            old.execute("CREATE TABLE events (id INTEGER)")
    engine = create_engine(f"sqlite:///{file}", **engine_options(f"sqlite:///{file}", 1))
    configure_sqlite(engine)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE more (id INTEGER)"))
        assert connection.execute(text("PRAGMA page_size")).scalar() == page_bytes
        assert connection.execute(text("PRAGMA wal_autocheckpoint")).scalar() == 4 * 1024 * 1024 / page_bytes
    engine.dispose()


def test_few_connections_to_sqlite_stay_open_after_many_were_used_at_once(tmp_path):
    address = f"sqlite:///{tmp_path / 'painchain.db'}"
    engine = create_engine(address, **engine_options(address, 32))
    configure_sqlite(engine)
    connections = [engine.connect() for _ in range(32 + 8)]
    for connection in connections:
        assert connection.execute(text("PRAGMA cache_size")).scalar() == -CACHED_KIB
        connection.close()
    assert engine.pool.checkedin() == IDLE_CONNECTIONS
    engine.dispose()


def test_a_prepared_statement_returns_the_same_as_the_session(app):
    head = LogHead.__table__
    with app.app_context():
        [row] = Prepared(select(head)).all(db.session.connection())
        assert tuple(row) == tuple(db.session.execute(select(head)).one())


@ON_SQLITE
def test_prepared_statements_need_no_session_which_joins_their_transaction_later(app):
    query = select(LogHead.__table__.c.revision)
    with app.app_context():
        [[revision]] = Prepared(query).all(db.session.connection())
        assert not db.session.registry.has()
        with autocommit_write() as writer:
            writer.execute(text("UPDATE log_head SET revision = revision + 1"))
        assert db.session.scalar(query) == revision, "the transaction began before the write"
        assert db.session.scalar(select(LogHead.revision)) == revision
        assert db.session.connection().get_transaction() is not None
        db.session.rollback()
        assert db.session.scalar(query) == revision + 1
        db.session.remove()
        [[unchanged]] = Prepared(query).all(db.session.connection())
        db.session.execute(text("UPDATE log_head SET revision = revision + 1"))
        db.session.commit()
        assert Prepared(query).all(db.session.connection()) == [[unchanged + 1]]
        connection = db.session.connection()
    assert not connection.in_transaction()


def test_values_are_remembered_until_the_transaction_ends(app):
    with app.app_context():
        of_transaction()["answer"] = 42
        assert of_transaction() == {"answer": 42}
        db.session.execute(select(LogHead.revision))
        assert of_transaction() == {"answer": 42}
        db.session.rollback()
        assert of_transaction() == {}
        with write_transaction():
            of_transaction()["answer"] = 43
        assert of_transaction() == {}


def test_a_refused_statement_raises_an_error_of_sqlalchemy_without_the_values(app):
    with app.app_context():
        db.session.execute(text("ALTER TABLE log_head RENAME TO away"))
        statement = Prepared(select(LogHead.__table__).where(LogHead.__table__.c.id == bindparam("number")))
        with pytest.raises(DBAPIError) as refused:
            statement.all(db.session.connection(), number=424242)
        assert "424242" not in str(refused.value)
        db.session.rollback()


def test_a_connection_to_sqlite_is_kept_for_the_next_use_unless_an_error_ended_the_last_one(tmp_path):
    address = f"sqlite:///{tmp_path / 'painchain.db'}"
    engine = create_engine(address, **engine_options(address, 32))
    configure_sqlite(engine)
    with autocommit_connection(engine) as first:
        first.execute(text("CREATE TABLE numbers (number INTEGER)"))
        with autocommit_connection(engine) as other:
            assert other is not first
    with pytest.raises(DBAPIError), autocommit_connection(engine) as first_again:
        first_again.execute(text("INSERT INTO nowhere VALUES (1)"))
    assert first_again is first
    assert first.closed
    with autocommit_connection(engine) as third:
        assert third is other
        assert not third.in_transaction()
    engine.dispose()
    assert third.closed
