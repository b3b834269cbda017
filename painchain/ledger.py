"""Write to the log: one writer at a time, each event numbered in the order of commits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from secrets import token_hex
from typing import Any

from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.engine import Connection

from painchain.db import Base, Prepared, microseconds, moment, one_write_at_a_time
from painchain.models import ChangeEvent, EventTag, LogHead

_tables = Base.metadata.tables
_head = _tables[LogHead.__tablename__]
_READ_HEAD = Prepared(select(_head.c.revision, _head.c.last_event, _head.c.last_stamp).with_for_update())
_MOVE_HEAD = Prepared(
    update(_head).values({name: bindparam(f"new_{name}") for name in ("revision", "last_event", "last_stamp")})
)
_events, _tags = _tables[ChangeEvent.__tablename__], _tables[EventTag.__tablename__]
_INSERT = Prepared(insert(_events))
_INSERT_TAGS = Prepared(insert(_tags))


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


@dataclass
class Ledger:
    """The log while one transaction writes to it."""

    connection: Connection
    revision: int
    last_event: int
    last_stamp: int

    def stamp(self, now: datetime) -> tuple[int, datetime]:
        """Return the microseconds for an event id, and the event's own time.

        The first is greater than that of every event before, whatever the clock did: ids grow and never repeat. The
        second is what the clock says; where the clock runs forward, both are the same.
        """
        self.last_stamp = max(microseconds(now), self.last_stamp + 1)
        in_step = self.last_stamp - microseconds(now) < 1_000_000
        return self.last_stamp, moment(self.last_stamp) if in_step else now

    def append(self, event: NewEvent) -> int:
        """Write the event and its tags, and return its number."""
        self.last_event += 1
        _INSERT.run(self.connection, {"id": self.last_event, **vars(event)})
        if event.tags:
            _INSERT_TAGS.run(self.connection, *({"tag": tag, "event": self.last_event} for tag in event.tags))
        return self.last_event

    def remove(self, numbers: Sequence[int]) -> None:
        """Remove the events of these numbers and whatever is kept of them elsewhere: their tags."""
        self.connection.execute(delete(_tags).where(_tags.c.event.in_(numbers)))
        self.connection.execute(delete(_events).where(_events.c.id.in_(numbers)))


def new_request_id(now: datetime) -> str:
    """Return 32 hexadecimal digits that no other action has. They grow with time, as do the pages of their index."""
    return f"{microseconds(now):016x}{token_hex(8)}"


@contextmanager
def writing() -> Iterator[Ledger]:
    """Open the one write transaction: what changes inside and what is recorded of it are committed together.

    :raises WriteBusy: when other writers held the database for too long.
    :raises sqlalchemy.exc.DBAPIError: when the database cannot write; nothing of the change is there then.
    """
    with one_write_at_a_time() as connection:
        [head] = _READ_HEAD.all(connection)
        ledger = Ledger(connection, *head)
        yield ledger
        _MOVE_HEAD.run(
            connection,
            {
                "new_revision": ledger.revision + 1,
                "new_last_event": ledger.last_event,
                "new_last_stamp": ledger.last_stamp,
            },
        )
