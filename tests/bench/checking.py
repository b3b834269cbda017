"""Measure what the check of a long log leaves of the dashboard: the daily one, and one that somebody waits for."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from statistics import median

from painchain.database.session import db
from tests.bench import servers
from tests.bench.poll import Row, p95, wait
from tests.bench.scale import filled
from tests.bench.servers import Server

EVENTS = 200_000
SOME = 60  # dashboards a measurement: the check goes on for longer
TIMES_IDLE = {"daily": 1.5, "asked for": 2.0}
DUE = {"daily": "UPDATE log_check SET due = 0", "asked for": "UPDATE log_check SET asked = 1"}
RUNNING = "SELECT began IS NOT NULL AND reached > 0 FROM log_check"
ENDED = "UPDATE log_check SET began = NULL"  # the server sees at its next beat that it has lost it
FOR_ITS_END = 3.0


def check(instance: Path, rounds: int) -> Iterator[Row]:
    """Compare how long a dashboard takes while the log is checked, and while nothing happens."""
    with filled(instance, "", EVENTS).app_context():
        db.engine.dispose()
    with servers.painchain(instance) as server:
        wait(lambda: bool(asked(instance, RUNNING)))  # the first of the day
        asked(instance, ENDED)
        for kind, begin in DUE.items():
            idle, busy = zip(*(beside(server, instance, begin) for _ in range(max(rounds, 2))), strict=True)
            case = f"dashboard p95, {EVENTS:,} events, a check {kind}"
            ratio = median(busy) / median(idle)
            figures = [f"{median(some) * 1000:.1f} ms" for some in (idle, busy)]
            yield case, figures[0], figures[1], ratio, TIMES_IDLE[kind], False


def beside(server: Server, instance: Path, begin: str) -> tuple[float, float]:
    """Return the 95th percentile while nothing happens, and while a check goes on, one right behind the other."""
    time.sleep(FOR_ITS_END)
    idle = p95(server, lambda seen: len(seen) < SOME)
    asked(instance, begin)
    wait(lambda: bool(asked(instance, RUNNING)))
    busy = p95(server, lambda seen: len(seen) < SOME)
    if not asked(instance, RUNNING):
        raise SystemExit("the check was over before it was measured")
    asked(instance, ENDED)
    return idle, busy


def asked(instance: Path, statement: str) -> int:
    """Ask the database of a server, or change it, past the server."""
    with closing(sqlite3.connect(instance / "painchain.db", timeout=10)) as connection, connection:
        row = connection.execute(statement).fetchone()
    return int(row[0]) if row else 0
