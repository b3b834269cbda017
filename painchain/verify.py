"""Verify the log: is each event as it was written, in its place, and is none missing?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hmac import compare_digest
from typing import Any

from flask import current_app
from sqlalchemy import BigInteger, select, type_coerce
from sqlalchemy.engine import Connection

from painchain.chain import FIELDS, START, Chain, canonical, chains
from painchain.db import Base, db, snapshot
from painchain.models import ChangeEvent, LogHead, PrunedRun

BATCH = 1000

_event = ChangeEvent.__table__.c
_runs = Base.metadata.tables[PrunedRun.__tablename__]
_head = Base.metadata.tables[LogHead.__tablename__]
_TIMES = ("timestamp", "recorded_at")
_COLUMNS = [
    *(_event.id, _event.mac),
    *(type_coerce(_event[name], BigInteger).label(name) if name in _TIMES else _event[name] for name in FIELDS),
]


@dataclass(frozen=True)
class Break:
    """The first place at which the log is not as it was written: `kind` is a word, `words` tell people.

    Kinds: edited, removed, inserted, reordered, truncated.
    """

    kind: str
    event: int
    words: str


@dataclass(frozen=True)
class Integrity:
    """What a check has found: so many `events` are as they were written, up to number `last`, whose hash is `head`.

    `pruned` is how many others retention has removed. `broken` is the first place that is not, if there is one.
    """

    events: int
    pruned: int
    last: int
    head: bytes
    broken: Break | None = None


def integrity(progress: Callable[[int, int], None] = lambda done, whole: None) -> Integrity:
    """Walk along the chain from the first event to the one that is the last when it begins.

    It holds ``BATCH`` events at a time and no transaction between them; `progress` hears after each how far it is.
    """
    walk = _Walk(chains(current_app.extensions["painchain.keys"]))
    with _reading() as connection:
        head = connection.execute(select(_head)).one()
    while walk.broken is None and walk.reached < head.last_event:
        with _reading() as connection:
            walk.go_on(connection, head.last_event)
        progress(walk.reached, head.last_event)
    if walk.broken is None:
        walk.end(head)
    return Integrity(walk.events, walk.pruned, walk.reached, walk.mac, walk.broken)


@contextmanager
def _reading() -> Iterator[Connection]:
    """Open a transaction that sees one state of the database throughout."""
    with db.engine.connect() as connection:
        yield snapshot(connection)


class _Walk:
    """Where a walk along the chain is: number and hash of the event that was reached."""

    def __init__(self, several: Sequence[Chain]):
        self._several = several
        self._ahead = list(reversed(several))  # the oldest first: after a newer key, none is older
        self.reached, self.mac = 0, START
        self.events = self.pruned = 0
        self.broken: Break | None = None

    def go_on(self, connection: Connection, last: int) -> None:
        """Check the next events, up to number `last`."""
        wanted = (_event.id > self.reached, _event.id <= last)
        rows = connection.execute(select(*_COLUMNS).where(*wanted).order_by(_event.id).limit(BATCH)).all()
        upto = rows[-1].id if len(rows) == BATCH else last
        runs = connection.execute(select(_runs).where(_runs.c.last > self.reached, _runs.c.first <= upto)).all()
        steps = [*((run.first, run) for run in runs), *((row.id, row) for row in rows)]
        for number, step in sorted(steps, key=lambda pair: pair[0]):
            (self._pass if "last" in step._mapping else self._check)(number, step)
            if self.broken:
                return
        if self.reached < upto:
            self._break("truncated" if upto == last else "removed", self.reached + 1)

    def end(self, head: Any) -> None:
        """Compare the end that was reached with the end that the log says it has."""
        # A rotation seals head and runs anew: a retired key, which may have leaked, vouches for neither.
        if self.mac != head.mac or not compare_digest(self._several[0].head(head.last_event, head.mac), head.seal):
            self._break("truncated", head.last_event + 1)

    def _pass(self, first: int, run: Any) -> None:
        """Go past a run that retention has removed."""
        if not compare_digest(self._several[0].run(first, run.last, run.mac), run.seal):
            self._break("removed", first)
        elif first > self.reached + 1:
            self._break("removed", self.reached + 1)
        else:  # while it was read, a run that begins before may have grown
            self.pruned += run.last - self.reached
            self.reached, self.mac = run.last, run.mac

    def _check(self, number: int, row: Any) -> None:
        """Check one event."""
        if number != self.reached + 1:
            self._break("removed" if number > self.reached else "inserted", min(number, self.reached + 1))
            return
        content = canonical(row._mapping)
        for place, chain in enumerate(self._ahead):
            if row.mac and compare_digest(row.mac, chain.link(self.mac, number, content)):
                self._ahead = self._ahead[place:]
                self.reached, self.mac = number, row.mac
                self.events += 1
                return
        self._break("edited" if row.mac else "inserted", number)

    def _break(self, kind: str, number: int) -> None:
        self.broken = Break(kind, number, f"Event {number} was {kind}.")
