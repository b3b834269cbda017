"""Keep which events have a value: sets of their numbers as bits, so that any combination is counted by AND.

Events are numbered in the order in which they are written, so that new ones change the rows of the newest chunk only.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable

from sqlalchemy import bindparam, delete, literal_column, select
from sqlalchemy.engine import Connection

from painchain.database.dialects import upsert_set
from painchain.database.models import EventSet
from painchain.database.prepared import Prepared
from painchain.database.session import Base

# So many numbers are in one row: on both databases it fits into a page then, and PostgreSQL leaves it as it is.
CHUNK = 15_000
SOURCE = "source"  # a facet of the sets only: the rollups have the source beside every value

Key = tuple[str, int, int, str]  # facet, grain, slot, value
Member = tuple[Key, int]  # a set, and the number of an event

_sets = Base.metadata.tables[EventSet.__tablename__]
_PUT = Prepared(upsert_set(_sets, "bits"))
_KEY = [column.name for column in _sets.primary_key]
_DELETE = Prepared(delete(_sets).where(*(_sets.c[name] == bindparam(name) for name in _KEY)))
_VALUES = Prepared(
    select(_sets.c.value, _sets.c.bits).where(
        _sets.c.facet == bindparam("facet"),
        _sets.c.grain == literal_column("0"),
        _sets.c.slot == literal_column("0"),
        _sets.c.chunk == bindparam("chunk"),
    )
)


def encode(bits: int) -> bytes:
    """Return bits as they are stored: how many empty bytes lead, in two bytes, and the others.

    >>> encode(1 << 800).hex(), decode(encode(1 << 800)) == 1 << 800
    ('006401', True)
    """
    empty = ((bits & -bits).bit_length() - 1) // 8
    return empty.to_bytes(2, "big") + (bits >> 8 * empty).to_bytes((bits.bit_length() + 7) // 8 - empty, "little")


def decode(stored: bytes) -> int:
    """Return the bits that ``encode`` has stored."""
    return int.from_bytes(stored[2:], "little") << 8 * int.from_bytes(stored[:2], "big")


def add(connection: Connection, members: Iterable[Member]) -> None:
    """Put events into sets."""
    _change(connection, members, lambda old, some: old | some)


def take(connection: Connection, members: Iterable[Member]) -> None:
    """Take events out of sets; a set that is empty then goes."""
    _change(connection, members, lambda old, some: old & ~some)


def _change(connection: Connection, members: Iterable[Member], change: Callable[[int, int], int]) -> None:
    by_chunk: dict[int, dict[Key, int]] = defaultdict(lambda: defaultdict(int))
    for key, number in members:
        by_chunk[number // CHUNK][key] |= 1 << number % CHUNK
    put, gone = [], []
    for chunk, some in sorted(by_chunk.items()):
        there = _stored(connection, chunk, some)
        for key, bits in sorted(some.items()):
            facet, grain, slot, value = key
            row = {"facet": facet, "grain": grain, "slot": slot, "value": value, "chunk": chunk}
            if new := change(there.get(key, 0), bits):
                put.append({**row, "bits": encode(new)})
            elif key in there:
                gone.append(row)
    if put:
        _PUT.run(connection, *put)
    if gone:
        _DELETE.run(connection, *gone)


def _stored(connection: Connection, chunk: int, keys: Iterable[Key]) -> dict[Key, int]:
    """Return what is stored of these sets: of values everything in that chunk, of time what is asked for."""
    there: dict[Key, int] = {}
    slots = defaultdict(list)
    for facet, grain, slot, _ in keys:
        slots[facet, grain].append(slot)
    for (facet, grain), some in slots.items():
        if grain:
            at = select(_sets.c.slot, _sets.c.bits).where(_sets.c.facet == facet, _sets.c.grain == grain)
            found = connection.execute(at.where(_sets.c.slot.in_(some), _sets.c.chunk == chunk))
            there |= {(facet, grain, slot, ""): decode(bits) for slot, bits in found}
        else:
            rows = _VALUES.all(connection, facet=facet, chunk=chunk)
            there |= {(facet, 0, 0, value): decode(bits) for value, bits in rows}
    return there
