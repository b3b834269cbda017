"""The rollups are exact."""

from __future__ import annotations

import itertools
import json
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

import flask_migrate
import hypothesis
import pytest
from flask import Flask
from hypothesis import strategies as st
from sqlalchemy import select, text

from painchain import migrations
from painchain.database.models import ChangeEvent, EventCount, EventSet
from painchain.database.session import db
from painchain.eventlog import writer
from painchain.indexes import bitmaps, rollups
from painchain.timeline import histogram, queries
from painchain.timeline.filter import Filter
from tests.indexes.sample_log import AUTHORS, DAY, SOURCES, TAGS, TYPES, numbers, some_event
from tests.support.histograms import KOLKATA, UTC_ZONE, in_bins
from tests.support.migrations import alembic
from tests.support.sample_events import NOW, new
from tests.support.thorough import examples, further


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
        if (facet == "all") == (grain > 0) and facet not in rollups.LISTED:
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
        for fact in ("service", "environment"):
            if isinstance(value := event.metadata.get(fact), str) and 0 < len(value) <= 200:
                yield event, fact, 0, value, 0
        for facet, value in facets.items():
            for grain in (0, 900, 3600, 86400) if value is not None else ():
                value = "" if len(value) > 500 else value
                yield event, facet, grain, value, seconds // grain if grain else 0


def test_rollups_equal_a_recount_after_writes_and_removals(app, fill, monkeypatch):
    monkeypatch.setattr(bitmaps, "CHUNK", 7)

    @hypothesis.settings(deadline=None, max_examples=examples(25), suppress_health_check=list(hypothesis.HealthCheck))
    @hypothesis.given(st.lists(st.sampled_from(["w", "r", "c", "wrwc", "wcw"]), max_size=12), st.integers())
    def agree(transactions: list[str], seed: int) -> None:
        chance, new_number = random.Random(seed), itertools.count(100)
        fill(10, seed, short=False)
        for steps in transactions:
            with app.app_context(), writer.writing() as event_log:
                for step in steps:
                    if step == "w":
                        new_numbers = itertools.islice(new_number, chance.randrange(1, 9))
                        event_log.append(*(new(each, **some_event(each, chance, short=False)) for each in new_numbers))
                    elif step == "r":
                        event_log.flush()
                        existing = numbers()
                        event_log.remove([*chance.sample(existing, len(existing) // 3), 10**12])
                    else:
                        event_log.count()
            with app.app_context():
                assert stored_rollups() == expected_rollups()
                assert stored_bitmaps() == expected_bitmaps()

    agree()


def test_write_counts_events_when_the_limit_is_reached(app, fill, monkeypatch):
    monkeypatch.setattr(rollups, "MAX_UNCOUNTED", 50)
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


@pytest.mark.parametrize(
    "short", [False, *further(True)], ids=["some lists too long for rollups", "short lists of tags"]
)
def test_filters_give_the_same_results_with_and_without_rollups(app, database, fill, short, monkeypatch):
    monkeypatch.setattr(bitmaps, "CHUNK", 32)
    fill(160, seed=5, short=short)
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
    for _ in range(examples(30 if database == "sqlite" else 15)):
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
            for name, by_value in zip(columns, counts, strict=True):
                assert by_value == Counter(value for e in every if (value := getattr(e, name)) is not None)
        return results

    with app.app_context():
        before = answers()
    with app.app_context(), writer.writing() as event_log:
        event_log.count()
    with app.app_context():
        assert answers() == before


def test_migration_counts_existing_events(app: Flask) -> None:
    chance = random.Random(11)
    with app.app_context(), writer.writing() as event_log:
        event_log.append(
            *(new(event_number, **some_event(event_number, chance, short=False)) for event_number in range(200))
        )
    with app.app_context():
        folder = alembic(app)
        db.session.remove()
        flask_migrate.downgrade(directory=folder, revision="0001")
        migrations.upgrade()
        assert db.session.scalar(text("SELECT counted - last_event FROM log_head")) == 0
        assert stored_rollups() == expected_rollups()
        assert stored_bitmaps() == expected_bitmaps()
        assert histogram.count(Filter()) == 201
