"""Record the change events that scripts and pipelines send: one or a batch, all or nothing, each of them once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, NamedTuple
from urllib.parse import quote

from pydantic import TypeAdapter
from sqlalchemy import select
from sqlalchemy.engine import Connection

from painchain.connectors import api
from painchain.connectors.change_event import ChangeEvent, facts
from painchain.connectors.change_types import CLAIMED_TIME, type_name
from painchain.connectors.contract import SourceEvent
from painchain.core import runtime
from painchain.core.redaction import scrub
from painchain.core.validation import BadBody, read_as
from painchain.database.dialects import is_one_of
from painchain.database.models import ChangeEvent as StoredEvent
from painchain.database.prepared import Prepared
from painchain.eventlog.writer import EventLogWriter, NewEvent, prepare
from painchain.ingestion.sanitize import UNSTORABLE, cleaned, is_safe, safe_event_id
from painchain.ingestion.source_events import TOGETHER, clamped

MAX_BATCH = 1_000
MAX_AHEAD = timedelta(minutes=5)  # of the clock of a sender

_event = StoredEvent.__table__.c
_COLUMNS = ("event_type", "title", "description", "status", "url", "tags")
_STORED = (_event.id, _event.event_id, _event.timestamp, _event.metadata, *(_event[name] for name in _COLUMNS))
_FIND = Prepared(select(*_STORED).where(is_one_of(_event.event_id, "event_ids")))

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

    @cached_property
    def id_part(self) -> str:
        """The author as it is written in the ids of events."""
        return quote(self.author, safe="")

    @cached_property
    def said(self) -> dict[str, str]:
        """What the description of each event says beside its text."""
        said = {"reason": self.reason, "cause": self.cause}
        return {key: value for key, value in said.items() if value}


class Recorded(NamedTuple):
    """An event that is in the log: its number, its id, and whether this request added it."""

    id: int
    event_id: str
    created: bool


class ConflictingEvent(Exception):
    """An event with the same id is recorded with other content. `index` is its place in the batch."""

    def __init__(self, index: int):
        super().__init__("An event with this ID is recorded with other content.")
        self.index = index


class _Candidate(NamedTuple):
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
    candidates = _candidates(events, sender)
    return runtime.current().group_commit.append(lambda event_log: _append(event_log, candidates))


def _append(event_log: EventLogWriter, candidates: Sequence[_Candidate]) -> list[Recorded]:
    repeatable = [each.event.event_id for each in candidates if each.is_repeatable]
    event_log.flush_any(repeatable)
    stored = _stored(event_log.connection, repeatable)
    recorded, fresh = list[Recorded](), dict[str, tuple[int, NewEvent]]()
    for index, candidate in enumerate(candidates):
        event_id = candidate.event.event_id
        if event_id in fresh:
            number, event = fresh[event_id]
            stored[event_id] = number, event.metadata, _content(event), event.timestamp
        if known := stored.get(event_id):
            number, metadata, content, time = known
            if not candidate.is_same_as(metadata, content, time):
                raise ConflictingEvent(index)
            recorded.append(Recorded(number, event_id, created=False))
            continue
        number = event_log.last_event + len(fresh) + 1
        fresh[event_id] = number, candidate.event
        recorded.append(Recorded(number, event_id, created=True))
    event_log.append(*(event for _, event in fresh.values()))
    return recorded


def _stored(connection: Connection, ids: Sequence[str]) -> dict[str, tuple[int, dict[str, Any], list[Any], datetime]]:
    """Return number, metadata, content and time of those of the events that are in the log, by id."""
    rows = _FIND.all(connection, event_ids=ids) if ids else []
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


def _candidates(events: Sequence[ChangeEvent], sender: Sender) -> list[_Candidate]:
    """Return events as they are written, prepared outside of the write lock."""
    new_events = [_new_event(event, index, sender) for index, event in enumerate(events)]
    for start in range(0, len(new_events), TOGETHER):
        prepare(new_events[start : start + TOGETHER])
    return [
        _Candidate(_safe(new_event), bool(event.external_id or sender.idempotency_key), event.time is not None)
        for event, new_event in zip(events, new_events, strict=True)
    ]


def _new_event(event: ChangeEvent, index: int, sender: Sender) -> NewEvent:
    time = clamped(event.time, sender.now)
    return NewEvent(
        event_id=safe_event_id(_own_id(event, index, sender)),
        source=api.TYPE.key,
        event_type=type_name(event.kind),
        title=event.title,
        description={"text": event.description, **sender.said},
        metadata=facts(event, time),
        author=sender.author,
        request_id=sender.request_id,
        timestamp=time,
        recorded_at=sender.now,
        connector_type=api.TYPE.key,
        status=event.status,
        url=event.url,
        tags=list(dict.fromkeys(map(scrub, event.tags))) if event.tags else [],
    )


def _safe(event: NewEvent) -> NewEvent:
    """Return a prepared event without credentials and within the limits of lengths. Most are so as they are."""
    with suppress(*UNSTORABLE):
        if is_safe(event, (), event.prepared.facts):
            return event
    names = ("event_id", "event_type", "title", "timestamp", "author", "status", "url")
    values = {name: getattr(event, name) for name in names}
    safe = cleaned(SourceEvent(**values, text=event.description["text"], facts=event.metadata), ())
    event = replace(
        event,
        event_type=safe.event_type,
        title=safe.title,
        description={**event.description, "text": safe.text},
        metadata=dict(safe.facts),
        status=safe.status or None,
        url=safe.url,
    )
    _ = event.prepared
    return event


def _own_id(event: ChangeEvent, index: int, sender: Sender) -> str:
    """Return the id of an event. With an id of the sender's own, or a key, it is the same when it is sent again."""
    if event.external_id:
        return f"api:{sender.id_part}:{scrub(event.external_id)}"
    if sender.idempotency_key:
        return f"api-key:{sender.id_part}:{quote(scrub(sender.idempotency_key), safe='')}:{index}"
    return f"api-request:{sender.request_id}:{index}"
