"""Measure how long it takes to verify a long log, compared with a bare SELECT of the hashed columns."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import text

from painchain.database.session import db, read_transaction
from painchain.eventlog.chain import FIELDS
from painchain.integrity import verification
from tests.bench import progress
from tests.bench.scale import filled

EVENTS, MOST_SECONDS = 1_000_000, 60
LEAST_OF_BARE = 0.1  # the bare SELECT does not parse, serialise and hash JSON


def walk(folder: Path) -> Iterator[tuple[str, str, str, float, float, bool]]:
    """Yield the rows of the table: events per second compared with the bare SELECT, and the seconds of a full check."""
    app = filled(folder, "", EVENTS)
    progress.begin(f"verification of {EVENTS:,} events", 600)
    with app.app_context():
        begin = time.perf_counter()
        with read_transaction() as connection:
            for _ in connection.execute(text(f"SELECT id, mac, {', '.join(FIELDS)} FROM change_events ORDER BY id")):
                pass
        bare = EVENTS / (time.perf_counter() - begin)
        begin = time.perf_counter()
        result = verification.verify_chain()
        ours = EVENTS / (time.perf_counter() - begin)
        verification.completeness()
        seconds = time.perf_counter() - begin
        db.session.remove()
        db.engine.dispose()
    assert result.broken is None
    case = f"walk along {EVENTS:,} events"
    yield case, f"{bare:,.0f}/s", f"{ours:,.0f}/s", ours / bare, LEAST_OF_BARE, True
    yield f"verify {EVENTS:,} events", "", f"{seconds:.0f} s", seconds, MOST_SECONDS, False
