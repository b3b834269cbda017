"""Put what a source tells of on the timeline: made safe to show and to store, and each of it once."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from sqlalchemy import select
from sqlalchemy.engine import Connection

from painchain.configuration import connector_store
from painchain.configuration.secrets import decrypted_secrets
from painchain.connectors.base import Kind
from painchain.connectors.contract import SourceEvent
from painchain.connectors.http_client import link
from painchain.core.crypto import KeyUnusable
from painchain.core.redaction import MASK, scrub
from painchain.database.models import ChangeEvent, Connector, LogHead
from painchain.database.session import single_statements
from painchain.database.types import EPOCH
from painchain.eventlog.writer import EventLogWriter, NewEvent, new_request_id

STEP = 500  # events of one transaction: so many are written before another writer has its turn
LONGEST_ID, LONGEST_LINE, LONGEST_TEXT, LONGEST_LIST, DEEPEST = 300, 500, 20_000, 1_000, 5
SHORTEST_SECRET = 6  # a shorter one would be found in ordinary words

PLAIN = 4_000  # characters up to which a finding is looked at as a whole

_JSON = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode
_event = ChangeEvent.__table__.c


@dataclass(frozen=True)
class Origin:
    """The connector that events come from, as they keep it, and its secrets, which they never repeat."""

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
        secrets = tuple(one for one in decrypted_secrets(connector).values() if len(one) >= SHORTEST_SECRET)
    except KeyUnusable:
        secrets = ()
    return Origin(connector.id, connector.type, connector.name, list(connector.tags), secrets)


def add_found(
    event_log: EventLogWriter,
    connector: Connector,
    found: Sequence[SourceEvent],
    now: datetime,
    request_id: str | None = None,
) -> int:
    """Append what is found and not there yet, inside an open write transaction. Return how many events that are."""
    return append(event_log, new_events(origin(connector), found, now, request_id or new_request_id(now)))


def new_events(of: Origin, found: Iterable[SourceEvent], now: datetime, request_id: str) -> list[NewEvent]:
    """Return what is found as events that can be written, with their words; what comes twice, once."""
    events: dict[str, NewEvent] = {}
    for one in found:
        event = _new_event(of, one, now, request_id)
        if events.setdefault(event.event_id, event) is event:
            event.prepare()
    return list(events.values())


def append(event_log: EventLogWriter, events: Sequence[NewEvent], looked_up: int | None = None) -> int:
    """Append those of the events that are not there yet, and return how many.

    They need not be looked up again if the newest event still is the one of when they were.
    """
    if looked_up != event_log.last_event:
        event_log.flush()
        known = _known(event_log.connection, [event.event_id for event in events])
        events = [event for event in events if event.event_id not in known]
    event_log.append(*events)
    return len(events)


def unknown(events: Sequence[SourceEvent]) -> tuple[list[SourceEvent], int]:
    """Return the events that are not in the log yet, each once, before any lock is taken; and the log's newest event.

    The newest event is 0 if there was nothing to look up.
    """
    by_id: dict[str, SourceEvent] = {}
    for event in events:
        by_id.setdefault(_event_id(event.event_id), event)
    ids, newest = list(by_id), []
    for start in range(0, len(ids), STEP):
        some = ids[start : start + STEP]
        query = select(LogHead.last_event, _event.event_id).outerjoin(ChangeEvent, _event.event_id.in_(some))
        with single_statements() as connection:
            rows = connection.execute(query).all()
        newest.append(rows[0].last_event)
        for row in rows:
            by_id.pop(row.event_id, None)
    return list(by_id.values()), min(newest, default=0)


def _known(connection: Connection, ids: Sequence[str]) -> set[str]:
    return set(connection.scalars(select(_event.event_id).where(_event.event_id.in_(ids)))) if ids else set()


def _new_event(of: Origin, one: SourceEvent, now: datetime, request_id: str) -> NewEvent:
    safe = one if _is_plain(one, of.secrets) else _made_safe(one, of.secrets)
    return NewEvent(
        event_id=_event_id(one.event_id),
        source=of.type,
        event_type=safe.event_type,
        title=safe.title,
        description={"text": safe.text},
        metadata=dict(safe.facts),
        author=safe.author or "unknown",
        request_id=request_id,
        timestamp=_aware(one.timestamp, now),
        recorded_at=now,
        connector_id=of.id,
        connector_name=of.name,
        connector_type=of.type,
        status=safe.status or None,
        url=link(safe.url),
        tags=of.tags,
    )


def _is_plain(one: SourceEvent, secrets: Sequence[str]) -> bool:
    """Say whether nothing of it needs to be made safe, as is so of most that sources tell: by one look at all of it."""
    lines = (one.title, one.author, one.event_type, one.status or "")
    try:
        told = _JSON((lines, one.text, one.url, one.facts))
        told.encode()
        if len(told) >= PLAIN or "@" in told or "=" in told or "\\u0000" in told:
            return False
        for secret in secrets:
            if secret in told or _JSON(secret)[1:-1] in told:  # a quote in it is written otherwise there
                return False
        for line in lines:
            if len(line) > LONGEST_LINE or " ".join(line.split()) != line:
                return False
    except (TypeError, ValueError, AttributeError, RecursionError):
        return False
    return True


def _made_safe(one: SourceEvent, secrets: Sequence[str]) -> SourceEvent:
    return replace(
        one,
        event_type=_line(one.event_type, secrets),
        title=_line(one.title, secrets),
        text=safe_text(one.text, secrets),
        facts=_safe_facts(one.facts, secrets),
        author=_line(one.author or "", secrets),
        status=_line(one.status or "", secrets),
        url=_safe_link(one.url, secrets),
    )


def _event_id(text: str) -> str:
    """Return an id that every database takes; of a very long one the end stands for the rest."""
    plain = _storable(text)
    if len(plain) <= LONGEST_ID:
        return plain
    return f"{plain[:LONGEST_ID]}-{sha256(plain.encode()).hexdigest()[:32]}"


def safe_text(text: Any, secrets: Sequence[str], longest: int = LONGEST_TEXT) -> str:
    """Return a text that can be stored and shown to everybody: no credentials, and not longer than sane."""
    plain = scrub(_storable(str(text)))
    for secret in secrets:
        if len(secret) >= SHORTEST_SECRET and secret in plain:
            plain = plain.replace(secret, MASK)
    return plain if len(plain) <= longest else plain[: longest - 1] + "…"


def _line(text: Any, secrets: Sequence[str]) -> str:
    return safe_text(" ".join(str(text).split()), secrets, LONGEST_LINE)


def _storable(text: str) -> str:
    """Return `text` without what a database refuses: NUL, and halves of surrogate pairs."""
    if "\0" not in text and text.isascii():
        return text
    return text.replace("\0", "").encode("utf-8", "replace").decode()


def _safe_link(address: str | None, secrets: Sequence[str]) -> str | None:
    address = link(address)
    return address if address is None or address == safe_text(address, secrets) else None


def _safe_facts(facts: Mapping[str, Any], secrets: Sequence[str]) -> dict[str, Any]:
    return {_storable(str(key)): _safe(value, secrets) for key, value in facts.items()}


def _safe(value: Any, secrets: Sequence[str], depth: int = 0) -> Any:
    if isinstance(value, str):
        return safe_text(value, secrets)
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping) and depth < DEEPEST:
        return {safe_text(key, secrets): _safe(one, secrets, depth + 1) for key, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset) and depth < DEEPEST:
        return [_safe(one, secrets, depth + 1) for one in list(value)[:LONGEST_LIST]]
    return safe_text(value, secrets)


def _aware(moment: Any, now: datetime) -> datetime:
    """Return the time of an event, in UTC where no zone is named; now, if it has none."""
    if not isinstance(moment, datetime):
        return now
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return moment if moment >= EPOCH else now  # some say 0001-01-01 where they have no date
