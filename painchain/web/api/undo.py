"""The JSON API of reverting settings that an event changed."""

from __future__ import annotations

from flask import abort, request
from flask.typing import ResponseReturnValue
from werkzeug.wrappers import Response

from painchain.configuration.errors import InvalidValues
from painchain.core.validation import read
from painchain.history import undo
from painchain.history.undo import NothingToUndo, UndoRefused
from painchain.web.api.common import api_blueprint, field_errors
from painchain.web.api.connectors import RECORDS, connector_answer, handle_invalid_connector
from painchain.web.api.events import event_or_404
from painchain.web.api.schemas import RestoreBody
from painchain.web.common.responses import json_error
from painchain.web.common.transaction import audited_transaction

blueprint = api_blueprint("history_api")
blueprint.register_error_handler(InvalidValues, handle_invalid_connector)


@blueprint.errorhandler(UndoRefused)
def handle_refused_undo(problem: UndoRefused) -> Response:
    """Return the error response for settings that cannot be reverted: 409 if they changed since, 422 otherwise."""
    return json_error(409 if problem.moved else 422, str(problem), field_errors(problem.errors))


@blueprint.post("/api/changes/<path:number>/restore")
def put_back(number: str) -> ResponseReturnValue:
    """Revert settings that an event changed, and return the connector."""
    fields = read(RestoreBody, request.get_data()).fields
    with audited_transaction() as trail:
        event = event_or_404(number)
        try:
            undo.undo(event, fields, trail)
        except NothingToUndo as refusal:
            abort(404, str(refusal))
        assert event.connector_id is not None  # noqa: S101  one of its settings has just been reverted
        return connector_answer(RECORDS.get_or_404(event.connector_id))
