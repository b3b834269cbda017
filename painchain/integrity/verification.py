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

    `pruned` is the number of events that retention removed. `broken` is the first break, or None.
    """

    events: int
    pruned: int
    last: int
    head: bytes
    broken: Break | None = None


def verify_chain(
    progress: Callable[[int, int], None] = lambda done, total: None,
    use: Callable[[Sequence[Link]], None] = lambda verified: None,
) -> Integrity:
    """Verify the chain from the first event to the sealed end of the log.

    This reads ``BATCH`` events per transaction. After each, it calls `progress` with the verified number and the total.
    It calls `use` with each batch of intact events.

    :raises WrongKey: when the log is written with another key than this process has.
    """
    run = _Verification(chains(runtime.current().keys), use)
    is_done = False
    while not is_done:
        with read_transaction() as connection:
            is_done = run.verify_batch(connection)
        progress(run.reached, run.total)
    return Integrity(run.events, run.pruned, run.reached, run.mac, run.broken)


class _Verification:
    """The state of a verification: number and hash of the last verified event, and the counts so far."""

    def __init__(self, all_chains: Sequence[Chain], use: Callable[[Sequence[Link]], None]):
        self._chains, self._use = all_chains, use
        self._accepted = list(
            reversed(all_chains)
        )  # oldest first: after an event of a newer key, an older key is not accepted
        self.reached, self.mac, self.total = 0, START, 0
        self.events = self.pruned = 0
        self.broken: Break | None = None

    def verify_batch(self, connection: Connection) -> bool:
        """Verify the next batch of events; return whether the end was reached."""
        head = reader.head(connection)
        if head is None:
            self.broken = Break(TRUNCATED, 1, "The record of the end of the log was removed or changed by hand.")
            return True
        if head.key_id != self._chains[0].key_id:
            raise WrongKey
        self.total = head.last_event
        if self.reached == 0 and (too_low := reader.events(connection, FIRST, 0, 1)):
            self.broken = self._position(connection, head).before_the_first(too_low[0])
        elif self.reached < head.last_event:
            self._steps(connection, head)
        if self.reached < head.last_event and not self.broken:
            return False
        breaks = [self.broken] if self.broken else self._check_end(connection, head)
        if run := reader.stray_run(connection, head.last_event):
            breaks.append(self._position(connection, head).bad_run(run))
        self.broken = min(breaks, key=lambda found_break: found_break.event, default=None)
        return True

    def _steps(self, connection: Connection, head: Head) -> None:
        """Verify the next events and the records of removed ones, in order of their numbers."""
        events = reader.events(connection, self.reached, head.last_event, BATCH)
        upto = events[-1].id if len(events) == BATCH else head.last_event
        runs = reader.runs(connection, self.reached, upto)
        steps: list[Link | Run] = [*runs, *events]
        for step in sorted(steps, key=_number) if runs else steps:
            if isinstance(step, Run):
                self._skip_run(step, connection, head)
            elif not self._check(step):
                self.broken = self._diagnose(step, connection, head)
            if self.broken:
                return
        if self.reached < upto:
            self.broken = self._position(connection, head).missing(upto)
        else:
            self._use(events)

    def _check(self, event: Link) -> bool:
        """Verify one event; if it is intact, make it the last verified one."""
        if event.id != self.reached + 1:
            return False
        return self._is_linked(event, event.quick_content) or self._is_linked(event, event.content)

    def _is_linked(self, event: Link, content: bytes | None) -> bool:
        if content is None:
            return False
        for index, chain in enumerate(self._accepted):
            if compare_digest(event.mac, chain.link(self.mac, event.id, content)):
                if index:
                    self._accepted = self._accepted[index:]
                self.reached, self.mac = event.id, event.mac
                self.events += 1
                return True
        return False

    def _skip_run(self, run: Run, connection: Connection, head: Head) -> None:
        """Skip a run of events that retention removed. A run may have grown since the last batch, so it may overlap."""
        position = self._position(connection, head)
        if run.first > self.reached + 1:
            self.broken = position.missing(run.first - 1)
        elif not self._is_sealed(run):
            self.broken = position.bad_run(run)
        else:
            self.pruned += run.last - self.reached
            self.reached, self.mac = run.last, run.mac

    def _is_sealed(self, run: Run) -> bool:
        if not 0 < run.first <= run.last:
            return False
        # A key rotation reseals head and runs. A retired key may have leaked, so its seals are not accepted.
        return compare_digest(self._chains[0].seal_run(run.first, run.last, run.mac), run.seal)

    def _diagnose(self, event: Link, connection: Connection, head: Head) -> Break:
        position = self._position(connection, head)
        if event.id > position.number:
            return position.missing(event.id - 1)
        return position.mismatch(event) if event.id == position.number else position.inside_run(event)

    def _check_end(self, connection: Connection, head: Head) -> list[Break]:
        """Compare the end that was reached with the recorded end."""
        position = self._position(connection, head)
        later = reader.events(connection, max(self.reached, head.last_event), LAST, 1)
        is_sealed = compare_digest(self._chains[0].seal_head(head.last_event, head.mac), head.seal)
        is_intact = is_sealed and self.reached == head.last_event and self.mac == head.mac
        return [*map(position.behind_the_end, later), *([] if is_intact else [position.bad_end()])]

    def _position(self, connection: Connection, head: Head) -> ChainPosition:
        older = [chain for chain in self._chains if chain not in self._accepted]
        return ChainPosition(connection, self._accepted, older, head, self.reached, self.mac)


def _number(step: Link | Run) -> int:
    return step.first if isinstance(step, Run) else step.id
