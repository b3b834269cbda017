"""Read the log for verification, in batches and without the ORM, and tolerate rows that PainChain did not write."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Integer,
    Text,
    bindparam,
    cast,
    literal_column,
    or_,
    select,
    type_coerce,
)
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from painchain.core.text import clipped
from painchain.database.dialects import is_undecodable
from painchain.database.models import ChangeEvent, LogHead, PrunedRun
from painchain.database.prepared import Prepared
from painchain.database.session import Base
from painchain.database.types import moment
from painchain.eventlog.stored_form import COLUMNS, JSON_FIELDS, exact_form, quick_form

_event = ChangeEvent.__table__.c
_runs = Base.metadata.tables[PrunedRun.__tablename__]
_head = Base.metadata.tables[LogHead.__tablename__]
_TIMES = ("timestamp", "recorded_at")


def _as_stored(name: str) -> ColumnElement[Any]:
    if name in _TIMES:
        return type_coerce(_event[name], BigInteger).label(name)
    return cast(_event[name], Text).label(name) if name in JSON_FIELDS else _event[name]


_COLUMNS = [*map(_as_stored, COLUMNS)]
_TITLE, _TIMESTAMP = COLUMNS.index("title"), COLUMNS.index("timestamp")

MAX_STRAY_RUNS = 100
# Raised on reading a value that PainChain did not write.
UNREADABLE_ERRORS = (ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError, DBAPIError)

_AFTER = (_event.id > bindparam("after"), _event.id <= bindparam("last"))
_LIMIT = bindparam("limit", type_=Integer)
_NO_OFFSET = literal_column("0", Integer)  # explicit, because SQLAlchemy adds a bound value on SQLite otherwise
_EVENTS = Prepared(select(*_COLUMNS).where(*_AFTER).order_by(_event.id).limit(_LIMIT).offset(_NO_OFFSET))
_NUMBERS = Prepared(select(_event.id).where(*_AFTER).order_by(_event.id).limit(_LIMIT).offset(_NO_OFFSET))
_RUN = [_runs.c[name] for name in ("first", "last", "mac", "seal")]
_RUNS = Prepared(
    select(*_RUN).where(_runs.c.first > bindparam("after"), _runs.c.first <= bindparam("upto")).order_by(_runs.c.first)
)
_NEXT_RUN = Prepared(
    select(*_RUN).where(_runs.c.last > bindparam("after")).order_by(_runs.c.last).limit(_LIMIT).offset(_NO_OFFSET)
)
_HEAD = Prepared(select(*(_head.c[name] for name in ("last_event", "mac", "seal", "key_id"))))
_STRAY_RUNS = Prepared(
    select(*_RUN)
    .where(or_(_runs.c.first <= literal_column("0"), _runs.c.last < _runs.c.first, _runs.c.last > bindparam("last")))
    .order_by(_runs.c.first)
    .limit(_LIMIT)
    .offset(_NO_OFFSET)
)


@dataclass  # not frozen, which would take four times as long to create
class Link:
    """One event in the chain: its number and its hash, which is b"" if it has none.

    `row` has its stored values, or is None if they cannot be read.
    """

    id: int
    mac: bytes
    row: Sequence[Any] | None

    @cached_property
    def content(self) -> bytes | None:
        """The bytes that are hashed, or None if they are not known, because a value is not valid for an event."""
        with suppress(*UNREADABLE_ERRORS):
            return None if self.row is None else exact_form(self.row)
        return None

    @property
    def quick_content(self) -> bytes | None:
        """The same, computed in less time. If they do not have the event's hash, only `content` counts."""
        try:
            return None if self.row is None else quick_form(self.row)
        except UNREADABLE_ERRORS:
            return None

    def __str__(self) -> str:
        if self.content is None:
            return f"event {self.id}"
        _, *values = json.loads(self.content)
        try:
            time = f"{moment(values[_TIMESTAMP]):%Y-%m-%d %H:%M:%S} UTC"
        except (OverflowError, TypeError, ValueError):
            time = "an invalid time"
        return f"event {self.id} (“{clipped(str(values[_TITLE]))}”, {time})"


@dataclass(frozen=True, slots=True)
class Run:
    """A run of pruned events, as stored in the database."""

    first: int
    last: int
    mac: bytes
    seal: bytes


@dataclass(frozen=True, slots=True)
class Head:
    """The stored head of the log: number and hash of the last event."""

    last_event: int
    mac: bytes
    seal: bytes
    key_id: str


def head(connection: Connection) -> Head | None:
    """Return the stored head of the log; None if it cannot be read."""
    for last_event, mac, seal, key_id in _HEAD.all(connection):
        if type(last_event) is int and last_event >= 0:
            return Head(last_event, _bytes(mac), _bytes(seal), str(key_id))
    return None


def events(connection: Connection, after: int, last: int, limit: int) -> list[Link]:
    """Return the next events after number `after`, up to number `last`, at most `limit` of them."""
    try:
        return [*map(_link, _EVENTS.unconverted(connection, after=after, last=last, limit=limit))]
    except UNREADABLE_ERRORS as error:
        reraise_database_error(error)
    numbers = _NUMBERS.all(connection, after=after, last=last, limit=limit)
    return [_read_event(connection, number) for [number] in numbers]


def runs(connection: Connection, after: int, upto: int) -> list[Run]:
    """Return the runs that start after number `after`, up to `upto`, preceded by one that spans `after`."""
    spanning = [row for row in _NEXT_RUN.all(connection, after=after, limit=1) if row[0] <= after]
    return [_run(row) for row in (*spanning, *_RUNS.all(connection, after=after, upto=upto))]


def stray_run(connection: Connection, last: int) -> Run | None:
    """Return the first run that cannot belong to a log of `last` events, if there is one."""
    strays = map(_run, _STRAY_RUNS.all(connection, last=last, limit=MAX_STRAY_RUNS))
    return min(strays, key=lambda run: min(run.first, run.last), default=None)


def _link(row: Sequence[Any]) -> Link:
    return Link(row[-2], _bytes(row[-1]), row)


def _read_event(connection: Connection, number: int) -> Link:
    try:
        for row in _EVENTS.unconverted(connection, after=number - 1, last=number, limit=1):
            return _link(row)
    except UNREADABLE_ERRORS as error:
        reraise_database_error(error)
    return Link(number, b"", None)


def reraise_database_error(error: Exception) -> None:
    """Raise the error again if the database failed, rather than the decoding of a stored value."""
    if isinstance(error, DBAPIError) and not is_undecodable(error):
        raise error


def _run(row: Sequence[Any]) -> Run:
    return Run(row[0], row[1] if type(row[1]) is int else -1, _bytes(row[2]), _bytes(row[3]))


def _bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else b""
