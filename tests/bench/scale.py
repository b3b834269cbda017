"""Measure how read times grow with the log (10,000 to 1,000,000 events) on each database, and print the query plans."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from flask import Flask
from sqlalchemy import create_engine, event, text
from sqlalchemy.engine import make_url

from painchain.core import config
from painchain.database.dialects import analyze
from painchain.database.session import db
from painchain.maintenance import demo_data
from painchain.startup import create_app
from painchain.timeline import histogram, queries
from painchain.timeline.cursor import Cursor
from painchain.timeline.filter import RANGES, Filter
from tests.bench import bulk, progress

SIZES = (10_000, 100_000, 1_000_000)
DAYS = 90
TARGET = 1.5
Read = Callable[[], object]

FILTERS = {
    "source": Filter(source=("gitlab",)),
    "source, few": Filter(source=("painchain",)),
    "type": Filter(event_type=("Release",)),
    "connector": Filter(connector=("Demo staging cluster",)),
    "author": Filter(author=("demo-dave",)),
    "author, rare": Filter(author=(demo_data.RARE,)),
    "author, none": Filter(author=("nobody",)),
    "tag": Filter(tag=("staging",)),
    "two tags": Filter(tag=("staging", "platform")),
    "status": Filter(status=("failed",)),
    "source and author": Filter(source=("gitlab",), author=("demo-dave",)),
    "author and type": Filter(author=("demo-dave",), event_type=("Release",)),
    "rare author and type": Filter(author=(demo_data.RARE,), event_type=("Release",)),
}
SEARCHES = ("poll", "demo", "raise memory", "-poll", "unheard")
COLUMNS = ("source", "event_type", "connector_name", "author", "status")


def reads(app: Flask, now: datetime) -> Iterator[tuple[str, Read]]:
    """Yield the name and the function of each read."""
    middle = Cursor(now - timedelta(days=DAYS / 2), 0)
    utc = ZoneInfo("UTC")

    def chart(event_filter: Filter, range_: str, zone: ZoneInfo = utc) -> Read:
        start = now - RANGES[range_] if range_ in RANGES else None
        return lambda: histogram.histogram(Filter(**{**vars(event_filter), "start": start}), now, zone)

    yield "page: newest", lambda: queries.page(Filter())
    yield "page: middle", lambda: queries.page(Filter(), middle)
    for name, event_filter in FILTERS.items():
        yield f"page: {name}", lambda event_filter=event_filter: queries.page(event_filter)
    yield "page: author, middle", lambda: queries.page(FILTERS["author"], middle)
    yield "page: tag, middle", lambda: queries.page(FILTERS["tag"], middle)
    for range_ in (*RANGES, "all"):
        yield f"chart: {range_}", chart(Filter(), range_)
    yield "chart: 90d in Berlin", chart(Filter(), "90d", ZoneInfo("Europe/Berlin"))
    yield "chart: 90d in Kolkata", chart(Filter(), "90d", ZoneInfo("Asia/Kolkata"))
    for name, event_filter in FILTERS.items():
        yield f"chart: 24h, {name}", chart(event_filter, "24h")
        yield f"chart: 90d, {name}", chart(event_filter, "90d")
    for q in SEARCHES:
        for range_ in ("24h", "90d"):
            yield f"chart: {range_}, q={q}", chart(Filter(q=q), range_)
    yield (
        "statistics",
        lambda: [histogram.count(Filter()), *(histogram.counts_by(column, Filter()) for column in COLUMNS)],
    )
    yield "menus of the filter", queries.filter_values
    two = FILTERS["author and type"]
    yield "statistics, author and type", lambda: histogram.statistics(two, COLUMNS)
    client = app.test_client()
    for range_ in ("24h", "90d"):
        # The unknown parameter is ignored, and avoids a cached response.
        yield (
            f"whole dashboard, {range_}",
            lambda range_=range_: client.get(f"/?range={range_}&n={time.monotonic_ns()}"),
        )


def scale(folder: Path, rounds: int) -> Iterator[str]:
    """Measure on SQLite and, where PAINCHAIN_TEST_POSTGRES names a server, on PostgreSQL."""
    yield from measured("SQLite", {size: (folder / f"sqlite-{size}", "") for size in SIZES}, rounds)
    if server := os.environ.get("PAINCHAIN_TEST_POSTGRES", ""):
        with databases(server) as urls:
            yield from measured("PostgreSQL", {size: (folder / f"pg-{size}", urls[size]) for size in SIZES}, rounds)


@contextmanager
def databases(server: str) -> Iterator[dict[int, str]]:
    """Make a PostgreSQL database for each size, and drop them at the end."""
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    names = {size: f"painchain_bench_{os.getpid()}_{size}" for size in SIZES}
    try:
        with engine.connect() as connection:
            for name in names.values():
                connection.execute(text(f"CREATE DATABASE {name}"))
        yield {size: make_url(server).set(database=name).render_as_string(False) for size, name in names.items()}
    finally:
        with engine.connect() as connection:
            for name in names.values():
                connection.execute(text(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
        engine.dispose()


def measured(database: str, instances: dict[int, tuple[Path, str]], rounds: int) -> Iterator[str]:
    """Yield the table of one database, in milliseconds, and the query plans at the largest size."""
    times_by_name: dict[str, list[float]] = {}
    plans: dict[str, list[str]] = {}
    for size, (instance, url) in instances.items():
        app = filled(instance, url, size)
        progress.begin(f"{database}: reads of {size:,} events", 600)
        with app.app_context():
            for name, read in reads(app, datetime.now(UTC)):
                times_by_name.setdefault(name, []).append(best(read, rounds))
                if size == max(instances):
                    plans[name] = list(plan(read))
            db.session.remove()
            db.engine.dispose()
    yield f"{database:<40} {''.join(f'{size:>12,}' for size in instances)} {'ratio':>8}"
    for name, times in times_by_name.items():
        ratio = times[-1] / times[0]
        verdict = "ok" if ratio <= TARGET else "miss"
        cells = "".join(f"{milliseconds:>9.2f} ms" for milliseconds in times)
        yield f"{name:<40} {cells} {ratio:>8.2f}  ≤ {TARGET} {verdict}"
    progress.begin(f"{database}: exports and deletions", 900)
    yield from bulk.exported(database, instances)
    yield from bulk.pruned(database, app)
    for name, steps in plans.items():
        yield f"plan of {name}:"
        yield from (f"    {step}" for step in steps)


def filled(instance: Path, url: str, size: int) -> Flask:
    """Return an app whose log has `size` demo events; a log with events is left unchanged."""
    environ = {"PAINCHAIN_INSTANCE": str(instance), "PAINCHAIN_DATABASE_URL": url, "PAINCHAIN_LOG_LEVEL": "error"}
    app = create_app(config.load(environ))
    with app.app_context():
        if queries.head().last_event <= 1:
            progress.begin(f"a log of {size:,} events", 60 + size / 500)
            demo_data.fill(size, DAYS, 1, datetime.now(UTC), lambda done: None)
            analyze()
        db.session.remove()
    return app


def best(read: Read, rounds: int) -> float:
    """Return the milliseconds of the fastest round: other processes on the machine can only slow it down.

    For SQLite this is the processor time of this thread, because SQLite works in it.
    """
    clock = time.thread_time if db.engine.dialect.name == "sqlite" else time.perf_counter
    times = []
    for _ in range(max(rounds, 2)):
        db.session.rollback()
        begin = clock()
        read()
        times.append(clock() - begin)
    return min(times) * 1000


def plan(read: Read) -> Iterator[str]:
    """Yield the steps of the query plans of a read, without those that read the head of the log."""
    statements: list[tuple[str, Any]] = []

    def listen(connection: Any, cursor: Any, statement: str, values: Any, context: Any, many: bool) -> None:
        statements.append((statement, values))

    event.listen(db.engine, "before_cursor_execute", listen)
    read()
    event.remove(db.engine, "before_cursor_execute", listen)
    explain = "EXPLAIN QUERY PLAN " if db.engine.dialect.name == "sqlite" else "EXPLAIN "
    steps = []
    for statement, values in statements:
        if statement.startswith(("SELECT", "WITH")):
            rows = db.session.connection().exec_driver_sql(explain + statement, values)
            steps += [str(row[-1]).split("  (cost")[0].strip() for row in rows]
    about = ("event_counts", "change_events")
    yield from dict.fromkeys(step.removeprefix("->").strip() for step in steps if any(name in step for name in about))
