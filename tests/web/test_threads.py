"""Threads answer requests: as many as are needed, up to a limit."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from painchain.web.serving.processor import SharedProcessor
from painchain.web.serving.threads import Threads

MOST = 3
PATIENCE = 30


class Task:
    """A task that lasts until it is told to end."""

    def __init__(self) -> None:
        self.has_begun, self.may_end, self.was_cancelled = threading.Event(), threading.Event(), False

    def service(self) -> None:
        """Do it."""
        self.has_begun.set()
        assert self.may_end.wait(PATIENCE)

    def cancel(self) -> None:
        """Never do it."""
        self.was_cancelled = True


@pytest.fixture
def threads() -> Iterator[Threads]:
    """Return threads, all of which end with the test."""
    threads = Threads(MOST, SharedProcessor())
    yield threads
    threads.shutdown()


def finish(threads: Threads, *tasks: Task) -> None:
    """Let tasks end, and wait until all threads are idle."""
    for task in tasks:
        task.may_end.set()
    wait_until(lambda: threads.active_count == 0 and not threads.queue)


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for what other threads do."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_one_request_at_a_time_needs_one_thread(threads: Threads) -> None:
    assert len(threads.threads) == 0
    for _ in range(5):
        task = Task()
        threads.add_task(task)
        assert task.has_begun.wait(PATIENCE)
        finish(threads, task)
    assert len(threads.threads) == 1


def test_each_of_several_requests_has_a_thread_up_to_the_limit(
    threads: Threads, caplog: pytest.LogCaptureFixture
) -> None:
    tasks = [Task() for _ in range(MOST)]
    for task in tasks:
        threads.add_task(task)
    for task in tasks:
        assert task.has_begun.wait(PATIENCE)
    rest, late = Task(), Task()
    with caplog.at_level(logging.WARNING, "waitress.queue"):
        assert threads.put(rest) == 1
        assert caplog.messages == []
        threads.add_task(late)
        assert caplog.messages == ["Task queue depth is 2"]
    assert (len(threads.threads), rest.has_begun.is_set()) == (MOST, False)
    tasks[0].may_end.set()
    assert rest.has_begun.wait(PATIENCE)  # the thread that is free now does it
    finish(threads, *tasks, rest, late)
    assert late.has_begun.is_set()


def test_no_thread_is_started_while_they_stop(threads: Threads) -> None:
    task, late = Task(), Task()
    threads.add_task(task)
    assert task.has_begun.wait(PATIENCE)
    threads.set_thread_count(0)
    threads.add_task(late)
    assert len(threads.threads) == 1
    task.may_end.set()
    assert threads.shutdown()
    assert (len(threads.threads), late.has_begun.is_set(), late.was_cancelled) == (0, False, True)
