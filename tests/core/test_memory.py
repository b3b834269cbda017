"""Unused memory goes back to the system."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from pathlib import Path

import pytest
from flask import Flask

from painchain.workers import scheduler


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="only glibc keeps unused pages")
def test_the_scheduler_returns_unused_memory(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler, "MEMORY_SECONDS", 0.0)
    monkeypatch.setattr(scheduler, "WORK_SECONDS", 0.0)
    worker = scheduler.Scheduler(app)
    blocks = [b"x" * 64_000 for _ in range(800)]
    blocks = blocks[::20]  # what is left keeps the heap from shrinking
    before = resident()
    worker.look()
    assert before - resident() > 20 * 2**20
    assert len(blocks) == 40


def resident() -> int:
    """Return the bytes of memory that this process uses."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_what_a_command_imports_is_left_out_of_collections() -> None:
    imports = "memory.import_uncollected('painchain.cli.messages')"
    state = "gc.get_freeze_count(), gc.isenabled(), gc.get_threshold()[0]"
    program = f"import gc; from painchain.core import memory; {imports}; print({state})"
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    frozen, is_enabled, threshold = output.split()
    assert int(frozen) > 10_000
    assert (is_enabled, threshold) == ("True", "50000")
