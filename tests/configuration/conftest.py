"""The titles of new events."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask

from painchain.timeline import queries
from painchain.timeline.filter import Filter


@pytest.fixture
def new_titles(app: Flask) -> Callable[[], list[str]]:
    """Return the titles of the events since the first start, oldest first."""

    def read() -> list[str]:
        with app.app_context():
            return [event.title for event in queries.written_after(Filter(), 1, 500)]

    return read
