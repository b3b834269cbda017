"""Complete a pending event through the source's API, or record it as it is."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from painchain import connectors
from painchain.connectors.contract import Cursor, ErrorKind, PollError, SourceEvent, WebhookContext, WebhookHandler
from painchain.database.models import Connector, PollState
from painchain.database.session import db
from painchain.ingestion import pending_events, source_events
from painchain.ingestion.pending_events import ClaimedEvent
from painchain.ingestion.poll_errors import as_poll_error
from painchain.ingestion.sanitize import safe_text
from painchain.ingestion.source_events import origin, settings_of

# A source may answer so for a moment: its API can lag behind its webhooks.
PASSING = (ErrorKind.UNREACHABLE, ErrorKind.SERVER_ERROR, ErrorKind.NOT_FOUND, ErrorKind.RATE_LIMITED)
FAILING = (ErrorKind.UNREACHABLE, ErrorKind.SERVER_ERROR)  # other requests will probably fail too

log = logging.getLogger(__name__)


def complete(claimed: ClaimedEvent, clock: Callable[[], datetime]) -> None:
    """Complete a claimed event and record it.

    If the API fails, the event is tried again for ``pending_events.MAX_AGE`` and then recorded as it is; at once if the
    error will not go away by itself, or if the connector is disabled or deleted. Events of a connector whose API fails
    are then recorded without asking it again for each. A rate limit postpones all of them.
    """
    if pending_events.is_recorded(claimed):
        pending_events.drop(claimed)
        return
    event = claimed.event
    try:
        event = _complete(claimed, clock())
    except PollError as error:
        now = clock()
        if _is_retried(error, claimed, now):
            return
        about = {"members": {"connector": claimed.origin.id}}
        log.warning("A webhook event is recorded without details. %s", error, extra=about)
    pending_events.record(claimed, replace(event, details=None), clock())


def _complete(claimed: ClaimedEvent, now: datetime) -> SourceEvent:
    """Return the event with its details; as it is if nobody can be asked, or every earlier try ended the process.

    :raises PollError: whatever goes wrong, in words without secrets.
    """
    connector = db.session.get(Connector, claimed.origin.id) if claimed.tries <= pending_events.MAX_TRIES else None
    connector_type = connectors.TYPES.get(connector.type) if connector else None
    handler: WebhookHandler | None = connector_type.webhook if connector_type else None
    if connector is None or not connector.enabled or handler is None or handler.complete is None:
        return claimed.event
    secrets = origin(connector).secrets
    try:
        read_cursor, is_recorded = _reader(connector.id), source_events.is_recorded
        context = WebhookContext(connector.id, settings_of(connector), now, read_cursor, is_recorded)
        db.session.remove()  # no connection to the database is held while the source is asked
        return handler.complete(context, claimed.event)
    except Exception as problem:  # one source must not stop the others
        error = as_poll_error(problem, f"Completing an event of connector {claimed.origin.id}")
        raise PollError(safe_text(error, secrets), error.kind, error.retry_at, error.status) from None


def _reader(connector_id: int) -> Callable[[], Cursor]:
    def read_cursor() -> Cursor:
        try:
            state = db.session.get(PollState, connector_id)
            return state.cursor if state else {}
        finally:
            db.session.remove()

    return read_cursor


def _is_retried(error: PollError, claimed: ClaimedEvent, now: datetime) -> bool:
    """Decide when the event is tried again, and what becomes of the others of its connector; False for never."""
    connector_id = claimed.origin.id
    if error.kind is ErrorKind.RATE_LIMITED and error.retry_at:
        pending_events.give_up(connector_id, now, pending_events.MAX_POSTPONEMENT)
        pending_events.postpone(claimed, error.retry_at, now)
        return not claimed.is_overdue(now, pending_events.MAX_POSTPONEMENT)
    if error.kind in PASSING and claimed.may_retry(now):
        pending_events.retry_later(claimed, now)
        return True
    if error.kind in FAILING:
        pending_events.give_up(connector_id, now, pending_events.MAX_AGE)
    return False
