"""A log to write events to, with rollups that count them or not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from painchain.database.models import ChangeEvent
from painchain.database.session import db
from painchain.eventlog import writer
from tests.support.sample_events import new
from tests.support.thorough import further


@pytest.fixture(params=[0.5, *further(0, 1)], ids=["half in rollups", "not in rollups", "in rollups"])
def write(app: Flask, request: pytest.FixtureRequest) -> Callable[..., list[int]]:
    """Return a function that writes events to an empty log, some counted in rollups, and returns their ids."""

    def append(*events: dict[str, Any]) -> list[int]:
        with app.app_context(), writer.writing() as event_log:
            event_log.remove(db.session.scalars(select(ChangeEvent.id)).all())
            numbers = []
            for number, members in enumerate(events):
                numbers.append(event_log.append(new(number, **members)))
                if number + 1 == int(len(events) * request.param):
                    event_log.count()
            return numbers

    return append
