"""Compare the counts of a filter with the events that its pages have."""

from __future__ import annotations

from collections import Counter
from datetime import datetime

from painchain import connectors
from painchain.connectors.outcomes import Outcome
from painchain.timeline import histogram, queries
from painchain.timeline.filter import Filter
from tests.support.histograms import UTC_ZONE


def assert_counts_are_exact(event_filter: Filter, now: datetime) -> None:
    """Compare the histogram of a filter, and its counts by value, with the events that pages of it have."""
    events = queries.page(event_filter, limit=5_000).events
    chart = histogram.histogram(event_filter, now, UTC_ZONE, with_classes=True)
    assert chart.total == len(events)
    for bin in chart.bins:
        is_last = bin is chart.bins[-1]  # it has the events that are later than `now` too
        inside = [event for event in events if bin.start <= event.timestamp and (is_last or event.timestamp < bin.end)]
        assert Counter(bin.counts) == Counter(event.source for event in inside)
        ends = [connectors.outcome(event.source, event.event_type, event.status) for event in inside]
        assert bin.failures == ends.count(Outcome.BAD)
    for column in ("event_type", "author", "connector_name", "status"):
        values = (getattr(event, column) for event in events)
        assert histogram.counts_by(column, event_filter) == Counter(value for value in values if value is not None)
