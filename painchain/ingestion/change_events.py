"""Record the change events that scripts and pipelines send: one or a batch, all or nothing, each of them once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from pydantic import TypeAdapter
from sqlalchemy import bindparam, select
from sqlalchemy.engine import Connection

from painchain.connectors import api
from painchain.connectors.change_event import CLAIMED_TIME, ChangeEvent, facts, type_name
from painchain.connectors.contract import SourceEvent
from painchain.core import runtime
from painchain.core.redaction import scrub
from painchain.core.validation import BadBody, read_as
from painchain.database.dialects import is_one_of
from painchain.database.models import ChangeEvent as StoredEvent
from painchain.database.prepared import Prepared
from painchain.eventlog.writer import EventLogWriter, NewEvent
from painchain.ingestion.sanitize import safe_event_id, sanitize
from painchain.ingestion.source_events import STEP, clamped

MAX_BATCH = 1_000
MAX_AHEAD = timedelta(minutes=5)  # of the clock of a sender

_event = StoredEvent.__table__.c
_COLUMNS = ("event_type", "title", "description", "status", "url", "tags")
_SELECT = select(_event.id, _event.event_id, _event.timestamp, _event.metadata, *(_event[name] for name in _COLUMNS))
_SELECT_ONE = Prepared(_SELECT.where(_event.event_id == bindparam("event_id")))

_ONE, _BATCH = TypeAdapter(ChangeEvent), TypeAdapter(list[ChangeEvent])


@dataclass(frozen=True)
class Sender:
    """Who sends change events: the author of the events, and the id and the time of the request.

    `idempotency_key` makes the events of a repeated request the same as those of the first; "" if it has none. `reason`
    is the reason that the sender gives, and `cause` says why nobody had to sign in.
    """

    author: str
    request_id: str
    now: datetime
    idempotency_key: str = ""
    reason: str = ""
    cause: str = ""


@dataclass(frozen=True)
class Recorded:
    """An event that is in the log: its number, its id, and whether this request added it."""

    id: int
    event_id: str
    created: bool


class ConflictingEvent(Exception):
    """An event with the same id is recorded with other content. `index` is its place in the batch."""

    def __init__(self, index: int):
        super().__init__("An event with this ID is recorded with other content.")
        self.index = index


@dataclass(frozen=True)
class _Candidate:
    """An event to append unless it is recorded. `names_time` says that the sender gave its time."""

    event: NewEvent
    is_repeatable: bool
    names_time: bool

    def is_same_as(self, metadata: Mapping[str, Any], content: Sequence[Any], time: datetime) -> bool:
        """Return whether this is the event that was recorded with these values, as its sender sees it."""
        event = self.event
        if (_without_time(metadata), content) != (_without_time(event.metadata), _content(event)):
            return False
        return not self.names_time or _sent_time(metadata, time) == _sent_time(event.metadata, event.timestamp)


def parse(raw: bytes, now: datetime) -> tuple[list[ChangeEvent], bool]:
    """Return the change events of a JSON body, and whether it is a batch.

    :raises BadBody: when one of them is invalid; the field names its index in the batch.
    """
    is_batch = raw.lstrip()[:1] == b"["
    events = read_as(_BATCH, raw) if is_batch else [read_as(_ONE, raw)]
    refuse_size(events)
    refuse_late(events, now, is_batch)
    return events, is_batch


def refuse_size(events: Sequence[object]) -> None:
    """Refuse an empty batch and one that is too large.

    :raises BadBody: always then.
    """
    if not 1 <= len(events) <= MAX_BATCH:
        raise BadBody([{"field": "", "message": f"A batch has 1 to {MAX_BATCH:,} events."}])


def refuse_late(events: Sequence[ChangeEvent], now: datetime, is_batch: bool) -> None:
    """Refuse events of the future.

    :raises BadBody: when there is one; the field names its index in the batch.
    """
    late = [index for index, event in enumerate(events) if event.time and event.time > now + MAX_AHEAD]
    if late:
        message = "The time is more than five minutes in the future"
        raise BadBody([{"field": f"{index}.time" if is_batch else "time", "message": message} for index in late[:20]])


def record(events: Sequence[ChangeEvent], sender: Sender) -> list[Recorded]:
    """Append the events that are not recorded yet, in one transaction, and return all of them in the same order.

    :raises ConflictingEvent: when one is recorded with other content; then nothing is appended.
    """
    candidates = [_candidate(event, index, sender) for index, event in enumerate(events)]
    return runtime.current().group_commit.append(lambda event_log: _append(event_log, candidates))


def _append(event_log: EventLogWriter, candidates: Sequence[_Candidate]) -> list[Recorded]:
    repeatable = [each.event.event_id for each in candidates if each.is_repeatable]
    event_log.flush_any(repeatable)
    stored = _stored(event_log.connection, repeatable)
    recorded, fresh = list[Recorded](), list[NewEvent]()
    for index, candidate in enumerate(candidates):
        event_id = candidate.event.event_id
        if known := stored.get(event_id):
            number, metadata, content, time = known
            if not candidate.is_same_as(metadata, content, time):
                raise ConflictingEvent(index)
            recorded.append(Recorded(number, event_id, created=False))
            continue
        fresh.append(candidate.event)
        number, event = event_log.last_event + len(fresh), candidate.event
        stored[event_id] = number, event.metadata, _content(event), event.timestamp
        recorded.append(Recorded(number, event_id, created=True))
    event_log.append(*fresh)
    return recorded


def _stored(connection: Connection, ids: Sequence[str]) -> dict[str, tuple[int, dict[str, Any], list[Any], datetime]]:
    """Return number, metadata, content and time of those of the events that are in the log, by id."""
    if len(ids) == 1:
        rows: list[Any] = _SELECT_ONE.all(connection, event_id=ids[0])
    else:
        steps = (ids[start : start + STEP] for start in range(0, len(ids), STEP))
        rows = [row for step in steps for row in connection.execute(_SELECT.where(is_one_of(_event.event_id, step)))]
    return {event_id: (number, metadata, content, time) for number, event_id, time, metadata, *content in rows}


def _content(event: NewEvent) -> list[Any]:
    return [getattr(event, name) for name in _COLUMNS]


def _without_time(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return the metadata without the claimed time, which depends on when the event arrives."""
    return {key: value for key, value in metadata.items() if key != CLAIMED_TIME}


