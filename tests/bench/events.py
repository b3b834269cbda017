"""Fill a database with copies of real events by bulk SQL."""

from __future__ import annotations

import json
import sqlite3
import time
from contextlib import closing
from datetime import timedelta
from pathlib import Path

from painchain.core import config
from painchain.database.session import db
from painchain.eventlog import writer
from painchain.startup import create_app
from tests.bench.servers import Request

CHANGE = {
    "event_type": "config_changed",
    "connector_name": "Work GitHub",
    "connector_type": "github",
    "field": "poll_interval",
    "old_value": 300,
    "new_value": 3600,
    "author": "bench",
}
_ABOUT = {"connector_name": "Work GitHub", "connector_type": "github"}
_SEVERAL = {
    "poll_interval": {"old": 300, "new": 3600},
    "repos": {"old": ["acme/api"], "new": ["acme/api", "acme/web"]},
    "tags": {"old": ["backend"], "new": ["backend", "frontend"]},
}
SAMPLES = (
    CHANGE,
    {**CHANGE, "field": "repos", "old_value": ["acme/api"], "new_value": ["acme/api", "acme/web"]},
    {**_ABOUT, "event_type": "connector_updated", "changes": _SEVERAL},
    {**_ABOUT, "event_type": "connector_enabled"},
    {**_ABOUT, "event_type": "connector_created"},
    {
        "event_type": "field_visibility_changed",
        "connector_type": "PullRequest",
        "field_key": "author",
        "visible": False,
    },
)

CONNECTOR = {
    "type": "github",
    "name": "Work GitHub",
    "tags": "backend,frontend",
    "config": {"token": "made-up-token", "repos": ["acme/api", "acme/web"]},
}


def report(event: dict[str, object]) -> Request:
    """Return the request that logs an event."""
    return _post("/api/painchain/log", event)


def add_connector() -> Request:
    """Return the request that adds the connector of the events."""
    return _post("/api/connectors", CONNECTOR)


def _post(address: str, body: dict[str, object]) -> Request:
    return Request(address, json.dumps(body).encode(), {"Content-Type": "application/json"}, status=201)


def fill(instance: Path, number: int, span: timedelta) -> None:
    """Repeat the events of a stopped server in turn, evenly spread over `span` until now, up to `number` events."""
    with closing(sqlite3.connect(instance / "painchain.db", isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("BEGIN")
        sample_size, columns = _sample(connection)
        indexes = connection.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql NOTNULL"
        ).fetchall()
        for name, _ in indexes:
            connection.execute(f"DROP INDEX {name}")
        _repeat(connection, columns, sample_size, number, span)
        for _, statement in indexes:
            connection.execute(statement)
        connection.execute("COMMIT")
    app = create_app(config.load({"PAINCHAIN_INSTANCE": str(instance), "PAINCHAIN_LOG_LEVEL": "error"}))
    with app.app_context():
        with writer.writing() as event_log:
            event_log.count()
        db.session.remove()
        db.engine.dispose()
    # The copies break the chain. Postpone the daily check, which is not measured here.
    later = time.time_ns() // 1000 + int(timedelta(hours=23) / timedelta(microseconds=1))
    with closing(sqlite3.connect(instance / "painchain.db")) as connection:
        connection.execute("UPDATE log_check SET due = ?", [later])
        connection.commit()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _sample(connection: sqlite3.Connection) -> tuple[int, str]:
    """Store the present events as the sample to copy. Return their number and the columns to copy unchanged."""
    connection.execute("CREATE TEMP TABLE sample AS SELECT * FROM change_events ORDER BY id")
    sample_size = connection.execute("SELECT count(*) FROM sample").fetchone()[0]
    own = ("id", "event_id", "request_id", "timestamp", "recorded_at")
    names = [row[1] for row in connection.execute("PRAGMA table_info(change_events)") if row[1] not in own]
    return sample_size, ", ".join(names)


def _repeat(connection: sqlite3.Connection, columns: str, sample_size: int, number: int, span: timedelta) -> None:
    stamp = time.time_ns() // 1000
    step = int(span / timedelta(microseconds=1)) // number
    connection.execute(
        f"""
        INSERT INTO change_events (id, event_id, request_id, timestamp, recorded_at, {columns})
        WITH RECURSIVE numbers(n, stamp) AS (
            VALUES (:sample_size + 1, :stamp - :step * (:number - :sample_size - 1))
            UNION ALL SELECT n + 1, stamp + :step FROM numbers WHERE n < :number
        )
        SELECT n, rtrim(event_id, '.0123456789') || printf('%d.%06d', stamp / 1000000, stamp % 1000000),
            lower(hex(randomblob(16))), stamp, stamp, {columns}
        FROM numbers JOIN sample ON sample.rowid = n % :sample_size + 1
        """,
        {"sample_size": sample_size, "number": number, "stamp": stamp, "step": step},
    )
    connection.execute(
        "UPDATE log_head SET revision = revision + ?, last_event = ?, last_stamp = ?",
        [number - sample_size, number, stamp],
    )
