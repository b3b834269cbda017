"""Settings → Integrations: show, add, change, enable, disable and delete connectors."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from flask import Blueprint, abort, g, redirect, request, url_for
from flask.typing import ResponseReturnValue

from painchain import connectors
from painchain.audit.trail import Trail
from painchain.configuration import connector_copy, connector_store, shared_sources, stored_connector
from painchain.configuration.connector_edit import ConnectorEdit, Saved
from painchain.configuration.connector_store import type_of
from painchain.configuration.errors import InvalidValues, ProtectedConnector, StaleRow
from painchain.configuration.stored_connector import StoredConnector
from painchain.connectors.base import ConnectorType
from painchain.database.models import Connector
from painchain.history import blame
from painchain.ingestion import health as connector_polls
from painchain.ingestion import silent_webhooks, webhooks
from painchain.presentation import event_groups
from painchain.timeline import context, visibility
from painchain.timeline.filter import Filter, parse_filter
from painchain.web.common import connector_health, responses
from painchain.web.common.responses import Toast, join
from painchain.web.common.transaction import audited_transaction
from painchain.web.dashboard.filter_view import View
from painchain.web.dashboard.widgets import chart_values, feed_values
from painchain.web.settings import connector_form, webhook_guide

blueprint = Blueprint("settings", __name__, url_prefix="/settings")

RECENT = 12
RECENT_RANGE = "30d"


@blueprint.get("")
def index() -> ResponseReturnValue:
    """Redirect to the first section."""
    return redirect(url_for(".integrations"))


@blueprint.get("/integrations")
def integrations() -> ResponseReturnValue:
    """Show a card for each connector, or for those that match a search."""
    search, type_key = request.args.get("q", "").strip()[:200], request.args.get("type", "")
    matching = connector_store.list_all(search, type_key)
    values: dict[str, Any] = {
        "matching": matching,
        **_of_cards(matching),
        "search": search,
        "type_key": type_key,
        "addable": connectors.ADDABLE,
    }
    if responses.is_htmx() and request.headers.get("HX-Target") == "cards":
        return responses.fragment("settings/cards", **values)
    return responses.page("pages/settings/integrations.html", **values, **recent(None))


@blueprint.get("/integrations/new")
def choose() -> ResponseReturnValue:
    """Offer the types of connectors that can be added."""
    return responses.page("pages/settings/choose.html", addable=connectors.ADDABLE)


@blueprint.get("/integrations/new/<key>")
def new(key: str) -> ResponseReturnValue:
    """Show the empty form of a connector type."""
    connector_type = _addable(key)
    return responses.page(
        "pages/settings/new.html", type=connector_type, form=connector_form.shown_form(connector_type)
    )


@blueprint.post("/integrations/new/<key>")
def create(key: str) -> ResponseReturnValue:
    """Add a connector."""
    connector_type = _addable(key)
    values = connector_form.submitted(connector_type)
    try:
        with audited_transaction() as trail:
            original = connector_form.original_submitted(connector_type)
            create = connector_store.create if original is None else partial(connector_copy.create, original=original)
            connector = create(connector_type, values, connector_form.enable_submitted(), trail=trail)
            warnings = [Toast(warning, "info") for warning in shared_sources.warnings(connector)]
    except InvalidValues as invalid:
        form = connector_form.sent_form(connector_type)
        connector_form.show_errors(form, invalid.errors)
        values = {"type": connector_type, "form": form, "connector": None}
        if responses.is_htmx():
            return responses.fragment("settings/new", **values), 422
        return responses.page("pages/settings/new.html", 422, **values)
    state = (
        "The connector is enabled." if connector.enabled else "The connector is disabled. Enable it when you are ready."
    )
    toast = Toast(f"Added “{connector.name}”. {state}")
    address = url_for(".connector", connector_id=connector.id)
    return responses.go_to(address, toast, *warnings)


@blueprint.get("/integrations/<int:connector_id>")
def connector(connector_id: int) -> ResponseReturnValue:
    """Show one connector: its form, the visibility of its fields and its recent changes."""
    return shown_page(stored_or_404(connector_id))


@blueprint.post("/integrations/<int:connector_id>")
def update(connector_id: int) -> ResponseReturnValue:
    """Save the form of a connector."""
    try:
        with audited_transaction() as trail:
            stored = stored_or_404(connector_id, trail)
            edit = connector_form.edit_submitted(stored.connector)
            saved = connector_store.update(stored.connector, edit, trail, stored.hidden)
            # The form offers it after a good test of the connection.
            enables = connector_form.enable_submitted() and connector_store.set_enabled(stored.connector, True, trail)
            changed = [change.key for change in saved.changes]
            warnings = [Toast(warning, "info") for warning in shared_sources.warnings(stored.connector, changed)]
            stored = stored.after_save(saved.visibility)
    except InvalidValues as invalid:
        return _invalid(stored_or_404(connector_id), invalid)
    except StaleRow:
        return _conflict(stored_or_404(connector_id))
    toast = _saved_toast(stored.connector, saved, enables)
    if responses.is_htmx():
        main = responses.fragment("settings/connector", **_with_blame(stored))
        return _htmx_response(stored, toast, main, *warnings)
    return responses.go_to(url_for(".connector", connector_id=connector_id), toast, *warnings)


@blueprint.post("/integrations/<int:connector_id>/visibility")
def toggle(connector_id: int) -> ResponseReturnValue:
    """Show or hide one field, or every field of an event type (`field` is ``*``)."""
    try:
        with audited_transaction() as trail:
            stored = stored_or_404(connector_id, trail)
            toggles = _toggles_submitted(type_of(stored.connector))
            edit = ConnectorEdit(visibility=toggles, version=connector_form.version_submitted())
            changed = connector_store.set_visible(stored.connector, edit, trail, stored.hidden)
            stored = stored.after_save(changed)
    except StaleRow as stale:
        return _stale(stale)
    state = "shown" if all(toggles.values()) else "hidden"
    count = len(changed)
    fields = changed[0].label if count == 1 else f"{count} fields"
    toast = Toast(f"{fields} {'is' if count == 1 else 'are'} now {state}.") if changed else Toast("No changes.", "info")
    if responses.is_htmx():
        return _htmx_response(stored, toast, _switched(stored, with_toggles=len(toggles) > 1))
    return responses.go_to(url_for(".connector", connector_id=connector_id, _anchor="visibility"), toast)


@blueprint.get("/integrations/<int:connector_id>/disable")
def confirm_disable(connector_id: int) -> ResponseReturnValue:
    """Ask for confirmation before disabling a connector."""
    return responses.page("pages/settings/disable.html", connector=stored_or_404(connector_id).connector)


@blueprint.post("/integrations/<int:connector_id>/enable", defaults={"enabled": True})
@blueprint.post("/integrations/<int:connector_id>/disable", defaults={"enabled": False})
def switch(connector_id: int, enabled: bool) -> ResponseReturnValue:
    """Enable or disable a connector."""
    try:
        with audited_transaction() as trail:
            connector = stored_or_404(connector_id, trail).connector
            changed = connector_store.set_enabled(connector, enabled, trail, connector_form.version_submitted())
    except StaleRow as stale:
        return _stale(stale)
    state = "enabled" if enabled else "disabled"
    toast = Toast(f"“{connector.name}” is {state}." if changed else f"“{connector.name}” is already {state}.")
    on_list = request.form.get("at") == "list"
    if responses.is_htmx() and not type_of(connector).builtin:
        if on_list:
            card = responses.fragment("settings/card", connector=connector, **_of_cards([connector]))
            return _htmx_response(None, toast, card)
        stored = stored_or_404(connector_id)
        return _htmx_response(stored, toast, _switched(stored))
    address = url_for(".connector", connector_id=connector_id)
    # Auditing changes the top bar of every page, so htmx loads a whole page as well.
    return responses.go_to(url_for(".integrations") if on_list else address, toast)


@blueprint.get("/integrations/<int:connector_id>/delete")
def confirm_delete(connector_id: int) -> ResponseReturnValue:
    """Show what is deleted with a connector, and ask for confirmation."""
    stored = stored_or_404(connector_id)
    status = 409 if type_of(stored.connector).builtin else 200
    return responses.page("pages/settings/delete.html", status, **_detail(stored))


@blueprint.post("/integrations/<int:connector_id>/delete")
def delete(connector_id: int) -> ResponseReturnValue:
    """Delete a connector."""
    try:
        with audited_transaction() as trail:
            connector = stored_or_404(connector_id, trail).connector
            name = connector.name
            connector_store.delete(connector, trail, connector_form.version_submitted())
    except ProtectedConnector as refusal:
        return responses.error(409, "Not deleted", str(refusal))
    except StaleRow as stale:
        return _stale(stale)
    return responses.go_to(url_for(".integrations"), Toast(f"Deleted “{name}”. Its events stay on the timeline."))


def recent(stored: StoredConnector | None) -> dict[str, Any]:
    """Return the values for the recent changes beside a page: of one connector, or of all."""
    parameters = {"source": [connectors.BUILTIN.key], "range": [RECENT_RANGE]}
    if stored:
        parameters["connector"] = [str(stored.connector.id)]
    view = View(parameters)
    event_filter = parse_filter(parameters, g.now, responses.zone())
    feed = _feed_of(stored, view, event_filter) if stored else feed_values(view, event_filter, limit=RECENT)
    # Only PainChain's own events are shown, so only the built-in connector can have gaps.
    has_gaps = stored is None or type_of(stored.connector).builtin
    chart = chart_values(view, event_filter, has_gaps, is_compact=True)
    return {**feed, **chart, "live_after": None, "compact": True}


def _feed_of(stored: StoredConnector, view: View, event_filter: Filter) -> dict[str, Any]:
    page = context.connector_history(stored.connector.id, limit=RECENT, since=event_filter.start)
    return {
        "days": list(event_groups.by_day(page.events, stored.hidden_in_feed, responses.zone())),
        "older": view.address("/", cursor=str(page.older)) if page.older else "",
        "older_fragment": view.address("/feed", cursor=str(page.older)) if page.older else "",
    }


def shown_page(stored: StoredConnector, status: int = 200, **values: Any) -> ResponseReturnValue:
    """Return the page of a connector, with some of its values replaced."""
    values = {**_with_blame(stored), **values}
    return responses.page("pages/settings/connector.html", status, **values, **recent(stored))


def stored_or_404(connector_id: int, trail: Trail | None = None) -> StoredConnector:
    """Return the connector with that ID, or answer 404; inside a transaction with its `trail`."""
    stored = stored_connector.read(connector_id, trail) if connector_id < 2**63 else None
    if stored is None:
        abort(404, "No connector with this ID. If it was deleted, the timeline shows when and by whom.")
    return stored


def _addable(key: str) -> ConnectorType:
    if key not in connectors.ADDABLE:
        abort(404, f"Unknown connector type. Choose one of {', '.join(connectors.ADDABLE)}.")
    return connectors.ADDABLE[key]


def _of_cards(shown: Sequence[Connector]) -> dict[str, Any]:
    """Return the values for the cards of connectors."""
    silent = silent_webhooks.find(shown, g.now)
    return {**connector_health.watched(shown), "silent_webhooks": silent, "unpolled": webhooks.unpolled(shown)}


def _detail(stored: StoredConnector) -> dict[str, Any]:
    connector, connector_type = stored.connector, type_of(stored.connector)
    health = {connector.id: connector_polls.of(connector, stored.poll_state, g.now)} if connector_type.poll else {}
    return {
        "connector": connector,
        "type": connector_type,
        "form": connector_form.shown_form(connector_type, stored),
        "values": connector_store.values(connector),
        **connector_health.watched([connector], health),
        "shown": {toggle: toggle not in stored.hidden for toggle in visibility.toggles(connector_type)},
        "webhook": stored.webhook,
        "webhook_state": webhooks.fingerprint(stored.webhook),
        "silent_webhooks": silent_webhooks.find([connector], g.now) if stored.webhook else {},
        **webhook_guide.section(stored),
    }


def _with_blame(stored: StoredConnector) -> dict[str, Any]:
    """Return the values for the connector's form, with who last changed each field."""
    return {**_detail(stored), "blame": blame.of(stored.connector)}


