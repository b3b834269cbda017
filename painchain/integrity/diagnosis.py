"""Diagnose the first break of the chain: say how the log was tampered with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hmac import compare_digest

from sqlalchemy.engine import Connection

from painchain.eventlog import reader
from painchain.eventlog.chain import Chain
from painchain.eventlog.reader import Head, Link, Run

WINDOW = 2_000  # events read around a break to find its cause
FURTHEST = 100_000  # removed events detected at most, when the later ones were renumbered
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
    """The first break of the chain: `kind` is one of the kinds below, `words` is the diagnosis as a sentence.

    Kinds: edited, removed, inserted, reordered, truncated, severed (its end was cut off, then it continued).
    """

    kind: str
    event: int
    words: str

    @property
    def advice(self) -> str:
        """The next steps for the administrator."""
        return (
            f"{_NEXT_STEPS.get(self.kind, _NEXT_STEPS[TRUNCATED])}, keep a copy of the database as it is, "
            "and find out who can write to it. Later events were not checked."
        )


@dataclass(frozen=True)
class ChainPosition:
    """The position where verification stopped: after event `reached`, whose hash is `mac`.

    `chains` are the chains that may link the next event. The keys of the `older` chains were replaced before.
    """

    connection: Connection
    chains: Sequence[Chain]
    older: Sequence[Chain]
    head: Head
    reached: int
    mac: bytes

    @property
    def number(self) -> int:
        """The number of the expected next event."""
        return self.reached + 1

    def was_written_as(self, event: Link | None, number: int, previous: bytes) -> bool:
        """Return whether an event was written with this number, after an event with the hash `previous`."""
        return event is not None and any(mac == event.mac for mac in self.hashes_of(event, number, previous))

    def hashes_of(self, event: Link, number: int, previous: bytes) -> Iterator[bytes]:
        """Yield the hashes that an event would have with this number, after an event with the hash `previous`."""
        if event.content is not None and number > 0:
            yield from (chain.link(previous, number, event.content) for chain in self.chains)

    def mismatch(self, event: Link) -> Break:
        """Diagnose an event that is not the one written with this number."""
        return self._relinked(event) or self._edited(event) or self._moved(event) or self._renumbered(event)

    def missing(self, upto: int) -> Break:
        """Diagnose events that are missing up to number `upto`."""
        following = self._following(upto)
        number, count = self.number, upto - self.reached
        moved = next((event for event in following if self.was_written_as(event, number, self.mac)), None)
        if moved:
            return Break(REORDERED, number, f"Event {number} was moved: it is now {moved}.")
        which = f"Event {number} is" if count == 1 else f"Events {number} to {upto} ({count:,}) are"
        if upto >= self.head.last_event:
            return Break(TRUNCATED, number, f"{which} missing at the end of the log, after {self._last()}.")
        where = f"between {self._last()} and {following[0]}" if following else f"after {self._last()}"
        return Break(REMOVED, number, f"{which} missing {where}. Retention did not remove {_pronoun(count)}.")

    def bad_run(self, run: Run) -> Break:
        """Diagnose a retention record that PainChain did not write."""
        return Break(
            REMOVED,
            min(run.first, run.last),
            f"The record that retention removed events {run.first} to {run.last} was forged or changed.",
        )

    def inside_run(self, event: Link) -> Break:
        """Diagnose an event that retention is recorded to have removed."""
        return Break(INSERTED, event.id, f"Retention removed event {event.id}, but {event} exists. It was inserted.")

    def before_the_first(self, event: Link) -> Break:
        """Diagnose an event with a number below 1."""
        return Break(INSERTED, event.id, f"Event numbers start at 1, but {event} comes before that. It was inserted.")

    def behind_the_end(self, event: Link) -> Break:
        """Diagnose an event after the recorded end of the log."""
        end = f"The recorded end of the log is {self._last()}, but {event} follows it"
        if self.was_written_as(event, self.number, self.mac):
            return Break(
                TRUNCATED, self.number, f"{end}. That event is genuine: the recorded end was moved back by hand."
            )
        return Break(INSERTED, event.id, f"{end}. That event was inserted.")

    def bad_end(self) -> Break:
        """Diagnose an end of the log that is not the sealed end."""
        return Break(
            TRUNCATED,
            self.number,
            f"The log ends with {self._last()}, but PainChain sealed another end. Later events were cut off, "
            "or the recorded end was changed by hand.",
        )

    def _relinked(self, event: Link) -> Break | None:
        """Diagnose an event that follows a tampered end, or was written with a replaced key."""
        if any(self.was_written_as(event, event.id, chain.forked_head(self.mac)) for chain in self.chains):
            message = f"The end of the log was cut off or changed by hand after {self._last()}."
            return Break(FORKED, event.id, f"{message} The log then continued with {event}.")
        if event.content and any(chain.link(self.mac, event.id, event.content) == event.mac for chain in self.older):
            message = f"{_capital(event)} was inserted: it was written with a key that had already been replaced."
            return Break(INSERTED, event.id, message)
        return None

    def _edited(self, event: Link) -> Break | None:
        """Diagnose an event whose content or hash was changed, from the link of the next event."""
        following = self._next(event.id)
        if any(self._followed_by(following, event.id, mac) for mac in self.hashes_of(event, event.id, self.mac)):
            action = "replaced" if event.mac else "removed"
            return Break(EDITED, event.id, f"The hash of {event} was {action}. Its content is genuine.")
        if event.mac and self._followed_by(following, event.id, event.mac):
            return Break(EDITED, event.id, f"{_capital(event)} was edited after it was written.")
        return None

    def _followed_by(self, following: Link | None, number: int, mac: bytes) -> bool:
        """Return whether event `number` had this hash when the next event, or the end, was written."""
        if following is None:
            return number == self.head.last_event and compare_digest(mac, self.head.mac)
        return self.was_written_as(following, number + 1, mac)

    def _moved(self, event: Link) -> Break | None:
        """Diagnose a moved or inserted event: find the expected event among the later ones."""
        following = self._following(event.id)
        matching = (index for index, later in enumerate(following) if self.was_written_as(later, event.id, self.mac))
        index = next(matching, None)
        if index is None:
            return None
        number, genuine, later = event.id, following[index], following[index + 1 :]
        if self.was_written_as(later[0] if later else None, number + 1, genuine.mac):
            original = self._original_number(event, number, genuine.mac, later)
            if original:
                return Break(REORDERED, number, f"Event {original} was moved: it is now {event}.")
            return self._inserted(event, genuine)
        previous_mac = following[index - 1].mac if index else genuine.mac
        if self.was_written_as(event, genuine.id, previous_mac) or (
            index == 0 and self.was_written_as(event, number + 1, genuine.mac)
        ):
            return Break(REORDERED, number, f"Two events were swapped: {event} and {genuine}.")
        if not later and not self.was_written_as(event, number + 1, genuine.mac):
            return self._inserted(event, genuine)
        return Break(REORDERED, number, f"Event {number} was moved: it is now {genuine}.")

    def _inserted(self, event: Link, genuine: Link) -> Break:
        count = genuine.id - event.id
        which = f"{_capital(event)} was" if count == 1 else f"Events {event.id} to {genuine.id - 1} ({count:,}) were"
        return Break(INSERTED, event.id, f"{which} inserted. The later events, from {genuine} on, were renumbered.")

    def _original_number(self, event: Link, number: int, mac: bytes, later: Sequence[Link]) -> int | None:
        """Return the number with which an event was written, if the later events were renumbered around it."""
        for later_event in (*later, None):
            number += 1
            if self.was_written_as(event, number, mac):
                return number
            if later_event is None or not self.was_written_as(later_event, number, mac):
                return None
            mac = later_event.mac
        return None

    def _renumbered(self, event: Link) -> Break:
        """Diagnose an event before which others were removed, or else an event that fits no position."""
        following = self._next(event.id)
        if event.mac and following is not None:
            counts = (n for n in range(1, FURTHEST) if self.was_written_as(following, event.id + 1 + n, event.mac))
            removed = next(counts, 0)
        else:
            removed = self.head.last_event - event.id if event.mac == self.head.mac else 0
        if removed > 0:
            which = f"{removed:,} event{'' if removed == 1 else 's'} after {self._last()}"
            message = f"{which} {'was' if removed == 1 else 'were'} removed. The later events were renumbered."
            return Break(REMOVED, event.id, message)
        if event.content is None:
            return Break(EDITED, event.id, f"{_capital(event)} was edited: its content is not valid for an event.")
        if len(event.mac) != HASH:
            return Break(INSERTED, event.id, f"{_capital(event)} has no hash: PainChain did not write it like this.")
        problem = "was edited or replaced: it matches neither its hash nor its position."
        return Break(EDITED, event.id, f"{_capital(event)} {problem}")

    def _following(self, number: int) -> list[Link]:
        return reader.events(self.connection, number, LAST, WINDOW)

    def _next(self, number: int) -> Link | None:
        return next(iter(reader.events(self.connection, number, number + 1, 1)), None)

    def _last(self) -> str:
        """Return the last intact event as text."""
        if not self.reached:
            return "its start"
        events = reader.events(self.connection, self.reached - 1, self.reached, 1)
        return str(events[0]) if events else f"event {self.reached} (removed by retention)"


def _pronoun(count: int) -> str:
    return "it" if count == 1 else "them"


def _capital(event: Link) -> str:
    return f"E{str(event)[1:]}"
