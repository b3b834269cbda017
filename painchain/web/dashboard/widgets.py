"""Return the values for the partial templates of feed and chart."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from flask import g
from markupsafe import Markup

from painchain.core import runtime
from painchain.presentation import event_groups, event_view
from painchain.timeline import coverage, histogram, queries, silent_connectors, visibility
from painchain.timeline.cursor import Cursor
from painchain.timeline.filter import Filter
from painchain.timeline.queries import PAGE
from painchain.web.common import responses
from painchain.web.dashboard import bars, chart, comparison, time_range
from painchain.web.dashboard.axis import ticks
from painchain.web.dashboard.chips import chips
from painchain.web.dashboard.filter_view import View, has_start_page


def feed_values(
    view: View, event_filter: Filter, before: Cursor | None = None, limit: int = PAGE, head: queries.Head | None = None
) -> dict[str, Any]:
    """Return the values for the feed partial; `head` is the head of the log, if it was read before."""
    head = head or queries.head()
    page = queries.page(event_filter, before, limit, head)
    hidden = visibility.all_hidden()
    return {
        "days": list(event_groups.by_day(page.events, hidden, responses.zone())),
        "shown_events": page.events,
        "hidden_fields": hidden,
        "t0": view.t0,
        "older": view.address("/", cursor=str(page.older)) if page.older else "",
        "older_fragment": view.address("/feed", cursor=str(page.older)) if page.older else "",
        # On PostgreSQL the page may contain events that are newer than the head.
        "live_after": max([head.last_event, *(event.id for event in page.events)])
        if before is None and not event_filter.end
        else None,
    }


def chart_values(view: View, event_filter: Filter, has_gaps: bool = True, is_compact: bool = False) -> dict[str, Any]:
    """Return the values for the chart partial; without `has_gaps` data gaps are not looked up.

    A compact chart has no chips, and no counts of failures and of hidden events of the class Access.
    """
    # Hidden sources are counts as well: the legend shows their counts.
    counts = histogram.histogram(replace(event_filter, source=()), g.now, responses.zone(), not is_compact)
    shown = chart.only_sources(counts, event_filter.source)
    compared = comparison.compare(view, event_filter, shown, g.now, responses.zone())
    peak = max(bin.total for bin in shown.bins)
    tallest = max(peak, *compared.counts) if compared else peak
    gaps = coverage.gaps_between(event_filter, counts.start, min(counts.end, g.now)) if has_gaps else []
    silences = [] if event_filter.end else silent_connectors.find_silent(g.now, event_filter)
    return {
        "data_gaps": gaps[::-1],
        "gap_counts": chart.gap_counts(gaps, len(silences)),
        "lanes": chart.lanes(gaps, counts, g.now),
        "silences": [(silence, _views(silence.changes)) for silence in silences],
        "chips": [] if is_compact else chips(view),
        "ticks": ticks(counts, responses.zone()),
        "table_address": view.address("/timeline/table"),
        "view": view,
        "hides_access": event_filter.hides_access,
        "histogram": shown,
        "peak": peak,
        "tallest": tallest,
        "bars": bars.draw(shown, view, responses.zone(), compared),
        "comparison": compared,
        "comparison_links": comparison.links(view, event_filter, g.now),
        "legend": chart.legend(counts, event_filter.source, lambda sources: view.address("/", source=sources)),
        "now_at": None if event_filter.end else chart.position_on_axis(counts, g.now),
        "t0_at": chart.position_on_axis(counts, view.t0) if view.t0 else None,
        "time_links": time_range.time_links(view, event_filter, g.now),
        "chart_address": "" if event_filter.end else view.address("/timeline"),
    }


@dataclass(frozen=True)
class ChartFragment:
    """The chart as HTML, and the number of events by source; None if there are too many to count."""

    html: Markup
    counts: Mapping[str, int] | None


def chart_fragment(view: View, event_filter: Filter, head: queries.Head, oob: bool = False) -> ChartFragment:
    """Return the chart. It is rendered once for all readers in the same zone, until the log changes.

    It is cached for a minute at most, because ranges such as "24 h" move with the clock.
    """

    def render() -> ChartFragment:
        values = chart_values(view, event_filter)
        html = Markup(responses.fragment("dashboard/timeline", oob=oob, **values))  # noqa: S704  the template escapes
        counts = {entry.key: entry.count for entry in values["legend"]}
        return ChartFragment(html, None if values["histogram"].since else counts)

    parameters = tuple((name, tuple(values)) for name, values in view.parameters.items())
    minute = int(g.now.timestamp()) // 60
    shown = (view.path, has_start_page(), responses.zone().key, "chart-text" in responses.opened(), oob)
    key = ("chart", head, minute, parameters, *shown)
    cache = runtime.current().cache
    cached = cache.get_or_compute(key, render, lambda chart: sys.getsizeof(chart.html), (head.revision, minute))
    return cached or render()


def _views(events: Sequence[queries.Event]) -> list[event_view.EventView]:
    """Return events as they are shown, without the hidden fields."""
    hidden, zone = visibility.all_hidden(), responses.zone()
    return [event_view.describe(event, hidden.of(event.source, event.connector_id), zone) for event in events]


def days_of(events: Sequence[queries.Event]) -> list[event_groups.Day]:
    """Return events grouped by day, as the feed shows them."""
    return list(event_groups.by_day(events, visibility.all_hidden(), responses.zone()))
