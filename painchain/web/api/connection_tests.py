"""The JSON API of polling a source now and of testing a connection."""

from __future__ import annotations

from flask import g, request
from flask.typing import ResponseReturnValue

from painchain import connectors
from painchain.configuration.errors import InvalidValues
from painchain.core.validation import read
from painchain.ingestion import connection_test, polling
from painchain.web.api.common import api_blueprint
from painchain.web.api.connectors import RECORDS, config_values, connector_answer, handle_invalid_connector
from painchain.web.api.resources.base import answer
from painchain.web.api.resources.connectors import Checked
from painchain.web.api.schemas import ConnectorCheck, NewConnectorCheck
from painchain.web.common.transaction import audited_transaction

blueprint = api_blueprint("polling_api")
blueprint.register_error_handler(InvalidValues, handle_invalid_connector)


@blueprint.post("/api/connectors/<int:connector_id>/sync")
def sync(connector_id: int) -> ResponseReturnValue:
    """Make the next poll of a connector due now, and return the connector."""
    with audited_transaction() as trail:
        connector = RECORDS.get_or_404(connector_id)
        polling.sync_now(connector, trail)
    return connector_answer(connector, 202)


@blueprint.post("/api/connectors/<int:connector_id>/test")
def check(connector_id: int) -> ResponseReturnValue:
    """Test the connection of a connector, with its stored values or with others that are not saved."""
    body = read(ConnectorCheck, request.get_data() or b"{}")
    connector = RECORDS.get_or_404(connector_id)
    return answer(Checked.of(connection_test.check(connector, config_values(connector.type, body.config), g.now)))


@blueprint.post("/api/connectors/test")
def check_new() -> ResponseReturnValue:
    """Test the connection of a connector that does not exist yet."""
    body = read(NewConnectorCheck, request.get_data())
    values = config_values(body.type, body.config)
    return answer(Checked.of(connection_test.check_new(connectors.ADDABLE[body.type], values, g.now)))
