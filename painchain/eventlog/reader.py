"""Read the events as the chain has them, a batch at a time, straight from the driver."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, Integer, bindparam, literal_column, or_, select, type_coerce
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from painchain.core.text import clipped
from painchain.database.dialects import is_undecodable
from painchain.database.models import ChangeEvent, LogHead, PrunedRun
from painchain.database.prepared import Prepared
from painchain.database.session import Base
from painchain.database.types import moment
from painchain.eventlog.chain import FIELDS, START, spelt

_event = ChangeEvent.__table__.c
_runs = Base.metadata.tables[PrunedRun.__tablename__]
_head = Base.metadata.tables[LogHead.__tablename__]
_TIMES = ("timestamp", "recorded_at")
_COLUMNS = [
    *(_event.id, _event.mac),
    *(type_coerce(_event[name], BigInteger).label(name) if name in _TIMES else _event[name] for name in FIELDS),
]
_TITLE, _WHEN = FIELDS.index("title"), FIELDS.index("timestamp")

FEW = 100
# What reading raises where something stands that PainChain does not write.
UNREADABLE = (ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError, DBAPIError)

_BEHIND = (_event.id > bindparam("after"), _event.id <= bindparam("last"))
_MOST = bindparam("most", type_=Integer)
_NONE = literal_column("0", Integer)  # SQLAlchemy adds a value of its own for SQLite where nothing is said
_EVENTS = Prepared(select(*_COLUMNS).where(*_BEHIND).order_by(_event.id).limit(_MOST).offset(_NONE))
_NUMBERS = Prepared(select(_event.id).where(*_BEHIND).order_by(_event.id).limit(_MOST).offset(_NONE))
_RUN = [_runs.c[name] for name in ("first", "last", "mac", "seal")]
_RUNS = Prepared(
    select(*_RUN).where(_runs.c.first > bindparam("after"), _runs.c.first <= bindparam("upto")).order_by(_runs.c.first)
)
_NEXT_RUN = Prepared(
    select(*_RUN).where(_runs.c.last > bindparam("after")).order_by(_runs.c.last).limit(_MOST).offset(_NONE)
)
_HEAD = Prepared(select(*(_head.c[name] for name in ("last_event", "mac", "seal", "key_id"))))
_STRAY_RUNS = Prepared(
    select(*_RUN)
    .where(or_(_runs.c.first <= literal_column("0"), _runs.c.last < _runs.c.first, _runs.c.last > bindparam("last")))
    .order_by(_runs.c.first)
    .limit(_MOST)
    .offset(_NONE)
)


@dataclass(frozen=True, slots=True)
class Link:
    """One event in the chain: what is hashed of it, and its hash.

    `content` is None where it cannot be read, or is such that no event can have it; `mac` is b"" where it has none.
    """

    id: int
    mac: bytes
    content: bytes | None
    title: str = ""
    when: int = 0

    def __str__(self) -> str:
        try:
            time = f"{moment(self.when):%Y-%m-%d %H:%M:%S} UTC"
        except (OverflowError, TypeError, ValueError):
            time = "a time that is none"
        return (
            f"event {self.id} (“{clipped(str(self.title))}”, {time})"
            if self.content is not None
            else f"event {self.id}"
        )


@dataclass(frozen=True, slots=True)
class Run:
    """A run of events that retention has removed, as it stands in the database."""

    first: int
    last: int
    mac: bytes
    seal: bytes


@dataclass(frozen=True, slots=True)
class Head:
    """The end that the log says it has."""

    last_event: int
    mac: bytes
    seal: bytes
    key_id: str


def head(connection: Connection) -> Head | None:
    """Return the end that the log says it has; None where it says nothing that can be understood."""
    for last_event, mac, seal, key_id in _HEAD.all(connection):
        if type(last_event) is int and last_event >= 0:
            return Head(last_event, _bytes(mac), _bytes(seal), str(key_id))
    return None


def events(connection: Connection, after: int, last: int, most: int) -> list[Link]:
    """Return the next events behind number `after`, up to number `last`, `most` at once."""
    try:
        rows = _EVENTS.all(connection, after=after, last=last, most=most)
        return [Link(row[0], _bytes(row[1]), spelt(row[2:]), row[2 + _TITLE], row[2 + _WHEN]) for row in rows]
    except UNREADABLE as error:
        refuse_broken(error)
    numbers = _NUMBERS.all(connection, after=after, last=last, most=most)
    return [_one(connection, number) for [number] in numbers]


def runs(connection: Connection, after: int, upto: int) -> list[Run]:
    """Return the runs that begin behind number `after`, up to `upto`; before them one that reaches across `after`."""
    across = [row for row in _NEXT_RUN.all(connection, after=after, most=1) if row[0] <= after]
    return [_run(row) for row in (*across, *_RUNS.all(connection, after=after, upto=upto))]


def stray_run(connection: Connection, last: int) -> Run | None:
    """Return the first run that lies nowhere in a log of so many events, if there is one."""
    found = map(_run, _STRAY_RUNS.all(connection, last=last, most=FEW))
    return min(found, key=lambda run: min(run.first, run.last), default=None)


def previous(connection: Connection, macs: Mapping[int, bytes | None]) -> dict[int, bytes]:
    """Return the hash that stands before each of these events, whose own are given: of an event or of a run."""
    known = {0: START, **{number: mac for number, mac in macs.items() if mac}}
    for number, mac in (_event.id, _event.mac), (_runs.c.last, _runs.c.mac):
        if wanted := [before for before in (one - 1 for one in macs) if before not in known]:
            rows = connection.execute(select(number, mac).where(number.in_(wanted)))
            known.update((at, _bytes(found)) for at, found in rows if found)
    return {number: known[number - 1] for number in macs if number - 1 in known}


def _one(connection: Connection, number: int) -> Link:
    mac = b""
    try:
        for row in _EVENTS.all(connection, after=number - 1, last=number, most=1):
            mac = _bytes(row[1])
            return Link(number, mac, spelt(row[2:]), row[2 + _TITLE], row[2 + _WHEN])
    except UNREADABLE as error:
        refuse_broken(error)
    return Link(number, mac, None)


def refuse_broken(error: Exception) -> None:
    """Let errors of the database itself through: they say nothing of what is stored."""
    if isinstance(error, DBAPIError) and not is_undecodable(error):
        raise error


def _run(row: Sequence[Any]) -> Run:
    return Run(row[0], row[1] if type(row[1]) is int else -1, _bytes(row[2]), _bytes(row[3]))


def _bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else b""
