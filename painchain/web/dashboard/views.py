"""The dashboard: what changed, when, by whom, from what to what."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import Blueprint, abort, g, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm
from werkzeug.wrappers import Response
from wtforms import TextAreaField

from painchain.audit.trail import Auditing
from painchain.configuration import connector_store
from painchain.history import notes
from painchain.ingestion import health as connector_polls
from painchain.presentation import event_groups
from painchain.presentation.event_view import ShownEvent
from painchain.timeline import queries, visibility
from painchain.timeline.cursor import Cursor
from painchain.timeline.filter import BadFilter
from painchain.web.common import connector_health, responses
from painchain.web.common.response_cache import cached, head_of_request, page_for_many
from painchain.web.dashboard import before, empty_feed, menus, onboarding, time_range, view_menu
from painchain.web.dashboard.filter_view import View, choices, filter_of, view_of
from painchain.web.dashboard.widgets import chart_fragment, chart_values, days_of, feed_values

blueprint = Blueprint("dashboard", __name__)


class NoteForm(FlaskForm):  # type: ignore[misc]
    """The form of a note on an event."""

    text = TextAreaField("Note")


@blueprint.get("/")
@time_range.canonical
@cached
def index() -> ResponseReturnValue:
    """Show the whole dashboard, or the part below the header to htmx."""
    view, head = view_of(request.args), head_of_request()
    if not request.args and not responses.is_htmx():
        view = view_menu.start_view() or view
    overview = connector_polls.overview(g.now)
    records = overview.connectors
    try:
        if answer := before.address_of_question(connector for connector, _ in records):
            return redirect(answer, 302)
        event_filter, problem, typed = filter_of(view), "", ""
        cursor = Cursor.parse(request.args["cursor"]) if request.args.get("cursor") else None
    except BadFilter as error:
        typed = view.value(error.parameter) if error.parameter == "q" else ""
        view, problem, cursor = View({}), str(error), None
        event_filter = filter_of(view)
    status = 422 if problem else 200
    values = {
        "view": view,
        # First, because it also reads the statuses that the chart needs.
        **choices(view, event_filter, [connector for connector, _ in records]),
        **time_range.range_choices(view),
        **feed_values(view, event_filter, cursor, head=head),
        **({} if cursor else before.failures_of(view, event_filter)),
        "chart": chart_fragment(view, event_filter, head),
        "problem": problem,
        "view_menu": view_menu.menu(view),
    }
    values |= menus.counted_beside_chart(responses.opened(), values["lists"], event_filter, values["chart"].counts)
    values |= before.form_values(
        view, [connector for connector, _ in records], values["shown_events"], values["hidden_fields"]
    )
    values["menus"] = menus.rendered(view, values)
    values["typed_search"] = typed
    values["failing_connectors"] = connector_health.failing(records)
    if responses.is_htmx():
        return responses.fragment("dashboard/swap", **values), status
    values |= {"checklist": onboarding.checklist(records, overview.setup), "auditing": overview.auditing}
    return responses.page("pages/dashboard/dashboard.html", status, **values)


@blueprint.get("/feed")
def feed() -> ResponseReturnValue:
    """Return the part of the feed after a cursor."""
    view = view_of(request.args)
    try:
        event_filter = filter_of(view)
        cursor = Cursor.parse(request.args.get("cursor", ""))
    except BadFilter as error:
        return responses.error(422, "Invalid filter", str(error))
    return responses.fragment("dashboard/more", **feed_values(view, event_filter, cursor))


@blueprint.get("/feed/other-views")
def other_views() -> ResponseReturnValue:
    """List wider ranges and looser filters that have events: as a page, or as the part of an empty feed to htmx."""
    view = view_of(request.args)
    try:
        values: dict[str, Any] = {"view": view, "other_views": empty_feed.other_views(view, filter_of(view))}
    except BadFilter as error:
        return responses.error(422, "Invalid filter", str(error))
    if responses.is_htmx():
        return responses.fragment("dashboard/other_views", **values)
    return responses.page("pages/dashboard/other_views.html", **values)


@blueprint.get("/timeline")
@cached
def chart_alone() -> ResponseReturnValue:
    """Return only the chart, with current data."""
    view = view_of(request.args)
    try:
        return chart_fragment(view, filter_of(view), head_of_request()).html
    except BadFilter as error:
        return responses.error(422, "Invalid filter", str(error))


@blueprint.get("/timeline/table")
def chart_as_table() -> ResponseReturnValue:
    """Show the counts of the chart as a table: as a page, or as the panel of the chart to htmx."""
    view = view_of(request.args)
    try:
        values = chart_values(view, filter_of(view), has_gaps=False)
    except BadFilter as error:
        return responses.error(422, "Invalid filter", str(error))
    if responses.is_htmx():
        return responses.fragment("dashboard/chart_table", **values)
    return responses.page("pages/dashboard/chart_table.html", **values)


@blueprint.get("/filter/<name>")
def menu(name: str) -> ResponseReturnValue:
    """Show the choices of one list of the filter: as a page, or as the panel of its menu to htmx."""
    view = view_of(request.args)
    try:
        event_filter = filter_of(view)
        values = choices(view, event_filter, connector_store.list_all())
    except BadFilter as error:
        return responses.error(422, "Invalid filter", str(error))
    if name not in values["lists"]:
        abort(404, "The filter has no such list.")
    values |= menus.counted([name], values["lists"], event_filter)
    values |= {"name": name, "choices": values["lists"][name], "view": view}
    if responses.is_htmx():
        return responses.fragment("dashboard/menu_choices", **values)
    return responses.page("pages/dashboard/menu.html", **values)


@blueprint.get("/events/<int:number>")
def event(number: int) -> ResponseReturnValue:
    """Show one event with every recorded detail, and the other events of the same action."""
    event = _event_or_404(number)
    hidden, related, connector_name = visibility.all_hidden(), _related(event), _connector_name(event)
    shown = [
        ShownEvent(each, hidden.of(each.source, each.connector_id), responses.zone()) for each in (event, *related)
    ]
    notes_on_it = tuple(note.id for note in event.notes)
    key = ("event", tuple(each.identity for each in shown), notes_on_it, connector_name)

    def render(auditing: Auditing) -> Response:
        values = _event_values(shown[0], related, connector_name)
        return responses.page("pages/dashboard/event.html", auditing=auditing, **values)

    return page_for_many(key, render)


def event_page(number: int, note_form: NoteForm, status: int = 200) -> ResponseReturnValue:
    """Return the page of an event with a form for a note."""
    event = _event_or_404(number)
    values = _event_values(_shown(event), _related(event), _connector_name(event)) | {"note_form": note_form}
    return responses.page("pages/dashboard/event.html", status, **values)


def _event_values(shown: ShownEvent, related: Sequence[queries.Event], connector_name: str | None) -> dict[str, Any]:
    return {
        "event_view": shown.view,
        "row": event_groups.EventRow(shown),
        "days": days_of(related),
        "connector_name": connector_name,
        "note_form": NoteForm(formdata=None),
        "note_length": notes.MAX_LENGTH,
    }


def _related(event: queries.Event) -> list[queries.Event]:
    """Return the other events of the same action."""
    of_request = queries.events_of_request(event.request_id) if event_groups.is_of_action(event) else ()
    return [other for other in of_request if other.id != event.id and event_groups.is_of_action(other)]


@blueprint.get("/events/<int:number>/details")
def details(number: int) -> ResponseReturnValue:
    """Return the fields and links of an event for its unfolded row. Plain browsers get the page of the event."""
    event = _event_or_404(number)
    if not responses.is_htmx():
        return redirect(url_for(".event", number=event.id), 302)
    return responses.fragment("dashboard/event_details", event_view=_shown(event).view)


@blueprint.get("/events/<path:event_id>")
def event_called(event_id: str) -> ResponseReturnValue:
    """Redirect from an event ID to the permalink of the event."""
    event = queries.event_by_event_id(event_id)
    if event is None:
        abort(404, "No event with this ID.")
    return redirect(url_for(".event", number=event.id), 302)


def _event_or_404(number: int) -> queries.Event:
    event = queries.event_by_id(number) if number < 2**63 else None
    if event is None:
        abort(404, "No event with this number.")
    return event


def _shown(event: queries.Event) -> ShownEvent:
    return ShownEvent(event, visibility.all_hidden().of(event.source, event.connector_id), responses.zone())


def _connector_name(event: queries.Event) -> str | None:
    return connector_store.name_of(event.connector_id) if event.connector_id else None
