"""Store the events of sources: sanitized, and each of them once."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, literal_column, select
from sqlalchemy.engine import Connection

from painchain.configuration import connector_store
from painchain.configuration.secrets import decrypted_secrets
from painchain.connectors.base import Kind
from painchain.connectors.contract import EARLIEST, SourceEvent
from painchain.connectors.http_client import link
from painchain.core.crypto import KeyUnusable
from painchain.database.dialects import is_one_of
from painchain.database.models import IS_FOUND, ChangeEvent, Connector, LogHead
from painchain.database.prepared import Prepared
from painchain.database.session import autocommit_connection
from painchain.eventlog.writer import EventLogWriter, NewEvent, new_request_ids, prepare
from painchain.ingestion.sanitize import MIN_SECRET, UNSTORABLE, cleaned, is_safe, safe_event_id

STEP = 500  # events of one transaction at most, so that other writers need not wait long
TOGETHER = 100  # events that are converted one step after the other
ROUNDING = timedelta(seconds=2)  # between the time of the same event in a webhook and in the source's API
PROVISIONAL = timedelta(minutes=1)  # between an event and the delivery that reported it
ANY_PART = "*"  # in a former id that ends with it: this part is not known
ANY_ENDING = f":{ANY_PART}"

_event = ChangeEvent.__table__.c
_FIND = Prepared(select(_event.event_id).where(is_one_of(_event.event_id, "event_ids")))


@dataclass(frozen=True)
class Origin:
    """The connector that events come from, as it is copied into them, and its secrets, which are removed from them."""

    id: int
    type: str
    name: str
    tags: list[str]
    secrets: tuple[str, ...] = ()


def settings_of(connector: Connector) -> dict[str, Any]:
    """Return the value of every field, the secrets opened.

    :raises KeyUnusable: when the key does not open them.
    """
    secret = {field.key: None for field in connector_store.type_of(connector).all_fields if field.kind is Kind.SECRET}
    return {**connector_store.values(connector), **secret, **decrypted_secrets(connector)}


def origin(connector: Connector) -> Origin:
    """Return a connector as the origin of events."""
    try:
        secrets = tuple(secret for secret in decrypted_secrets(connector).values() if len(secret) >= MIN_SECRET)
    except KeyUnusable:
        secrets = ()
    return Origin(connector.id, connector.type, connector.name, list(connector.tags), secrets)


def add_new(event_log: EventLogWriter, connector: Connector, events: Sequence[SourceEvent], now: datetime) -> int:
    """Append the events that are not in the log yet, inside an open write transaction. Return how many those are."""
    return add_new_from(event_log, origin(connector), events, now)


def add_new_from(event_log: EventLogWriter, source: Origin, events: Sequence[SourceEvent], now: datetime) -> int:
    """Append the events of a source, as ``add_new`` does; its connector may be deleted by now."""
    return append(event_log, new_events(source, events, now), known_since(event_log, source.id, events))


def new_events(source: Origin, events: Sequence[SourceEvent], now: datetime) -> list[NewEvent]:
    """Return events of a source as they are written, with their words; each event once.

    Each has a request id of its own: a poll is no action of a person.
    """
    by_id: dict[str, NewEvent] = {}
    requests = list(zip(events, new_request_ids(now, len(events)), strict=True))
    for start in range(0, len(requests), TOGETHER):
        for new_event in _new_events(source, requests[start : start + TOGETHER], now):
            if by_id.setdefault(new_event.event_id, new_event) is new_event:
                _ = new_event.prepared
    return list(by_id.values())


def append(event_log: EventLogWriter, events: Iterable[NewEvent], known: Collection[str]) -> int:
    """Append the events whose stored ids are not among the `known` ones, and return how many."""
    fresh = [event for event in events if event.event_id not in known]
    event_log.append(*fresh)
    return len(fresh)


def known_since(
    event_log: EventLogWriter, connector_id: int, events: Sequence[SourceEvent], looked_up: int | None = None
) -> set[str]:
    """Return the stored ids of the events that are in the log, inside an open write transaction.

    `looked_up` is the newest event when these were found to be unknown. Nothing is looked up if it still is the newest;
    otherwise former ids are looked up in the events after it.
    """
    if looked_up == event_log.last_event:
        return set()
    event_log.flush()
    return {safe_event_id(event_id) for event_id in known_ids(event_log.connection, connector_id, events, looked_up)}


def unknown(events: Sequence[SourceEvent], connector_id: int) -> tuple[list[SourceEvent], int]:
    """Return the events that are not in the log yet, each once, before any lock is taken; and the log's newest event.

    An event is in the log if its id is, or if this connector has stored one of its former ids with the right time. The
    newest event is 0 if there was nothing to look up.
    """
    by_id: dict[str, SourceEvent] = {}
    for event in events:
        by_id.setdefault(safe_event_id(event.event_id), event)
    ids, newest = list(by_id), []
    for start in range(0, len(ids), STEP):
        batch = ids[start : start + STEP]
        query = select(LogHead.last_event, _event.event_id).outerjoin(ChangeEvent, is_one_of(_event.event_id, batch))
        with autocommit_connection() as connection:
            rows = connection.execute(query).all()
        newest.append(rows[0].last_event)
        for row in rows:
            by_id.pop(row.event_id, None)
    fresh = list(by_id.values())
    if any(event.former_ids for event in fresh):
        with autocommit_connection() as connection:
            stored_before = _known_by_former_ids(connection, connector_id, fresh)
        fresh = [event for event in fresh if event.event_id not in stored_before]
    return fresh, min(newest, default=0)


def known_ids(
    connection: Connection, connector_id: int, events: Sequence[SourceEvent], after: int | None = None
) -> set[str]:
    """Return the ids of those events that are in the log, under their own id or a former one.

    Former ids are looked up in the events after number `after`.
    """
    stored = _known(connection, [safe_event_id(event.event_id) for event in events])
    known = {event.event_id for event in events if safe_event_id(event.event_id) in stored}
    return known | _known_by_former_ids(connection, connector_id, events, after)


def is_recorded(event_id: str) -> bool:
    """Return whether an event with this id is in the log."""
    with autocommit_connection() as connection:
        return bool(_known(connection, [safe_event_id(event_id)]))


def recorded_facts(event_id: str) -> dict[str, Any] | None:
    """Return the facts of the event with this id; None if it is not in the log."""
    with autocommit_connection() as connection:
        query = select(_event.metadata).where(_event.event_id == safe_event_id(event_id))
        facts: dict[str, Any] | None = connection.scalar(query)
    return facts


def stored_ids(connection: Connection, column: ColumnElement[str], ids: Sequence[str]) -> set[str]:
    """Return those of the ids that a column has. One query looks for at most ``STEP`` ids."""
    batches = (ids[start : start + STEP] for start in range(0, len(ids), STEP))
    return {
        stored for batch in batches for stored in connection.scalars(select(column).where(is_one_of(column, batch)))
    }


def _known(connection: Connection, ids: Sequence[str]) -> set[str]:
    return {event_id for (event_id,) in _FIND.all(connection, event_ids=ids)} if ids else set()


def _known_by_former_ids(
    connection: Connection, connector_id: int, events: Sequence[SourceEvent], after: int | None = None
) -> set[str]:
    """Return the ids of the events that are stored for this connector under another id."""
    is_newer = (IS_FOUND, _event.id > (after or 0))
    is_searched = (_event.connector_id == connector_id, *is_newer)
    # Not by the index of connectors: SQLite would read all events of this one.
    is_own = (_event.connector_id + literal_column("0") == connector_id, *is_newer)
    former = [
        (safe_event_id(former_id), time, event.event_id)
        for event in events
        for former_id, time in event.former_ids.items()
        if not former_id.endswith(ANY_ENDING)
    ]
    stored: dict[str, datetime] = {}
    for start in range(0, len(former), STEP):
        ids = [former_id for former_id, _, _ in former[start : start + STEP]]
        query = select(_event.event_id, _event.timestamp)
        rows = connection.execute(query.where(is_one_of(_event.event_id, ids), *is_own))
        stored.update((row.event_id, row.timestamp) for row in rows)
    known = {event_id for former_id, time, event_id in former if _is_same(stored.get(former_id), time)}
    return known | _known_by_any_ending(connection, events, is_searched)


def _is_same(stored: datetime | None, expected: datetime | None) -> bool:
    """Return whether an event was stored with the expected time: a webhook can have given it a second later."""
    return stored is not None and (expected is None or abs(stored - expected) < ROUNDING)


def _known_by_any_ending(
    connection: Connection, events: Iterable[SourceEvent], is_searched: Sequence[ColumnElement[bool]]
) -> set[str]:
    """Return the ids of the events that were stored at about their time under an id with other parts at the ``*``."""
    former = [
        (tuple(former_id.split(":")), event.former_since or time - PROVISIONAL, time + PROVISIONAL, event.event_id)
        for event in events
        for former_id, time in event.former_ids.items()
        if former_id.endswith(ANY_ENDING) and time is not None
    ]
    if not former:
        return set()
    is_near = _event.timestamp.between(min(row[1] for row in former), max(row[2] for row in former))
    query = select(_event.event_id, _event.timestamp).where(*is_searched, is_near)
    shapes = {tuple(part == ANY_PART for part in parts) for parts, _, _, _ in former}
    stored: dict[tuple[str, ...], list[datetime]] = {}
    for row in connection.execute(query):
        parts = row.event_id.split(":")
        for shape in shapes:
            if len(shape) == len(parts):
                masked = tuple(ANY_PART if is_any else part for part, is_any in zip(parts, shape, strict=True))
                stored.setdefault(masked, []).append(row.timestamp)
    return {
        event_id for parts, start, end, event_id in former if any(start < time < end for time in stored.get(parts, ()))
    }


def _new_events(source: Origin, requests: Sequence[tuple[SourceEvent, str]], now: datetime) -> list[NewEvent]:
    """Return events of a source, given with their request ids, as they are written: unchanged if they are safe."""
    try:
        new_events = [_as_written(source, event, request_id, now) for event, request_id in requests]
        prepare(new_events)
        pairs = zip(requests, new_events, strict=True)
        are_safe = [is_safe(event, source.secrets, new_event.prepared.facts) for (event, _), new_event in pairs]
    except UNSTORABLE:
        if len(requests) == 1:
            return [_cleaned(source, *requests[0], now)]
        return [new_event for request in requests for new_event in _new_events(source, [request], now)]
    return [
        new_event if safe else _cleaned(source, *request, now)
        for request, new_event, safe in zip(requests, new_events, are_safe, strict=True)
    ]


def _cleaned(source: Origin, event: SourceEvent, request_id: str, now: datetime) -> NewEvent:
    return _as_written(source, cleaned(event, source.secrets), request_id, now)


def _as_written(source: Origin, event: SourceEvent, request_id: str, now: datetime) -> NewEvent:
    return NewEvent(
        event_id=safe_event_id(event.event_id),
        source=source.type,
        event_type=event.event_type,
        title=event.title,
        description={"text": event.text},
        metadata=dict(event.facts),
        author=event.author or "unknown",
        request_id=request_id,
        timestamp=clamped(event.timestamp, now),
        recorded_at=now,
        connector_id=source.id,
        connector_name=source.name,
        connector_type=source.type,
        status=event.status or None,
        url=link(event.url),
        tags=list(dict.fromkeys((*source.tags, *event.tags))) if event.tags else source.tags,
    )


def clamped(time: Any, now: datetime) -> datetime:
    """Return the time of an event, in UTC if it names no zone; now if it is missing, absurd or in the future."""
    if not isinstance(time, datetime):
        return now
    time = time if time.tzinfo else time.replace(tzinfo=UTC)
    return time if EARLIEST <= time <= now else now
