"""Prepare the data of the chart: the sources in its legend, its lanes of data gaps and the position of now."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from painchain import connectors
from painchain.timeline.coverage import DISABLED, FAILING, GAP, RATE_LIMITED, CoverageGap
from painchain.timeline.histogram import Histogram

MAX_LANES = 6
GAP_LABELS = {FAILING: "failing", RATE_LIMITED: "rate limited", GAP: "without data", DISABLED: "disabled"}


@dataclass(frozen=True)
class LegendEntry:
    """One source in the legend; its address hides the source, or shows it again."""

    key: str
    count: int
    is_shown: bool
    address: str


@dataclass(frozen=True)
class Lane:
    """The data gaps of one connector, or of all that were disabled on purpose.

    Each gap has its start and its width in percent of the axis.
    """

    name: str
    intervals: Sequence[tuple[float, float, CoverageGap]]


def lanes(gaps: Sequence[CoverageGap], histogram: Histogram, now: datetime) -> list[Lane]:
    """Return a lane for each connector with data gaps: the longest first, `MAX_LANES` at most.

    Connectors that were only disabled share the last lane. A connector that was disabled all the time has no lane: the
    list of data gaps names it, and hatching would fill the chart.
    """
    by_connector: dict[int, list[CoverageGap]] = {}
    for gap in gaps:
        covers_axis = gap.since <= histogram.start and (gap.until is None or gap.until >= histogram.end)
        if gap.kind != DISABLED or not covers_axis:
            by_connector.setdefault(gap.connector_id, []).append(gap)
    only_disabled = [gaps for gaps in by_connector.values() if all(gap.kind == DISABLED for gap in gaps)]
    others = [gaps for gaps in by_connector.values() if any(gap.kind != DISABLED for gap in gaps)]
    all_lanes = [_lane(connector_gaps[-1].connector_name, connector_gaps, histogram, now) for connector_gaps in others]
    all_lanes.sort(key=lambda lane: -sum(width for _, width, _ in lane.intervals))
    if not only_disabled:
        return all_lanes[:MAX_LANES]
    names = ", ".join(gaps[-1].connector_name for gaps in only_disabled)
    shared = _lane(names, [gap for gaps in only_disabled for gap in gaps], histogram, now)
    return [*all_lanes[: MAX_LANES - 1], shared]


def _lane(name: str, gaps: Sequence[CoverageGap], histogram: Histogram, now: datetime) -> Lane:
    return Lane(name, [(*_start_and_width(gap, histogram, now), gap) for gap in gaps])


def gap_counts(gaps: Sequence[CoverageGap], silent: int) -> list[tuple[str, int]]:
    """Return how many connectors have gaps of each kind, and how many are silent: what needs attention first."""
    connectors_by_kind = {kind: len({gap.connector_id for gap in gaps if gap.kind == kind}) for kind in GAP_LABELS}
    counts = [(label, connectors_by_kind[kind]) for kind, label in GAP_LABELS.items()]
    counts.insert(-1, ("silent", silent))
    return [(label, count) for label, count in counts if count]


def _start_and_width(gap: CoverageGap, histogram: Histogram, now: datetime) -> tuple[float, float]:
    """Return the start and the width of a gap in percent of the axis; a short gap is widened so that it is visible."""
    since = max(gap.since, histogram.start)
    start = percent_of_axis(histogram, since)
    end = percent_of_axis(histogram, min(gap.until or max(now, since), histogram.end))
    width = max(end - start, 0.3)
    return round(min(start, 100 - width), 2), round(width, 2)


def percent_of_axis(histogram: Histogram, moment: datetime) -> float:
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
        bin._replace(
            counts={source: count for source, count in bin.counts.items() if source in chosen},
            failures_by_source={source: count for source, count in bin.failures_by_source.items() if source in chosen},
        )
        for bin in histogram.bins
    ]
    return replace(histogram, bins=bins)


def position_on_axis(histogram: Histogram, now: datetime) -> float | None:
    """Return the position of `now` in percent of the axis; None if it is outside."""
    is_inside = histogram.start <= now <= histogram.end
    return round(percent_of_axis(histogram, now), 2) if is_inside else None