def _toggles_submitted(connector_type: ConnectorType) -> dict[visibility.Toggle, bool]:
    """Return the submitted toggles: of one field, or of all fields of one event type (in `show` or `hide`)."""
    all_toggles = visibility.toggles(connector_type)
    for parameter, is_visible in (("show", True), ("hide", False)):
        if parameter in request.form:
            all_of_type = {toggle: is_visible for toggle in all_toggles if toggle[0] == request.form[parameter]}
            if all_of_type:
                return all_of_type
    toggle = (request.values.get("event_type", ""), request.values.get("field", ""))
    if toggle not in all_toggles:
        abort(422, "Unknown field. Reload the page and try again.")
    return {toggle: connector_form.toggle_name(toggle) in request.form}


def _saved_toast(connector: Connector, saved: Saved, enables: bool) -> Toast:
    if enables and not saved:
        return Toast(f"“{connector.name}” is enabled.")
    if not saved:
        return Toast("No changes to save.", "info")
    labels = [change.label for change in saved.changes] + [change.label for change in saved.visibility]
    enabled = " It is enabled now." if enables else ""
    changes = f"{', '.join(labels[:4])}{' …' if len(labels) > 4 else ''}"
    return Toast(f"Saved “{connector.name}”. Changed: {changes}.{enabled}")


