"""Settings → Integrations: see, add, change, switch and delete connectors."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, abort, g, redirect, request, url_for
from flask.typing import ResponseReturnValue

from painchain import connectors
from painchain.configuration import connector_store
from painchain.configuration.connector_store import InvalidValues, ProtectedConnector, Saved, StaleConnector, type_of
from painchain.connectors.base import ConnectorType
from painchain.database.models import Connector
from painchain.history import blame
from painchain.ingestion import webhooks
from painchain.timeline import queries, visibility
from painchain.web.common import connector_health, responses
from painchain.web.common.responses import Toast, join
from painchain.web.common.transaction import audited_transaction
from painchain.web.dashboard.views import View, chart_values, feed_values
from painchain.web.settings import connector_form

blueprint = Blueprint("settings", __name__, url_prefix="/settings")

RECENT = 12
RECENT_RANGE = "30d"


@blueprint.get("")
def index() -> ResponseReturnValue:
    """Lead to the first section."""
    return redirect(url_for(".integrations"))


@blueprint.get("/integrations")
def integrations() -> ResponseReturnValue:
    """Show a card for each connector, or for those that match a search."""
    search, wanted = request.args.get("q", "").strip()[:200], request.args.get("type", "")
    found = connector_store.list_all(search, wanted)
    values: dict[str, Any] = {
        "found": found,
        **connector_health.watched(found),
        "search": search,
        "wanted": wanted,
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
    form = connector_form.sent_form(connector_type)
    try:
        with audited_transaction() as trail:
            values = connector_form.submitted(form, connector_type)
            connector = connector_store.create(connector_type, values, form.enabled.data, trail)
    except InvalidValues as invalid:
        connector_form.show_errors(form, invalid.errors)
        values = {"type": connector_type, "form": form, "connector": None}
        if responses.is_htmx():
            return responses.fragment("settings/new", **values), 422
        return responses.page("pages/settings/new.html", 422, **values)
    state = "It is enabled." if connector.enabled else "It is disabled: enable it when you are ready."
    toast = Toast(f"“{connector.name}” is added. {state}")
    address = url_for(".connector", connector_id=connector.id)
    return responses.go_to(address, toast)


@blueprint.get("/integrations/<int:connector_id>")
def connector(connector_id: int) -> ResponseReturnValue:
    """Show one connector: its form, what its events show, its recent changes."""
    return shown_page(_get_or_404(connector_id))


@blueprint.post("/integrations/<int:connector_id>")
def update(connector_id: int) -> ResponseReturnValue:
    """Save the form of a connector."""
    one = _get_or_404(connector_id)
    form = connector_form.sent_form(type_of(one), one)
    values = connector_form.submitted(form, type_of(one))
    shown = connector_form.visibility_submitted(type_of(one))
    try:
        with audited_transaction() as trail:
            one = _get_or_404(connector_id)
            saved = connector_store.update(one, values, shown, connector_form.version_submitted(), trail)
    except InvalidValues as invalid:
        connector_form.show_errors(form, invalid.errors)
        return _refused(_get_or_404(connector_id), form, 422, shown=shown)
    except StaleConnector:
        one = _get_or_404(connector_id)
        shown = connector_form.merged_toggles(form, one, shown)
        return _refused(one, form, 409, conflict=connector_form.conflict(form, one), shown=shown)
    toast = _saved_toast(one, saved)
    if responses.is_htmx():
        return _news(one, toast, responses.fragment("settings/connector", **_with_blame(one)))
    return responses.go_to(url_for(".connector", connector_id=one.id), toast)


@blueprint.post("/integrations/<int:connector_id>/visibility")
def toggle(connector_id: int) -> ResponseReturnValue:
    """Show or hide one field, or every field of an event type (`field` is ``*``), at once."""
    wanted = _toggles_wanted(type_of(_get_or_404(connector_id)))
    try:
        with audited_transaction() as trail:
            one = _get_or_404(connector_id)
            changed = connector_store.set_visible(one, wanted, connector_form.version_submitted(), trail)
    except StaleConnector as stale:
        return _stale(connector_id, stale)
    words = "shown" if all(wanted.values()) else "hidden"
    count = len(changed)
    what = changed[0].label if count == 1 else f"{count} fields"
    toast = (
        Toast(f"{what} {'is' if count == 1 else 'are'} {words} from now on.")
        if changed
        else Toast("Nothing to change.")
    )
    if responses.is_htmx():
        return _news(one, toast, _switched(one, whole=len(wanted) > 1))
    return responses.go_to(url_for(".connector", connector_id=connector_id, _anchor="visibility"), toast)


@blueprint.get("/integrations/<int:connector_id>/disable")
def confirm_disable(connector_id: int) -> ResponseReturnValue:
    """Ask before a connector is switched off."""
    return responses.page("pages/settings/disable.html", connector=_get_or_404(connector_id))


@blueprint.post("/integrations/<int:connector_id>/enable", defaults={"enabled": True})
@blueprint.post("/integrations/<int:connector_id>/disable", defaults={"enabled": False})
def switch(connector_id: int, enabled: bool) -> ResponseReturnValue:
    """Enable or disable a connector."""
    try:
        with audited_transaction() as trail:
            one = _get_or_404(connector_id)
            changed = connector_store.set_enabled(one, enabled, trail, connector_form.version_submitted())
    except StaleConnector as stale:
        return _stale(connector_id, stale)
    state = "enabled" if enabled else "disabled"
    toast = Toast(f"“{one.name}” is {state}." if changed else f"“{one.name}” was {state} already.")
    on_list = request.form.get("at") == "list"
    if responses.is_htmx() and not type_of(one).builtin:
        main = (
            responses.fragment("settings/card", connector=one, **connector_health.watched([one]))
            if on_list
            else _switched(one)
        )
        return _news(one, toast, main, on_list)
    address = url_for(".connector", connector_id=one.id)
    # Switching auditing changes the bar of every page, so htmx goes on to a whole page as well.
    return responses.go_to(url_for(".integrations") if on_list else address, toast)


@blueprint.get("/integrations/<int:connector_id>/delete")
def confirm_delete(connector_id: int) -> ResponseReturnValue:
    """Name what goes with a connector, and ask."""
    one = _get_or_404(connector_id)
    status = 409 if type_of(one).builtin else 200
    return responses.page("pages/settings/delete.html", status, **_detail(one))


@blueprint.post("/integrations/<int:connector_id>/delete")
def delete(connector_id: int) -> ResponseReturnValue:
    """Delete a connector."""
    try:
        with audited_transaction() as trail:
            one = _get_or_404(connector_id)
            name = one.name
            connector_store.delete(one, trail, connector_form.version_submitted())
    except ProtectedConnector as refusal:
        return responses.error(409, "Not deleted", str(refusal))
    except StaleConnector as stale:
        return _stale(connector_id, stale)
    return responses.go_to(url_for(".integrations"), Toast(f"“{name}” is deleted. Its events stay on the timeline."))


def recent(one: Connector | None) -> dict[str, Any]:
    """Return what the recent changes beside a page need: those of one connector, or of all."""
    given = {"source": [connectors.BUILTIN.key], "range": [RECENT_RANGE]}
    if one:
        given["connector"] = [str(one.id)]
    view = View(given)
    wanted = queries.parse_filter(given, g.now, responses.zone())
    return {
        **feed_values(view, wanted, limit=RECENT),
        **chart_values(view, wanted),
        "live_after": None,
        "compact": True,
    }


def shown_page(one: Connector, status: int = 200, **values: Any) -> ResponseReturnValue:
    """Return the page of a connector, with some of its values replaced."""
    return responses.page("pages/settings/connector.html", status, **{**_with_blame(one), **values}, **recent(one))


def _addable(key: str) -> ConnectorType:
    if key not in connectors.ADDABLE:
        abort(404, f"There is no connector type of this name. Choose from {', '.join(connectors.ADDABLE)}.")
    return connectors.ADDABLE[key]


def _get_or_404(connector_id: int) -> Connector:
    one = connector_store.get(connector_id) if connector_id < 2**63 else None
    if one is None:
        abort(404, "There is no connector here any more. What became of it is on the timeline.")
    return one


def _detail(one: Connector) -> dict[str, Any]:
    hidden = visibility.hidden(one.id)
    return {
        "connector": one,
        "type": type_of(one),
        "form": connector_form.shown_form(type_of(one), one),
        "values": connector_store.values(one),
        **connector_health.watched([one]),
        "shown": {toggle: toggle not in hidden for toggle in visibility.toggles(type_of(one))},
        "webhook": webhooks.of(one),
        "webhook_state": webhooks.state(webhooks.of(one)),
    }


def _with_blame(one: Connector) -> dict[str, Any]:
    """Return what the connector's form needs: also who changed each field last."""
    return {**_detail(one), "blame": blame.of(one)}


