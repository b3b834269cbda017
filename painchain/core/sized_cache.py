"""Cache values up to a limit in bytes, and compute each value once, however many threads ask for it."""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Event, Lock
from typing import Any, TypeVar

Value = TypeVar("Value")
Moment = tuple[int, ...]  # a revision of the database, and the minute

MAX_BYTES = 12 * 2**20
ENTRY_BYTES = 500  # what the key and the bookkeeping of an entry take, roughly
WAIT_SECONDS = 30


class SizedCache:
    """The most recently used values, whose sizes together are at most `max_bytes`.

    A key contains everything that its value depends on, so that no value has to be removed to be correct. Values that
    depend on a moment are removed to save memory, as soon as there is one of a later moment.
    """

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._values: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._computing: dict[Hashable, Event] = {}
        self._lock = Lock()
        self._moment: Moment = ()
        self._of_moment: set[Hashable] = set()
        self.size = 0

    def get(self, key: Hashable) -> Any:
        """Return the value of a key; None if there is none."""
        with self._lock:
            found = self._values.get(key)
            if found is None:
                return None
            self._values.move_to_end(key)
            return found[0]

    def put(self, key: Hashable, value: Any, size: int, moment: Moment | None = None) -> None:
        """Cache a value of `size` bytes, and remove the least recently used ones for which there is no space.

        If it depends on a `moment`, also remove the values of earlier ones.

        >>> cache = SizedCache(3 * ENTRY_BYTES)
        >>> for key in "abc":
        ...     cache.put(key, key.upper(), 100)
        >>> cache.get("a"), cache.get("c"), cache.size
        (None, 'C', 1200)
        """
        size += ENTRY_BYTES
        with self._lock:
            self._drop(key)
            if size > self._max_bytes or not self._is_of_newest(key, moment):
                return
            self._values[key] = value, size
            self.size += size
            while self.size > self._max_bytes:
                self._drop(next(iter(self._values)))

    def get_or_compute(
        self,
        key: Hashable,
        compute: Callable[[], Value | None],
        size_of: Callable[[Value], int] = sys.getsizeof,
        moment: Moment | None = None,
    ) -> Value | None:
        """Return the cached value of a key, or compute and cache it. Threads that ask for it meanwhile wait.

        `moment` is the one that the value depends on, if any (see `put`).

        A result of None is not cached: then each of them computes it.
        """
        with self._lock:
            found = self._values.get(key)  # hashing a long key takes longer than anything else here
            if found is not None:
                self._values.move_to_end(key)
                cached: Value = found[0]
                return cached
            computing = self._computing.get(key)
            if computing is None:
                self._computing[key] = Event()
        if computing is not None:
            computing.wait(WAIT_SECONDS)
            cached = self.get(key)
            return compute() if cached is None else cached
        try:
            value = compute()
            if value is not None:
                self.put(key, value, size_of(value), moment)
            return value
        finally:
            with self._lock:
                self._computing.pop(key).set()

    def _is_of_newest(self, key: Hashable, moment: Moment | None) -> bool:
        """Return whether a value of this moment may be cached. Remove those of earlier moments."""
        if moment is None:
            return True
        if moment > self._moment:
            self._moment = moment
            for outdated in list(self._of_moment):
                self._drop(outdated)
        if moment == self._moment:
            self._of_moment.add(key)
        return moment == self._moment

    def _drop(self, key: Hashable) -> None:
        self._of_moment.discard(key)
        _, size = self._values.pop(key, (None, 0))
        self.size -= size
