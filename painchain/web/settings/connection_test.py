"""Test connection: with what a connector's form has now; nothing is saved, and what was typed stays."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, abort, g
from flask.typing import ResponseReturnValue

from painchain import connectors
from painchain.configuration import connector_store
from painchain.configuration.connector_store import ChangeRefused, InvalidValues, type_of
from painchain.connectors.contract import ConnectionTestResult
from painchain.ingestion import connection_test
from painchain.web.common import responses
from painchain.web.settings import connector_form
from painchain.web.settings import connectors as settings_connectors

blueprint = Blueprint("checks", __name__, url_prefix="/settings/integrations")


@blueprint.post("/new/<key>/test")
def check_new(key: str) -> ResponseReturnValue:
    """Test the connection of a connector that is being added."""
    if key not in connectors.ADDABLE:
        abort(404, "There is no connector type of this name.")
    connector_type = connectors.ADDABLE[key]
    form = connector_form.sent_form(connector_type)
    try:
        checked = connection_test.check_new(connector_type, connector_form.submitted(form, connector_type), g.now)
    except InvalidValues as invalid:
        return _answer(422, form, connector_type, None, errors=invalid.errors)
    return _answer(200, form, connector_type, None, checked=checked)


@blueprint.post("/<int:connector_id>/test")
def check(connector_id: int) -> ResponseReturnValue:
    """Test the connection of a connector, with the stored values and what was typed anew."""
    one = connector_store.get(connector_id) if connector_id < 2**63 else None
    if one is None:
        abort(404, "There is no connector here any more. What became of it is on the timeline.")
    connector_type = type_of(one)
    form = connector_form.sent_form(connector_type, one)
    try:
        checked = connection_test.check(one, connector_form.submitted(form, connector_type), g.now)
    except InvalidValues as invalid:
        return _answer(422, form, connector_type, one, errors=invalid.errors)
    except ChangeRefused as refusal:
        return responses.error(409, "Not tested", str(refusal))
    return _answer(200, form, connector_type, one, checked=checked)


def _answer(
    status: int,
    form: Any,
    connector_type: Any,
    one: Any,
    checked: ConnectionTestResult | None = None,
    errors: dict[str, str] | None = None,
) -> ResponseReturnValue:
    """Return the result alone for htmx, or the page with the result above the form as it was typed."""
    values = {"type": connector_type, "checked": checked, "errors": errors or {}}
    if responses.is_htmx():
        return responses.fragment("settings/checked", **values), status
    connector_form.show_errors(form, values["errors"])
    if one is None:
        return responses.page("pages/settings/new.html", status, form=form, connector=None, **values)
    shown = connector_form.visibility_submitted(connector_type)
    return settings_connectors.shown_page(one, status, form=form, **values, **({"shown": shown} if shown else {}))