def _toggles_wanted(connector_type: ConnectorType) -> dict[visibility.Toggle, bool]:
    """Read which fields are to be shown or hidden: one, or all of one event type (`show` or `hide` names it)."""
    known = visibility.toggles(connector_type)
    for word, visible in (("show", True), ("hide", False)):
        if word in request.form:
            all_of_type = {toggle: visible for toggle in known if toggle[0] == request.form[word]}
            if all_of_type:
                return all_of_type
    toggle = (request.values.get("event_type", ""), request.values.get("field", ""))
    if toggle not in known:
        abort(422, "There is no such field; reload the page and try again.")
    return {toggle: connector_form.toggle_name(toggle) in request.form}


def _saved_toast(one: Connector, saved: Saved) -> Toast:
    if not saved:
        return Toast("Nothing to save: everything is as it was.", "info")
    labels = [change.label for change in saved.changes] + [change.label for change in saved.visibility]
    return Toast(f"Saved “{one.name}”: {', '.join(labels[:4])}{' …' if len(labels) > 4 else ''}.")


def _news(one: Connector, toast: Toast | None, main: str, of_all: bool = False) -> str:
    """Return the answer to htmx after a change: its target, and out of band message, chart and recent changes."""
    values = recent(None if of_all else one)
    others = [responses.fragment(name, oob=True, **values) for name in ("dashboard/timeline", "dashboard/feed")]
    return join(main, responses.fragment("shared/toast", oob=True, toasts=[toast] if toast else []), *others)


def _switched(one: Connector, whole: bool = False) -> str:
    return responses.fragment("settings/switched", whole=whole, **_detail(one))


def _refused(one: Connector, form: Any, status: int, **values: Any) -> ResponseReturnValue:
    """Show the form again with what was typed and why it was not saved."""
    given = {"form": form, **{name: value for name, value in values.items() if value}}
    if responses.is_htmx():
        return _news(one, None, responses.fragment("settings/connector", **{**_with_blame(one), **given})), status
    return shown_page(one, status, **given)


def _stale(connector_id: int, stale: StaleConnector) -> ResponseReturnValue:
    """Say that somebody else was first; the page is to be read anew before anything is switched or deleted."""
    return responses.error(409, "Somebody else was first", f"{stale} Reload the page to see it as it is now.")
