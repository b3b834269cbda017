"""The question “What changed before …?”: its form becomes the address of a view, whose failures are listed first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from flask import g, request

from painchain.connectors.outcomes import Outcome
from painchain.database.models import Connector
from painchain.indexes import search_query
from painchain.indexes.search_times import moment_of
from painchain.presentation import event_view
from painchain.presentation.event_groups import EventRow
from painchain.presentation.event_view import ShownEvent
from painchain.timeline import queries, visibility
from painchain.timeline.filter import EARLIEST, RANGES, BadFilter, Filter
from painchain.timeline.queries import Event
from painchain.timeline.visibility import Hidden
from painchain.web.common import responses
from painchain.web.dashboard.filter_view import View

WINDOWS = {"30m": "30 minutes", "1h": "1 hour", "6h": "6 hours", "24h": "24 hours"}
MAX_FAILURES, MAX_FAILURES_ON_PHONES = 5, 3
MAX_PLACES = 100
PLACES = ("repository", "project", "namespace", "workload")  # values of events to suggest as places


def address_of_question(connectors: Iterable[Connector]) -> str:
    """Return the address that answers the submitted form; an empty text if none was submitted.

    :raises BadFilter: when a value of the form cannot be understood.
    """
    text = request.args.get("before_time", "").strip()
    if not text:
        return ""
    moment = moment_of(text, "before_time", g.now, responses.zone())
    window = request.args.get("window", "") or next(iter(WINDOWS))
    if window not in WINDOWS:
        raise BadFilter("window", f"window must be one of {', '.join(WINDOWS)}.")
    search = _search_for(request.args.get("where", "").strip(), connectors)
    search_query.parse(search)
    start = max(moment - RANGES[window], EARLIEST)
    return View({}).address("/", q=search, start_date=start, end_date=moment, t0=moment)


def _search_for(place: str, connectors: Iterable[Connector]) -> str:
    """Return the search for the events of a connector, or of a repository, service or namespace by its name."""
    name = next((connector.name for connector in connectors if connector.name.casefold() == place.casefold()), "")
    if name and '"' not in name:
        return f'connector:"{name}"'
    words = " ".join(place.replace('"', " ").split())
    return f'"{words}"' if words else ""


def form_values(view: View, connectors: Sequence[Connector], events: Sequence[Event], hidden: Hidden) -> dict[str, Any]:
    """Return the values of the form: as submitted, or those of the view, and the places to suggest."""
    moment = (view.t0 or g.now).astimezone(responses.zone())
    pattern = "%H:%M" if not view.t0 or abs(g.now - view.t0) < RANGES["12h"] else "%Y-%m-%d %H:%M"
    return {
        "before": {
            "time": request.args.get("before_time", "").strip() or moment.strftime(pattern),
            "window": request.args.get("window", ""),
            "where": request.args.get("where", ""),
            "is_refused": "before_time" in request.args,
            "windows": WINDOWS,
            "places": _places(connectors, events, hidden),
        }
    }


def _places(connectors: Sequence[Connector], events: Sequence[Event], hidden: Hidden) -> list[str]:
    """Return the names of the connectors, and of the places of the shown events, unless these are hidden."""
    values = []
    for event in events:
        of_event = hidden.of(event.source, event.connector_id)
        values += [event.metadata.get(key) for key in PLACES if not event_view.is_hidden(event, key, of_event)]
    names = [connector.name for connector in connectors]
    return list(dict.fromkeys([*names, *(value for value in values if value and isinstance(value, str))]))[:MAX_PLACES]


def failures_of(view: View, event_filter: Filter) -> dict[str, Any]:
    """Return the newest failures of a view with a time t = 0, and the address of all of them."""
    if not view.t0 or event_filter.outcomes is not None:
        return {"failures_first": []}
    page = queries.page(replace(event_filter, outcome=(Outcome.BAD.value,)), limit=MAX_FAILURES)
    hidden = visibility.all_hidden()
    are_more = page.older or len(page.events) > MAX_FAILURES_ON_PHONES
    return {
        "failures_first": [
            EventRow(ShownEvent(event, hidden.of(event.source, event.connector_id), responses.zone()))
            for event in page.events
        ],
        "all_failures": view.address("/", outcome=Outcome.BAD.value) if are_more else "",
    }
