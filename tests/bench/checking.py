"""Measure how much the check of a long log slows down the dashboard: the daily check, and one on demand."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from statistics import median

from painchain.database.session import db
from tests.bench import progress, servers
from tests.bench.poll import Row, p95, wait
from tests.bench.scale import filled
from tests.bench.servers import Server

EVENTS = 200_000
SAMPLES = 60  # requests per measurement; a check takes longer than these
TIMES_IDLE = {"daily": 1.5, "on demand": 2.0}
DUE = {"daily": "UPDATE log_check SET due = 0", "on demand": "UPDATE log_check SET asked = 1"}
RUNNING = "SELECT began IS NOT NULL AND reached > 0 FROM log_check"
ENDED = "UPDATE log_check SET began = NULL"  # the server notices at its next heartbeat that it has lost the check
SECONDS_TO_STOP = 3.0


def check(instance: Path, rounds: int) -> Iterator[Row]:
    """Compare the response times of a dashboard during a check of the log and without one."""
    with filled(instance, "", EVENTS).app_context():
        db.engine.dispose()
    with servers.painchain(instance) as server:
        wait(lambda: bool(run_statement(instance, RUNNING)))  # the first check of the day
        run_statement(instance, ENDED)
        for kind, start_check in DUE.items():
            progress.begin(f"a check {kind}", 120 * (rounds + 1))
            idle, during_check = zip(
                *(measure_check(server, instance, start_check) for _ in range(max(rounds, 2))), strict=True
            )
            case = f"dashboard p95, {EVENTS:,} events, a check {kind}"
            ratio = median(during_check) / median(idle)
            figures = [f"{median(seconds) * 1000:.1f} ms" for seconds in (idle, during_check)]
            yield case, figures[0], figures[1], ratio, TIMES_IDLE[kind], False


def measure_check(server: Server, instance: Path, start_check: str) -> tuple[float, float]:
    """Return the 95th percentile of the response times without a check, then during one."""
    time.sleep(SECONDS_TO_STOP)
    idle = p95(server, lambda times: len(times) < SAMPLES)
    run_statement(instance, start_check)
    wait(lambda: bool(run_statement(instance, RUNNING)))
    during_check = p95(server, lambda times: len(times) < SAMPLES)
    if not run_statement(instance, RUNNING):
        raise SystemExit("the check was over before it was measured")
    run_statement(instance, ENDED)
    return idle, during_check


def run_statement(instance: Path, statement: str) -> int:
    """Run a statement on the database of a server, without the server, and return the first value."""
    with closing(sqlite3.connect(instance / "painchain.db", timeout=10)) as connection, connection:
        row = connection.execute(statement).fetchone()
    return int(row[0]) if row else 0
