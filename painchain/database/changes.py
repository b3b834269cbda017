"""Tell whether anything was written to the database since, whichever process wrote it, without reading a table."""

from __future__ import annotations

from collections.abc import Hashable
from threading import Lock

from sqlalchemy.engine import Connection, Engine

from painchain.database.kept_connections import kept_connection
from painchain.database.prepared import execute_raw
from painchain.database.session import autocommit_connection


class Changes:
    """The version of the committed data: while it is the same, every query has the same result.

    SQLite counts for a connection how often others changed the database. PostgreSQL names the transactions that a
    query sees the results of.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._connection: Connection | None = None
        self._connections = 0

    def version(self, engine: Engine) -> Hashable:
        """Return the current version.

        :raises sqlalchemy.exc.SQLAlchemyError: when the database does not answer.
        """
        if engine.dialect.name == "postgresql":
            with autocommit_connection(engine) as connection:
                return str(execute_raw(connection, "SELECT CAST(txid_current_snapshot() AS TEXT)")[0][0])
        # Always the same connection, which writes nothing: numbers of two of them cannot be compared.
        with self._lock, kept_connection(engine, "counts_changes") as connection:
            if connection is not self._connection:
                self._connection, self._connections = connection, self._connections + 1
            return self._connections, execute_raw(connection, "PRAGMA data_version")[0][0]
