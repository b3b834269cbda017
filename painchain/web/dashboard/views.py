"""The dashboard: what changed, when, by whom, from what to what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, abort, g, redirect, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import MultiDict

from painchain import connectors
from painchain.configuration import connector_store
from painchain.database.models import Connector
from painchain.indexes import search_query
from painchain.ingestion import health as connector_polls
from painchain.presentation import event_view
from painchain.timeline import aggregates, coverage, histogram, queries, silent_connectors, visibility
from painchain.timeline.cursor import Cursor
from painchain.timeline.filter import DEFAULT_RANGE, NAMES, RANGES, BadFilter, Filter, parse_filter, parse_time
from painchain.timeline.queries import PAGE
from painchain.web.common import connector_health, responses
from painchain.web.common.response_cache import cached
from painchain.web.dashboard import chart

blueprint = Blueprint("dashboard", __name__)

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


@blueprint.get("/")
@cached
def index() -> ResponseReturnValue:
    """Show the whole dashboard, or the part below the header to htmx."""
    view = view_of(request.args)
    try:
        wanted, problem, typed = wanted_of(view), "", ""
        before = Cursor.parse(request.args["cursor"]) if request.args.get("cursor") else None
    except BadFilter as error:
        typed = view.one(error.parameter) if error.parameter == "q" else ""
        view, problem, before = View({}), str(error), None
        wanted = wanted_of(view)
    status = 422 if problem else 200
    records = connector_polls.list_all(g.now)
    values = {
        **feed_values(view, wanted, before, head=_head_of_the_cache()),
        **chart_values(view, wanted),
        **_choices(view, wanted, [connector for connector, _ in records]),
        "problem": problem,
    }
    values |= {"qualifiers": search_query.QUALIFIERS, "typed_search": typed}
    values["failing_connectors"] = connector_health.failing(records)
    if responses.is_htmx():
        return responses.fragment("dashboard/dashboard", **values), status
    return responses.page("pages/dashboard/dashboard.html", status, **values)


@blueprint.get("/feed")
def feed() -> ResponseReturnValue:
    """Return the part of the feed behind a cursor."""
    view = view_of(request.args)
    try:
        wanted = wanted_of(view)
        before = Cursor.parse(request.args.get("cursor", ""))
    except BadFilter as error:
        return responses.error(422, "This filter is not understood", str(error))
    return responses.fragment("dashboard/more", **feed_values(view, wanted, before))


@blueprint.get("/timeline")
@cached
def chart_alone() -> ResponseReturnValue:
    """Return the chart alone, as of now."""
    view = view_of(request.args)
    try:
        return responses.fragment("dashboard/timeline", **chart_values(view, wanted_of(view)))
    except BadFilter as error:
        return responses.error(422, "This filter is not understood", str(error))


@blueprint.get("/events/<int:number>")
def event(number: int) -> ResponseReturnValue:
    """Show one event with everything that is recorded of it, beside the rest of the same action."""
    found = queries.event_by_id(number) if number < 2**63 else None
    if found is None:
        abort(404, "There is no event of this number.")
    shown = event_view.describe(found, _hidden_of(found), responses.zone())
    others = [one for one in queries.events_of_request(found.request_id) if one.id != found.id]
    return responses.page(
        "pages/dashboard/event.html", article=shown, days=days_of(others), connector=_connector_of(found)
    )


@blueprint.get("/events/<path:event_id>")
def event_called(event_id: str) -> ResponseReturnValue:
    """Lead from an event id to the permalink of the event."""
    found = queries.event_by_event_id(event_id)
    if found is None:
        abort(404, "There is no event of this id.")
    return redirect(url_for(".event", number=found.id), 302)


def view_of(given: MultiDict[str, str], path: str = "/") -> View:
    """Return the filter that a query string sets."""
    kept = {name: [value for value in given.getlist(name) if value] for name in PARAMETERS}
    return View({name: values for name, values in kept.items() if values}, path)


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


def wanted_of(view: View) -> Filter:
    """Read the filter of a view; a range that reaches into the future has no end yet."""
    wanted = parse_filter(view.given, g.now, responses.zone(), DEFAULT_RANGE)
    return replace(wanted, end=None) if wanted.end and wanted.end > g.now else wanted


def days_of(events: Sequence[queries.Event]) -> list[event_view.Day]:
    """Return events as the feed shows them."""
    return list(event_view.by_day(events, visibility.all_hidden(), responses.zone()))


def _hidden_of(event: queries.Event) -> frozenset[visibility.Toggle]:
    return visibility.all_hidden().of(event.source, event.connector_id)


def _connector_of(event: queries.Event) -> Any:
    return connector_store.get(event.connector_id) if event.connector_id else None


def _head_of_the_cache() -> queries.Head | None:
    """Return the head of the log that the response cache read for this request, if it did."""
    head: queries.Head | None = g.get("log_head")
    if head:
        aggregates.remember_counted(head.counted)
    return head


def _choices(view: View, wanted: Filter, records: Sequence[Connector]) -> dict[str, Any]:
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
