"""A log to check and to tamper with, and an app whose check runs at a given time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask

from painchain.eventlog import writer
from painchain.integrity import diagnosis
from painchain.integrity.check_job import State
from painchain.workers.integrity import IntegrityWorker
from tests.integrity.checks import NOW, state
from tests.integrity.configuration import configured_app, configured_instance  # noqa: F401  fixtures
from tests.support.collector import collector  # noqa: F401  a fixture
from tests.support.event_log import rotate, verify_log, write
from tests.support.tampering import LAST, PRUNED


@pytest.fixture(autouse=True)
def few_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try few numbers for an event that fits no position, instead of 100,000."""
    monkeypatch.setattr(diagnosis, "FURTHEST", 100)


@pytest.fixture
def run_check(app: Flask) -> Callable[..., State]:
    """Return a function that runs the worker at ``NOW`` plus a time span, and returns the state of the check."""

    def run_check(**after: float) -> State:
        IntegrityWorker(app, lambda: NOW + timedelta(**after)).run_once()
        return state(app)

    return run_check


@pytest.fixture
def log(app: Flask) -> Flask:
    """A log of twelve events: retention removed three, and the key was rotated before the eighth."""
    write(app, *({"title": f"job {number}", "event_id": f"first-{number}"} for number in range(2, 8)))
    rotate(app)
    write(app, *({"title": f"job {number}", "event_id": f"then-{number}"} for number in range(8, LAST + 1)))
    with app.app_context(), writer.writing() as event_log:
        event_log.remove(PRUNED)
    assert verify_log(app).broken is None
    return app
