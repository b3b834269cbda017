"""Say what the chart shows: the sources that are not hidden, the way to hide or show each, and where now is."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from painchain import connectors
from painchain.timeline.coverage import CoverageGap
from painchain.timeline.histogram import Histogram

MOST_LANES = 6


@dataclass(frozen=True)
class Source:
    """One source in the legend. Its address hides it, or shows it again."""

    key: str
    count: int
    shown: bool
    address: str


@dataclass(frozen=True)
class Lane:
    """The stretches in which nobody was looking at one connector, with where each begins and how long it is, in per
    cent of the axis.
    """

    name: str
    bands: Sequence[tuple[float, float, CoverageGap]]


def lanes(stretches: Sequence[CoverageGap], shown: Histogram, now: datetime) -> list[Lane]:
    """Return a lane for each connector, those that lasted longest first, `MOST_LANES` at most.

    One that was disabled all along has none: it is told in words, and a chart full of hatching tells nothing.
    """
    by_connector: dict[int, list[CoverageGap]] = {}
    for one in stretches:
        throughout = one.since <= shown.start and (one.until is None or one.until >= shown.end)
        if one.kind != "disabled" or not throughout:
            by_connector.setdefault(one.connector_id, []).append(one)
    found = [
        Lane(of_one[-1].connector_name, [(*_band(one, shown, now), one) for one in of_one])
        for of_one in by_connector.values()
    ]
    return sorted(found, key=lambda lane: -sum(width for _, width, _ in lane.bands))[:MOST_LANES]


def _band(one: CoverageGap, shown: Histogram, now: datetime) -> tuple[float, float]:
    """Return where a stretch begins on the axis and how much of it it takes: enough to be seen, however short."""
    whole = shown.end - shown.start
    start = max(one.since, shown.start)
    end = min(one.until or max(now, start), shown.end)
    width = max(100 * ((end - start) / whole), 0.3)
    return round(min(100 * ((start - shown.start) / whole), 100 - width), 2), round(width, 2)


def legend(counted: Histogram, chosen: Sequence[str], address: Callable[[list[str]], str]) -> list[Source]:
    """Return every source that `counted` has, whether or not it is among the `chosen` ones (none chosen means all).

    `address` leads to the view that has only some sources. Whoever hides the last one gets all of them back.
    """
    known = list(dict.fromkeys((*connectors.TYPES, *counted.sources, *chosen)))
    shown = set(chosen or known)
    found = []
    for key, count in counted.sources.items():
        toggled = [one for one in known if (one in shown) != (one == key)]
        found.append(Source(key, count, key in shown, address(toggled if len(toggled) < len(known) else [])))
    return found


def only(counted: Histogram, chosen: Collection[str]) -> Histogram:
    """Return the histogram of the chosen sources alone; none chosen means all."""
    if not chosen:
        return counted
    bins = [replace(one, counts={key: n for key, n in one.counts.items() if key in chosen}) for one in counted.bins]
    return replace(counted, bins=bins)


def place(counted: Histogram, now: datetime) -> float | None:
    """Return where `now` is on the axis, in per cent, if it is on it."""
    at = 100 * ((now - counted.start) / (counted.end - counted.start))
    return round(at, 2) if 0 <= at <= 100 else None
