"""Say why a feed is empty: how many events match in wider ranges, and without each part of the filter."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from flask import g

from painchain.indexes import search_query
from painchain.timeline import histogram
from painchain.timeline.filter import RANGES, Filter
from painchain.web.dashboard.filter_view import DATES, LISTS, View, filter_of

WIDER = {"24h": "in the last 24 hours", "7d": "in the last 7 days", "30d": "in the last 30 days"}
WIDER |= {"90d": "in the last 90 days", "all": "at any time"}
MAX_SEARCH_TERMS = 5  # that are left out one by one
PARTS = {**{name: label.lower() for name, label in LISTS.items()}, "status": "status", "outcome": "outcome"}


@dataclass(frozen=True)
class OtherView:
    """A view with matching events: how many (`has_more`: at least), the words for it, and its address."""

    count: int
    has_more: bool
    description: str
    address: str


def other_views(view: View, event_filter: Filter) -> list[OtherView]:
    """Return views with matching events beside a view that has none: of wider ranges, and with less of its filter."""
    return [*_wider(view, event_filter), *_without_one_part(view, event_filter)]


def _wider(view: View, event_filter: Filter) -> list[OtherView]:
    """Return the wider ranges, each with more matching events than the one before it."""
    if event_filter.start is None and event_filter.end is None:
        return []
    found: list[OtherView] = []
    for name, description in reversed(WIDER.items()):
        if name == "all" or (event_filter.start and g.now - RANGES[name] < event_filter.start):
            changes = {**dict.fromkeys(DATES, ""), "range": name, "q": view.search_without_times}
            other = _counted(view, description, **changes)
            if not other.count:
                break  # a range within this one has no matching event either
            found = [other, *(wider for wider in found if wider.has_more or wider.count > other.count)]
    return found


def _without_one_part(view: View, event_filter: Filter) -> Iterator[OtherView]:
    """Yield the view without each part of its filter, if that has matching events in the same time range."""
    parts = [(f"without the {label}", {name: ""}) for name, label in PARTS.items() if name in view.parameters]
    parts += [(f"without {term}", {"q": q}) for term, q in _shorter_searches(view.value("q"))]
    parts += [("with access events", {"access": "1"})] if event_filter.hides_access else []
    for description, changes in parts:
        other = _counted(view, f"in this time range {description}", **changes)
        if other.count:
            yield other


def _shorter_searches(text: str) -> Iterator[tuple[str, str]]:
    """Yield each term of a search but its times, if there are several, and the search without it; last, all of them."""
    terms = search_query.parse(text)
    others = [term for term in terms if term.name not in search_query.TIMES]
    for left_out in others[:MAX_SEARCH_TERMS] if len(others) > 1 else ():
        yield left_out.raw, " ".join(term.raw for term in terms if term is not left_out)
    if others:
        yield "the search", " ".join(term.raw for term in terms if term.name in search_query.TIMES)


def _counted(view: View, description: str, **changes: str) -> OtherView:
    changed = {**view.parameters, **{name: [value] if value else [] for name, value in changes.items()}}
    other = View({name: values for name, values in changed.items() if values})
    counts = histogram.statistics(filter_of(other), ())
    return OtherView(counts.total, counts.since is not None, description, other.address("/"))
