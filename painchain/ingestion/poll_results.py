"""Store how a poll went: what it found with its cursor, or why it failed. One Failing event, one Recovered."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import case, exists, literal, select, update
from sqlalchemy.engine import Connection

from painchain.audit import event_kinds
from painchain.audit.trail import Trail
from painchain.configuration import connector_store
from painchain.connectors.contract import ErrorKind, PollError, PollResult
from painchain.database.models import Connector, PollState
from painchain.database.session import Base, db, one_write_at_a_time
from painchain.database.types import EPOCH
from painchain.eventlog import writer
from painchain.eventlog.writer import EventLogWriter
from painchain.ingestion.source_events import STEP, append, new_events, origin, safe_text, unknown
from painchain.scheduling.poll_leases import PollLease
from painchain.timeline import coverage_gaps

LONGEST_PAUSE = timedelta(hours=1)
LONGEST_LIMIT = timedelta(days=1)  # whatever a source says, it is asked again after so long
SHORTEST_PAUSE = timedelta(seconds=10)
LONGEST_WORDS = 1_000
DEFAULT_INTERVAL = 300

log = logging.getLogger(__name__)

_connector = Connector.__table__.c
_table = Base.metadata.tables[PollState.__tablename__]
_state = _table.c


class _Lost(Exception):
    """The turn is somebody else's by now, or the connector is switched off: nothing of it is stored."""


