"""An event takes few bytes on the disk, with everything that is derived from it."""

from __future__ import annotations

from datetime import UTC, datetime

from flask import Flask
from sqlalchemy import text

from painchain.database.session import db
from painchain.eventlog import writer
from painchain.maintenance import demo_data

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
EVENTS = 3_000
MOST_BYTES = {"sqlite": 1_250, "postgresql": 2_000}  # a long log takes less, above all on PostgreSQL
SIZE = {
    "sqlite": "SELECT (SELECT * FROM pragma_page_size) * (SELECT * FROM pragma_page_count)",
    "postgresql": "SELECT sum(pg_total_relation_size(oid)) FROM pg_class "
    "WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace",
}


def size() -> int:
    """Return the bytes of all tables and indexes."""
    with db.engine.connect() as connection:
        return int(connection.execute(text(SIZE[connection.dialect.name])).scalar_one())


def test_an_event_takes_few_bytes(app: Flask) -> None:
    with app.app_context():
        before = size()
        demo_data.fill(EVENTS, 1, 1, NOW, lambda events: None)
        with writer.writing() as event_log:
            event_log.count()
        assert (size() - before) / EVENTS < MOST_BYTES[db.engine.dialect.name]
