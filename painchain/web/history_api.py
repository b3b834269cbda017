"""The JSON API of putting settings back; the same guards and refusals as the rest of the API."""

from __future__ import annotations

from flask import abort, request
from flask.typing import ResponseReturnValue
from werkzeug.wrappers import Response

from painchain import inventory, restore, timeline
from painchain.inventory import Refused
from painchain.restore import NothingToRestore, NotRestored
from painchain.web import api
from painchain.web.bodies import RestoreBody, read
from painchain.web.responses import json_error, on_the_record

door = api.guarded("history_api")
door.register_error_handler(Refused, api.refused)


@door.errorhandler(NotRestored)
def not_restored(problem: NotRestored) -> Response:
    """Answer settings that are not put back: 409 if they have moved since, 422 if they never can be."""
    errors = [{"field": key, "message": message} for key, message in problem.errors.items()]
    return json_error(409 if problem.moved else 422, str(problem), errors)


@door.post("/api/changes/<path:number>/restore")
def put_back(number: str) -> ResponseReturnValue:
    """Put settings that an event changed back, and return the connector."""
    fields = read(RestoreBody, request.get_data()).fields
    with on_the_record() as trail:
        event = timeline.event(int(number)) if api.is_number(number) else timeline.event_called(number)
        if event is None:
            abort(404, "There is no event of this id.")
        try:
            restore.restore(event, fields, trail)
        except NothingToRestore as refusal:
            abort(404, str(refusal))
        one = inventory.get(event.connector_id)
        assert one is not None  # noqa: S101  it has just been changed
        return api.answer(one)
