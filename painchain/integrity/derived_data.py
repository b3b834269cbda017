"""What is made from the events so that they are found and counted quickly: does it tell the same as they do?

None of it is in the chain: whoever can write to the database can hide an event from searches, filters or charts. What
is wrong is named in words; it is told nowhere else, for it takes longer than the walk along the chain.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from hashlib import blake2b
from os import urandom
from typing import Any

from sqlalchemy import BigInteger, select, type_coerce
from sqlalchemy.engine import Connection

from painchain.database.dialects import foreign_database_code, has_corrupt_indexes
from painchain.database.models import ChangeEvent, EventCount, EventSet, EventTag, LogHead
from painchain.database.session import Base, read_transaction
from painchain.eventlog import reader
from painchain.eventlog.chain import FIELDS
from painchain.indexes import bitmaps, fulltext, rollups
from painchain.indexes.tokens import of_event

_event, _tag, _count, _set, _head = (
    Base.metadata.tables[one.__tablename__].c for one in (ChangeEvent, EventTag, EventCount, EventSet, LogHead)
)
_COUNTED = ("source", "event_type", "connector_id", "connector_name", "author", "status", "tags")
_EVENTS = select(
    *(_event.id, _event.words, type_coerce(_event.timestamp, BigInteger).label("stamp")),
    *(_event[name] for name in FIELDS if name not in ("timestamp", "recorded_at")),
)
_CHARTS = {
    rollups.ALL: "all events",
    "event_type": "event types",
    "connector": "connectors",
    "tag": "tags",
    "status": "outcomes",
}


def find_problems(progress: Callable[[int, int], None] = lambda done, whole: None) -> list[str]:
    """Return in words what does not tell the same as the events, all of one state of the database.

    It holds ``sets.CHUNK`` events at a time. The events themselves are believed: walk along the chain before.
    """
    with read_transaction() as connection:
        try:
            return [*_Made(connection).compared(progress), *_misled(connection)]
        except reader.UNREADABLE_ERRORS as error:
            reader.reraise_database_error(error)
            return ["Not all can be compared: something stands there that PainChain does not write."]


def _misled(connection: Connection) -> Iterator[str]:
    """Yield what keeps the database from saying what is stored."""
    for table in (_event.id.table, _tag.tag.table):
        if has_corrupt_indexes(connection, table):
            yield f"An index of {table.name} leaves out or invents rows, so pages do not show what is stored."
    for name in foreign_database_code(connection, Base.metadata.tables):
        yield f"The database has code that PainChain did not put there: {name}."


class _Made:
    """What was made from the events, compared piece by piece; of counts and words in an index only sums are kept."""

    def __init__(self, connection: Connection):
        self._connection = connection
        self._sums: dict[str, int] = defaultdict(int)
        self._key = urandom(32)  # so that nobody can choose what has the same sum

    def compared(self, progress: Callable[[int, int], None]) -> Iterator[str]:
        """Yield what is astray."""
        counted, last = self._connection.execute(select(_head.counted, _head.last_event)).one()
        first: dict[str, int] = {}
        for chunk in range(last // bitmaps.CHUNK + 1):
            for what, number in self._chunk(chunk, counted):
                first[what] = min(number, first.get(what, number))
            progress(min((chunk + 1) * bitmaps.CHUNK, last), last)
        yield from (f"{what}, first at event {number:,}." for what, number in first.items())
        for facet, grain, value, slot, source, events in self._connection.execute(select(*_count)):
            self._add(facet, (facet, grain, value, slot, source), -events)
        for term, documents in fulltext.vocabulary(self._connection):
            self._add("", term, -documents)
        yield from (_words(facet) for facet, rest in self._sums.items() if rest)

    def _chunk(self, chunk: int, counted: int) -> Iterator[tuple[str, int]]:
        low, high = chunk * bitmaps.CHUNK, (chunk + 1) * bitmaps.CHUNK - 1
        events = [row._asdict() for row in self._connection.execute(_EVENTS.where(_event.id.between(low, high)))]
        for event in events:
            if event["words"] != of_event(event):
                yield "A search does not find what an event says", event["id"]
        tags = self._connection.execute(select(_tag.event, _tag.tag).where(_tag.event.between(low, high)))
        for number, _ in {*map(tuple, tags)} ^ {(event["id"], tag) for event in events for tag in event["tags"]}:
            yield "A filter by tag does not find what an event has", number
        old = [event for event in events if event["id"] <= counted]
        if fulltext.has_vocabulary(self._connection):
            terms = Counter(term for event in old for term in {*event["words"].split()})
            for term, number in terms.items():
                self._add("", term, number)
        rows = [_row(event) for event in old]
        for row, number in rollups.counted(rows).items():
            self._add(row[0], row, number)
        for bits in self._sets(chunk, rows):
            yield "A chart does not count what an event is", low + (bits & -bits).bit_length() - 1

    def _sets(self, chunk: int, events: Iterable[Any]) -> Iterator[int]:
        """Yield the bits by which sets differ."""
        made: dict[Any, int] = defaultdict(int)
        for key, number in rollups.members(events):
            made[key] |= 1 << number % bitmaps.CHUNK
        columns = (_set.facet, _set.grain, _set.slot, _set.value, _set.bits)
        for *stored, bits in self._connection.execute(select(*columns).where(_set.chunk == chunk)):
            made[tuple(stored)] ^= bitmaps.decode(bits)
        yield from (bits for bits in made.values() if bits)

    def _add(self, to: str, what: Any, times: int) -> None:
        mark = blake2b(repr(what).encode("utf-8", "surrogatepass"), key=self._key, digest_size=16).digest()
        self._sums[to] += int.from_bytes(mark, "big") * times


def _row(event: Mapping[str, Any]) -> list[Any]:
    return [event["id"], event["stamp"], *(event[name] for name in _COUNTED)]


def _words(facet: str) -> str:
    if not facet:
        return "The index of words does not have what events say, so a search does not find all of them."
    return f"The counts of {_CHARTS.get(facet, f'{facet}s')} are not those of the events."
