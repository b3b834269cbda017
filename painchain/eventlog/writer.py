"""Write to the log: one writer at a time, each event numbered in the order of commits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from hmac import compare_digest
from secrets import token_hex
from typing import Any

from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.engine import Connection

from painchain.core import runtime
from painchain.database.models import ChangeEvent, EventTag, LogHead
from painchain.database.prepared import Prepared
from painchain.database.session import Base, WrongKey, db, write_transaction
from painchain.database.types import microseconds, moment
from painchain.eventlog import pruned_ranges
from painchain.eventlog.chain import Chain, canonical
from painchain.indexes import fulltext, rollups
from painchain.indexes.tokens import of_event

_tables = Base.metadata.tables
_head = _tables[LogHead.__tablename__]
_READ_HEAD = Prepared(
    select(
        *(_head.c[name] for name in ("revision", "last_event", "last_stamp", "counted", "mac", "seal", "key_id"))
    ).with_for_update()
)
_MOVED = ("revision", "last_event", "last_stamp", "mac", "seal")
_MOVE_HEAD = Prepared(update(_head).values({name: bindparam(f"new_{name}") for name in _MOVED}))
_MOVE_COUNTED = Prepared(update(_head).values(counted=bindparam("upto")))
_events = _tables[ChangeEvent.__tablename__]
_INSERT = Prepared(insert(_events))
_INSERT_TAGS = Prepared(insert(_tables[EventTag.__tablename__]))

BATCH = 500  # events that are inserted by one statement at most


@dataclass(frozen=True)
class NewEvent:
    """An event that is not written yet. Everything in it may be shown to anybody: no secret ever gets this far."""

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
    def words(self) -> str:
        """What a search finds it by."""
        return of_event(vars(self))

    @cached_property
    def content(self) -> bytes:
        """What the chain has of it, but for its number."""
        return canonical(vars(self))

    def prepare(self) -> None:
        """Make words and content now. Whoever writes many does so before the write lock, so that nobody waits."""
        _ = self.words, self.content


@dataclass
class EventLogWriter:
    """The log while one transaction writes to it."""

    connection: Connection
    revision: int
    last_event: int
    last_stamp: int
    counted: int
    mac: bytes
    chain: Chain
    written: Counter[str] = field(default_factory=Counter)  # events of each source, for the metrics
    _rows: list[dict[str, Any]] = field(default_factory=list)  # events that `flush` still has to insert

    def stamp(self, now: datetime) -> tuple[int, datetime]:
        """Return the microseconds for an event id, and the event's own time.

        The first is greater than that of every event before, whatever the clock did: ids grow and never repeat. The
        second is what the clock says; where the clock runs forward, both are the same.
        """
        self.last_stamp = max(microseconds(now), self.last_stamp + 1)
        in_step = self.last_stamp - microseconds(now) < 1_000_000
        return self.last_stamp, moment(self.last_stamp) if in_step else now

    def append(self, *events: NewEvent) -> int:
        """Append events with their words, tags and hashes, and return the number of the last.

        They are inserted together by ``flush``, which runs before the transaction commits at the latest.
        """
        for number, event in enumerate(events, self.last_event + 1):
            self.mac = self.chain.link(self.mac, number, event.content)
            self._rows.append({"id": number, "words": event.words, "mac": self.mac, **vars(event)})
        self.last_event += len(events)
        self.written.update(event.source for event in events)
        if len(self._rows) >= BATCH:
            self.flush()
        return self.last_event

    def flush(self) -> None:
        """Insert the events that were appended, for a query of this transaction that has to find them."""
        rows, self._rows = self._rows, []
        if rows:
            _INSERT.run(self.connection, *rows)
        if tags := [{"tag": tag, "event": row["id"]} for row in rows for tag in row["tags"]]:
            _INSERT_TAGS.run(self.connection, *tags)

    def change_key(self, chain: Chain) -> None:
        """Chain what is written from here on with another key, and what is there already stays as it is."""
        self.chain = chain
        self.connection.execute(update(_head).values(key_id=chain.key_id))

    def remove(self, ids: Sequence[int]) -> bytes | None:
        """Delete these events, their tags, words and places in the rollups, and return the hash of the newest of them.

        Sealed runs stand for them in the chain. Ids that are gone do no harm.
        """
        self.flush()
        boundary = None
        for some in (ids[start : start + 500] for start in range(0, len(ids), 500)):
            rollups.subtract(self.connection, some, self.counted)
            fulltext.forget(self.connection, [number for number in some if number <= self.counted])
            boundary = pruned_ranges.add(self.connection, some, self.chain) or boundary
            self.connection.execute(delete(_events).where(_events.c.id.in_(some)))
        return boundary

    def count(self) -> None:
        """Add every event that is written to the rollups and to the index of words."""
        self.flush()
        rollups.add(self.connection, self.counted, self.last_event)
        fulltext.add(self.connection, self.counted, self.last_event)
        self.counted = self.last_event
        _MOVE_COUNTED.run(self.connection, {"upto": self.counted})


def new_request_id(now: datetime) -> str:
    """Return 32 hexadecimal digits that no other action has. They grow with time, as do the pages of their index."""
    return f"{microseconds(now):016x}{token_hex(8)}"


def key_id() -> str:
    """Return the name of the key that the log is written with."""
    with db.engine.connect() as connection:
        return str(connection.execute(select(_head.c.key_id)).scalar_one())


def check_key(current: str | None = None) -> None:
    """Make sure that the log is still written with the key of this process; workers ask before they act.

    `current` is the name of the log's key, if the caller has read it.

    :raises WrongKey: when the key was replaced since this process started.
    """
    chain: Chain = runtime.current().chain
    if (key_id() if current is None else current) != chain.key_id:
        raise WrongKey


@contextmanager
def writing(first: Callable[[Connection], None] = lambda connection: None) -> Iterator[EventLogWriter]:
    """Open the one write transaction: what changes inside and what is recorded of it are committed together.

    `first` is done before anything is read.

    :raises painchain.database.session.WriteBusy: when other writers held the database for too long.
    :raises WrongKey: when the log is written with another key than this process has.
    :raises sqlalchemy.exc.DBAPIError: when the database cannot write; nothing of the change is there then.
    """
    chain: Chain = runtime.current().chain
    with write_transaction() as connection:
        first(connection)
        [[revision, last_event, last_stamp, counted, mac, seal, key_id]] = _READ_HEAD.all(connection)
        if key_id != chain.key_id:
            raise WrongKey
        # Nothing may follow upon a head that was changed by hand as if it had not been.
        intact = compare_digest(bytes(seal), chain.head(last_event, mac))
        begin = mac if intact else chain.forked_head(mac)
        event_log = EventLogWriter(connection, revision, last_event, last_stamp, counted, begin, chain)
        yield event_log
        event_log.flush()
        if event_log.last_event - event_log.counted >= rollups.TAIL:
            event_log.count()
        moved = event_log.mac != begin
        _MOVE_HEAD.run(
            connection,
            {
                "new_revision": event_log.revision + 1,
                "new_last_event": event_log.last_event,
                "new_last_stamp": event_log.last_stamp,
                "new_mac": event_log.mac if moved else mac,
                "new_seal": event_log.chain.head(event_log.last_event, event_log.mac) if moved else seal,
            },
        )
    if event_log.written:
        runtime.current().metrics.count_events(event_log.written)  # which they are only now that it is committed
