"""Queries read as few rows as necessary."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event as listener
from sqlalchemy import select
from sqlalchemy.dialects import sqlite

from painchain.database.session import db
from painchain.eventlog import writer
from painchain.indexes import notes
from painchain.startup import create_app
from painchain.timeline import histogram, queries
from painchain.timeline.cursor import Cursor
from painchain.timeline.filter import Filter
from tests.conftest import close, settings_for
from tests.indexes.sample_log import DAY, fill_log
from tests.support.histograms import KOLKATA, UTC_ZONE
from tests.support.sample_events import NOW, new


@contextmanager
def recorded_statements() -> Iterator[list[tuple[str, Any]]]:
    """Record the executed statements."""
    executed: list[tuple[str, Any]] = []

    def listen(connection: Any, cursor: Any, statement: str, values: Any, context: Any, many: bool) -> None:
        executed.append((statement, values))

    listener.listen(db.engine, "before_cursor_execute", listen)
    yield executed
    listener.remove(db.engine, "before_cursor_execute", listen)


@contextmanager
def traced_queries() -> Iterator[list[str]]:
    """Record the queries that SQLite runs, with their values, also those that skip SQLAlchemy."""
    queries_run: list[str] = []

    def record(statement: str) -> None:
        if statement.startswith(("SELECT", "WITH")):
            queries_run.append(statement)

    def trace(connection: Any, _: Any) -> None:
        connection.set_trace_callback(record)

    db.session.remove()
    db.engine.dispose()
    listener.listen(db.engine, "connect", trace)
    yield queries_run
    listener.remove(db.engine, "connect", trace)
    db.session.remove()
    db.engine.dispose()


READS = {
    "first page": lambda: queries.page(Filter()),
    "deep page": lambda: queries.page(Filter(), Cursor(NOW - 5 * DAY, 40)),
    "source": lambda: queries.page(Filter(source=("gitlab",), start=NOW - DAY)),
    "author": lambda: queries.page(Filter(author=("ann",))),
    "connector": lambda: queries.page(Filter(connector=("7",))),
    "tag": lambda: queries.page(Filter(tag=("ci",))),
    "author and type": lambda: queries.page(Filter(author=("ann",), event_type=("Image",))),
    "deep page of a tag": lambda: queries.page(Filter(tag=("ci",)), Cursor(NOW - 5 * DAY, 40)),
    "range of an author": lambda: queries.page(Filter(author=("ann",), start=NOW - 9 * DAY, end=NOW - DAY)),
    "24 hours": lambda: histogram.histogram(Filter(start=NOW - DAY), NOW, UTC_ZONE),
    "90 days": lambda: histogram.histogram(Filter(start=NOW - 90 * DAY), NOW, UTC_ZONE),
    "everything": lambda: histogram.histogram(Filter(), NOW, KOLKATA),
    "90 days of a tag": lambda: histogram.histogram(Filter(start=NOW - 90 * DAY, tag=("ci",)), NOW, UTC_ZONE),
    "24 hours of an author and a type": lambda: histogram.histogram(
        Filter(start=NOW - DAY, author=("ann",), event_type=("Image",)), NOW, UTC_ZONE
    ),
    "statistics": lambda: [histogram.counts_by(name, Filter()) for name in ("source", "author", "connector_name")],
    "menus": queries.filter_values,
    "others of a request": lambda: queries.is_continued(queries.page(Filter(), limit=1).events[0], 400),
}


@pytest.fixture(scope="module")
def filled_app(started_instance: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """An app with 600 events, to read."""
    app = create_app(settings_for(shutil.copytree(started_instance, tmp_path_factory.mktemp("filled") / "instance")))
    fill_log(app, 600)
    yield app
    close(app)


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_no_query_scans_all_events(filled_app, read):
    """Only on SQLite: PostgreSQL scans small tables. ``make bench scale`` shows its plans for a million events."""
    with filled_app.app_context():
        with traced_queries() as executed:
            read()
        assert executed
        plan = [
            row[3]
            for statement in executed
            for row in db.session.connection().exec_driver_sql("EXPLAIN QUERY PLAN " + statement)
        ]
    if read not in (READS["first page"], READS["deep page"]):
        assert [step for step in plan if "(timestamp<?)" in step or "(rowid<?)" in step] == []
    scans = [step for step in plan if step.startswith("SCAN") and "change_events" in step]
    assert [step for step in scans if "USING COVERING INDEX ix_change_events_feed" not in step] == []
    if scans:
        assert any("LIMIT" in statement for statement in executed)  # a scan in order that stops when a page is full
    assert not any("SCAN event_counts" in step for step in plan)


def test_page_loads_only_the_rows_it_shows(app, fill):
    fill(200)
    with app.app_context(), recorded_statements() as executed:
        assert len(queries.page(Filter(author=("ann",)), limit=20).events) == 20
    loaded = [values for statement, values in executed if "description" in statement]
    rows_loaded = [values.values() if isinstance(values, dict) else values for values in loaded]
    assert [sum(isinstance(value, int) for value in values) for values in rows_loaded] == [20]


def test_page_includes_events_in_the_future(app, fill):
    fill(30)
    with app.app_context(), writer.writing() as event_log:
        last = event_log.append(new(500, timestamp=datetime(2200, 1, 1, tzinfo=UTC), author="ann"))
        event_log.count()
    with app.app_context():
        assert queries.page(Filter(author=("ann",)), limit=1).events[0].id == last


def test_the_notes_of_an_event_are_read_without_bound_values():
    """SQLite compares them with the conditions of partial indexes, and so would compile the statement each time."""
    assert not select(notes.column()).compile(dialect=sqlite.dialect()).binds
