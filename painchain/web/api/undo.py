"""The JSON API of putting settings back; the same guards and refusals as the rest of the API."""

from __future__ import annotations

from flask import abort, request
from flask.typing import ResponseReturnValue
from werkzeug.wrappers import Response

from painchain.configuration import connector_store
from painchain.configuration.errors import ChangeRefused
from painchain.core.validation import read
from painchain.history import undo
from painchain.history.undo import NothingToUndo, UndoRefused
from painchain.timeline import queries
from painchain.web.api import events
from painchain.web.api.schemas import RestoreBody
from painchain.web.common.responses import json_error
from painchain.web.common.transaction import audited_transaction

blueprint = events.guarded("history_api")
blueprint.register_error_handler(ChangeRefused, events.refused)


@blueprint.errorhandler(UndoRefused)
def not_restored(problem: UndoRefused) -> Response:
    """Answer settings that are not put back: 409 if they have moved since, 422 if they never can be."""
    errors = [{"field": key, "message": message} for key, message in problem.errors.items()]
    return json_error(409 if problem.moved else 422, str(problem), errors)


@blueprint.post("/api/changes/<path:number>/restore")
def put_back(number: str) -> ResponseReturnValue:
    """Put settings that an event changed back, and return the connector."""
    fields = read(RestoreBody, request.get_data()).fields
    with audited_transaction() as trail:
        event = queries.event(int(number)) if events.is_number(number) else queries.event_called(number)
        if event is None:
            abort(404, "There is no event of this id.")
        try:
            undo.undo(event, fields, trail)
        except NothingToUndo as refusal:
            abort(404, str(refusal))
        one = connector_store.get(event.connector_id)
        assert one is not None  # noqa: S101  it has just been changed
        return events.answer(one)
