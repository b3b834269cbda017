"""Test a connection with the values in the form; nothing is saved and the entered values stay."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, abort, g
from flask.typing import ResponseReturnValue

from painchain import connectors
from painchain.configuration.connector_store import type_of
from painchain.configuration.errors import ChangeRefused, InvalidValues
from painchain.connectors.base import ConnectorType
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
        abort(404, "Unknown connector type.")
    connector_type = connectors.ADDABLE[key]
    try:
        result = connection_test.check_new(connector_type, connector_form.submitted(connector_type), g.now)
    except InvalidValues as invalid:
        return _answer(422, connector_type, None, errors=invalid.errors)
    return _answer(200, connector_type, None, result=result)


@blueprint.post("/<int:connector_id>/test")
def check(connector_id: int) -> ResponseReturnValue:
    """Test the connection of a connector, with its stored values and what was typed over them."""
    stored = settings_connectors.stored_or_404(connector_id)
    connector, connector_type = stored.connector, type_of(stored.connector)
    try:
        result = connection_test.check(connector, connector_form.submitted(connector_type, connector), g.now)
    except InvalidValues as invalid:
        return _answer(422, connector_type, connector_id, errors=invalid.errors)
    except ChangeRefused as refusal:
        return responses.error(409, "Not tested", str(refusal))
    return _answer(200, connector_type, connector_id, result=result)


def _answer(
    status: int,
    connector_type: ConnectorType,
    connector_id: int | None,
    result: ConnectionTestResult | None = None,
    errors: dict[str, str] | None = None,
) -> ResponseReturnValue:
    """Return the result alone for htmx, or the page with the result above the form as it was typed."""
    stored = None if connector_id is None else settings_connectors.stored_or_404(connector_id)
    values: dict[str, Any] = {"type": connector_type, "checked": result, "errors": errors or {}}
    values["connector"] = stored.connector if stored else None
    # A good test ticks "Enable now": of a new connector in its form, of a disabled one in the result.
    is_good = result is not None and result.ok and not result.missing
    values["enable_now"] = is_good and not (stored and stored.connector.enabled)
    if responses.is_htmx():
        tick = responses.fragment("settings/enable_now", oob=True, form=None, enable_now=True)
        parts = [responses.fragment("settings/test_result", **values)]
        return responses.join(*parts, *([tick] if values["enable_now"] and stored is None else [])), status
    form = connector_form.sent_form(connector_type, stored)
    connector_form.show_errors(form, values["errors"])
    if stored is None:
        return responses.page("pages/settings/new.html", status, form=form, **values)
    visibility = connector_form.visibility_submitted(connector_type)
    if visibility:
        values["shown"] = visibility
    return settings_connectors.shown_page(stored, status, form=form, **values)
