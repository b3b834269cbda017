"""Many rows are written with few statements, and read back as they were, on both databases."""

from __future__ import annotations

import pytest
from flask import Flask
from sqlalchemy import select

from painchain.database.bulk import FEW_ROWS, UPSERTED_TOGETHER, BulkInsert, BulkUpsert
from painchain.database.models import EventCount, EventSet, PrunedRun
from painchain.database.session import Base, db

COUNTS, SETS, RUNS = (Base.metadata.tables[model.__tablename__] for model in (EventCount, EventSet, PrunedRun))
# What the formats of COPY and of arrays treat specially.
ODD_TEXTS = ("", "NULL", "\\N", "\\.", "a\tb\nc\r", 'a "quote", {brace}', "back\\slash", "Größe 日本 😀", " ")


@pytest.mark.parametrize("rows", [1, FEW_ROWS, FEW_ROWS + 1, 500])
def test_rows_are_read_as_they_were_inserted(app: Flask, rows: int) -> None:
    texts = [ODD_TEXTS[number % len(ODD_TEXTS)] for number in range(rows)]
    written = [(text, 900, str(number), -number, "bulk", number << 40) for number, text in enumerate(texts)]
    with app.app_context():
        connection = db.session.connection()
        BulkInsert(COUNTS).run(connection, written)
        assert {*map(tuple, connection.execute(select(COUNTS)))} >= {*written}
        runs = [(number, number, bytes([number % 256, 0, 92]), b"\\N") for number in range(rows)]
        BulkInsert(RUNS).run(connection, runs)
        assert sorted(map(tuple, connection.execute(select(RUNS)))) == runs


def test_no_rows_are_no_statement(app: Flask) -> None:
    with app.app_context():
        BulkInsert(RUNS).run(db.session.connection(), [])
        BulkUpsert(COUNTS, "events", adds=True).run(db.session.connection(), [])
        assert db.session.scalars(select(RUNS.c.first)).all() == []


@pytest.mark.parametrize("more", [0, UPSERTED_TOGETHER - len(ODD_TEXTS), 2 * UPSERTED_TOGETHER])
def test_upserts_add_or_replace(app: Flask, more: int) -> None:
    texts = [*ODD_TEXTS, *map(str, range(more))]
    with app.app_context():
        connection = db.session.connection()
        for events in (1, 2):
            rows = [(value, 7, value, 1, "bulk", events) for value in texts]
            BulkUpsert(COUNTS, "events", adds=True).run(connection, rows)
            bits = [("bulk", 0, 0, 1, value, bytes([events, 0, 92, 255])) for value in texts]
            BulkUpsert(SETS, "bits", adds=False).run(connection, bits)
        counts = connection.execute(select(COUNTS.c.value, COUNTS.c.events).where(COUNTS.c.source == "bulk"))
        assert sorted(map(tuple, counts)) == [(value, 3) for value in sorted(texts)]
        stored = connection.execute(select(SETS.c.value, SETS.c.bits).where(SETS.c.facet == "bulk"))
        assert {(value, bytes(bits)) for value, bits in stored} == {(value, b"\2\0\\\xff") for value in texts}
