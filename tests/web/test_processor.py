"""While many requests arrive together, the threads that answer them run on one processor."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from flask import Flask

from painchain.core.config import Settings
from painchain.web.serving import processor as processors
from painchain.web.serving.processor import SharedProcessor
from tests.conftest import ON_SQLITE
from tests.web.sockets import END, send, serve

PATIENCE = 30
CLIENTS = 8
ALLOWED = os.sched_getaffinity(0)


@pytest.fixture
def processor(monkeypatch: pytest.MonkeyPatch) -> Iterator[SharedProcessor]:
    """Return a processor that this thread shares, and that is looked at whenever `look` is called."""
    monkeypatch.setattr(processors, "LOOK_SECONDS", 0)
    shared = SharedProcessor()
    with shared.shared():
        yield shared
    assert os.sched_getaffinity(0) == ALLOWED


@contextmanager
def other_thread(processor: SharedProcessor | None) -> Iterator[int]:
    """Run a thread, which shares the processor if there is one. Yield its number."""
    has_begun, may_end, numbers = threading.Event(), threading.Event(), []

    def run() -> None:
        numbers.append(threading.get_native_id())
        has_begun.set()
        assert may_end.wait(PATIENCE)

    def share() -> None:
        assert processor
        with processor.shared():
            run()

    thread = threading.Thread(target=share if processor else run)
    thread.start()
    try:
        assert has_begun.wait(PATIENCE)
        yield numbers[0]
    finally:
        may_end.set()
        thread.join()


def look_after(processor: SharedProcessor, *others: int) -> None:
    """Look after the arrival of requests that found so many others."""
    for number in others:
        processor.arrived(number)
    processor.look()


def test_threads_share_a_processor_while_many_requests_arrive_together(processor):
    with other_thread(processor) as early, other_thread(None) as unrelated:
        look_after(processor, 7, 7, 0)
        chosen = os.sched_getaffinity(0)
        assert (len(chosen), chosen <= ALLOWED) == (1, True)
        assert os.sched_getaffinity(early) == chosen
        assert os.sched_getaffinity(unrelated) == ALLOWED
        with other_thread(processor) as late:
            assert os.sched_getaffinity(late) == chosen
        look_after(processor, 2, 2)  # fewer than before, but not few
        assert os.sched_getaffinity(0) == chosen
        look_after(processor, 1, 0, 1)
        assert os.sched_getaffinity(0) == os.sched_getaffinity(early) == ALLOWED


def test_without_many_requests_each_thread_may_run_anywhere(processor):
    for others in ([], [0], [2, 2, 2]):
        look_after(processor, *others)
        assert os.sched_getaffinity(0) == ALLOWED


def test_a_few_requests_after_a_burst_are_not_taken_for_many(processor):
    look_after(processor, 9, 9)
    look_after(processor)
    assert os.sched_getaffinity(0) == ALLOWED


def test_the_system_chooses_the_processor_again_from_time_to_time(processor, monkeypatch):
    look_after(processor, 7)
    look_after(processor, 7)
    assert len(os.sched_getaffinity(0)) == 1
    monkeypatch.setattr(processors, "CHOOSE_SECONDS", 0)
    look_after(processor, 0)
    sizes = []
    for _ in range(4):
        look_after(processor, 7)
        sizes.append(len(os.sched_getaffinity(0)))
    assert sizes == [1, len(ALLOWED)] * 2


def test_nothing_changes_before_the_next_look_is_due(processor, monkeypatch):
    monkeypatch.setattr(processors, "LOOK_SECONDS", 3600)
    look_after(processor, 7)
    assert len(os.sched_getaffinity(0)) == 1
    look_after(processor, 0)
    assert len(os.sched_getaffinity(0)) == 1


def test_a_thread_that_ended_and_one_that_never_started_are_no_problem(processor):
    with other_thread(processor):
        pass
    processor._threads.add(2**30)  # no system has as many
    look_after(processor, 7)
    assert len(os.sched_getaffinity(0)) == 1
    processor._threads.discard(2**30)


@ON_SQLITE
def test_a_server_with_many_clients_runs_on_one_processor(app: Flask, settings: Settings) -> None:
    sizes: list[int] = []

    @app.get("/static/slow")
    def slow() -> str:
        sizes.append(len(os.sched_getaffinity(0)))
        time.sleep(0.02)
        return "slow"

    end = time.monotonic() + PATIENCE

    def ask(port: int) -> None:
        while 1 not in sizes:
            assert time.monotonic() < end
            assert send(port, b"GET /static/slow HTTP/1.1\r\n" + END)[0] == 200

    with contextmanager(serve)(app, settings, threads=CLIENTS) as port, ThreadPoolExecutor(CLIENTS) as pool:
        for asking in [pool.submit(ask, port) for _ in range(CLIENTS)]:
            asking.result()
    assert sizes[0] == len(ALLOWED)
