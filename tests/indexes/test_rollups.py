"""The rollups are exact, and queries read as few rows as necessary."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import flask_migrate
import hypothesis
import pytest
from flask import Flask
from hypothesis import strategies as st
from sqlalchemy import event as listener
from sqlalchemy import select, text

from painchain import migrations
from painchain.database.models import ChangeEvent, EventCount, EventSet
from painchain.database.session import db
from painchain.eventlog import writer
from painchain.indexes import bitmaps, rollups
from painchain.timeline import histogram, queries
from painchain.timeline.cursor import Cursor
from painchain.timeline.filter import Filter
from tests.support.migrations import alembic
from tests.timeline.test_queries import KOLKATA, NOW, UTC_ZONE, in_bins, new

DAY = timedelta(days=1)
SOURCES, TYPES = ("github", "gitlab", "painchain"), ("Commit", "Release", "Image")
AUTHORS, STATUSES = ("ann", "ben", "Doe, J"), (None, "failed", "")
CONNECTORS = ((None, None), (7, "Work"), (8, "7"), (7, "a/b"), (None, "Work"), (9, None))
TAGS: tuple[list[str], ...] = ([], ["ci"], ["ci", "night"], ["größe"], [f"very-long-tag-{n:030}" for n in range(20)])


def some_event(number: int, chance: random.Random, short: bool = True) -> dict[str, Any]:
    """Return the members of a random event."""
    connector_id, connector_name = chance.choice(CONNECTORS)
    return {
        "event_id": f"chance-{number}",
        "timestamp": NOW - chance.random() * chance.choice([DAY / 24, DAY, 30 * DAY]),
        "source": chance.choice(SOURCES),
        "event_type": chance.choice(TYPES),
        "author": chance.choice(AUTHORS),
        "status": chance.choice(STATUSES),
        "connector_id": connector_id,
        "connector_name": connector_name,
        "tags": chance.choice(TAGS[:-1] if short else TAGS),
    }


@pytest.fixture
def fill(app: Flask) -> Any:
    """Return a function that writes random events to an empty log."""

    def write(number: int, seed: int = 1, short: bool = True) -> None:
        chance = random.Random(seed)
        with app.app_context(), writer.writing() as event_log:
            event_log.remove(numbers())
            event_log.append(
                *(new(event_number, **some_event(event_number, chance, short)) for event_number in range(number))
            )

    return write


def numbers() -> list[int]:
    """Return the numbers of all events."""
    return list(db.session.scalars(select(ChangeEvent.id)))


def stored_rollups() -> dict[tuple[Any, ...], int]:
    """Return the stored rollups: the number of events by key."""
    rows = db.session.execute(select(EventCount.__table__)).all()
    return {tuple(row)[:-1]: row.events for row in rows}


def stored_bitmaps() -> dict[tuple[Any, ...], set[int]]:
    """Return the event numbers in each stored bitmap."""
    sets: dict[tuple[Any, ...], set[int]] = {}
    for facet, grain, slot, chunk, value, bits in db.session.execute(select(EventSet.__table__)):
        members = {
            chunk * bitmaps.CHUNK + position
            for position, bit in enumerate(f"{bitmaps.decode(bits):b}"[::-1])
            if bit == "1"
        }
        assert members
        sets.setdefault((facet, grain, value, slot), set()).update(members)
    return sets


def expected_bitmaps() -> dict[tuple[Any, ...], set[int]]:
    """Return the expected bitmaps, computed event by event."""
    sets: dict[tuple[Any, ...], set[int]] = {}
    for event, facet, grain, value, slot in all_facet_values():
        if (facet == "all") == (grain > 0):
            sets.setdefault((facet, grain, value, slot), set()).add(event.id)
        sets.setdefault(("source", 0, event.source, 0), set()).add(event.id)
    return sets


def expected_rollups() -> Counter[tuple[Any, ...]]:
    """Return the expected rollups, counted event by event."""
    return Counter((*row, event.source) for event, *row in all_facet_values())


def all_facet_values() -> Iterator[tuple[Any, ...]]:
    """Yield each counted event with each of its facets, grains, values and time slots."""
    counted = db.session.scalar(text("SELECT counted FROM log_head"))
    for event in db.session.execute(select(ChangeEvent.__table__).where(ChangeEvent.id <= counted)):
        seconds = int(event.timestamp.timestamp())
        named = event.connector_name is not None
        facets = {
            "all": "",
            "event_type": event.event_type,
            "author": event.author,
            "status": event.status,
            "connector": f"{event.connector_id or ''}{'/' if named else ''}{event.connector_name or ''}" or None,
            "tag": json.dumps(event.tags, ensure_ascii=False, separators=(",", ":")) if event.tags else None,
        }
        for facet, value in facets.items():
            for grain in (0, 900, 3600, 86400) if value is not None else ():
                value = "" if len(value) > 500 else value
                yield event, facet, grain, value, seconds // grain if grain else 0


def test_rollups_equal_a_recount_after_writes_and_removals(app, fill, monkeypatch):
    monkeypatch.setattr(bitmaps, "CHUNK", 7)

    @hypothesis.settings(deadline=None, max_examples=25, suppress_health_check=list(hypothesis.HealthCheck))
    @hypothesis.given(st.lists(st.sampled_from(["write", "remove", "count"]), max_size=12), st.integers())
    def agree(steps: list[str], seed: int) -> None:
        chance = random.Random(seed)
        fill(10, seed, short=False)
        for number, step in enumerate(steps):
            with app.app_context(), writer.writing() as event_log:
                if step == "write":
                    new_numbers = range(100 * number + 100, 100 * number + 100 + chance.randrange(1, 9))
                    event_log.append(
                        *(
                            new(event_number, **some_event(event_number, chance, short=False))
                            for event_number in new_numbers
                        )
                    )
                elif step == "remove":
                    existing = numbers()
                    event_log.remove([*chance.sample(existing, len(existing) // 3), 10**12])
                else:
                    event_log.count()
            with app.app_context():
                assert stored_rollups() == expected_rollups()
                assert stored_bitmaps() == expected_bitmaps()

    agree()


def test_write_counts_events_when_the_limit_is_reached(app, fill):
    fill(rollups.MAX_UNCOUNTED - 2)  # and one event of the first start
    with app.app_context():
        assert stored_rollups() == {}
    with app.app_context(), writer.writing() as event_log:
        event_log.append(new(10**6))
    with app.app_context():
        assert (
            sum(stored_rollups()[key] for key in stored_rollups() if key[:2] == ("all", 0)) == rollups.MAX_UNCOUNTED - 1
        )
        assert stored_rollups() == expected_rollups()


def test_uncommitted_events_are_not_counted(app, fill):
    fill(5)

    def fail() -> None:
        with app.app_context(), writer.writing() as event_log:
            event_log.count()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with app.app_context():
        assert stored_rollups() == expected_rollups() == {}


def test_removed_events_leave_neither_tags_nor_counts(app, fill):
    fill(50, short=False)
    with app.app_context(), writer.writing() as event_log:
        event_log.count()
        event_log.remove(numbers())
    with app.app_context():
        assert stored_rollups() == stored_bitmaps() == {}
        assert db.session.scalars(select(ChangeEvent.tags)).all() == []
        values = queries.filter_values()
        assert (histogram.count(Filter()), values.tags, values.authors) == (0, [], [])


@pytest.mark.parametrize("short", [True, False], ids=["short lists of tags", "some lists too long for rollups"])
def test_filters_give_the_same_results_with_and_without_rollups(app, fill, short, monkeypatch):
    monkeypatch.setattr(bitmaps, "CHUNK", 64)
    fill(300, seed=5, short=short)
    chance = random.Random(3)
    ranges = [(None, None), (NOW - DAY, None), (NOW - 9 * DAY, NOW - 2 * DAY), (NOW - 0.3 * DAY, NOW - 0.1 * DAY)]
    choices = {
        "source": SOURCES,
        "event_type": TYPES,
        "author": (*AUTHORS, "nobody"),
        "status": ("failed", ""),
        "connector": ("7", "Work", "9", "07", "a/b", "none"),
        "tag": ("ci", "night", "größe", "absent", TAGS[-1][3]),
    }
    filters = []
    for _ in range(30):
        names = chance.sample(list(choices), chance.choice([0, 1, 2, 2, 3]))
        values = {name: tuple(chance.sample(choices[name], chance.choice([1, 1, 2]))) for name in names}
        start, end = chance.choice(ranges)
        filters.append(Filter(**values, start=start, end=end))

    def answers() -> list[Any]:
        results = []
        for event_filter in filters:
            page = queries.page(event_filter, limit=7)
            older = queries.page(event_filter, page.older, 7).events if page.older else ()
            zone = chance.choice([UTC_ZONE, KOLKATA, ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Kathmandu")])
            charts = [
                histogram.histogram(event_filter, NOW, zone),
                histogram.histogram(replace(event_filter, q="commit"), NOW, zone),
            ]
            columns = ("source", "author", "connector_name", "status")
            counts = [histogram.counts_by(name, event_filter) for name in columns]
            results.append(([e.id for e in page.events], [e.id for e in older], counts, histogram.count(event_filter)))
            every = queries.page(event_filter, limit=500).events
            assert [chart.total for chart in charts] == [len(every)] * 2
            assert [bin.counts for bin in charts[0].bins] == in_bins(charts[0], every)
            assert histogram.count(event_filter) == len(every)
            for name, numbers in zip(columns, counts, strict=True):
                assert numbers == Counter(value for e in every if (value := getattr(e, name)) is not None)
        return results

    with app.app_context():
        before = answers()
    with app.app_context(), writer.writing() as event_log:
        event_log.count()
    with app.app_context():
        assert answers() == before


def test_migration_counts_existing_events(new_app: Flask) -> None:
    chance = random.Random(11)
    with new_app.app_context(), writer.writing() as event_log:
        event_log.append(
            *(new(event_number, **some_event(event_number, chance, short=False)) for event_number in range(200))
        )
    with new_app.app_context():
        folder = alembic(new_app)
        db.session.remove()
        flask_migrate.downgrade(directory=folder, revision="0001")
        migrations.upgrade()
        assert db.session.scalar(text("SELECT counted - last_event FROM log_head")) == 0
        assert stored_rollups() == expected_rollups()
        assert stored_bitmaps() == expected_bitmaps()
        assert histogram.count(Filter()) == 201


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
}


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_no_query_scans_all_events(app, fill, read):
    """Only on SQLite: PostgreSQL scans small tables. ``make bench scale`` shows its plans for a million events."""
    fill(600)
    with app.app_context():
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
