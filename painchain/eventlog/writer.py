"""Write to the log: one writer at a time, each event numbered in the order of commits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property, lru_cache
from hmac import compare_digest
from os import urandom
from typing import Any, NamedTuple

from sqlalchemy import bindparam, delete, select, update
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from painchain.core import runtime
from painchain.database.bulk import BulkInsert
from painchain.database.commit import OutcomeUnknown, settle, transaction_id
from painchain.database.models import ChangeEvent, LogHead
from painchain.database.prepared import Prepared
from painchain.database.session import Base, WrongKey, db, session_joined, write_transaction
from painchain.database.types import microseconds, moment, stored_json, stored_text
from painchain.eventlog import pruned_ranges
from painchain.eventlog.chain import Chain, canonical_form
from painchain.indexes import fulltext, notes, rollups
from painchain.indexes.tokens import of_event

_tables = Base.metadata.tables
_head = _tables[LogHead.__tablename__]
_READ_HEAD = Prepared(
    select(
        *(_head.c[name] for name in ("revision", "last_event", "last_stamp", "counted", "mac", "seal", "key_id")),
        transaction_id(),
    ).with_for_update()
)
_HEAD_COLUMNS = ("revision", "last_event", "last_stamp", "mac", "seal")
_UPDATE_HEAD = Prepared(update(_head).values({name: bindparam(f"new_{name}") for name in _HEAD_COLUMNS}))
_UPDATE_COUNTED = Prepared(update(_head).values(counted=bindparam("upto")))
_events = _tables[ChangeEvent.__tablename__]
_INSERT = BulkInsert(_events)

BATCH = 500  # events inserted by one statement at most


class PreparedEvent(NamedTuple):
    """What is stored of an event, apart from what depends on the events before."""

    values: tuple[Any, ...]  # of its columns in their order, without the first and the last: its number and its hash
    facts: tuple[str, str]  # the JSON of its description and of its metadata
    content: bytes  # what the chain hashes, apart from its number


@dataclass  # not frozen, which would take five times as long to create
class NewEvent:
    """An event before it is written, never changed. It contains no secrets: everyone may see all of it."""

    event_id: str
    source: str
    event_type: str
    title: str
    description: dict[str, Any]
    metadata: dict[str, Any]
    author: str
    request_id: str
    timestamp: datetime
    recorded_at: datetime
    connector_id: int | None = None
    connector_name: str | None = None
    connector_type: str | None = None
    status: str | None = None
    url: str | None = None
    tags: list[str] = field(default_factory=list)

    @cached_property
    def prepared(self) -> PreparedEvent:
        """The event as the writer stores it. Computed before the write lock is taken, it keeps nobody waiting."""
        return self._prepared(self._facts(), of_event(vars(self)))

    def _facts(self) -> tuple[str, str]:
        return _stored_description(self.description), stored_json(self.metadata)

    def _prepared(self, facts: tuple[str, str], words: str) -> PreparedEvent:
        connector = (self.connector_id, self.connector_name, self.connector_type)
        names = (self.event_id, self.source, self.event_type, *connector, self.title)
        outcome = (self.author, self.status, self.url)
        request = (self.request_id, microseconds(self.timestamp), microseconds(self.recorded_at))
        return PreparedEvent(
            (*names, *facts, *outcome, _stored_tags(tuple(self.tags)), *request, words),
            facts,
            canonical_form([*names, self.description, self.metadata, *outcome, self.tags, *request]),
        )

    def as_counted(self, number: int) -> rollups.Event:
        """Return what the rollups count of the event."""
        stamp, tags = microseconds(self.timestamp), _stored_tags(tuple(self.tags))
        connector = (self.connector_id, self.connector_name)
        return (number, stamp, self.source, self.event_type, *connector, self.author, self.status, tags, self.metadata)


def prepare(events: Sequence[NewEvent]) -> None:
    """Compute ``NewEvent.prepared`` of many events: first the JSON of all of them, then their words, then the rest.

    The processor's caches then hold the code of each step. Event by event, it takes a tenth longer.
    """
    facts = [event._facts() for event in events]
    words = [of_event(vars(event)) for event in events]
    for event, facts_of_event, words_of_event in zip(events, facts, words, strict=True):
        vars(event)["prepared"] = event._prepared(facts_of_event, words_of_event)


def _stored_description(description: dict[str, Any]) -> str:
    """Return the JSON of a description. Most have a text only, which JSON is written around sooner."""
    text = description.get("text")
    if len(description) == 1 and isinstance(text, str):
        return f'{{"text":{stored_text(text)}}}'
    return stored_json(description)


@lru_cache(256)
def _stored_tags(tags: tuple[str, ...]) -> str:
    """Return the JSON of tags; events of a connector all have the same."""
    return stored_json(tags)


@dataclass
class EventLogWriter:
    """Append to and prune the log inside one write transaction."""

    connection: Connection
    revision: int
    last_event: int
    last_stamp: int
    counted: int
    mac: bytes
    chain: Chain
    transaction_id: str | None = None  # by which PostgreSQL tells later whether the transaction was committed
    written: Counter[str] = field(default_factory=Counter)  # events of each source, for the metrics
    checked: dict[Callable[[Connection], bool], bool] = field(default_factory=dict)  # conditions of requests
    connectors: dict[str | None, Any] = field(default_factory=dict)  # those that reported events name, once read
    _rows: list[tuple[Any, ...]] = field(default_factory=list)  # events that `flush` still has to insert
    _notes: list[tuple[int, int]] = field(default_factory=list)  # the events that they are notes on, with their numbers
    _uncounted: list[NewEvent] = field(default_factory=list)  # the newest events, which `count` need not read

    def holds(self, condition: Callable[[Connection], bool]) -> bool:
        """Return whether a condition holds in this transaction. It is checked once."""
        if condition not in self.checked:
            self.checked[condition] = condition(self.connection)
        return self.checked[condition]

    def stamp(self, now: datetime) -> tuple[int, datetime]:
        """Return the microseconds for an event id, and the event's own time.

        The first is greater than that of every earlier event even if the clock was set back: ids grow and never repeat.
        The second is the time of the clock. They are the same while the clock runs forward.
        """
        self.last_stamp = max(microseconds(now), self.last_stamp + 1)
        close_to_clock = self.last_stamp - microseconds(now) < 1_000_000
        return self.last_stamp, moment(self.last_stamp) if close_to_clock else now

    def append(self, *events: NewEvent) -> int:
        """Append events with their words and hashes, and return the number of the last.

        ``flush`` inserts them in batches, at the latest before the transaction commits.
        """
        for number, event in enumerate(events, self.last_event + 1):
            prepared = event.prepared
            self.mac = self.chain.link(self.mac, number, prepared.content)
            self._rows.append((number, *prepared.values, self.mac))
            self.written[event.source] += 1
            if event.event_type == notes.EVENT_TYPE:
                self._notes += notes.derived_from([(number, event.source, event.event_type, event.metadata)])
        self.last_event += len(events)
        self._uncounted += events
        if len(self._rows) >= BATCH:
            self.flush()
        return self.last_event

    def flush(self) -> None:
        """Insert the appended events now, so that later queries of this transaction find them."""
        if not self._rows:  # then there are no notes either
            return
        rows, self._rows = self._rows, []
        _INSERT.run(self.connection, rows)
        noted, self._notes = self._notes, []
        notes.add(self.connection, noted)

    def flush_any(self, event_ids: Collection[str]) -> None:
        """Do what ``flush`` does if one of these events is not inserted yet."""
        if event_ids and not {row[1] for row in self._rows}.isdisjoint(event_ids):
            self.flush()

    def change_key(self, chain: Chain) -> None:
        """Chain later events with another key. Events already written keep their hashes."""
        self.chain = chain
        self.connection.execute(update(_head).values(key_id=chain.key_id))

    def remove(self, ids: Sequence[int]) -> bytes | None:
        """Delete these events with their search terms and counts. Return the hash of the newest of them.

        Sealed runs replace them in the chain. Ids that no longer exist are ignored. Notes on them stay.
        """
        self.flush()
        self._uncounted.clear()  # some of them may be removed
        boundary = None
        for batch in (ids[start : start + 500] for start in range(0, len(ids), 500)):
            rollups.subtract(self.connection, batch, self.counted)
            fulltext.forget(self.connection, [number for number in batch if number <= self.counted])
            boundary = pruned_ranges.replace_events(self.connection, batch, self.chain) or boundary
            notes.forget(self.connection, batch)
            self.connection.execute(delete(_events).where(_events.c.id.in_(batch)))
        return boundary

    def count(self) -> None:
        """Add the events written since the last count to the rollups and the search index."""
        self.flush()
        uncounted, self._uncounted = self._uncounted, []
        first = self.last_event - len(uncounted) + 1
        appended = [event.as_counted(number) for number, event in enumerate(uncounted, first)]
        rollups.add(self.connection, self.counted, first - 1, appended)
        self.index(self.last_event)

    def index(self, last: int) -> None:
        """Add the words of the events up to number `last`, which the rollups hold, to the search index."""
        fulltext.add(self.connection, self.counted, last)
        self.counted = last
        _UPDATE_COUNTED.run(self.connection, {"upto": self.counted})


def new_request_id(now: datetime) -> str:
    """Return a unique id of 32 hexadecimal digits. Ids grow with time, so that their index is only appended to."""
    return f"{microseconds(now):016x}{urandom(8).hex()}"


def new_request_ids(now: datetime, count: int) -> list[str]:
    """Return unique request ids. Their random digits are drawn together, which takes a fraction of the time."""
    start, digits = f"{microseconds(now):016x}", urandom(8 * count).hex()
    return [f"{start}{digits[16 * index : 16 * index + 16]}" for index in range(count)]


def key_id() -> str:
    """Return the id of the key that the log is written with."""
    with db.engine.connect() as connection:
        return str(connection.execute(select(_head.c.key_id)).scalar_one())


def check_key(current: str | None = None) -> None:
    """Check that the log is still written with the key of this process. Workers call this before they act.

    `current` is the id of the log's key, if the caller has already read it.

    :raises WrongKey: when the key was replaced since this process started.
    """
    chain: Chain = runtime.current().chain
    if (key_id() if current is None else current) != chain.key_id:
        raise WrongKey


@contextmanager
def writing(before_read: Callable[[Connection], None] = lambda connection: None) -> Iterator[EventLogWriter]:
    """Open a write transaction that commits changes together with the events that record them.

    `before_read` is called before anything is read.

    If the answer to the COMMIT is lost, the database is asked whether it was carried out.

    :raises painchain.database.session.WriteBusy: when other writers held the database for too long.
    :raises WrongKey: when the log is written with a key other than this process's.
    :raises painchain.database.commit.OutcomeUnknown: when the changes may be saved, and the database does not say.
    :raises sqlalchemy.exc.DBAPIError: when the database cannot write; nothing is changed.
    """
    event_log: EventLogWriter | None = None
    try:
        with write_transaction() as connection:
            before_read(connection)
            event_log, head = _begin(connection)
            yield event_log
            _finish(event_log, head)
    except OutcomeUnknown as unknown:
        settle(unknown, db.engine, event_log.transaction_id if event_log else None)
    except DBAPIError:
        runtime.current().write_failed = True
        raise
    if event_log and event_log.written:
        runtime.current().write_failed = False
        runtime.current().metrics.count_events(event_log.written)  # only after the commit


@contextmanager
def writing_in(connection: Connection) -> Iterator[EventLogWriter]:
    """Write to the log in a transaction that the caller has begun and commits. The session joins it.

    :raises WrongKey: when the log is written with a key other than this process's.
    """
    with session_joined(connection):
        event_log, head = _begin(connection)
        yield event_log
        _finish(event_log, head)


@dataclass(frozen=True)
class _Head:
    """The head of the log as it was read: its hash, its seal, and the hash from which the new events continue."""

    mac: bytes
    seal: bytes
    start_mac: bytes


def _begin(connection: Connection) -> tuple[EventLogWriter, _Head]:
    """Lock and read the head of the log."""
    chain: Chain = runtime.current().chain
    [[revision, last_event, last_stamp, counted, mac, seal, key_id, transaction]] = _READ_HEAD.all(connection)
    if key_id != chain.key_id:
        raise WrongKey
    # A head that was tampered with must stay detectable after the next event.
    intact = compare_digest(bytes(seal), chain.seal_head(last_event, mac))
    start_mac = mac if intact else chain.forked_head(mac)
    event_log = EventLogWriter(connection, revision, last_event, last_stamp, counted, start_mac, chain, transaction)
    return event_log, _Head(mac, seal, start_mac)


def _finish(event_log: EventLogWriter, head: _Head) -> None:
    """Insert the events that are left, and update the head of the log."""
    event_log.flush()
    if event_log.last_event - event_log.counted >= rollups.MAX_UNCOUNTED:
        event_log.count()
    has_events = event_log.mac != head.start_mac
    _UPDATE_HEAD.run(
        event_log.connection,
        {
            "new_revision": event_log.revision + 1,
            "new_last_event": event_log.last_event,
            "new_last_stamp": event_log.last_stamp,
            "new_mac": event_log.mac if has_events else head.mac,
            "new_seal": event_log.chain.seal_head(event_log.last_event, event_log.mac) if has_events else head.seal,
        },
    )
