"""Store the result of a poll: its events and cursor, or why it failed. Record when a connector fails and recovers."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, case, exists, literal, select, update
from sqlalchemy.engine import Connection

from painchain.audit import event_kinds
from painchain.audit.trail import Trail
from painchain.configuration import connector_store
from painchain.connectors.contract import ErrorKind, PollError, PollResult
from painchain.database.models import Connector, PollState
from painchain.database.session import Base, db, write_transaction
from painchain.database.types import EPOCH
from painchain.eventlog import writer
from painchain.eventlog.writer import EventLogWriter
from painchain.ingestion.sanitize import safe_text
from painchain.ingestion.source_events import STEP, append, known_since, new_events, origin, unknown
from painchain.scheduling.poll_leases import PolledConnector, PollLease
from painchain.timeline import coverage

MAX_BACKOFF = timedelta(hours=1)
MAX_RATE_LIMIT_WAIT = timedelta(days=1)  # the longest that a source can postpone polls
MIN_RETRY = timedelta(seconds=10)
MAX_MESSAGE = 1_000
DEFAULT_INTERVAL = 300

log = logging.getLogger(__name__)

_connector = Connector.__table__.c
_table = Base.metadata.tables[PollState.__tablename__]
_state = _table.c


class LeaseLost(Exception):
    """Another process holds the lease by now, or the connector is switched off; `added` events were stored before."""

    def __init__(self, added: int = 0):
        super().__init__(f"The lease was lost after {added} events.")
        self.added = added


def store(connector_id: int, result: PollResult, now: datetime, lease: PollLease | None = None) -> int:
    """Store the events of a poll, its cursor and the health of the connector. Return how many events are new.

    The last events, the cursor and the health are one commit. More than ``STEP`` events are stored in several commits,
    so that other writers wait less. After a crash in between, the next poll recognizes the stored ones by their ids.
    Without a lease, the time of the next poll does not change.

    :raises LeaseLost: when the connector is switched off, or its lease was lost.
    """
    fresh, newest = unknown(result.events, connector_id)
    # The connector as it was when its poll began is only used for one commit, which checks that it has not changed.
    polled = lease.polled if lease and len(fresh) <= STEP else _read(connector_id)
    if polled is None:
        raise LeaseLost
    source, added, known = origin(polled.connector), 0, set[str]()
    for start in range(0, len(fresh) - STEP, STEP):
        batch = new_events(source, fresh[start : start + STEP], now)
        with writer.writing() as event_log:
            if not _is_held(event_log.connection, connector_id, lease):
                raise LeaseLost(added)
            known |= known_since(event_log, connector_id, fresh[start:], newest)
            added += append(event_log, batch, known)
            newest = event_log.last_event
    rest = fresh[(len(fresh) - 1) // STEP * STEP :] if fresh else []
    events = new_events(source, rest, now)
    values = _success(polled.connector, result, now, lease)
    is_uneventful = polled.is_fine and result.gap is None
    with _writing(is_uneventful and not events) as (connection, event_log):
        if not (is_uneventful and _update(connection, connector_id, lease, values, *_is_unchanged(polled))):
            before = _before(connection, connector_id)
            if before is None or not _update(connection, connector_id, lease, values):
                raise LeaseLost(added)
            if event_log:
                connector = db.session.get_one(Connector, connector_id)
                events = new_events(origin(connector), rest, now)
                _record_success(event_log, connector, result, before, now)
        if event_log:
            known |= known_since(event_log, connector_id, rest, newest)
            added += append(event_log, events, known)
        return added


def fail(connector_id: int, error: PollError, now: datetime, lease: PollLease | None = None) -> None:
    """Store why a poll failed, when the next is due, and the Failing event if it is the first failure in a row.

    A rate limit is no failure: it postpones the next poll. Nothing is stored for a lease that was lost, nor for a
    connector that is switched off.
    """
    enabled = _read_enabled(connector_id)
    if enabled is None:
        return
    connector, state = enabled
    words = safe_text(error, origin(connector).secrets, MAX_MESSAGE)
    is_limited = error.kind is ErrorKind.RATE_LIMITED
    message = "A rate limit postpones the polls of a connector: %s" if is_limited else "A poll failed: %s"
    log.warning(message, words, extra={"members": {"connector": connector_id}})
    failures = (state.failures if state else 0) + (0 if is_limited else 1)
    is_known = (
        state is not None and state.trouble is not None and (state.trouble == ErrorKind.RATE_LIMITED) == is_limited
    )
    values: dict[str, Any] = {"last_poll": now, "failures": failures, "trouble": error.kind.value, "error": words}
    values["due"] = next_try(error, max(failures, 1), interval(connector), now)
    if not is_limited:
        values["failing_since"] = (state.failing_since if state else None) or now
    db.session.rollback()
    with _writing(is_known) as (connection, event_log):
        before = _before(connection, connector_id)
        if before is not None and _update(connection, connector_id, lease, values) and event_log:
            _record_failure(event_log, connector_id, is_limited, words, before, now)


def interval(connector: Connector) -> timedelta:
    """Return how often a connector is polled."""
    return timedelta(seconds=int(connector_store.values(connector).get("poll_interval") or DEFAULT_INTERVAL))


def next_try(error: PollError, failures: int, interval: timedelta, now: datetime) -> datetime:
    """Return when a connector is polled again after `failures` failed polls in a row.

    It waits for its poll interval, then twice as long each time, up to an hour; a little less or more, so that
    connectors that failed together are not polled together. It is never polled before the source takes requests again.
    """
    pause = min(interval * (1 << min(failures - 1, 12)), MAX_BACKOFF)
    if error.retry_at:
        until_retry = min(max(error.retry_at - now, MIN_RETRY), MAX_RATE_LIMIT_WAIT)
        pause = until_retry if error.kind is ErrorKind.RATE_LIMITED else max(pause, until_retry)
        return now + pause * random.uniform(1, 1.05)  # noqa: S311  no secret
    return now + pause * random.uniform(0.9, 1)  # noqa: S311  no secret


def _success(connector: Connector, result: PollResult, now: datetime, lease: PollLease | None) -> dict[str, Any]:
    """Return the values of the row after a poll that went well."""
    values: dict[str, Any] = dict.fromkeys(("failing_since", "trouble", "error"))
    values |= {"cursor": result.cursor, "last_poll": now, "last_success": now, "failures": 0}
    values |= {"note": safe_text(result.note, origin(connector).secrets, MAX_MESSAGE), "requests": result.requests}
    began = min(lease.began, now) if lease else now  # the clock may have been put back since
    due = now if result.has_more else max(now, began + interval(connector))
    if rate := result.rate_limit:
        values |= {"rate_limit": rate.limit, "rate_remaining": rate.remaining, "rate_resets": rate.resets}
        if rate.resets and rate.remaining <= 0:
            due = max(due, min(rate.resets, now + MAX_RATE_LIMIT_WAIT))
    return {**values, "due": due}


def _record_success(
    event_log: EventLogWriter, connector: Connector, result: PollResult, before: Any, now: datetime
) -> None:
    coverage.close_gaps(connector, now, coverage.FAILING, coverage.RATE_LIMITED)
    if result.gap:
        reason = safe_text(result.gap.reason, origin(connector).secrets)
        coverage.add_gap(connector, coverage.GAP, result.gap.start, result.gap.end, reason)
    if before.failing_since:
        subject = connector_store.subject(connector)
        trail = Trail(event_log, author(connector), writer.new_request_id(now), now)
        trail.log(event_kinds.connector_recovered(subject, before.failures, before.failing_since))


def _record_failure(
    event_log: EventLogWriter, connector_id: int, is_limited: bool, words: str, before: Any, now: datetime
) -> None:
    connector = db.session.get_one(Connector, connector_id)
    if is_limited:
        coverage.open_gap(connector, coverage.RATE_LIMITED, now, words)
        return
    coverage.close_gaps(connector, now, coverage.RATE_LIMITED)
    coverage.open_gap(connector, coverage.FAILING, now, words)
    if before.failing_since is None:
        trail = Trail(event_log, author(connector), writer.new_request_id(now), now)
        trail.log(event_kinds.connector_failing(connector_store.subject(connector), words))


def author(connector: Connector) -> str:
    """Return the author of events about a connector's health: the connector itself."""
    return f"connector:{connector.name}"


