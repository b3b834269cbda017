"""The filter of a view: read it from an address, change it, and list the values it offers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from flask import g
from werkzeug.datastructures import MultiDict

from painchain import connectors
from painchain.database.models import Connector
from painchain.indexes import search_query
from painchain.timeline import queries
from painchain.timeline.filter import DEFAULT_RANGE, NAMES, RANGES, BadFilter, Filter, parse_filter, parse_time
from painchain.web.common import responses

LISTS = {
    "source": "Source",
    "event_type": "Type",
    "connector": "Connector",
    "tag": "Tag",
    "team": "Team",
    "author": "Author",
}
PARAMETERS = (*LISTS, "status", "q", "range", "start_date", "end_date")


@dataclass(frozen=True)
class Choice:
    """One value that a list of the filter offers."""

    value: str
    label: str
    chosen: bool


@dataclass(frozen=True)
class View:
    """A filter as its address has it: the parameters that are set."""

    given: Mapping[str, Sequence[str]]
    path: str = "/"

    def address(self, path: str = "", /, **changed: Any) -> str:
        """Return the address of this view with some parameters changed; an empty value leaves one out."""
        kept = {**self.given, **{name: _texts(value) for name, value in changed.items()}}
        pairs = [(name, value) for name, values in kept.items() for value in values if value]
        return (path or self.path) + ("?" + urlencode(pairs) if pairs else "")

    def without(self, name: str, value: str) -> str:
        """Return the address of this view without one value of a list."""
        return self.address(**{name: [one for one in self.given.get(name, ()) if one != value]})

    def one(self, name: str) -> str:
        """Return the value of a parameter."""
        return next(iter(self.given.get(name, ())), "")

    @property
    def filtered(self) -> bool:
        """Whether anything but the range narrows this view."""
        return any(name in self.given for name in (*LISTS, "status", "q"))

    @property
    def cleared(self) -> str:
        """The address of this view with nothing but its range."""
        return self.address("/", **dict.fromkeys((*LISTS, "status", "q"), ""))

    @property
    def timeless(self) -> str:
        """The search without the times it names."""
        return search_query.timeless(self.one("q"))

    @property
    def range(self) -> str:
        """Return the name of the range that is shown; none where the search names a time itself."""
        if search_query.names_time(self.one("q")):
            return ""
        if self.one("start_date") or self.one("end_date"):
            return "custom"
        return self.one("range") or DEFAULT_RANGE


def view_of(given: MultiDict[str, str], path: str = "/") -> View:
    """Return the filter that a query string sets."""
    kept = {name: [value for value in given.getlist(name) if value] for name in PARAMETERS}
    return View({name: values for name, values in kept.items() if values}, path)


def filter_of(view: View) -> Filter:
    """Read the filter of a view; a range that reaches into the future has no end yet."""
    wanted = parse_filter(view.given, g.now, responses.zone(), DEFAULT_RANGE)
    return replace(wanted, end=None) if wanted.end and wanted.end > g.now else wanted


def choices(view: View, wanted: Filter, records: Sequence[Connector]) -> dict[str, Any]:
    """Return what the lists of the filter offer: what exists, and what is chosen even if it exists no more."""
    existing = queries.filter_values()
    types = [
        connector_type
        for key, connector_type in connectors.TYPES.items()
        if key in {connector.type for connector in records}
    ]
    offered: dict[str, dict[str, str]] = {
        "source": {connector_type.key: connector_type.label for connector_type in types},
        "event_type": {one.name: one.label for connector_type in types for one in connector_type.event_types},
        "connector": {str(connector.id): connector.name for connector in records},
        "tag": {tag: tag for tag in existing.tags},
        "team": {name: name for name in existing.teams},
        "author": {author: author for author in existing.authors},
    }
    if not offered["team"]:  # most have none, and a menu less is calmer
        del offered["team"]
    lists = {}
    for name, values in offered.items():
        given = wanted.team if name == "team" else view.given.get(name, ())  # however their case was typed
        chosen = given if name in NAMES else [part for value in given for part in value.split(",")]
        values |= {value: value for value in chosen if value not in values}
        lists[name] = [Choice(value, label, value in chosen) for value, label in values.items()]
    return {"lists": lists, "list_labels": LISTS, "ranges": list(RANGES), "custom": _custom(view)}


def _custom(view: View) -> dict[str, str]:
    """Return the ends of a custom range as a date-time input has them, in the viewer's zone."""
    ends = {}
    for name in ("start_date", "end_date"):
        try:
            value = parse_time(view.one(name), name, responses.zone()) if view.one(name) else None
        except BadFilter:
            value = None
        ends[name] = f"{value.astimezone(responses.zone()):%Y-%m-%dT%H:%M}" if value else ""
    return ends


def _texts(value: Any) -> list[str]:
    if isinstance(value, list):
        return value
    if isinstance(value, datetime):
        return [value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")]
    return [value] if value else []
