"""The JSON API of asking sources: at once, or to test a connection; the same guards and refusals as the rest."""

from __future__ import annotations

from typing import Any

from flask import g, jsonify, request
from flask.typing import ResponseReturnValue

from painchain import connectors
from painchain.configuration.errors import ChangeRefused
from painchain.connectors.contract import ConnectionTestResult
from painchain.core.validation import read
from painchain.ingestion import connection_test, polling
from painchain.web.api import events
from painchain.web.api.schemas import ConnectorCheck, NewConnectorCheck
from painchain.web.common.transaction import audited_transaction

blueprint = events.guarded("polling_api")
blueprint.register_error_handler(ChangeRefused, events.refused)


@blueprint.post("/api/connectors/<int:connector_id>/sync")
def sync(connector_id: int) -> ResponseReturnValue:
    """Make the next poll of a connector due at once, and return the connector."""
    with audited_transaction() as trail:
        one = events.get_or_404(connector_id)
        polling.sync_now(one, trail)
    return events.answer(one, 202)


@blueprint.post("/api/connectors/<int:connector_id>/test")
def check(connector_id: int) -> ResponseReturnValue:
    """Test the connection of a connector, with its stored values or others that are not saved."""
    body = read(ConnectorCheck, request.get_data() or b"{}")
    one = events.get_or_404(connector_id)
    return jsonify(_checked_json(connection_test.check(one, events.config_of(one.type, body.config), g.now)))


@blueprint.post("/api/connectors/test")
def check_new() -> ResponseReturnValue:
    """Test the connection of a connector that is not there yet."""
    body = read(NewConnectorCheck, request.get_data())
    values = events.config_of(body.type, body.config)
    return jsonify(_checked_json(connection_test.check_new(connectors.ADDABLE[body.type], values, g.now)))


def _checked_json(checked: ConnectionTestResult) -> dict[str, Any]:
    return {
        "ok": checked.ok,
        "identity": checked.identity,
        "sees": list(checked.sees),
        "missing": list(checked.missing),
    }