def _htmx_response(stored: StoredConnector | None, toast: Toast | None, main: str, *warnings: Toast) -> str:
    """Return the response to htmx after a change: its target, and out of band messages, chart and recent events."""
    values = recent(stored)
    updates = [responses.fragment(name, oob=True, **values) for name in ("dashboard/timeline", "dashboard/feed")]
    return join(
        main, responses.fragment("shared/toast", oob=True, toasts=[toast, *warnings] if toast else []), *updates
    )


def _switched(stored: StoredConnector, with_toggles: bool = False) -> str:
    return responses.fragment("settings/switch_response", with_toggles=with_toggles, **_detail(stored))


def _invalid(stored: StoredConnector, invalid: InvalidValues) -> ResponseReturnValue:
    form = connector_form.sent_form(type_of(stored.connector), stored)
    connector_form.show_errors(form, invalid.errors)
    return _refused(stored, form, 422, shown=connector_form.visibility_submitted(type_of(stored.connector)))


def _conflict(stored: StoredConnector) -> ResponseReturnValue:
    connector_type = type_of(stored.connector)
    form = connector_form.sent_form(connector_type, stored)
    shown = connector_form.merged_toggles(form, stored, connector_form.visibility_submitted(connector_type))
    return _refused(stored, form, 409, conflict=connector_form.conflict(form, stored), shown=shown)


def _refused(stored: StoredConnector, form: Any, status: int, **values: Any) -> ResponseReturnValue:
    """Show the form again with what was typed and why it was not saved."""
    values = {"form": form, **{name: value for name, value in values.items() if value}}
    if responses.is_htmx():
        main = responses.fragment("settings/connector", **{**_with_blame(stored), **values})
        return _htmx_response(stored, None, main), status
    return shown_page(stored, status, **values)


def _stale(stale: StaleRow) -> ResponseReturnValue:
    """Answer that someone else saved first; the page must be reloaded before another change."""
    return responses.error(409, "Someone else changed this first", str(stale))
