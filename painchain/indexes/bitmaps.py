"""Store which events have a value, as bitmaps of event numbers: combinations are counted with a bitwise AND.

Events are numbered in commit order, so new events change only the bitmaps of the newest chunk.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence

from sqlalchemy import bindparam, delete, select
from sqlalchemy.engine import Connection

from painchain.database.bulk import BulkUpsert
from painchain.database.models import EventSet
from painchain.database.prepared import Prepared
from painchain.database.session import Base

# Event numbers in one row. A row then fits into a page on both databases, and PostgreSQL does not compress it.
CHUNK = 15_000
ALL_TIME = 0  # the grain of bitmaps for values
SOURCE = "source"  # a facet of the bitmaps only: rollups have a column for the source

Key = tuple[str, int, int, str]  # facet, grain, slot, value
Member = tuple[Sequence[Key], Sequence[int]]  # bitmaps, and the numbers of events that all of them contain
Bits = dict[int, dict[Key, int]]  # by chunk and bitmap

_sets = Base.metadata.tables[EventSet.__tablename__]
_PUT = BulkUpsert(_sets, "bits", adds=False)
_KEY = [column.name for column in _sets.primary_key]
_DELETE = Prepared(delete(_sets).where(*(_sets.c[name] == bindparam(name) for name in _KEY)))
_STORED = select(*(_sets.c[name] for name in ("facet", "grain", "slot", "value", "bits")))


def encode(bits: int) -> bytes:
    """Return bits in their stored form: the number of leading zero bytes, in two bytes, then the other bytes.

    >>> encode(1 << 800).hex(), decode(encode(1 << 800)) == 1 << 800
    ('006401', True)
    """
    empty = ((bits & -bits).bit_length() - 1) // 8
    return empty.to_bytes(2, "big") + (bits >> 8 * empty).to_bytes((bits.bit_length() + 7) // 8 - empty, "little")


def decode(stored: bytes) -> int:
    """Return the bits of a stored form; the inverse of ``encode``."""
    return int.from_bytes(stored[2:], "little") << 8 * int.from_bytes(stored[:2], "big")


def add(connection: Connection, members: Iterable[Member]) -> None:
    """Add events to bitmaps."""
    _change(connection, members, lambda old, bits: old | bits)


def remove(connection: Connection, members: Iterable[Member]) -> None:
    """Remove events from bitmaps, and delete bitmaps that are then empty."""
    _change(connection, members, lambda old, bits: old & ~bits)


def by_chunk(members: Iterable[Member]) -> Bits:
    """Return the bits of the members in each chunk."""
    chunks: Bits = defaultdict(lambda: defaultdict(int))
    # Shifted to the first number of all, because a short integer takes less time than one of ``CHUNK`` bits.
    members = list(members)
    first = min((min(numbers) for _, numbers in members if numbers), default=0)
    for keys, numbers in members:
        bits_in_chunk: dict[int, int] = defaultdict(int)
        for number in numbers:
            chunk = number // CHUNK
            bits_in_chunk[chunk] |= 1 << number - max(first, chunk * CHUNK)
        for chunk, bits in bits_in_chunk.items():
            bits_of = chunks[chunk]
            for key in keys:
                bits_of[key] |= bits
    for chunk, bits_of in chunks.items():
        if shift := max(first - chunk * CHUNK, 0):
            for key in bits_of:
                bits_of[key] <<= shift
    return chunks


def _change(connection: Connection, members: Iterable[Member], change: Callable[[int, int], int]) -> None:
    changed, emptied = [], []
    for chunk, bits_by_key in sorted(by_chunk(members).items()):
        stored = _stored(connection, chunk, bits_by_key)
        for key, bits in sorted(bits_by_key.items()):
            facet, grain, slot, value = key
            if new := change(stored.get(key, 0), bits):
                changed.append((facet, grain, slot, chunk, value, encode(new)))
            elif key in stored:
                emptied.append({"facet": facet, "grain": grain, "slot": slot, "value": value, "chunk": chunk})
    _PUT.run(connection, changed)
    if emptied:
        _DELETE.run(connection, *emptied)


def _stored(connection: Connection, chunk: int, keys: Collection[Key]) -> dict[Key, int]:
    """Return the stored bitmaps of a chunk: all values of the facets in `keys`, and the time slots in `keys`."""
    stored: dict[Key, int] = {}
    of_values = [key for key in keys if key[1] == ALL_TIME]
    of_slots = [key for key in keys if key[1] != ALL_TIME]  # slots of two grains never have the same number
    for some_keys in filter(None, (of_values, of_slots)):
        facets, grains, slots, _ = (sorted({*parts}) for parts in zip(*some_keys, strict=True))
        query = _STORED.where(_sets.c.facet.in_(facets), _sets.c.grain.in_(grains), _sets.c.slot.in_(slots))
        rows = connection.execute(query.where(_sets.c.chunk == chunk))
        stored |= {(facet, grain, slot, value): decode(bits) for facet, grain, slot, value, bits in rows}
    return stored
