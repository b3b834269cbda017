"""Settings → Views: save, change, star and delete views of the timeline."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

from flask import Blueprint, abort, g, request, url_for
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm
from wtforms import BooleanField, HiddenField, StringField

from painchain.configuration import saved_views
from painchain.configuration.errors import InvalidValues, StaleRow
from painchain.configuration.saved_views import FIELDS, FILTER, NAME, SHARED, NotForRole
from painchain.database.models import SavedView
from painchain.web.common import responses
from painchain.web.common.responses import Toast
from painchain.web.common.transaction import audited_transaction
from painchain.web.common.view_owner import member
from painchain.web.dashboard import view_menu
from painchain.web.dashboard.filter_view import PARAMETERS, view_of
from painchain.web.settings import connector_form
from painchain.web.settings.connector_form import Conflict

blueprint = Blueprint("saved_views", __name__, url_prefix="/settings/views")


class ViewForm(FlaskForm):  # type: ignore[misc]
    """A view as entered, with the version and values from when the form was opened."""

    name = StringField(NAME.caption)
    filter = StringField(FILTER.caption)
    shared = BooleanField(SHARED.caption)
    start = BooleanField("Start page")
    version = HiddenField()
    base = HiddenField()


@blueprint.get("")
def index() -> ResponseReturnValue:
    """List the views that this person sees."""
    reader = member()
    return responses.page(
        "pages/settings/views.html",
        views=saved_views.list_all(reader),
        start=saved_views.start_view(reader),
        may_change=may_change,
    )


@blueprint.get("/new")
def new() -> ResponseReturnValue:
    """Show the form that saves the filter in the address."""
    return _page(200, None, _form_of(None))


@blueprint.post("/new")
def create() -> ResponseReturnValue:
    """Save a view and show it."""
    form = ViewForm()
    try:
        with audited_transaction() as trail:
            view = saved_views.create(_submitted(form), PARAMETERS, member(), trail)
            if form.start.data:
                saved_views.set_start(view, True, member(), trail)
            name, address = view.name, f"/?{view.filter}"
    except InvalidValues as invalid:
        connector_form.show_errors(form, invalid.errors)
        return _page(422, None, form)
    except NotForRole as refusal:
        return responses.error(403, "You don't have permission", str(refusal))
    return responses.go_to(address, Toast(f"Saved view “{name}”. It is in the Views menu."))


@blueprint.get("/<int:view_id>")
def view(view_id: int) -> ResponseReturnValue:
    """Show the form of a view; parameters of the address replace its filter."""
    view = _get_or_404(view_id)
    return _page(200, view, _form_of(view))


@blueprint.post("/<int:view_id>")
def update(view_id: int) -> ResponseReturnValue:
    """Save the form of a view."""
    form = ViewForm()
    try:
        with audited_transaction() as trail:
            view = _get_or_404(view_id)
            version = connector_form.version_submitted()
            changes = saved_views.update(view, _submitted(form), PARAMETERS, version, member(), trail)
            labels = [change.label for change in changes]
            if "starts" in request.form and saved_views.set_start(view, bool(form.start.data), member(), trail):
                labels.append(form.start.label.text)
            name = view.name
    except InvalidValues as invalid:
        connector_form.show_errors(form, invalid.errors)
        return _page(422, _get_or_404(view_id), form)
    except StaleRow:
        view = _get_or_404(view_id)
        return _page(409, view, form, conflict=_conflict(form, view))
    except NotForRole as refusal:
        return responses.error(403, "You don't have permission", str(refusal))
    saved = Toast(f"Saved view “{name}”. Changed: {', '.join(labels)}.")
    return responses.go_to(url_for(".index"), saved if labels else Toast("No changes to save.", "info"))


@blueprint.post("/<int:view_id>/start")
def star(view_id: int) -> ResponseReturnValue:
    """Make a view the start page, or no longer."""
    is_start = "start" in request.form
    with audited_transaction() as trail:
        view = _get_or_404(view_id)
        saved_views.set_start(view, is_start, member(), trail)
        name = view.name
    toast = f"“{name}” is now the start page." if is_start else f"“{name}” is no longer the start page."
    return responses.go_to(url_for(".index"), Toast(toast))


@blueprint.get("/<int:view_id>/delete")
def confirm_delete(view_id: int) -> ResponseReturnValue:
    """Show what is deleted, and ask for confirmation."""
    view = _get_or_404(view_id)
    is_start = saved_views.start_view(member()) == view.id
    return responses.page("pages/settings/delete_view.html", saved_view=view, is_start=is_start, may_change=may_change)


@blueprint.post("/<int:view_id>/delete")
def delete(view_id: int) -> ResponseReturnValue:
    """Delete a view."""
    try:
        with audited_transaction() as trail:
            view = _get_or_404(view_id)
            name = view.name
            saved_views.delete(view, connector_form.version_submitted(), member(), trail)
    except StaleRow as stale:
        return responses.error(409, "Someone else changed this first", str(stale))
    except NotForRole as refusal:
        return responses.error(403, "You don't have permission", str(refusal))
    return responses.go_to(url_for(".index"), Toast(f"Deleted view “{name}”. The events stay on the timeline."))


def may_change(view: SavedView | None) -> bool:
    """Return whether this person may change a view, or save a new one."""
    return view is None or view.owner_id is not None or member().may_share


def readable_query(query: str) -> str:
    """Return a query string as people read it.

    >>> readable_query("tag=production&q=a+%C3%A9&range=7d")
    'tag=production · q=a é · range=7d'
    """
    return " · ".join(f"{name}={value}" for name, value in parse_qsl(query))


blueprint.add_app_template_filter(readable_query)


def _get_or_404(view_id: int) -> SavedView:
    view = saved_views.get(view_id, member()) if view_id < 2**63 else None
    if view is None:
        abort(404, "No view with this ID. If it was deleted, the timeline shows when and by whom.")
    return view


def _page(status: int, view: SavedView | None, form: ViewForm, conflict: Conflict | None = None) -> ResponseReturnValue:
    """Show a view's form; return only the form to htmx."""
    reader = member()
    values: dict[str, Any] = {
        "saved_view": view,
        "form": form,
        "type": {"all_fields": FIELDS},
        "fields": FIELDS if reader.person_id is not None and reader.may_share else FIELDS[:2],
        "others": []
        if view or request.method == "POST"
        else [other for other in saved_views.list_all(reader) if may_change(other)],
        "may_change": may_change(view),
        "has_accounts": reader.person_id is not None,
        "conflict": conflict,
    }
    if responses.is_htmx() and request.method == "POST":
        return responses.fragment("settings/view", **values), status
    return responses.page("pages/settings/view.html", status, **values)


def _form_of(view: SavedView | None) -> ViewForm:
    current = saved_views.values(view)
    entered = {field.key: connector_form.as_entered(field, current[field.key]) for field in FIELDS}
    if view is None or view_of(request.args).parameters:
        entered["filter"] = view_menu.query_string(view_of(request.args))
    entered["start"] = view is not None and saved_views.start_view(member()) == view.id
    return ViewForm(formdata=None, data={**entered, **connector_form.origin(view, current)})


def _submitted(form: ViewForm) -> dict[str, Any]:
    """Return the submitted values. The checkbox counts only where the form has one."""
    values = {field.key: form[field.key].data for field in (NAME, FILTER) if field.key in request.form}
    return {**values, "shared": bool(form.shared.data)} if "offers_shared" in request.form else values


def _conflict(form: ViewForm, view: SavedView) -> Conflict:
    base, entered = _cleaned(connector_form.read_base(form.base.data)), _cleaned(_submitted(form))
    now = saved_views.values(view)
    return connector_form.merged(form, view, FIELDS, base, now, entered, connector_form.origin(view, now))


def _cleaned(values: dict[str, Any]) -> dict[str, Any]:
    return saved_views.clean(values, PARAMETERS, g.now)[0]
