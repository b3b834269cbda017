"""The values that the partials of feed and chart need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from flask import g

from painchain.presentation import event_view
from painchain.timeline import coverage, histogram, queries, silent_connectors, visibility
from painchain.timeline.cursor import Cursor
from painchain.timeline.filter import Filter
from painchain.timeline.queries import PAGE
from painchain.web.common import responses
from painchain.web.dashboard import chart
from painchain.web.dashboard.filter_view import View


def feed_values(
    view: View, wanted: Filter, before: Cursor | None = None, limit: int = PAGE, head: queries.Head | None = None
) -> dict[str, Any]:
    """Return what the feed partial needs; `head` is the head of the log, if it was read before."""
    head = head or queries.head()
    page = queries.page(wanted, before, limit)
    return {
        "days": days_of(page.events),
        "older": view.address("/", cursor=str(page.older)) if page.older else "",
        "older_fragment": view.address("/feed", cursor=str(page.older)) if page.older else "",
        # On PostgreSQL the page may have seen more than the head did a moment before.
        "live_after": max([head.last_event, *(one.id for one in page.events)])
        if before is None and not wanted.end
        else None,
    }


def chart_values(view: View, wanted: Filter, has_gaps: bool = True) -> dict[str, Any]:
    """Return what the chart partial needs; `has_gaps` says whether data gaps can be in it."""
    # Hidden sources are counted as well: the legend says how many there would be.
    counted = histogram.histogram(replace(wanted, source=()), g.now, responses.zone())
    stretches = coverage.gaps_between(wanted, counted.start, min(counted.end, g.now)) if has_gaps else []
    return {
        "data_gaps": stretches[::-1],
        "lanes": chart.lanes(stretches, counted, g.now),
        "silences": [] if wanted.end else silent_connectors.find_silent(g.now, wanted),
        "view": view,
        "histogram": chart.only(counted, wanted.source),
        "legend": chart.legend(counted, wanted.source, lambda sources: view.address("/", source=sources)),
        "now_at": None if wanted.end else chart.place(counted, g.now),
        "chart_address": "" if wanted.end else view.address("/timeline"),
    }


def days_of(events: Sequence[queries.Event]) -> list[event_view.Day]:
    """Return events as the feed shows them."""
    return list(event_view.by_day(events, visibility.all_hidden(), responses.zone()))
