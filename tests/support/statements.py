"""Count the statements that reach a database's driver, from any layer of PainChain."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from flask import Flask
from psycopg.pq import TransactionStatus
from sqlalchemy import event
from sqlalchemy.engine import Engine

from painchain.database.session import db

# Not counted: the pool's check of a connection, and the end of a transaction.
IGNORED = ("PRAGMA", ";", "COMMIT", "ROLLBACK")


def _record(statements: list[str], text: object) -> None:
    statement = " ".join(str(text).split())
    if statement and not statement.startswith(IGNORED):
        statements.append(statement)


def _sqlite_factory(statements: list[str]) -> type[sqlite3.Connection]:
    class Cursor(sqlite3.Cursor):
        def execute(self, statement: str, *values: Any) -> Any:
            _record(statements, statement)
            return super().execute(statement, *values)

        def executemany(self, statement: str, rows: Any) -> Any:
            _record(statements, statement)
            return super().executemany(statement, rows)

    class Connection(sqlite3.Connection):
        def cursor(self, factory: Any = Cursor) -> Any:
            return super().cursor(factory)

    return Connection


def _postgresql_factory(statements: list[str]) -> type[psycopg.Cursor[Any]]:
    class Cursor(psycopg.Cursor[Any]):
        def begin(self) -> None:
            """Count the BEGIN that the driver sends by itself before the first statement of a transaction."""
            if not self.connection.autocommit and self.connection.info.transaction_status == TransactionStatus.IDLE:
                statements.append("BEGIN")

        def execute(self, query: Any, *values: Any, **more: Any) -> Any:
            self.begin()
            _record(statements, query)
            return super().execute(query, *values, **more)

        def executemany(self, query: Any, *values: Any, **more: Any) -> None:
            self.begin()
            _record(statements, query)
            super().executemany(query, *values, **more)

        def copy(self, statement: Any, *values: Any, **more: Any) -> Any:
            self.begin()
            _record(statements, statement)
            return super().copy(statement, *values, **more)

    return Cursor


@contextmanager
def recorded_statements(app: Flask) -> Iterator[list[str]]:
    """Record the statements that the app sends to its database: one for each ``execute``, ``executemany`` or COPY.

    BEGIN counts; COMMIT and ROLLBACK do not, nor does the pool's check of a connection. The list is
    empty at first, and contains statements of SQLAlchemy and statements that go directly to the driver.
    """
    statements: list[str] = []
    with app.app_context():
        engine = db.engine
    engine.dispose()

    def connect(dialect: Any, record: Any, positional: Any, named: dict[str, Any]) -> None:
        if dialect.name == "sqlite":
            named["factory"] = _sqlite_factory(statements)
        else:
            named["cursor_factory"] = _postgresql_factory(statements)

    event.listen(Engine, "do_connect", connect)  # tests share a dialect between engines
    try:
        with engine.connect():
            pass
        statements.clear()
        yield statements
    finally:
        event.remove(Engine, "do_connect", connect)
        engine.dispose()
