"""Fill a database with events that look like those PainChain wrote, by bulk SQL."""

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
    """Return the request that adds the connector which the events are about."""
    return _post("/api/connectors", CONNECTOR)


def _post(address: str, body: dict[str, object]) -> Request:
    return Request(address, json.dumps(body).encode(), {"Content-Type": "application/json"}, status=201)


def fill(instance: Path, number: int, span: timedelta) -> None:
    """Repeat the events of a stopped server in turn, evenly over `span` up to now, until there are `number`."""
    with closing(sqlite3.connect(instance / "painchain.db", isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("BEGIN")
        have, columns = _sample(connection)
        indexes = connection.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql NOTNULL"
        ).fetchall()
        for name, _ in indexes:
            connection.execute(f"DROP INDEX {name}")
        _repeat(connection, columns, have, number, span)
        for _, statement in indexes:
            connection.execute(statement)
        connection.execute("COMMIT")
    app = create_app(config.load({"PAINCHAIN_INSTANCE": str(instance), "PAINCHAIN_LOG_LEVEL": "error"}))
    with app.app_context():
        with writer.writing() as event_log:
            event_log.count()
        db.session.remove()
        db.engine.dispose()
    # What was copied fits no chain, and nobody measures here what the daily check takes.
    later = time.time_ns() // 1000 + int(timedelta(hours=23) / timedelta(microseconds=1))
    with closing(sqlite3.connect(instance / "painchain.db")) as connection:
        connection.execute("UPDATE log_check SET due = ?", [later])
        connection.commit()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _sample(connection: sqlite3.Connection) -> tuple[int, str]:
    """Keep the events that are there to copy from. Return their number, and the columns to copy as they are."""
    connection.execute("CREATE TEMP TABLE sample AS SELECT * FROM change_events ORDER BY id")
    have = connection.execute("SELECT count(*) FROM sample").fetchone()[0]
    own = ("id", "event_id", "request_id", "timestamp", "recorded_at")
    names = [row[1] for row in connection.execute("PRAGMA table_info(change_events)") if row[1] not in own]
    return have, ", ".join(names)


def _repeat(connection: sqlite3.Connection, columns: str, have: int, number: int, span: timedelta) -> None:
    stamp = time.time_ns() // 1000
    step = int(span / timedelta(microseconds=1)) // number
    connection.execute(
        f"""
        INSERT INTO change_events (id, event_id, request_id, timestamp, recorded_at, {columns})
        WITH RECURSIVE numbers(n, stamp) AS (
            VALUES (:have + 1, :stamp - :step * (:number - :have - 1))
            UNION ALL SELECT n + 1, stamp + :step FROM numbers WHERE n < :number
        )
        SELECT n, rtrim(event_id, '.0123456789') || printf('%d.%06d', stamp / 1000000, stamp % 1000000),
            lower(hex(randomblob(16))), stamp, stamp, {columns}
        FROM numbers JOIN sample ON sample.rowid = n % :have + 1
        """,
        {"have": have, "number": number, "stamp": stamp, "step": step},
    )
    connection.execute(
        "INSERT INTO event_tags (tag, event) "
        'SELECT value, change_events.id FROM json_each(\'["audit","system"]\'), change_events '
        "WHERE change_events.id > ? ORDER BY 1, 2",
        [have],
    )
    connection.execute(
        "UPDATE log_head SET revision = revision + ?, last_event = ?, last_stamp = ?", [number - have, number, stamp]
    )
