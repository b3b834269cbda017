"""Say what was done to the log at the first place that is not as it was written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hmac import compare_digest

from sqlalchemy.engine import Connection

from painchain.eventlog import reader
from painchain.eventlog.chain import Chain
from painchain.eventlog.reader import Head, Link, Run

WINDOW = 2_000  # as many events are read to find out what happened
FURTHEST = 100_000  # as many removed events are recognised where the others were numbered anew
LAST = 2**63 - 1
HASH = 32  # bytes

EDITED, REMOVED, INSERTED = "edited", "removed", "inserted"
REORDERED, TRUNCATED, FORKED = "reordered", "truncated", "severed"
_NEXT_STEPS = {
    EDITED: "Compare it with a backup or an export from before",
    REMOVED: "Look for what is missing in a backup or an export from before",
    INSERTED: "Do not rely on what it says",
    REORDERED: "Compare the order with a backup or an export from before",
    TRUNCATED: "Look for the end in a backup, an export or a checkpoint from before",
    FORKED: "Look for what was there before in a backup, an export or a checkpoint",
}


@dataclass(frozen=True)
class Break:
    """The first place at which the log is not as it was written: `kind` is a word, `words` tell people.

    Kinds: edited, removed, inserted, reordered, truncated, severed (cut off, and continued).
    """

    kind: str
    event: int
    words: str

    @property
    def advice(self) -> str:
        """What to do about it."""
        return (
            f"{_NEXT_STEPS.get(self.kind, _NEXT_STEPS[TRUNCATED])}, keep a copy of the database as it is, "
            "and find out who can write to it. What comes behind this place was not checked."
        )


@dataclass(frozen=True)
class ChainPosition:
    """Where a walk along the chain cannot go on: behind event `reached`, whose hash is `mac`.

    `chains` are those that an event may be linked with here, `older` those whose keys were replaced before.
    """

    connection: Connection
    chains: Sequence[Chain]
    older: Sequence[Chain]
    head: Head
    reached: int
    mac: bytes

    @property
    def number(self) -> int:
        """The number of the event that should follow."""
        return self.reached + 1

    def was_written_as(self, one: Link | None, number: int, previous: bytes) -> bool:
        """Say whether an event was written as that number, behind an event of hash `previous`."""
        return one is not None and any(made == one.mac for made in self.hashes_of(one, number, previous))

    def hashes_of(self, one: Link, number: int, previous: bytes) -> Iterator[bytes]:
        """Yield the hashes that an event has as that number, behind an event of hash `previous`."""
        if one.content is not None and number > 0:
            yield from (chain.link(previous, number, one.content) for chain in self.chains)

    def mismatch(self, found: Link) -> Break:
        """Say what was done where an event stands that is not the one that was written there."""
        return self._linked_anew(found) or self._edited(found) or self._moved(found) or self._renumbered(found)

    def missing(self, upto: int) -> Break:
        """Say what was done where no event stands, up to number `upto`."""
        after = self._following(upto)
        number, count = self.number, upto - self.reached
        moved = next((one for one in after if self.was_written_as(one, number, self.mac)), None)
        if moved:
            return Break(REORDERED, number, f"Event {number} was moved: it stands as {moved} now.")
        which = f"Event {number} is" if count == 1 else f"Events {number} to {upto} ({count:,}) are"
        if upto >= self.head.last_event:
            return Break(TRUNCATED, number, f"{which} missing at the end of the log, behind {self._last()}.")
        behind = f"between {self._last()} and {after[0]}" if after else f"behind {self._last()}"
        return Break(REMOVED, number, f"{which} missing {behind}. No retention has removed {_them(count)}.")

    def bad_run(self, run: Run) -> Break:
        """Say what was done where a run stands that PainChain has not written."""
        return Break(
            REMOVED,
            min(run.first, run.last),
            f"The note that retention has removed the events {run.first} to {run.last} is forged or was changed.",
        )

    def inside_run(self, found: Link) -> Break:
        """Say what was done where an event stands that retention has removed."""
        return Break(INSERTED, found.id, f"Retention has removed {found.id}, but {found} stands there. It was put in.")

    def before_the_first(self, found: Link) -> Break:
        """Say what was done where an event stands before number 1."""
        return Break(INSERTED, found.id, f"The numbers begin at 1: {found} was put in before.")

    def behind_the_end(self, found: Link) -> Break:
        """Say what was done where an event stands behind the end that the log says it has."""
        end = f"The log says that it ends with {self._last()}, but behind it stands {found}"
        if self.was_written_as(found, self.number, self.mac):
            return Break(TRUNCATED, self.number, f"{end}, which is genuine: the end was moved back by hand.")
        return Break(INSERTED, found.id, f"{end}: it was put in.")

    def bad_end(self) -> Break:
        """Say what was done where the end of the log is not sealed."""
        return Break(
            TRUNCATED,
            self.number,
            f"The log ends with {self._last()}, and that is not the end that PainChain has sealed: what stood behind "
            "it was cut off, or the end was changed by hand.",
        )

    def _linked_anew(self, found: Link) -> Break | None:
        """Tell whether it was written upon an end that was changed, or with a key that was replaced before."""
        if any(self.was_written_as(found, found.id, chain.forked_head(self.mac)) for chain in self.chains):
            words = f"The end of the log was cut off or changed by hand behind {self._last()}, and the log went on from"
            return Break(FORKED, found.id, f"{words} there with {found}.")
        if found.content and any(one.link(self.mac, found.id, found.content) == found.mac for one in self.older):
            words = f"{_capital(found)} was written with a key that had been replaced before: whoever has it put it in."
            return Break(INSERTED, found.id, words)
        return None

    def _edited(self, found: Link) -> Break | None:
        """Tell whether its content or its hash was changed, from what the next event was linked to."""
        following = self._next(found.id)
        if any(self._followed_by(following, found.id, mac) for mac in self.hashes_of(found, found.id, self.mac)):
            done = "replaced" if found.mac else "removed"
            return Break(EDITED, found.id, f"The hash of {found} was {done}. What it says is genuine.")
        if found.mac and self._followed_by(following, found.id, found.mac):
            return Break(EDITED, found.id, f"{_capital(found)} was edited after it was written.")
        return None

    def _followed_by(self, following: Link | None, number: int, mac: bytes) -> bool:
        """Say whether event `number` had that hash when it was followed by another, or by the end."""
        if following is None:
            return number == self.head.last_event and compare_digest(mac, self.head.mac)
        return self.was_written_as(following, number + 1, mac)

    def _moved(self, found: Link) -> Break | None:
        """Look for the event that belongs here among those that follow."""
        after = self._following(found.id)
        place = next((place for place, one in enumerate(after) if self.was_written_as(one, found.id, self.mac)), None)
        if place is None:
            return None
        number, genuine, behind = found.id, after[place], after[place + 1 :]
        if self.was_written_as(behind[0] if behind else None, number + 1, genuine.mac):
            home = self._home(found, number, genuine.mac, behind)
            if home:
                return Break(REORDERED, number, f"Event {home} was moved: it stands as {found} now.")
            return self._inserted(found, genuine)
        before = after[place - 1].mac if place else genuine.mac
        if self.was_written_as(found, genuine.id, before) or (
            place == 0 and self.was_written_as(found, number + 1, genuine.mac)
        ):
            return Break(REORDERED, number, f"Two events have changed places: {found} and {genuine}.")
        if not behind and not self.was_written_as(found, number + 1, genuine.mac):
            return self._inserted(found, genuine)
        return Break(REORDERED, number, f"Event {number} was moved: it stands as {genuine} now.")

    def _inserted(self, found: Link, genuine: Link) -> Break:
        many = genuine.id - found.id
        which = f"{_capital(found)} was" if many == 1 else f"The events {found.id} to {genuine.id - 1} ({many:,}) were"
        return Break(INSERTED, found.id, f"{which} put in; what follows, from {genuine} on, was numbered anew.")

    def _home(self, found: Link, number: int, mac: bytes, behind: Sequence[Link]) -> int | None:
        """Return the number under which an event was written, if it is one of those that are numbered anew."""
        for one in (*behind, None):
            number += 1
            if self.was_written_as(found, number, mac):
                return number
            if one is None or not self.was_written_as(one, number, mac):
                return None
            mac = one.mac
        return None

    def _renumbered(self, found: Link) -> Break:
        following = self._next(found.id)
        if found.mac and following is not None:
            furthest = range(1, FURTHEST)
            gone = next(
                (many for many in furthest if self.was_written_as(following, found.id + 1 + many, found.mac)), 0
            )
        else:
            gone = self.head.last_event - found.id if found.mac == self.head.mac else 0
        if gone > 0:
            which = f"{gone:,} event{'' if gone == 1 else 's'} behind {self._last()}"
            words = f"{which} {'was' if gone == 1 else 'were'} removed, and what followed was numbered anew."
            return Break(REMOVED, found.id, words)
        if found.content is None:
            return Break(EDITED, found.id, f"{_capital(found)} was edited: no event can have what stands there.")
        if len(found.mac) != HASH:
            return Break(INSERTED, found.id, f"{_capital(found)} has no hash: PainChain did not write it so.")
        what = "was edited or put in the place of another: it fits neither its hash nor its place."
        return Break(EDITED, found.id, f"{_capital(found)} {what}")

    def _following(self, number: int) -> list[Link]:
        return reader.events(self.connection, number, LAST, WINDOW)

    def _next(self, number: int) -> Link | None:
        return next(iter(reader.events(self.connection, number, number + 1, 1)), None)

    def _last(self) -> str:
        """Name the last event that is as it was written."""
        if not self.reached:
            return "its beginning"
        found = reader.events(self.connection, self.reached - 1, self.reached, 1)
        return str(found[0]) if found else f"event {self.reached}, which retention has removed"


def _them(count: int) -> str:
    return "it" if count == 1 else "them"


def _capital(one: Link) -> str:
    return f"E{str(one)[1:]}"
