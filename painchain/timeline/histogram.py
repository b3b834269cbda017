"""Count the events of a filter: by time, by the values of a column, and in total."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property, lru_cache
from itertools import pairwise
from types import MappingProxyType
from typing import NamedTuple
from zoneinfo import ZoneInfo

from painchain.database.session import db
from painchain.database.types import moment
from painchain.indexes import fulltext
from painchain.indexes.fulltext import Matches
from painchain.timeline import aggregates
from painchain.timeline import pages as timeline_pages
from painchain.timeline.filter import DEFAULT_RANGE, RANGES, Filter, counting_query, earlier, later, page_queries
from painchain.timeline.time_bins import time_bins


class Bin(NamedTuple):
    """One interval of the histogram with its number of events by source, and of those with a bad outcome."""

    start: datetime
    end: datetime
    counts: Mapping[str, int]
    failures_by_source: Mapping[str, int] = MappingProxyType({})

    @property
    def total(self) -> int:
        """The number of events in this bin."""
        return sum(self.counts.values())

    @property
    def failures(self) -> int:
        """The number of events in this bin with a bad outcome, if they were counted."""
        return sum(self.failures_by_source.values()) if self.failures_by_source else 0


@dataclass(frozen=True)
class Histogram:
    """The numbers of events, bin by bin, from `start` to `end`. Events before `since` are not counted.

    `width` is the width of each bin in which the clocks do not change. `hidden` is the number of events of the class
    Access that the filter leaves out.
    """

    start: datetime
    end: datetime
    width: timedelta
    bins: Sequence[Bin]
    since: datetime | None = None
    hidden: int = 0

    @cached_property
    def total(self) -> int:
        """The number of events in all bins."""
        return sum(sum(bin.counts.values()) for bin in self.bins)

    @cached_property
    def failures(self) -> int:
        """The number of events in all bins with a bad outcome, if they were counted."""
        return sum(bin.failures for bin in self.bins)

    @cached_property
    def sources(self) -> dict[str, int]:
        """The number of events of each source, the most frequent first."""
        totals: dict[str, int] = {}
        for bin in self.bins:
            for source, count in bin.counts.items():
                totals[source] = totals.get(source, 0) + count
        return dict(sorted(totals.items(), key=lambda item: (-item[1], item[0])))


def histogram(event_filter: Filter, now: datetime, zone: ZoneInfo, with_classes: bool = False) -> Histogram:
    """Count the events of a filter by time and source, in at most ``MAX_BINS`` + 1 bins of a round width.

    `with_classes` also counts those with a bad outcome, and the hidden ones of the class Access.

    Bins begin at round times of the viewer's `zone`, so a day is an hour shorter or longer where its clocks change.
    Without a start, counting begins at the oldest event.
    """
    matches = _matches(event_filter)
    since = matches.since if matches else None
    # A search with too many matches is counted from `since` on, so its oldest match is not needed.
    oldest = None
    if event_filter.start is None:
        oldest = _oldest(event_filter.without_search() if since else event_filter)
    start = event_filter.start or oldest or (event_filter.end or now) - RANGES[DEFAULT_RANGE]
    end = event_filter.end or max(now, start) + timedelta(microseconds=1)
    bins = time_bins(start, end, zone)
    last = len(bins.borders) - 2
    counts, failures, hidden = (_empty(last + 1) for _ in range(3))
    for interval in _without_gaps(replace(event_filter, start=since or start)):
        sums = aggregates.by_time(counting_query(interval, matches, with_classes), bins)
        for of_bins, of_interval in zip((counts, failures, hidden), sums, strict=False):
            for (index, source), count in of_interval.items():
                # After the clock was set back, events can be later than now.
                of_bin = of_bins[index if index < last else last]
                of_bin[source] = of_bin.get(source, 0) + count
    borders = [_border(seconds) for seconds in bins.borders]
    return Histogram(
        borders[0],
        borders[-1],
        timedelta(seconds=bins.width),
        [Bin(*edges, *of_bin) for edges, *of_bin in zip(pairwise(borders), counts, failures, strict=True)],
        since,
        sum(sum(of_bin.values()) for of_bin in hidden),
    )


@lru_cache(1024)
def _border(seconds: int) -> datetime:
    """Return a time; charts of the same range have the same borders for a while."""
    return moment(seconds * 1_000_000)


def _empty(count: int) -> list[dict[str, int]]:
    return [{} for _ in range(count)]


def _matches(event_filter: Filter) -> Matches | None:
    """Return how to count the matches of a search, or None without a search."""
    groups = event_filter.search_groups()
    return fulltext.matches(db.session.connection(), groups, event_filter.start, event_filter.end) if groups else None


@dataclass(frozen=True)
class Statistics:
    """The numbers of events, in total and by the values of some columns. Events before `since` are not counted."""

    total: int
    by: Mapping[str, Mapping[str, int]]
    since: datetime | None = None


def statistics(event_filter: Filter, columns: Sequence[str]) -> Statistics:
    """Count the events of a filter by the values of `columns`. A search with many matches counts the newest only."""
    matches = _matches(event_filter)
    since = matches.since if matches else None
    event_filter = replace(event_filter, start=since or event_filter.start)
    by = {column: _counts_by(column, event_filter, matches) for column in columns}
    return Statistics(
        _counts_by("source", event_filter, matches).total(), {column: _ranked(by[column]) for column in by}, since
    )


def count(event_filter: Filter) -> int:
    """Return the number of events of a filter."""
    return _counts_by("source", event_filter).total()


def counts_by(column: str, event_filter: Filter) -> dict[str, int]:
    """Return the number of events for each value of a column, the most frequent first."""
    return _ranked(_counts_by(column, event_filter))


def _counts_by(column: str, event_filter: Filter, matches: Matches | None = None) -> Counter[str]:
    counts: Counter[str] = Counter()
    for interval in _without_gaps(event_filter):
        query = counting_query(interval, matches)
        if column == "connector_name":
            counts += aggregates.by_connector_name(query)
        else:
            counts += aggregates.by_value(query, column)
    return counts


def _ranked(counts: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _without_gaps(event_filter: Filter) -> list[Filter]:
    """Return filters for the intervals between the gaps. Together they match the same events."""
    spans = [(event_filter.start, event_filter.end)]
    for gap in event_filter.gaps:
        before = [(low, earlier(high, gap.start)) for low, high in spans if gap.start]
        after = [(later(low, gap.end), high) for low, high in spans if gap.end]
        spans = [(low, high) for low, high in (*before, *after) if not low or not high or low < high]
    return [replace(event_filter, start=low, end=high, gaps=()) for low, high in spans]


def _oldest(event_filter: Filter) -> datetime | None:
    times = (timeline_pages.oldest(query) for query in page_queries(event_filter, page=False))
    oldest = min((time for time in times if time is not None), default=None)
    return None if oldest is None else moment(oldest)
