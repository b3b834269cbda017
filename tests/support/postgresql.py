"""The PostgreSQL test server: databases are reset between tests instead of created again."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import create_engine, text
from sqlalchemy.engine import Connection, Engine, make_url
from sqlalchemy.exc import DBAPIError

POSTGRES = os.environ.get("PAINCHAIN_TEST_POSTGRES", "")
COPY = "painchain_test_"  # the prefix of the names of copies
USES = 40  # tests per copy; then a new one is made, because deleted rows take space until a vacuum

TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
SEQUENCES = """
    SELECT sequencename, coalesce(last_value, start_value), last_value IS NOT NULL
    FROM pg_sequences WHERE schemaname = 'public'
"""
# The changes that a test can make to a database besides writing rows.
SHAPE = """
    SELECT
        (SELECT string_agg(concat(relname, relkind, relchecks, relhastriggers), ' ' ORDER BY relname)
            FROM pg_class WHERE relnamespace = 'public'::regnamespace),
        (SELECT string_agg(concat(attrelid, attname, atttypid, attnotnull), ' ' ORDER BY attrelid, attnum)
            FROM pg_attribute JOIN pg_class ON attrelid = pg_class.oid WHERE relnamespace = 'public'::regnamespace),
        (SELECT string_agg(concat(tgname, tgenabled), ' ' ORDER BY oid) FROM pg_trigger WHERE NOT tgisinternal),
        (SELECT string_agg(proname, ' ' ORDER BY oid) FROM pg_proc WHERE pronamespace = 'public'::regnamespace),
        (SELECT string_agg(setconfig::text, ' ') FROM pg_db_role_setting)
"""


def postgres_url(name: str) -> str:
    """Return the URL of a database on the test server."""
    return make_url(POSTGRES).set(database=name).render_as_string(hide_password=False)


@contextmanager
def connected(url: str, **options: str) -> Iterator[Connection]:
    """Connect to a database of the test server."""
    engine = create_engine(url, **options)
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


def on_server(statement: str) -> None:
    """Run a statement on the PostgreSQL test server."""
    with connected(POSTGRES, isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(statement))


def keep_rows(url: str) -> None:
    """Store a copy of every row, and a function that restores all rows."""
    with connected(url) as connection, connection.begin():
        connection.execute(text("CREATE SCHEMA stored"))
        tables = connection.scalars(text(TABLES)).all()
        for table in tables:
            connection.execute(text(f"CREATE TABLE stored.{table} AS TABLE public.{table}"))
        rows = [f"DELETE FROM public.{table}; INSERT INTO public.{table} TABLE stored.{table};" for table in tables]
        numbers = [
            f"PERFORM setval('public.{sequence}', {last_value}, {is_used});"
            for sequence, last_value, is_used in connection.execute(text(SEQUENCES))
        ]
        # Foreign keys are off meanwhile. If a connection still holds a lock, this fails, and a new copy is made.
        settings = "SET session_replication_role = replica SET lock_timeout = '1s'"
        body = f"BEGIN {' '.join(rows + numbers)} END"
        connection.execute(
            text(f"CREATE FUNCTION stored.restore_rows() RETURNS void LANGUAGE plpgsql {settings} AS $${body}$$")
        )


class Copy:
    """A copy of the template database. It is replaced if a test changed more than rows."""

    def __init__(self, template: str):
        self.template = template
        self.name = ""
        self.shape: object = None
        self.uses = 0
        self.engine: Engine | None = None

    def fresh(self) -> str:
        """Return the name of a database in its state after a first start."""
        if self.engine is None or self.uses >= USES or not self._restore(self.engine):
            self.drop()
            self.name, self.uses = f"{COPY}{uuid.uuid4().hex[:8]}", 0
            on_server(f"CREATE DATABASE {self.name} TEMPLATE {self.template}")
            self.engine = create_engine(postgres_url(self.name), pool_size=1)
            with self.engine.connect() as connection:
                self.shape = connection.execute(text(SHAPE)).one()
        self.uses += 1
        return self.name

    def drop(self) -> None:
        """Drop the database."""
        if self.engine is not None:
            self.engine.dispose()
            on_server(f"DROP DATABASE IF EXISTS {self.name} WITH (FORCE)")

    def _restore(self, engine: Engine) -> bool:
        try:
            with engine.begin() as connection:
                if connection.execute(text(SHAPE)).one() != self.shape:
                    return False
                connection.execute(text("SELECT stored.restore_rows()"))
            return True
        except DBAPIError:
            return False
