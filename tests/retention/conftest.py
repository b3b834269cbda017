"""Servers with events that expire."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask

from painchain.retention import pruning
from tests.support.retention import write


@pytest.fixture
def app_with_events(app: Flask) -> Iterator[Flask]:
    """The app in its context, with ten old and ten recent events of each of two sources."""
    with app.app_context():
        for _ in range(10):
            write("github", 40)
            write("gitlab", 40)
            write("github", 20)
            write("gitlab", 20)
        yield app


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove four events per step."""
    for name in ("FIRST_STEP", "SMALLEST_STEP", "LARGEST_STEP"):
        monkeypatch.setattr(pruning, name, 4)
