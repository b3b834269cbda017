"""Say what the chart shows: the sources that are not hidden, the way to hide or show each, and where now is."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from painchain import connectors
from painchain.timeline import Histogram


@dataclass(frozen=True)
class Source:
    """One source in the legend. Its address hides it, or shows it again."""

    key: str
    count: int
    shown: bool
    address: str


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
