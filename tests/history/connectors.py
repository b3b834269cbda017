"""Create connectors at a given time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from flask import Flask

from painchain.audit.trail import Trail
from painchain.configuration import connector_store
from painchain.connectors import TYPES
from painchain.eventlog import writer

NOW = datetime(2100, 1, 1, tzinfo=UTC)
SYSTEM = 1


@contextmanager
def audited_transaction(app: Flask, now: datetime = NOW) -> Iterator[Trail]:
    """Open an audited transaction."""
    with app.app_context(), writer.writing() as event_log:
        yield Trail(event_log, "operator", writer.new_request_id(now), now)


def create(app: Flask, name: str = "Work") -> int:
    with audited_transaction(app) as trail:
        return int(connector_store.create(TYPES["github"], {"name": name, "token": "made-up"}, False, trail).id)
