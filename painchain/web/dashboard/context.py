"""Pages about an event: what changed around it, the history of its connector, and reverting its settings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import Blueprint, abort, request, url_for
from flask.typing import ResponseReturnValue

from painchain import connectors
from painchain.configuration import connector_store
from painchain.configuration.errors import InvalidValues
from painchain.history import undo
from painchain.history.undo import NothingToUndo, UndoRefused
from painchain.presentation import event_groups, event_view
from painchain.timeline import context, queries, visibility
from painchain.timeline.context import DEFAULT_SPAN, SPANS, EventSlice
from painchain.timeline.cursor import Cursor
from painchain.timeline.filter import BadFilter
from painchain.timeline.queries import Event
from painchain.web.common import responses
from painchain.web.common.responses import Toast
from painchain.web.common.transaction import audited_transaction
from painchain.web.dashboard.filter_view import View

# How many newer events the timeline shows above an event, if there is more than a page of them.
NEARBY = 20

blueprint = Blueprint("history", __name__)
blueprint.add_app_template_test(undo.can_undo, "undoable")


@blueprint.get("/events/<int:number>/around")
def around(number: int) -> ResponseReturnValue:
    """Show an event among the others of about the same time."""
    event = _event_or_404(number)
    span = request.args.get("within", DEFAULT_SPAN)
    try:
        newer, older = _cursor("later"), _cursor("earlier")
        if span not in SPANS:
            raise BadFilter("within", f"within must be one of {', '.join(SPANS)}.")
    except BadFilter as problem:
        return responses.error(422, "Invalid URL", str(problem))
    before = after = EventSlice(())
    event_cursor = context.cursor_of(event)
    if newer or not older:
        after = context.events_after(event.timestamp + SPANS[span], newer or event_cursor)
    if older or not newer:
        before = context.events_before(event.timestamp - SPANS[span], older or event_cursor)
    is_first_page = not newer and not older
    events = [*after.events, *([event] if is_first_page else []), *before.events]
    values: dict[str, Any] = {
        "days": _days(events),
        "here": number if is_first_page else None,
        "alone": is_first_page and len(events) == 1,
        "newer": _next_page_address("later", after, number, span),
        "older": _next_page_address("earlier", before, number, span),
        "older_fragment": _next_page_address("earlier", before, number, span),
    }
    if responses.is_htmx():
        return (
            responses.fragment("dashboard/more", **values) if older else responses.fragment("dashboard/newer", **values)
        )
    hidden = visibility.all_hidden().of(event.source, event.connector_id)
    heading = event_view.describe(event, hidden, responses.zone()).heading
    values |= {"heading": heading, "span": span, "spans": SPANS, "on_timeline": _on_timeline(event, after)}
    return responses.page("pages/dashboard/around.html", event=event, **values)


@blueprint.get("/settings/integrations/<int:number>/history")
def of_connector(number: int) -> ResponseReturnValue:
    """Show every change of one connector, also of a deleted one."""
    try:
        page = context.connector_history(number, _cursor("cursor")) if number < 2**63 else None
    except BadFilter as problem:
        return responses.error(422, "Invalid URL", str(problem))
    last = context.last_change(number) if page else None
    connector = connector_store.get(number) if page else None
    if page is None or not (connector or last):
        abort(404, "No connector with this ID, now or in the log.")
    older = url_for(".of_connector", number=number, cursor=str(page.older)) if page.older else ""
    values: dict[str, Any] = {"days": _days(page.events), "older": older, "older_fragment": older}
    if responses.is_htmx():
        return responses.fragment("dashboard/more", **values)
    first = "cursor" not in request.args
    return responses.page(
        "pages/settings/history.html", number=number, connector=connector, last=last, first=first, **values
    )


@blueprint.get("/events/<int:number>/restore")
def preview(number: int) -> ResponseReturnValue:
    """Show what reverting an event's settings would change, and the obstacles."""
    return responses.page("pages/settings/restore.html", **_plan_values(number))


@blueprint.post("/events/<int:number>/restore")
def put_back(number: int) -> ResponseReturnValue:
    """Revert the chosen settings of an event: all of them or none."""
    chosen = request.form.getlist("fields")
    try:
        with audited_transaction() as trail:
            event = _event_or_404(number)
            saved = undo.undo(event, chosen, trail)
            connector = connector_store.get(event.connector_id)
            name = connector.name if connector else ""
    except NothingToUndo as refusal:
        abort(404, str(refusal))
    except UndoRefused as refusal:
        return _refused(number, chosen, refusal, 409 if refusal.moved else 422)
    except InvalidValues as invalid:
        return _refused(number, chosen, invalid, 422)
    labels = [change.label for change in saved.changes] + [change.label for change in saved.visibility]
    toast = Toast(f"Reverted in “{name}”: {', '.join(labels[:4])}{' …' if len(labels) > 4 else ''}.")
    return responses.go_to(url_for("settings.connector", connector_id=event.connector_id), toast)


def _event_or_404(number: int) -> Event:
    event = queries.event_by_id(number) if number < 2**63 else None
    if event is None:
        abort(404, "No event with this number.")
    return event


def _cursor(name: str) -> Cursor | None:
    return Cursor.parse(request.args[name]) if request.args.get(name) else None


def _next_page_address(side: str, events: EventSlice, number: int, span: str) -> str:
    if not events.further:
        return ""
    cursor: dict[str, Any] = {side: str(events.further)}
    return url_for(".around", number=number, within=span, **cursor)


def _on_timeline(event: Event, after: EventSlice) -> str:
    """Return the address of the timeline around an event, on the page of the feed that shows it."""
    start, end = event.timestamp - SPANS["1h"], event.timestamp + SPANS["1h"]
    newer = [other for other in after.events if other.timestamp <= end]
    cursor = str(context.cursor_of(newer[-NEARBY - 1])) if len(newer) > NEARBY else ""
    access = "1" if event.source == connectors.BUILTIN.key and event.event_type in connectors.ACCESS_TYPES else ""
    address = View({}).address("/", access=access, start_date=start, end_date=end, cursor=cursor)
    return f"{address}#event-{event.id}"


def _days(events: Sequence[Event]) -> list[event_groups.Day]:
    return list(event_groups.by_day(events, visibility.all_hidden(), responses.zone()))


def _plan_values(number: int) -> dict[str, Any]:
    event = _event_or_404(number)
    try:
        plan = undo.plan(event)
    except NothingToUndo as refusal:
        abort(404, str(refusal))
    return {"plan": plan, "event": event, "chosen": [part.change.key for part in plan.possible]}


def _refused(number: int, chosen: list[str], refusal: Exception, status: int) -> ResponseReturnValue:
    """Show the preview again with the current state, the chosen settings and the reason of the refusal."""
    problem = str(refusal) if chosen else "Not reverted: select at least one setting."
    values = {**_plan_values(number), "chosen": chosen, "problem": problem}
    if responses.is_htmx():
        return responses.fragment("settings/restore", **values), status
    return responses.page("pages/settings/restore.html", status, **values)
