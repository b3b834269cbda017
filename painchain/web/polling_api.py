"""The JSON API of asking sources: at once, or to test a connection; the same guards and refusals as the rest."""

from __future__ import annotations

from typing import Any

from flask import g, jsonify, request
from flask.typing import ResponseReturnValue

from painchain import checking, connectors, polling
from painchain.connectors.poll import Checked
from painchain.inventory import Refused
from painchain.web import api
from painchain.web.bodies import ConnectorCheck, NewConnectorCheck, read
from painchain.web.responses import on_the_record

door = api.guarded("polling_api")
door.register_error_handler(Refused, api.refused)


@door.post("/api/connectors/<int:connector_id>/sync")
def sync(connector_id: int) -> ResponseReturnValue:
    """Make the next poll of a connector due at once, and return the connector."""
    with on_the_record() as trail:
        one = api.get_or_404(connector_id)
        polling.sync_now(one, trail)
    return api.answer(one, 202)


@door.post("/api/connectors/<int:connector_id>/test")
def check(connector_id: int) -> ResponseReturnValue:
    """Test the connection of a connector, with its stored values or others that are not saved."""
    body = read(ConnectorCheck, request.get_data() or b"{}")
    one = api.get_or_404(connector_id)
    return jsonify(_checked_json(checking.check(one, api.config_of(one.type, body.config), g.now)))


@door.post("/api/connectors/test")
def check_new() -> ResponseReturnValue:
    """Test the connection of a connector that is not there yet."""
    body = read(NewConnectorCheck, request.get_data())
    values = api.config_of(body.type, body.config)
    return jsonify(_checked_json(checking.check_new(connectors.ADDABLE[body.type], values, g.now)))


def _checked_json(checked: Checked) -> dict[str, Any]:
    return {
        "ok": checked.ok,
        "identity": checked.identity,
        "sees": list(checked.sees),
        "missing": list(checked.missing),
    }