def _sent_time(metadata: Mapping[str, Any], time: datetime) -> datetime:
    """Return the time that the sender gave, also if the event has the time when it was recorded."""
    claimed = metadata.get(CLAIMED_TIME)
    return datetime.fromisoformat(claimed) if claimed else time


def _candidate(event: ChangeEvent, index: int, sender: Sender) -> _Candidate:
    own_id, is_repeatable = _own_id(event, index, sender)
    said = {"reason": sender.reason, "cause": sender.cause}
    time = clamped(event.time, sender.now)
    safe = sanitize(
        SourceEvent(
            event_id=own_id,
            event_type=type_name(event.kind),
            title=event.title,
            timestamp=time,
            author=sender.author,
            status=event.status,
            url=event.url,
            text=event.description,
            facts=facts(event, time),
        ),
        (),
    )
    new_event = NewEvent(
        event_id=safe_event_id(own_id),
        source=api.TYPE.key,
        event_type=safe.event_type,
        title=safe.title,
        description={"text": safe.text, **{key: value for key, value in said.items() if value}},
        metadata=dict(safe.facts),
        author=sender.author,
        request_id=sender.request_id,
        timestamp=time,
        recorded_at=sender.now,
        connector_type=api.TYPE.key,
        status=safe.status or None,
        url=safe.url,
        tags=list(dict.fromkeys(map(scrub, event.tags))),
    )
    _ = new_event.prepared  # outside of the write lock
    return _Candidate(new_event, is_repeatable, event.time is not None)


def _own_id(event: ChangeEvent, index: int, sender: Sender) -> tuple[str, bool]:
    """Return the id of an event, and whether the same change gets the same id when it is sent again."""
    author = quote(sender.author, safe="")
    if event.external_id:
        return f"api:{author}:{scrub(event.external_id)}", True
    if sender.idempotency_key:
        return f"api-key:{author}:{quote(scrub(sender.idempotency_key), safe='')}:{index}", True
    return f"api-request:{sender.request_id}:{index}", False
