"""The JSON API that records the change events of scripts and pipelines, also those that come as CloudEvents."""

from __future__ import annotations

from collections.abc import Sequence

from flask import g, request
from flask.typing import ResponseReturnValue
from pydantic import TypeAdapter

from painchain.connectors.change_event import ChangeEvent
from painchain.core.roles import LOCAL
from painchain.core.validation import BadBody
from painchain.ingestion import change_events, cloud_events
from painchain.ingestion.change_events import ConflictingEvent, Sender
from painchain.web.api.common import api_blueprint
from painchain.web.api.resources.base import Answer, answer
from painchain.web.api.resources.events import RecordedEvent
from painchain.web.common.responses import json_error
from painchain.web.common.transaction import NO_ACCOUNTS

blueprint = api_blueprint("change_events_api")

PATH, ENDPOINT = "/api/events", "change_events_api.record"
IDEMPOTENCY_KEY, MAX_KEY = "Idempotency-Key", 200

_RESOURCES = TypeAdapter(list[RecordedEvent])


@blueprint.post(PATH)
def record() -> ResponseReturnValue:
    """Record one change event or a batch, all or nothing. 200 instead of 201 if all of them were recorded before.

    `LogMiddleware` answers simple requests instead.
    """
    is_cloud_event = cloud_events.is_cloud_event(request.mimetype, request.headers.get)
    if is_cloud_event:
        events, is_batch = cloud_events.parse(request.mimetype, request.headers.get, request.get_data(), g.now)
    else:
        events, is_batch = change_events.parse(request.get_data(), g.now)
    try:
        resources, status = _record(events, is_batch, _idempotency_key())
    except ConflictingEvent as conflict:
        if events[conflict.index].external_id is None:
            return _conflict(IDEMPOTENCY_KEY, "A request with this key is recorded with other content.")
        name = "id" if is_cloud_event else "external_id"
        return _conflict(f"{conflict.index}.{name}" if is_batch else name, str(conflict))
    return answer(resources, status)


def record_body(raw: bytes) -> Answer:
    """Record the change events in a JSON body without a key, and return the response.

    :raises BadBody: when one of them is invalid.
    :raises ConflictingEvent: when one of them is recorded with other content.
    """
    return _record(*change_events.parse(raw, g.now))


def _record(events: Sequence[ChangeEvent], is_batch: bool, key: str = "") -> Answer:
    cause = NO_ACCOUNTS if g.who is LOCAL else ""
    recorded = change_events.record(events, Sender(g.actor, g.request_id, g.now, key, g.reason, cause))
    resources = _RESOURCES.validate_python(recorded, from_attributes=True)
    return Answer(resources if is_batch else resources[0], 201 if any(event.created for event in recorded) else 200)


def _conflict(field: str, message: str) -> ResponseReturnValue:
    return json_error(409, f"Nothing was saved. {message}", [{"field": field, "message": message}])


def _idempotency_key() -> str:
    """Return the key in the header, "" without one.

    :raises BadBody: when it is too long.
    """
    key = request.headers.get(IDEMPOTENCY_KEY, "")
    if len(key) > MAX_KEY or "\0" in key:
        raise BadBody([{"field": IDEMPOTENCY_KEY, "message": f"The header can have at most {MAX_KEY} characters."}])
    return key
