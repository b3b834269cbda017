"""Compare the chart with the same hours of the day or the week before."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from painchain.indexes.search_query import Window
from painchain.timeline import histogram
from painchain.timeline.filter import EARLIEST, Filter
from painchain.timeline.histogram import Histogram
from painchain.web.dashboard.filter_view import COMPARISONS, View


@dataclass(frozen=True)
class Comparison:
    """The number of events in each bin of the chart, so much earlier. `words` says when, as in “yesterday”."""

    words: str
    counts: Sequence[int]
    is_complete: bool

    @property
    def total(self) -> int:
        """The number of events in all bins."""
        return sum(self.counts)


@dataclass(frozen=True)
class ComparisonLink:
    """A link that adds a comparison to the chart, or removes it."""

    words: str
    address: str
    is_on: bool


def links(view: View, event_filter: Filter, now: datetime) -> list[ComparisonLink]:
    """Return the links for the comparisons that do not overlap with the range."""
    if not event_filter.start:
        return []
    length = (event_filter.end or now) - event_filter.start
    chosen = view.value("compare")
    return [
        ComparisonLink(
            _words(name, event_filter), view.address("/", compare="" if name == chosen else name), name == chosen
        )
        for name, days in COMPARISONS.items()
        if length <= timedelta(days=days) or name == chosen
    ]


def compare(view: View, event_filter: Filter, chart: Histogram, now: datetime, zone: ZoneInfo) -> Comparison | None:
    """Count the events of the same hours earlier, in the bins of the chart; None if the view does not ask for it.

    The hours are those of the clocks where the range starts. Later changes of the clocks are not followed.
    """
    days, start = COMPARISONS.get(view.value("compare"), 0), event_filter.start
    if not days or not start or start - timedelta(days=days + 1) < EARLIEST:
        return None
    local = start.astimezone(zone)
    earlier = datetime.combine(local.date() - timedelta(days=days), local.time(), zone).astimezone(UTC)
    distance = start - earlier
    moved = replace(
        event_filter,
        start=earlier,
        end=(event_filter.end or now) - distance,
        gaps=tuple(_shifted(gap, distance) for gap in event_filter.gaps),
    )
    past = histogram.histogram(moved, now, zone)
    starts = [bin.start for bin in chart.bins]
    counts = [0] * len(starts)
    for bin in past.bins:
        counts[max(bisect_right(starts, bin.start + distance) - 1, 0)] += bin.total
    return Comparison(_words(view.value("compare"), event_filter), counts, past.since is None)


def _shifted(gap: Window, distance: timedelta) -> Window:
    return replace(gap, start=gap.start and gap.start - distance, end=gap.end and gap.end - distance)


def _words(name: str, event_filter: Filter) -> str:
    if event_filter.end:
        return {"1d": "the day before", "7d": "the week before"}[name]
    return {"1d": "yesterday", "7d": "last week"}[name]
