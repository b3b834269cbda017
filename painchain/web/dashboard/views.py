"""The dashboard: what changed, when, by whom, from what to what."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, abort, g, redirect, request, url_for
from flask.typing import ResponseReturnValue

from painchain.configuration import connector_store
from painchain.indexes import search_query
from painchain.ingestion import health as connector_polls
from painchain.presentation import event_view
from painchain.timeline import aggregates, queries, visibility
from painchain.timeline.cursor import Cursor
from painchain.timeline.filter import BadFilter
from painchain.web.common import connector_health, responses
from painchain.web.common.response_cache import cached
from painchain.web.dashboard.filter_view import View, choices, filter_of, view_of
from painchain.web.dashboard.widgets import chart_values, days_of, feed_values

blueprint = Blueprint("dashboard", __name__)


@blueprint.get("/")
@cached
def index() -> ResponseReturnValue:
    """Show the whole dashboard, or the part below the header to htmx."""
    view = view_of(request.args)
    try:
        wanted, problem, typed = filter_of(view), "", ""
        before = Cursor.parse(request.args["cursor"]) if request.args.get("cursor") else None
    except BadFilter as error:
        typed = view.one(error.parameter) if error.parameter == "q" else ""
        view, problem, before = View({}), str(error), None
        wanted = filter_of(view)
    status = 422 if problem else 200
    records = connector_polls.list_all(g.now)
    values = {
        **feed_values(view, wanted, before, head=_head_of_the_cache()),
        **chart_values(view, wanted),
        **choices(view, wanted, [connector for connector, _ in records]),
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
        wanted = filter_of(view)
        before = Cursor.parse(request.args.get("cursor", ""))
    except BadFilter as error:
        return responses.error(422, "Invalid filter", str(error))
    return responses.fragment("dashboard/more", **feed_values(view, wanted, before))


@blueprint.get("/timeline")
@cached
def chart_alone() -> ResponseReturnValue:
    """Return the chart alone, as of now."""
    view = view_of(request.args)
    try:
        return responses.fragment("dashboard/timeline", **chart_values(view, filter_of(view)))
    except BadFilter as error:
        return responses.error(422, "Invalid filter", str(error))


@blueprint.get("/events/<int:number>")
def event(number: int) -> ResponseReturnValue:
    """Show one event with everything that is recorded of it, beside the rest of the same action."""
    found = queries.event_by_id(number) if number < 2**63 else None
    if found is None:
        abort(404, "No event with this number.")
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
        abort(404, "No event with this ID.")
    return redirect(url_for(".event", number=found.id), 302)


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
