"""The filter of a view: read it from an address, change it, and list the values it offers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import quote_plus

from flask import g
from werkzeug.datastructures import MultiDict

from painchain import connectors
from painchain.connectors.outcomes import Outcome
from painchain.database.models import Connector
from painchain.indexes import search_query
from painchain.timeline import queries, saved_views
from painchain.timeline.filter import DEFAULT_RANGE, NAMES, BadFilter, Filter, parse_filter, parse_time
from painchain.web.common import responses

LISTS = {
    "source": "Source",
    "event_type": "Type",
    "connector": "Connector",
    "tag": "Tag",
    "team": "Team",
    "author": "Author",
    "service": "Service",
    "environment": "Environment",
}
OPTIONAL = ("team", "service", "environment")  # without a menu while there is nothing to choose
NARROWING = (*LISTS, "status", "outcome", "q")
DATES = ("start_date", "end_date")
TIMES = (*DATES, "t0")  # in UTC in every address; t0 is the time from which the feed counts
COMPARISONS = {"1d": 1, "7d": 7}  # how many days before the range the chart also shows
PARAMETERS = (*NARROWING, "access", "range", *TIMES, "compare")
_encoded = lru_cache(1024)(quote_plus)  # a page has dozens of addresses with the same values
PLAIN_TIMELINE = f"/?range={DEFAULT_RANGE}"  # unlike "/", it never shows a start page


class Choice(NamedTuple):
    """One value that a list of the filter offers."""

    value: str
    label: str
    is_chosen: bool
    number: int  # in its list, from 1: part of the id of its input


@dataclass(frozen=True)
class View:
    """The parameters of a filter that are set in its address."""

    parameters: Mapping[str, Sequence[str]]
    path: str = "/"

    def address(self, path: str = "", /, **changed: Any) -> str:
        """Return the address of this view with some parameters changed; an empty value removes one."""
        parameters = {**self.parameters, **{name: _texts(value) for name, value in changed.items()}}
        pairs = [(name, value) for name, values in parameters.items() for value in values if value]
        if (path or self.path) == "/" and not pairs and has_start_page():
            return PLAIN_TIMELINE
        query = "&".join(f"{_encoded(name)}={_encoded(value)}" for name, value in pairs)
        return (path or self.path) + (f"?{query}" if query else "")

    def without(self, name: str, value: str) -> str:
        """Return the address of this view without one value of a list."""
        return self.address(**{name: [other for other in self.parameters.get(name, ()) if other != value]})

    def value(self, name: str) -> str:
        """Return the first value of a parameter; an empty text if it is not set."""
        return next(iter(self.parameters.get(name, ())), "")

    @property
    def is_filtered(self) -> bool:
        """Whether anything but the range narrows this view."""
        return any(name in self.parameters for name in NARROWING)

    @property
    def cleared_address(self) -> str:
        """The address of this view with nothing but its range."""
        return self.address("/", **dict.fromkeys((*NARROWING, "access"), ""))

    @property
    def shows_access(self) -> bool:
        """Whether this view asks for the events of the class Access."""
        return self.value("access") == "1"

    @property
    def shows_only_failures(self) -> bool:
        """Whether this view asks for the events with a bad outcome and no others."""
        return list(self.parameters.get("outcome", ())) == [Outcome.BAD]

    @property
    def t0(self) -> datetime | None:
        """The time from which this view counts: t = 0."""
        return parse_time(self.value("t0"), "t0", responses.zone()) if self.value("t0") else None

    @property
    def search_without_times(self) -> str:
        """The search text without the qualifiers for times."""
        return search_query.timeless(self.value("q"))

    @property
    def range(self) -> str:
        """Return the name of the selected range; an empty text if the search contains a time."""
        if search_query.names_time(self.value("q")):
            return ""
        if self.value("start_date") or self.value("end_date"):
            return "custom"
        return self.value("range") or DEFAULT_RANGE


def view_of(query: MultiDict[str, str], path: str = "/") -> View:
    """Return the view for the parameters of a query string or form: its times in UTC, and no range beside them."""
    parameters = {name: [value for value in query.getlist(name) if value] for name in PARAMETERS}
    for name in TIMES:
        parameters[name] = [_in_utc(name, value) for value in parameters[name][:1]]
    if any(parameters[name] for name in DATES):
        parameters["range"] = []
    return View({name: values for name, values in parameters.items() if values}, path)


def filter_of(view: View) -> Filter:
    """Parse the filter of a view; a range that ends in the future is open.

    Events of the class Access are left out, unless the view asks for them: with `access`, or in what it filters by.

    :raises BadFilter: when a value cannot be understood.
    """
    _ = view.t0  # refuse a view with an invalid one
    if view.value("compare") not in ("", *COMPARISONS):
        raise BadFilter("compare", f"compare must be one of {', '.join(COMPARISONS)}.")
    event_filter = parse_filter(view.parameters, g.now, responses.zone(), DEFAULT_RANGE)
    event_filter = replace(event_filter, hides_access=not view.shows_access and not event_filter.names_access)
    return replace(event_filter, end=None) if event_filter.end and event_filter.end > g.now else event_filter


def choices(view: View, event_filter: Filter, records: Sequence[Connector]) -> dict[str, Any]:
    """Return the values that the lists of the filter offer: existing ones, and chosen ones that no longer exist."""
    existing = offered_values()
    types = [
        connector_type
        for key, connector_type in connectors.TYPES.items()
        if key in {connector.type for connector in records}
    ]
    offered: dict[str, dict[str, str]] = {
        "source": {connector_type.key: connector_type.label for connector_type in types},
        "event_type": {
            event_type.name: event_type.label for connector_type in types for event_type in connector_type.event_types
        },
        "connector": {str(connector.id): connector.name for connector in records},
        "tag": {tag: tag for tag in existing.tags},
        "team": {name: name for name in existing.teams},
        "author": {author: author for author in existing.authors},
        "service": {name: name for name in existing.services},
        "environment": {name: name for name in existing.environments},
    }
    lists = {}
    for name, values in offered.items():
        # The filter has the names of teams in the case in which they are stored.
        selected = event_filter.team if name == "team" else view.parameters.get(name, ())
        chosen = selected if name in NAMES else [part for value in selected for part in value.split(",")]
        values |= {value: value for value in chosen if value not in values}
        if name in OPTIONAL and not values:
            continue
        numbered = enumerate(values.items(), 1)
        lists[name] = [Choice(value, label, value in chosen, number) for number, (value, label) in numbered]
    return {"lists": lists, "list_labels": LISTS}


def offered_values() -> queries.FilterValues:
    """Return what the filter can be set to, and the saved views; they are read once for each request."""
    if "offered_values" not in g:
        g.offered_values = queries.filter_values(g.who.person_id)
    values: queries.FilterValues = g.offered_values
    return values


def has_start_page() -> bool:
    """Return whether "/" shows a saved view to this person."""
    if "offered_values" in g:
        return any(link.is_start for link in offered_values().views)
    if "has_start_page" not in g:
        g.has_start_page = saved_views.has_start(g.who.person_id)
    return bool(g.has_start_page)


def _in_utc(name: str, text: str) -> str:
    """Return a time as it is written in addresses; what is not a time stays as it is."""
    try:
        return utc_text(parse_time(text, name, responses.zone()))
    except BadFilter:
        return text


def utc_text(value: datetime) -> str:
    """Return a time in UTC with a Z.

    >>> utc_text(datetime(2026, 1, 31, 14, tzinfo=UTC))
    '2026-01-31T14:00:00Z'
    """
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _texts(value: Any) -> list[str]:
    if isinstance(value, list):
        return value
    if isinstance(value, datetime):
        return [utc_text(value)]
    return [value] if value else []
