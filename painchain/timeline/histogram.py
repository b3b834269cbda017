"""How many events there were: by time, by what they have in common, and in all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from painchain.database.session import db
from painchain.database.types import moment
from painchain.indexes import fulltext
from painchain.indexes.fulltext import Matches
from painchain.timeline import aggregates
from painchain.timeline import pages as timeline_pages
from painchain.timeline.filter import DEFAULT_RANGE, RANGES, Filter, aggregate_query, earlier, later

# Bin widths in seconds: what a person would choose, from a second to a year.
_WIDTHS = (
    *(1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200),
    *(86400 * days for days in (1, 2, 7, 14, 30, 90, 365, 3650, 36500, 365000)),
)
MAX_BINS = 60


@dataclass(frozen=True)
class Bin:
    """One interval of the histogram with its number of events by source."""

    start: datetime
    end: datetime
    counts: Mapping[str, int]

    @property
    def total(self) -> int:
        """The number of events in this bin."""
        return sum(self.counts.values())


@dataclass(frozen=True)
class Histogram:
    """The numbers of events, bin by bin, from `start` to `end`. Events before `since` are not counted."""

    start: datetime
    end: datetime
    width: timedelta
    bins: Sequence[Bin]
    since: datetime | None = None

    @property
    def total(self) -> int:
        """The number of events in all bins."""
        return sum(bin.total for bin in self.bins)

    @property
    def sources(self) -> dict[str, int]:
        """The number of events of each source, the most frequent first."""
        totals: dict[str, int] = {}
        for bin in self.bins:
            for source, count in bin.counts.items():
                totals[source] = totals.get(source, 0) + count
        return dict(sorted(totals.items(), key=lambda item: (-item[1], item[0])))


def histogram(wanted: Filter, now: datetime, zone: ZoneInfo) -> Histogram:
    """Count the events of a filter by time and source, in at most ``MAX_BINS`` + 1 bins of a round width.

    Bins begin at round times of the viewer's `zone`. Without a start, counting begins at the oldest event.
    """
    matches = _matches(wanted)
    since = matches.since if matches else None
    # A search with too many matches is counted from `since` on: do not look for its oldest match.
    oldest = _oldest(replace(wanted, q="", gaps=()) if since else wanted) if wanted.start is None else None
    start = wanted.start or oldest or (wanted.end or now) - RANGES[DEFAULT_RANGE]
    end = wanted.end or max(now, start) + timedelta(microseconds=1)
    seconds = (end - start).total_seconds()
    width = next((width for width in _WIDTHS if seconds / width <= MAX_BINS), _WIDTHS[-1])
    offset = int((start.astimezone(zone).utcoffset() or timedelta()).total_seconds())
    first = (int(start.timestamp()) + offset) // width * width - offset
    bins = int(-(-(end.timestamp() - first) // width))
    counts: list[dict[str, int]] = [{} for _ in range(bins)]
    parts = _without_gaps(replace(wanted, start=since or start))
    each = (aggregates.by_time(aggregate_query(part, matches=matches), (first, width), bins) for part in parts)
    for (index, source), count in sum(each, Counter[tuple[int, str]]()).items():
        last = counts[min(index, bins - 1)]  # a clock that was set back has dated events later than now
        last[source] = last.get(source, 0) + count
    first_moment, step = moment(first * 1_000_000), timedelta(seconds=width)
    return Histogram(
        first_moment,
        first_moment + bins * step,
        step,
        [Bin(first_moment + i * step, first_moment + (i + 1) * step, counts[i]) for i in range(bins)],
        since,
    )


def _matches(wanted: Filter) -> Matches | None:
    """Return how to count the matches of a search, or None without a search."""
    groups = wanted.search_groups()
    return fulltext.matches(db.session.connection(), groups, wanted.start, wanted.end) if groups else None


@dataclass(frozen=True)
class Statistics:
    """The numbers of events, in all and by value of some columns. Events before `since` are not counted."""

    total: int
    by: Mapping[str, Mapping[str, int]]
    since: datetime | None = None


def statistics(wanted: Filter, columns: Sequence[str]) -> Statistics:
    """Count the events of a filter by the values of `columns`; a search with many matches counts the newest only."""
    matches = _matches(wanted)
    since = matches.since if matches else None
    wanted = replace(wanted, start=since or wanted.start)
    by = {column: _counts_by(column, wanted, matches) for column in columns}
    return Statistics(
        _counts_by("source", wanted, matches).total(), {column: _ranked(by[column]) for column in by}, since
    )


def count(wanted: Filter) -> int:
    """Return the number of events of a filter."""
    return _counts_by("source", wanted).total()


def counts_by(column: str, wanted: Filter) -> dict[str, int]:
    """Return the number of events for each value of a column, the most frequent first."""
    return _ranked(_counts_by(column, wanted))


def _counts_by(column: str, wanted: Filter, matches: Matches | None = None) -> Counter[str]:
    counts: Counter[str] = Counter()
    for part in _without_gaps(wanted):
        query = aggregate_query(part, matches=matches)
        if column == "source":
            counts += aggregates.by_source(query)
        elif column == "connector_name":
            counts += aggregates.by_connector_name(query)
        else:
            counts += aggregates.by_value(query, column)
    return counts


def _ranked(counts: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _without_gaps(wanted: Filter) -> list[Filter]:
    """Return filters for the intervals between the gaps: together they match the same events."""
    spans = [(wanted.start, wanted.end)]
    for gap in wanted.gaps:
        before = [(low, earlier(high, gap.start)) for low, high in spans if gap.start]
        after = [(later(low, gap.end), high) for low, high in spans if gap.end]
        spans = [(low, high) for low, high in (*before, *after) if not low or not high or low < high]
    return [replace(wanted, start=low, end=high, gaps=()) for low, high in spans]


def _oldest(wanted: Filter) -> datetime | None:
    oldest = timeline_pages.oldest(aggregate_query(wanted))
    return None if oldest is None else moment(oldest)
