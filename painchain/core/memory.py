"""Keep the memory of a long-running server small, and garbage collections short."""

from __future__ import annotations

import ctypes
import gc
import sys
from contextlib import suppress
from importlib import import_module
from types import ModuleType

# Options of mallopt(3).
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
ARENAS = 1
KEPT_BYTES = 256 * 1024  # of free memory at the end of the heap
COLLECT_AFTER = 50_000  # new objects: in a command, collections of fewer free next to nothing


def limit_heaps() -> None:
    """Let all threads share one heap, and return large blocks to the system. Call this before threads start.

    By default, glibc gives threads up to eight heaps per processor, and each of them keeps what it once needed. Only
    one thread at a time runs Python code, so they gain nothing by it. Other C libraries have no such options.
    """
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        for option, value in ((_ARENA_MAX, ARENAS), (_MMAP_THRESHOLD, KEPT_BYTES), (_TRIM_THRESHOLD, KEPT_BYTES)):
            mallopt(option, value)


def return_unused() -> None:
    """Return the unused pages inside the heap to the system, which takes about 2 ms. Other C libraries do nothing.

    Many requests at once let the heap grow. Afterwards some of its end is still used, so glibc keeps all of it.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def leave_out_of_collections() -> None:
    """Leave what exists now out of garbage collections. Call this when the app is complete.

    What was imported stays until the end, and looking through it would stop every request for a quarter of a second.
    """
    gc.collect()
    gc.freeze()


def import_uncollected(name: str) -> ModuleType:
    """Import a module, with no garbage collection meanwhile, and leave what exists then out of later, rarer ones.

    Collections take a fifth of the processor time that a command needs until it starts, and more if it creates many
    objects, as a restore does. A server calls `leave_out_of_collections` instead, because it keeps its memory small.
    """
    if name not in sys.modules:
        gc.disable()
        try:
            import_module(name)
        finally:
            gc.freeze()
            gc.set_threshold(COLLECT_AFTER)
            gc.enable()
    return sys.modules[name]
