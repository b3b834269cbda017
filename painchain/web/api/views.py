"""The JSON API of saved views."""

from __future__ import annotations

from flask import request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.wrappers import Response

from painchain.configuration import saved_views
from painchain.configuration.errors import StaleRow
from painchain.configuration.saved_views import NotForRole
from painchain.core.validation import read
from painchain.database.models import SavedView
from painchain.web.api.common import Editable, api_blueprint
from painchain.web.api.resources.base import answer, answer_list
from painchain.web.api.resources.settings import View
from painchain.web.api.schemas import NewView, ViewPatch
from painchain.web.common.responses import json_error
from painchain.web.common.transaction import audited_transaction
from painchain.web.common.view_owner import member
from painchain.web.dashboard.filter_view import PARAMETERS

blueprint = api_blueprint("views_api")
FIELDS = ("name", "filter", "shared")


def find(view_id: int) -> SavedView | None:
    """Return the view with this ID, if the person who asks sees it."""
    return saved_views.get(view_id, member())


RECORDS = Editable("view", find, StaleRow, "view-")


@blueprint.errorhandler(NotForRole)
def handle_refused_role(refusal: NotForRole) -> Response:
    """Return the error response for a viewer's change of a view of everybody."""
    return json_error(403, str(refusal))


@blueprint.get("/api/views")
def all_views() -> ResponseReturnValue:
    """List the views that the person sees."""
    reader = member()
    start = saved_views.start_view(reader)
    return answer_list(View.of(view, start) for view in saved_views.list_all(reader))


@blueprint.post("/api/views")
def create() -> ResponseReturnValue:
    """Save a view."""
    body, owner = read(NewView, request.get_data()), member()
    values = {name: getattr(body, name) for name in FIELDS}
    with audited_transaction() as trail:
        view = saved_views.create(values, PARAMETERS, owner, trail)
        if body.start:
            saved_views.set_start(view, True, owner, trail)
    return _answer(view, 201, Location=url_for(".view", view_id=view.id))


@blueprint.get("/api/views/<int:view_id>")
def view(view_id: int) -> ResponseReturnValue:
    """Return one view with its ETag."""
    return _answer(RECORDS.get_or_404(view_id))


@blueprint.patch("/api/views/<int:view_id>")
def patch(view_id: int) -> ResponseReturnValue:
    """Change some of a view's values, or make it the start page."""
    body, owner = read(ViewPatch, request.get_data()), member()
    RECORDS.require_if_match(view_id)
    values = {name: getattr(body, name) for name in FIELDS if name in body.model_fields_set}
    with audited_transaction() as trail:
        view = RECORDS.matching(view_id)
        if values:
            saved_views.update(view, values, PARAMETERS, None, owner, trail)
        if "start" in body.model_fields_set:
            saved_views.set_start(view, body.start, owner, trail)
    return _answer(view)


@blueprint.delete("/api/views/<int:view_id>")
def delete(view_id: int) -> ResponseReturnValue:
    """Delete a view."""
    with audited_transaction() as trail:
        saved_views.delete(RECORDS.matching(view_id), None, member(), trail)
    return "", 204


def _answer(view: SavedView, status: int = 200, **headers: str) -> ResponseReturnValue:
    resource = View.of(view, saved_views.start_view(member()))
    return answer(resource, status, RECORDS.etag(view) | headers)
