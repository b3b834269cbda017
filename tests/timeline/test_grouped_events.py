"""Events that rollups do not hold are kept in memory, and counts of every filter stay exact whatever is written."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from painchain.database import session
from painchain.database.models import ChangeEvent
from painchain.database.session import db
from painchain.eventlog import writer
from painchain.timeline import histogram, queries
from painchain.timeline.filter import Filter
from tests.support.histograms import UTC_ZONE
from tests.support.sample_events import HOUR, NOW, new
from tests.support.statements import recorded_statements
from tests.support.thorough import further
from tests.timeline.counting import assert_counts_are_exact

pytestmark = pytest.mark.both_databases

DAY, LONG_AGO = NOW - 24 * HOUR, datetime(1990, 7, 20, tzinfo=UTC)
FILTERS = (
    Filter(start=DAY),
    Filter(start=DAY, hides_access=True),
    Filter(start=DAY, end=NOW - 7.3 * HOUR, source=("github", "painchain")),
    Filter(start=NOW - 0.9 * HOUR, event_type=("Commit", "SignedIn")),
    Filter(start=NOW - 0.9 * HOUR, end=NOW - 0.3 * HOUR, hides_access=True),
    Filter(start=NOW - timedelta(seconds=500)),
    Filter(start=NOW - 0.2 * HOUR, end=NOW - 0.1 * HOUR),
    Filter(start=DAY, author=("ann", "none")),
    Filter(start=DAY, author=("ann",), status=("failed",)),
    Filter(start=DAY, connector=("Work",)),
    Filter(start=DAY, connector=("8", "Gone")),
    Filter(start=DAY, tag=("ci",)),
    Filter(tag=("night", "größe"), team=("a",), teams=(("a", ("ci", "x,y")),)),
    Filter(start=DAY, outcome=("bad",)),
    Filter(start=DAY, outcome=("good", "neutral"), hides_access=True),
    Filter(end=NOW - 2 * HOUR),
    Filter(),
)
KINDS = (
    {"source": "github", "event_type": "Commit"},
    {"source": "gitlab", "event_type": "Pipeline", "status": "failed"},
    {"source": "gitlab", "event_type": "Pipeline", "status": "success"},
    {"source": "painchain", "event_type": "SignedIn", "status": "signed in"},
    {"source": "painchain", "event_type": "SignInFailed"},
)
CONNECTORS = ((7, "Work"), (8, "Work"), (8, "Old"), (None, "Gone"), (None, None))
TAGS: Sequence[list[str]] = ([], ["ci"], ["ci", "night"], ["größe", "x,y"], ['"ci"', "night"])


class Log:
    """A log to which events are written at random."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.written = 0

    def events(self, number: int) -> Iterator[Any]:
        """Yield new events, some of which are late."""
        for _ in range(number):
            self.written += 1
            connector_id, connector_name = self.chance.choice(CONNECTORS)
            yield new(
                self.written,
                **self.chance.choice(KINDS),
                author=self.chance.choice(("ann", "ben")),
                connector_id=connector_id,
                connector_name=connector_name,
                tags=self.chance.choice(TAGS),
                timestamp=LONG_AGO if self.chance.random() < 0.05 else NOW - 26 * HOUR * self.chance.random() ** 4,
            )

    def write(self, number: int, removed: int = 0, counts: bool = False) -> None:
        """Append events, delete some, and add those that are left to the rollups if `counts` is true."""
        with writer.writing() as event_log:
            event_log.append(*self.events(number))
            event_log.flush()
            if removed:
                numbers = db.session.scalars(select(ChangeEvent.id)).all()
                event_log.remove(self.chance.sample(numbers, min(removed, len(numbers))))
            if counts:
                event_log.count()

    def write_at_random(self) -> None:
        """Write in one of several ways."""
        chance = self.chance.random()
        self.write(self.chance.randint(0, 9), self.chance.choice((0, 0, 1, 5)), counts=chance < 0.2)


@pytest.mark.parametrize("seed", [1, *further(2, 3, 4, 5)])
def test_counts_are_exact_whatever_is_written(app: Flask, seed: int, thorough: bool) -> None:
    log = Log(seed)
    step = 1 if thorough else 2
    with app.app_context():
        for turn in range(12):
            log.write_at_random()
            db.session.rollback()
            for event_filter in FILTERS[turn % step :: step]:
                assert_counts_are_exact(event_filter, NOW)


def test_the_values_of_new_events_are_offered(app: Flask) -> None:
    log = Log(6)
    with app.app_context():
        log.write(1, counts=True)
        for author in ("ann", "zoe"):
            with writer.writing() as event_log:
                facts = {"service": f"shop of {author}", "environment": "prod"}
                event_log.append(new(author == "zoe", author=author, tags=[author], metadata=facts))
            db.session.rollback()
            values = queries.filter_values()
            assert {author} <= {*values.authors} & {*values.tags}
            assert (values.services[-1], values.environments) == (f"shop of {author}", ["prod"])


def test_a_failed_write_leaves_nothing_in_memory(app: Flask) -> None:
    log = Log(7)

    def fail() -> None:
        with writer.writing() as event_log:
            event_log.append(*log.events(5))
            event_log.flush()
            assert histogram.count(Filter(end=NOW)) == 25
            raise LookupError

    with app.app_context():
        log.write(20)
        with pytest.raises(LookupError):
            fail()
        log.write(3)
        db.session.rollback()
        for event_filter in FILTERS:
            assert_counts_are_exact(event_filter, NOW)


def test_a_snapshot_has_the_counts_of_its_time(app: Flask) -> None:
    """Also after as many newer events as were deleted, which other readers have in memory."""
    log = Log(8)

    def write_and_read() -> None:
        with app.app_context():
            with writer.writing() as event_log:
                event_log.remove([min(db.session.scalars(select(ChangeEvent.id)))])
                event_log.append(*log.events(1))
            db.session.rollback()
            for event_filter in FILTERS:
                assert_counts_are_exact(event_filter, NOW)

    with app.app_context():
        log.write(5)
        session.begin_snapshot()
        before = {event.id for event in queries.page(Filter()).events}
        with ThreadPoolExecutor(1) as other:
            other.submit(write_and_read).result()
        for event_filter in FILTERS:
            assert_counts_are_exact(event_filter, NOW)
        assert {event.id for event in queries.page(Filter()).events} == before
        db.session.rollback()
        assert {event.id for event in queries.page(Filter()).events} != before
        assert_counts_are_exact(Filter(), NOW)


def test_after_a_write_only_the_new_events_are_read(app: Flask) -> None:
    log = Log(9)
    with app.app_context():
        log.write(300, counts=True)
        log.write(200)
    reads = []
    for _ in range(3):
        with recorded_statements(app) as statements, app.app_context():
            histogram.histogram(Filter(start=DAY + 0.1 * HOUR, hides_access=True), NOW, UTC_ZONE, with_classes=True)
            queries.filter_values()
            reads.append([statement for statement in statements if "FROM change_events" in statement])
        with app.app_context():
            log.write(1)
    assert len(reads[0]) == 2  # the newest events, and those of the quarter of an hour that is cut
    assert [len(each) for each in reads[1:]] == [1, 1]