def store(connector_id: int, polled: PollResult, now: datetime, turn: PollLease | None = None) -> int:
    """Store what a poll found with its cursor and how the connector does. Return how many events are new.

    The last of them, the cursor and the health are one commit. More than ``STEP`` come in several, so that other
    writers have their turn; what is there already when a crash comes in between is known by its id next time.
    Nothing is stored of a `turn` that was lost, nor of a connector that is switched off. Without a turn (a watch, for
    example) the next poll stays due when it was.
    """
    found = _enabled(connector_id)
    if found is None:
        return 0
    connector, state = found
    came_from, request_id = origin(connector), writer.new_request_id(now)
    values = _success(connector, polled, now, turn)
    quiet = state is not None and state.trouble is None and state.failing_since is None and polled.gap is None
    db.session.rollback()
    (fresh, newest), added = unknown(polled.events), 0
    for start in range(0, len(fresh) - STEP, STEP):
        batch = new_events(came_from, fresh[start : start + STEP], now, request_id)
        with writer.writing() as event_log:
            if not _holds(event_log.connection, connector_id, turn):
                return added
            added += append(event_log, batch, newest)
            newest = event_log.last_event
    rest = new_events(came_from, fresh[(len(fresh) - 1) // STEP * STEP :] if fresh else [], now, request_id)
    try:
        with _writing(quiet and not rest) as (connection, event_log):
            before = _before(connection, connector_id)
            _move(connection, connector_id, turn, values)
            if event_log:
                added += append(event_log, rest, newest)
                _tell_success(event_log, connector_id, polled, before, now, request_id)
            return added
    except _Lost:
        return added


def fail(connector_id: int, error: PollError, now: datetime, turn: PollLease | None = None) -> None:
    """Store why a poll failed, when the next is due, and the Failing event if it is the first in a row.

    A rate limit is no failure: it postpones.
    """
    found = _enabled(connector_id)
    if found is None:
        return
    connector, state = found
    words = safe_text(error, origin(connector).secrets, LONGEST_WORDS)
    limited = error.kind is ErrorKind.RATE_LIMITED
    told = "A rate limit postpones the polls of a connector: %s" if limited else "A poll failed: %s"
    log.warning(told, words, extra={"members": {"connector": connector_id}})
    failures = (state.failures if state else 0) + (0 if limited else 1)
    quiet = state is not None and state.trouble is not None and (state.trouble == ErrorKind.RATE_LIMITED) == limited
    values: dict[str, Any] = {"last_poll": now, "failures": failures, "trouble": error.kind.value, "error": words}
    values["due"] = next_try(error, max(failures, 1), interval(connector), now)
    if not limited:
        values["failing_since"] = (state.failing_since if state else None) or now
    db.session.rollback()
    try:
        with _writing(quiet) as (connection, event_log):
            before = _before(connection, connector_id)
            _move(connection, connector_id, turn, values)
            if event_log:
                _tell_failure(event_log, connector_id, limited, words, before, now)
    except _Lost:
        return


def interval(connector: Connector) -> timedelta:
    """Return how often a connector is polled."""
    return timedelta(seconds=int(connector_store.values(connector).get("poll_interval") or DEFAULT_INTERVAL))


def next_try(error: PollError, failures: int, interval: timedelta, now: datetime) -> datetime:
    """Return when a connector is polled again that failed so many times in a row.

    It waits for its poll interval, then twice as long each time, up to an hour; a little less or more, so that those
    that failed together do not come back together. It never comes back before the source takes requests again.
    """
    pause = min(interval * (1 << min(failures - 1, 12)), LONGEST_PAUSE)
    if error.retry_at:
        wanted = min(max(error.retry_at - now, SHORTEST_PAUSE), LONGEST_LIMIT)
        pause = wanted if error.kind is ErrorKind.RATE_LIMITED else max(pause, wanted)
        return now + pause * random.uniform(1, 1.05)  # noqa: S311  no secret
    return now + pause * random.uniform(0.9, 1)  # noqa: S311  no secret


def _success(connector: Connector, polled: PollResult, now: datetime, turn: PollLease | None) -> dict[str, Any]:
    """Return the values of the row after a poll that went well."""
    values: dict[str, Any] = dict.fromkeys(("failing_since", "trouble", "error"))
    values |= {"cursor": polled.cursor, "last_poll": now, "last_success": now, "failures": 0}
    values["note"] = safe_text(polled.note, origin(connector).secrets, LONGEST_WORDS)
    began = min(turn.began, now) if turn else now  # the clock may have been put back since
    due = now if polled.has_more else max(now, began + interval(connector))
    if rate := polled.rate_limit:
        values |= {"rate_limit": rate.limit, "rate_remaining": rate.remaining, "rate_resets": rate.resets}
        if rate.resets and rate.remaining <= 0:
            due = max(due, min(rate.resets, now + LONGEST_LIMIT))
    return {**values, "due": due}


def _tell_success(
    event_log: EventLogWriter, connector_id: int, polled: PollResult, before: Any, now: datetime, request_id: str
) -> None:
    connector = db.session.get_one(Connector, connector_id)
    coverage_gaps.end(connector, now, coverage_gaps.FAILING, coverage_gaps.RATE_LIMITED)
    if polled.gap:
        gap = polled.gap
        coverage_gaps.add(
            connector, coverage_gaps.GAP, gap.start, gap.end, safe_text(gap.reason, origin(connector).secrets)
        )
    if before.failing_since:
        trail = Trail(event_log, author(connector), request_id, now)
        trail.log(
            event_kinds.connector_recovered(connector_store.subject(connector), before.failures, before.failing_since)
        )


def _tell_failure(
    event_log: EventLogWriter, connector_id: int, limited: bool, words: str, before: Any, now: datetime
) -> None:
    connector = db.session.get_one(Connector, connector_id)
    if limited:
        coverage_gaps.begin(connector, coverage_gaps.RATE_LIMITED, now, words)
        return
    coverage_gaps.end(connector, now, coverage_gaps.RATE_LIMITED)
    coverage_gaps.begin(connector, coverage_gaps.FAILING, now, words)
    if before.failing_since is None:
        trail = Trail(event_log, author(connector), writer.new_request_id(now), now)
        trail.log(event_kinds.connector_failing(connector_store.subject(connector), words))


def author(connector: Connector) -> str:
    """Return who says how a connector does: the connector itself."""
    return f"connector:{connector.name}"


def _enabled(connector_id: int) -> tuple[Connector, PollState | None] | None:
    """Return a connector that is switched on, and its row; None for any other."""
    connector = db.session.get(Connector, connector_id, populate_existing=True)
    if connector is None or not connector.enabled:
        return None
    return connector, db.session.get(PollState, connector_id, populate_existing=True)


@contextmanager
def _writing(quiet: bool) -> Iterator[tuple[Connection, EventLogWriter | None]]:
    """Open a write transaction; a `quiet` one changes nothing that open pages show, so that they stay as they are."""
    if quiet:
        with one_write_at_a_time() as connection:
            yield connection, None
    else:
        with writer.writing() as event_log:
            yield event_log.connection, event_log


def _before(connection: Connection, connector_id: int) -> Any:
    row = connection.execute(
        select(_state.failing_since, _state.failures).where(_state.connector_id == connector_id)
    ).one_or_none()
    if row is None:
        raise _Lost
    return row


def _move(connection: Connection, connector_id: int, turn: PollLease | None, values: dict[str, Any]) -> None:
    """Write how the connector does, and end the turn.

    Its next poll is the one of `values`, unless somebody has asked for an earlier one since the turn was taken.
    """
    due = values["due"]
    own = [_state.connector_id == connector_id, _switched_on(connector_id)]
    if turn is None:
        values = {key: value for key, value in values.items() if key != "due"}
    else:
        own.append(_state.taken_until == turn.until)
        asked = case((_state.due == turn.until, literal(due, _state.due.type)), else_=_state.due)
        values = {**values, "due": asked, "taken_until": EPOCH}
    if not connection.execute(update(_table).where(*own).values(**values)).rowcount:
        raise _Lost


def _holds(connection: Connection, connector_id: int, turn: PollLease | None) -> bool:
    own = [_state.connector_id == connector_id, _switched_on(connector_id)]
    if turn:
        own.append(_state.taken_until == turn.until)
    return connection.execute(select(_state.connector_id).where(*own)).first() is not None


def _switched_on(connector_id: int) -> Any:
    return exists().where(_connector.id == connector_id, _connector.enabled)