def _read(connector_id: int) -> PolledConnector | None:
    """Return a connector as if its poll began now; None if it is switched off or gone."""
    enabled = _read_enabled(connector_id)
    if enabled is None:
        return None
    connector, state = enabled
    is_fine = state is not None and state.trouble is None and state.failing_since is None
    polled = PolledConnector(connector, {}, is_fine)
    db.session.expunge(connector)
    db.session.rollback()
    return polled


def _read_enabled(connector_id: int) -> tuple[Connector, PollState | None] | None:
    """Return a connector that is switched on, and its row of poll_states; None for any other."""
    connector = db.session.get(Connector, connector_id, populate_existing=True)
    if connector is None or not connector.enabled:
        return None
    return connector, db.session.get(PollState, connector_id, populate_existing=True)


@contextmanager
def _writing(is_quiet: bool) -> Iterator[tuple[Connection, EventLogWriter | None]]:
    """Open a write transaction. A quiet one changes nothing that open pages show, so they do not refresh."""
    if is_quiet:
        with write_transaction() as connection:
            yield connection, None
    else:
        with writer.writing() as event_log:
            yield event_log.connection, event_log


def _before(connection: Connection, connector_id: int) -> Any:
    query = select(_state.failing_since, _state.failures).where(_state.connector_id == connector_id)
    return connection.execute(query).one_or_none()


def _update(
    connection: Connection,
    connector_id: int,
    lease: PollLease | None,
    values: dict[str, Any],
    *conditions: ColumnElement[bool],
) -> bool:
    """Store how a connector does, and end its lease. Return False where the lease is lost or a condition is not met.

    `values` contain the time of the next poll. It is not used if another time was set since the lease was acquired.
    """
    due = values["due"]
    if lease is None:
        values = {key: value for key, value in values.items() if key != "due"}
    else:
        unless_asked = case((_state.due == lease.until, literal(due, _state.due.type)), else_=_state.due)
        values = {**values, "due": unless_asked, "taken_until": EPOCH}
    row = update(_table).where(*_held(connector_id, lease), *conditions)
    return bool(connection.execute(row.values(**values)).rowcount)


def _is_held(connection: Connection, connector_id: int, lease: PollLease | None) -> bool:
    return connection.execute(select(_state.connector_id).where(*_held(connector_id, lease))).first() is not None


def _held(connector_id: int, lease: PollLease | None) -> list[ColumnElement[bool]]:
    """Return the conditions that a connector is switched on and its lease is still this process's."""
    is_enabled = exists().where(_connector.id == connector_id, _connector.enabled)
    own = [_state.connector_id == connector_id, is_enabled]
    return [*own, _state.taken_until == lease.until] if lease else own


def _is_unchanged(polled: PolledConnector) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions that a connector is the same as when its poll began, and still fine."""
    connector = polled.connector
    is_same = exists().where(_connector.id == connector.id, _connector.version == connector.version)
    return _state.trouble.is_(None), _state.failing_since.is_(None), is_same
