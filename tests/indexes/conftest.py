"""Empty databases, a log whose search index is complete or behind, and one for the rollups."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from painchain.database.models import ChangeEvent
from painchain.database.session import db
from painchain.eventlog import writer
from painchain.indexes import match_planner
from tests.indexes.sample_log import fill_log
from tests.support.migrations import empty_database, new_app  # noqa: F401  fixtures
from tests.support.sample_events import new


@pytest.fixture(params=["indexed", "behind"])
def write(app: Flask, request: pytest.FixtureRequest) -> Callable[..., None]:
    """Return a function that writes events to an empty log, indexed or not yet indexed."""

    def append(*events: dict[str, Any]) -> None:
        with app.app_context(), writer.writing() as event_log:
            event_log.remove(db.session.scalars(select(ChangeEvent.id)).all())
            for number, members in enumerate(events):
                event_log.append(new(number, **members))
            if request.param == "indexed":
                event_log.count()

    return append


@pytest.fixture
def low_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lower the limits, so that a few events are searched like a million."""
    monkeypatch.setattr(match_planner, "LOOKUP_LIMIT", 5)
    monkeypatch.setattr(match_planner, "READ_LIMIT", 30)
    monkeypatch.setattr(match_planner, "PREFIX_LIMIT", 1)


@pytest.fixture
def fill(app: Flask) -> Any:
    """Return a function that writes random events to an empty log."""

    return partial(fill_log, app)
