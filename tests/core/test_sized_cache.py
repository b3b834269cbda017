"""Values are cached up to a limit in bytes, and computed once for all threads that ask at the same time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from painchain.core.sized_cache import ENTRY_BYTES, SizedCache


def test_the_least_recently_used_values_give_way():
    cache = SizedCache(3 * (ENTRY_BYTES + 100))
    for key in "abc":
        cache.put(key, key.upper(), 100)
    assert cache.get("a") == "A"
    cache.put("d", "D", 100)
    assert [cache.get(key) for key in "abcd"] == ["A", None, "C", "D"]
    assert cache.size == 3 * (ENTRY_BYTES + 100)


def test_a_value_that_is_replaced_frees_its_bytes():
    cache = SizedCache()
    for size in (300, 100, 200):
        cache.put("key", "value", size)
    assert cache.size == ENTRY_BYTES + 200


def test_a_value_larger_than_the_limit_is_not_cached_and_removes_no_other():
    cache = SizedCache(2 * ENTRY_BYTES)
    cache.put("small", 1, 10)
    cache.put("large", 2, 2 * ENTRY_BYTES)
    assert (cache.get("small"), cache.get("large"), cache.size) == (1, None, ENTRY_BYTES + 10)


def test_values_of_a_moment_give_way_to_those_of_a_later_one():
    cache = SizedCache()
    cache.put("row", "R", 10)
    for key in "ab":
        cache.put(key, key.upper(), 100, moment=(7, 30))
    assert [cache.get(key) for key in ("row", "a", "b")] == ["R", "A", "B"]
    assert cache.get_or_compute("c", lambda: "C", moment=(8, 30)) == "C"
    cache.put("late", "L", 100, moment=(7, 30))
    assert [cache.get(key) for key in ("row", "a", "b", "late", "c")] == ["R", None, None, None, "C"]
    cache.put("c", "D", 10, moment=(8, 31))
    cache.put("e", "E", 10, moment=(8, 31))
    assert [cache.get(key) for key in "ce"] == ["D", "E"]
    assert cache.size == 3 * (ENTRY_BYTES + 10)


def test_threads_that_ask_for_the_same_value_wait_for_the_first():
    cache, started, may_finish, computed = SizedCache(), Event(), Event(), []

    def compute() -> str:
        computed.append(1)
        started.set()
        assert may_finish.wait(10)
        return "value"

    with ThreadPoolExecutor(4) as threads:
        first = threads.submit(cache.get_or_compute, "key", compute)
        assert started.wait(10)
        others = [threads.submit(cache.get_or_compute, "key", compute) for _ in range(3)]
        assert cache.get_or_compute("other key", lambda: "other value") == "other value"
        may_finish.set()
        assert [each.result(10) for each in (first, *others)] == ["value"] * 4
    assert len(computed) == 1
    assert cache.size > 0


def test_after_a_failure_the_next_thread_computes_the_value():
    cache = SizedCache()

    def fail() -> str:
        raise LookupError

    with pytest.raises(LookupError):
        cache.get_or_compute("key", fail)
    assert cache.get_or_compute("key", lambda: None) is None
    assert cache.get_or_compute("key", lambda: "value") == "value"
    assert cache.get_or_compute("key", fail) == "value"
