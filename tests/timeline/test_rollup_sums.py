"""Sums of the rollups are cached, and counts stay exact when events are added, counted, deleted or rolled back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from painchain.database.models import ChangeEvent
from painchain.database.session import db
from painchain.eventlog import writer
from painchain.timeline import histogram
from painchain.timeline.filter import Filter
from tests.support.histograms import UTC_ZONE
from tests.support.sample_events import HOUR, NOW, new
from tests.support.statements import recorded_statements
from tests.timeline.counting import assert_counts_are_exact

pytestmark = pytest.mark.both_databases

DAY = Filter(start=NOW - 24 * HOUR, end=NOW, hides_access=True)
TWO_FACETS = Filter(start=NOW - 24 * HOUR, end=NOW, author=("ann",), event_type=("Commit",))
SEARCH = Filter(start=NOW - 23.9 * HOUR, q="author:ann -type:SignedIn", hides_access=True)
FILTERS = (DAY, TWO_FACETS, SEARCH, replace(SEARCH, end=NOW - 5.1 * HOUR, source=("gitlab",)))


def sample(numbers: Sequence[int]) -> list[Any]:
    """Return new events of three sources in different hours."""
    kinds = (("github", "Commit", None), ("gitlab", "Pipeline", "failed"), ("painchain", "SignedIn", "signed in"))
    return [
        new(
            number,
            **dict(zip(("source", "event_type", "status"), kinds[number % 3], strict=True)),
            author="ann" if number % 2 else "ben",
            timestamp=NOW - timedelta(minutes=1 + 17 * number % 1400),
        )
        for number in numbers
    ]


def write(numbers: Sequence[int], counts: bool = False) -> None:
    """Append sample events, and add them to the rollups if `counts` is true."""
    with writer.writing() as event_log:
        event_log.append(*sample(numbers))
        if counts:
            event_log.count()


def count_and_fail() -> None:
    """Add events to the rollups and read their sums, in a transaction that fails."""
    with writer.writing() as event_log:
        event_log.append(*sample(range(30, 45)))
        event_log.count()
        assert histogram.histogram(DAY, NOW, UTC_ZONE, with_classes=True).total == 30
        raise LookupError


def check(event_filter: Filter) -> None:
    """Compare the counts of a filter with the events that a page of it has, in a new transaction."""
    db.session.rollback()
    assert_counts_are_exact(event_filter, NOW)


def test_counts_are_exact_after_every_kind_of_write(app: Flask) -> None:
    with app.app_context():
        write(range(120), counts=True)
        for event_filter in FILTERS:
            check(event_filter)
        write(range(120, 150))
        for event_filter in FILTERS:
            check(event_filter)
        with writer.writing() as event_log:
            event_log.remove(db.session.scalars(select(ChangeEvent.id).where(ChangeEvent.id % 4 == 0)).all())
        for event_filter in FILTERS:
            check(event_filter)
        write(range(150, 160), counts=True)
        for event_filter in FILTERS:
            check(event_filter)


def test_counts_that_were_rolled_back_are_not_cached(app: Flask) -> None:
    with app.app_context():
        write(range(30), counts=True)
        with pytest.raises(LookupError):
            count_and_fail()
        write([99 + 3 * number for number in range(15)], counts=True)  # as many, but others
        for event_filter in FILTERS:
            check(event_filter)


@pytest.mark.parametrize("event_filter", [DAY, TWO_FACETS, SEARCH], ids=["one facet", "two facets", "search"])
def test_a_write_of_few_events_leaves_the_sums_cached(app: Flask, event_filter: Filter) -> None:
    def reads() -> list[str]:
        of_sums = ("event_sets", "event_counts.slot", "change_events.id + ")
        with recorded_statements(app) as statements, app.app_context():
            histogram.histogram(event_filter, NOW, UTC_ZONE, with_classes=True)
        return [statement for statement in statements if any(text in statement for text in of_sums)]

    with app.app_context():
        write(range(60), counts=True)
    assert reads()
    with app.app_context():
        write(range(60, 65))
    assert reads() == []
