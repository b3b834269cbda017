"""Run the threads that answer requests on one processor while many requests arrive together."""

from __future__ import annotations

import ctypes
import os
import threading
import time
from collections.abc import Iterator, Set
from contextlib import contextmanager, suppress

LOOK_SECONDS = 0.25
CHOOSE_SECONDS = 10.0
# How many other requests an arriving one finds: with more, the threads share a processor; with fewer, no longer.
MANY, FEW = 3.0, 1.5


class SharedProcessor:
    """The processor that threads share while they wait for each other.

    Only one thread at a time runs Python code. On several processors, each continues on another one than the thread
    before, whose caches hold nothing of what it needs: eight requests at a time then take 1.5 times the processor time.
    A few requests are answered sooner on several, because SQLite and compression run beside Python code.

    The system chooses the processor: it is the one on which the main thread runs already. For a moment in every
    ``CHOOSE_SECONDS`` all are free, so that it can choose another one. Only Linux lets a thread choose.
    """

    def __init__(self) -> None:
        self._allowed: Set[int] = os.sched_getaffinity(0) if hasattr(os, "sched_setaffinity") else frozenset()
        self._chosen: Set[int] = self._allowed
        self._threads: set[int] = set()
        self._arrived = self._others = 0
        self._next_look = self._next_choice = 0.0

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Let this thread share the processor. What it starts meanwhile begins there, too."""
        thread = threading.get_native_id()
        self._threads.add(thread)  # before the choice is read: it may change just now
        self._run(thread, self._chosen)
        try:
            yield
        finally:
            self._threads.discard(thread)
            self._run(thread, self._allowed)

    def arrived(self, others: int) -> None:
        """Note that a request arrived while `others` were waiting or being answered."""
        self._arrived += 1
        self._others += others

    def look(self) -> None:
        """Share the processor or stop it, if it is time to. The main thread calls this often."""
        now = time.monotonic()
        if now < self._next_look or len(self._allowed) < 2:
            return
        self._next_look = now + LOOK_SECONDS
        mean = self._others / max(self._arrived, 1)
        self._arrived = self._others = 0
        is_shared = self._chosen != self._allowed
        if is_shared and (mean < FEW or now >= self._next_choice):
            self._choose(self._allowed)
        elif not is_shared and mean >= MANY:
            self._next_choice = now + CHOOSE_SECONDS
            self._choose(_current() or self._allowed)

    def _choose(self, processors: Set[int]) -> None:
        self._chosen = processors
        for thread in tuple(self._threads):
            self._run(thread, processors)

    def _run(self, thread: int, processors: Set[int]) -> None:
        if len(self._allowed) > 1:
            with suppress(OSError):  # the thread has ended, or the system allows other processors by now
                os.sched_setaffinity(thread, processors)


def _current() -> Set[int]:
    """Return the processor that this thread runs on; an empty set if the C library does not tell."""
    with suppress(OSError, AttributeError):
        number: int = ctypes.CDLL(None).sched_getcpu()
        return {number} if number >= 0 else frozenset()
    return frozenset()
