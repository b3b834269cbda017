"""Compare the search index, the notes and the counts with the events that they were derived from.

The chain does not cover derived data, so anyone with write access to the database can hide an event from searches,
filters or charts. This takes longer than verifying the chain, so it runs only on request.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from hashlib import blake2b
from os import urandom
from typing import Any

from sqlalchemy import BigInteger, Text, cast, select, type_coerce
from sqlalchemy.engine import Connection

from painchain.database.dialects import foreign_database_code, has_corrupt_indexes
from painchain.database.models import ChangeEvent, EventCount, EventNote, EventSet, LogHead
from painchain.database.session import Base, read_transaction
from painchain.database.types import stored_json
from painchain.eventlog import reader
from painchain.eventlog.chain import FIELDS
from painchain.indexes import bitmaps, fulltext, notes, rollups
from painchain.indexes.tokens import of_event

_event, _note, _count, _set, _head = (
    Base.metadata.tables[model.__tablename__].c for model in (ChangeEvent, EventNote, EventCount, EventSet, LogHead)
)
_COUNTED = ("source", "event_type", "connector_id", "connector_name", "author", "status")
_EVENTS = select(
    *(_event.id, _event.words, type_coerce(_event.timestamp, BigInteger).label("stamp")),
    cast(_event.tags, Text).label("stored_tags"),
    *(_event[name] for name in FIELDS if name not in ("timestamp", "recorded_at")),
)
_CHARTS = {
    rollups.ALL: "all events",
    "event_type": "event types",
    "connector": "connectors",
    "tag": "tags",
    "status": "outcomes",
}


def find_problems(progress: Callable[[int, int], None] = lambda done, total: None) -> list[str]:
    """Return the differences between derived data and the events, as sentences, from one snapshot of the database.

    This holds ``bitmaps.CHUNK`` events at a time. It trusts the events: verify the chain first.
    """
    with read_transaction() as connection:
        try:
            return [*_Comparison(connection).problems(progress), *_database_problems(connection)]
        except reader.UNREADABLE_ERRORS as error:
            reader.reraise_database_error(error)
            return ["The comparison is incomplete: a table contains a value that PainChain does not write."]


def _database_problems(connection: Connection) -> Iterator[str]:
    """Yield what makes the database answer queries wrongly: corrupt indexes and foreign code."""
    for table in (_event.id.table, _note.note.table):
        if has_corrupt_indexes(connection, table):
            yield f"An index of {table.name} omits or invents rows, so pages do not show the stored data."
    for name in foreign_database_code(connection, Base.metadata.tables):
        yield f"The database contains code that PainChain did not install: {name}."


class _Comparison:
    """Compares derived data chunk by chunk. For counts and indexed words it keeps keyed checksums only."""

    def __init__(self, connection: Connection):
        self._connection = connection
        self._sums: dict[str, int] = defaultdict(int)
        self._key = urandom(32)  # so that no one can construct data with the same checksum

    def problems(self, progress: Callable[[int, int], None]) -> Iterator[str]:
        """Yield each difference as a sentence."""
        counted, last = self._connection.execute(select(_head.counted, _head.last_event)).one()
        first_events: dict[str, int] = {}
        for chunk in range(last // bitmaps.CHUNK + 1):
            for problem, number in self._chunk(chunk, counted):
                first_events[problem] = min(number, first_events.get(problem, number))
            progress(min((chunk + 1) * bitmaps.CHUNK, last), last)
        yield from (f"{problem}, first at event {number:,}." for problem, number in first_events.items())
        for facet, grain, value, slot, source, events in self._connection.execute(select(*_count)):
            self._add(facet, (facet, grain, value, slot, source), -events)
        for term, documents in fulltext.vocabulary(self._connection):
            self._add("", term, -documents)
        yield from (_count_problem(facet) for facet, difference in self._sums.items() if difference)

    def _chunk(self, chunk: int, counted: int) -> Iterator[tuple[str, int]]:
        """Yield each problem of a chunk and the number of its event."""
        low, high = chunk * bitmaps.CHUNK, (chunk + 1) * bitmaps.CHUNK - 1
        events = [row._asdict() for row in self._connection.execute(_EVENTS.where(_event.id.between(low, high)))]
        for event in events:
            if event["words"] != of_event(event):
                yield "A search does not find the text of an event", event["id"]
            if event["stored_tags"] != stored_json(event["tags"]):  # the chain covers the tags, not their notation
                yield "A filter by tag does not find a tag of an event", event["id"]
        stored = self._connection.execute(select(_note.event, _note.note).where(_note.note.between(low, high)))
        described = ((event["id"], event["source"], event["event_type"], event["metadata"]) for event in events)
        for _, number in {*map(tuple, stored)} ^ set(notes.derived_from(described)):
            yield "An event is not shown with a note on it", number
        counted_events = [event for event in events if event["id"] <= counted]
        if fulltext.has_vocabulary(self._connection):
            terms = Counter(term for event in counted_events for term in {*event["words"].split()})
            for term, number in terms.items():
                self._add("", term, number)
        groups = rollups.grouped(_row(event) for event in counted_events)
        for count in rollups.counted(groups):
            self._add(count[0], count[:-1], count[-1])
        for bits in self._sets(chunk, groups):
            yield "A chart does not count an event correctly", low + (bits & -bits).bit_length() - 1

    def _sets(self, chunk: int, groups: rollups.Groups) -> Iterator[int]:
        """Yield the differing bits of each stored bitmap."""
        expected: dict[Any, int] = bitmaps.by_chunk(rollups.members(groups))[chunk]
        columns = (_set.facet, _set.grain, _set.slot, _set.value, _set.bits)
        for *key_columns, bits in self._connection.execute(select(*columns).where(_set.chunk == chunk)):
            expected[tuple(key_columns)] ^= bitmaps.decode(bits)
        yield from (bits for bits in expected.values() if bits)

    def _add(self, facet: str, item: Any, times: int) -> None:
        digest = blake2b(repr(item).encode("utf-8", "surrogatepass"), key=self._key, digest_size=16).digest()
        self._sums[facet] += int.from_bytes(digest, "big") * times


def _row(event: Mapping[str, Any]) -> list[Any]:
    columns = (event[name] for name in _COUNTED)
    return [event["id"], event["stamp"], *columns, stored_json(event["tags"]), event["metadata"]]


def _count_problem(facet: str) -> str:
    if not facet:
        return "The full-text index does not match the events, so a search does not find all of them."
    return f"The counts of {_CHARTS.get(facet, f'{facet}s')} do not match the events."
