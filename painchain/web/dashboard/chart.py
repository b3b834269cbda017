"""Prepare the data of the chart: the sources in its legend, its lanes of data gaps and the position of now."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from painchain import connectors
from painchain.timeline.coverage import CoverageGap
from painchain.timeline.histogram import Histogram

MAX_LANES = 6


@dataclass(frozen=True)
class LegendEntry:
    """One source in the legend; its address hides the source, or shows it again."""

    key: str
    count: int
    is_shown: bool
    address: str


@dataclass(frozen=True)
class Lane:
    """The data gaps of one connector: the start and the width of each in percent of the axis, and the gap itself."""

    name: str
    intervals: Sequence[tuple[float, float, CoverageGap]]


def lanes(gaps: Sequence[CoverageGap], histogram: Histogram, now: datetime) -> list[Lane]:
    """Return a lane for each connector with data gaps: the longest first, `MAX_LANES` at most.

    A connector that was disabled all the time has no lane: the text below names it, and hatching would fill the chart.
    """
    by_connector: dict[int, list[CoverageGap]] = {}
    for gap in gaps:
        covers_axis = gap.since <= histogram.start and (gap.until is None or gap.until >= histogram.end)
        if gap.kind != "disabled" or not covers_axis:
            by_connector.setdefault(gap.connector_id, []).append(gap)
    all_lanes = [
        Lane(
            connector_gaps[-1].connector_name, [(*_start_and_width(gap, histogram, now), gap) for gap in connector_gaps]
        )
        for connector_gaps in by_connector.values()
    ]
    return sorted(all_lanes, key=lambda lane: -sum(width for _, width, _ in lane.intervals))[:MAX_LANES]


def _start_and_width(gap: CoverageGap, histogram: Histogram, now: datetime) -> tuple[float, float]:
    """Return the start and the width of a gap in percent of the axis; a short gap is widened so that it is visible."""
    since = max(gap.since, histogram.start)
    start = _percent(histogram, since)
    end = _percent(histogram, min(gap.until or max(now, since), histogram.end))
    width = max(end - start, 0.3)
    return round(min(start, 100 - width), 2), round(width, 2)


def _percent(histogram: Histogram, moment: datetime) -> float:
    """Return the position of a time in percent of the axis. All bars are equally wide, also a day of 23 hours."""
    index = max(bisect_right(histogram.bins, moment, key=lambda bin: bin.start) - 1, 0)
    bin = histogram.bins[index]
    return 100 * (index + (moment - bin.start) / (bin.end - bin.start)) / len(histogram.bins)


def legend(histogram: Histogram, chosen: Sequence[str], address: Callable[[list[str]], str]) -> list[LegendEntry]:
    """Return an entry for every source in the histogram, `chosen` or not (an empty list means all are chosen).

    `address` returns the address of the view with the given sources. Hiding the last source shows all of them again.
    """
    known_sources = list(dict.fromkeys((*connectors.TYPES, *histogram.sources, *chosen)))
    shown_sources = set(chosen or known_sources)
    entries = []
    for key, count in histogram.sources.items():
        toggled = [source for source in known_sources if (source in shown_sources) != (source == key)]
        target = address(toggled if len(toggled) < len(known_sources) else [])
        entries.append(LegendEntry(key, count, key in shown_sources, target))
    return entries


def only_sources(histogram: Histogram, chosen: Collection[str]) -> Histogram:
    """Return the histogram of only the chosen sources; an empty collection means all."""
    if not chosen:
        return histogram
    bins = [
        replace(
            bin,
            counts={source: count for source, count in bin.counts.items() if source in chosen},
            failures_by_source={source: count for source, count in bin.failures_by_source.items() if source in chosen},
        )
        for bin in histogram.bins
    ]
    return replace(histogram, bins=bins)


def position_on_axis(histogram: Histogram, now: datetime) -> float | None:
    """Return the position of `now` in percent of the axis; None if it is outside."""
    is_inside = histogram.start <= now <= histogram.end
    return round(_percent(histogram, now), 2) if is_inside else None
