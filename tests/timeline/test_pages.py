"""Pages that only a range limits are read by statements that are compiled once, and have the same events as others."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest

from painchain.database.types import microseconds
from painchain.timeline import pages
from painchain.timeline.cursor import Cursor
from painchain.timeline.filter import Filter, page_queries
from tests.support.sample_events import NOW

pytestmark = pytest.mark.both_databases

TIMES = [NOW - timedelta(minutes=minutes) for minutes in (0, 0, 0, 1, 5, 5, 90)] + [datetime(1969, 7, 20, tzinfo=UTC)]
KINDS = ({}, {"source": "painchain", "event_type": "SignedIn"}, {"source": "painchain", "event_type": "ConfigChanged"})


def test_pages_of_a_range_have_the_same_events_as_by_any_filter(app, write):
    chance = random.Random(4)
    numbers = write(*({"timestamp": chance.choice(TIMES), **chance.choice(KINDS)} for _ in range(60)))
    found = set()
    for _ in range(60):
        start, end = (chance.choice([None, *TIMES, NOW + timedelta(seconds=1)]) for _ in "12")
        before = chance.choice([None, Cursor(chance.choice(TIMES), chance.choice(numbers))])
        position = (microseconds(before.timestamp), before.id) if before else None
        limit, hides_access = chance.choice((1, 7, 100)), chance.random() < 0.5
        event_filter = Filter(start=start, end=end, hides_access=hides_access)
        ends = (microseconds(time) if time else None for time in (start, end))
        with app.app_context():
            [query] = page_queries(event_filter, before)
            read = pages.newest_of_all(*ends, position, limit, hides_access)
            assert read == pages.newest(query, position, limit)
        found |= {*read}
    assert len(found) > len(numbers) / 2
