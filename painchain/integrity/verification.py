"""Verify the hash chain: no event was edited, moved, inserted or removed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hmac import compare_digest

from sqlalchemy.engine import Connection

from painchain.core import runtime
from painchain.database.session import WrongKey, read_transaction
from painchain.eventlog import reader
from painchain.eventlog.chain import START, Chain, chains
from painchain.eventlog.reader import Head, Link, Run
from painchain.integrity.diagnosis import TRUNCATED, ChainPosition
from painchain.integrity.diagnosis import Break as Break
from painchain.integrity.drift import Completeness as Completeness
from painchain.integrity.drift import Drift as Drift
from painchain.integrity.drift import completeness as completeness

BATCH = 1_000
FIRST, LAST = -(2**63), 2**63 - 1


@dataclass(frozen=True)
class Integrity:
    """The result of a verification: the number of verified `events`, up to number `last`, whose hash is `head`.

    `pruned` is the number of events that retention removed. `broken` is the first place that was tampered with.
    """

    events: int
    pruned: int
    last: int
    head: bytes
    broken: Break | None = None


def integrity(progress: Callable[[int, int], None] = lambda done, whole: None) -> Integrity:
    """Verify the chain from the first event to the sealed end of the log.

    This reads ``BATCH`` events per transaction and calls `progress` after each with the verified number and the total.

    :raises WrongKey: when the log is written with another key than this process has.
    """
    walk = _Walk(chains(runtime.current().keys))
    done = False
    while not done:
        with read_transaction() as connection:
            done = walk.go_on(connection)
        progress(walk.reached, walk.whole)
    return Integrity(walk.events, walk.pruned, walk.reached, walk.mac, walk.broken)


class _Walk:
    """Where a walk along the chain is: number and hash of the event that was reached."""

    def __init__(self, several: Sequence[Chain]):
        self._several = several
        self._ahead = list(reversed(several))  # the oldest first: after a newer key, none is older
        self.reached, self.mac, self.whole = 0, START, 0
        self.events = self.pruned = 0
        self.broken: Break | None = None

    def go_on(self, connection: Connection) -> bool:
        """Check the next events, and say whether that was the end."""
        head = reader.head(connection)
        if head is None:
            self.broken = Break(
                TRUNCATED, 1, "The log does not say where it ends: that was removed or changed by hand."
            )
            return True
        if head.key_id != self._several[0].key_id:
            raise WrongKey
        self.whole = head.last_event
        if self.reached == 0 and (before := reader.events(connection, FIRST, 0, 1)):
            self.broken = self._at(connection, head).before_the_first(before[0])
        elif self.reached < head.last_event:
            self._steps(connection, head)
        if self.reached < head.last_event and not self.broken:
            return False
        found = [self.broken] if self.broken else self._end(connection, head)
        if run := reader.stray_run(connection, head.last_event):
            found.append(self._at(connection, head).bad_run(run))
        self.broken = min(found, key=lambda one: one.event, default=None)
        return True

    def _steps(self, connection: Connection, head: Head) -> None:
        """Check the next events and what stands for those that retention has removed, in their order."""
        events = reader.events(connection, self.reached, head.last_event, BATCH)
        upto = events[-1].id if len(events) == BATCH else head.last_event
        runs = reader.runs(connection, self.reached, upto)
        steps: list[Link | Run] = [*runs, *events]
        for step in sorted(steps, key=_number) if runs else steps:
            if isinstance(step, Run):
                self._pass(step, connection, head)
            elif not self._check(step):
                self.broken = self._why(step, connection, head)
            if self.broken:
                return
        if self.reached < upto:
            self.broken = self._at(connection, head).missing(upto)

    def _check(self, event: Link) -> bool:
        """Check one event, and go on to it if it is as it was written."""
        number, content = event.id, event.content
        if number != self.reached + 1 or content is None:
            return False
        for place, chain in enumerate(self._ahead):
            if compare_digest(event.mac, chain.link(self.mac, number, content)):
                if place:
                    self._ahead = self._ahead[place:]
                self.reached, self.mac = number, event.mac
                self.events += 1
                return True
        return False

    def _pass(self, run: Run, connection: Connection, head: Head) -> None:
        """Go past a run that retention has removed; while it was read, one that begins before may have grown."""
        place = self._at(connection, head)
        if run.first > self.reached + 1:
            self.broken = place.missing(run.first - 1)
        elif not self._is_sealed(run):
            self.broken = place.bad_run(run)
        else:
            self.pruned += run.last - self.reached
            self.reached, self.mac = run.last, run.mac

    def _is_sealed(self, run: Run) -> bool:
        if not 0 < run.first <= run.last:
            return False
        # A rotation seals head and runs anew: a retired key, which may have leaked, vouches for neither.
        return compare_digest(self._several[0].seal_run(run.first, run.last, run.mac), run.seal)

    def _why(self, event: Link, connection: Connection, head: Head) -> Break:
        place = self._at(connection, head)
        if event.id > place.number:
            return place.missing(event.id - 1)
        return place.mismatch(event) if event.id == place.number else place.inside_run(event)

    def _end(self, connection: Connection, head: Head) -> list[Break]:
        """Compare the end that was reached with the end that the log says it has."""
        place = self._at(connection, head)
        behind = reader.events(connection, max(self.reached, head.last_event), LAST, 1)
        sealed = compare_digest(self._several[0].seal_head(head.last_event, head.mac), head.seal)
        whole = sealed and self.reached == head.last_event and self.mac == head.mac
        return [*map(place.behind_the_end, behind), *([] if whole else [place.bad_end()])]

    def _at(self, connection: Connection, head: Head) -> ChainPosition:
        older = [one for one in self._several if one not in self._ahead]
        return ChainPosition(connection, self._ahead, older, head, self.reached, self.mac)


def _number(step: Link | Run) -> int:
    return step.first if isinstance(step, Run) else step.id
