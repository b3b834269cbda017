"""Poll the connectors: one poll of a turn, how each of them does, and tests of a connection."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy import select

from painchain.audit.trail import Trail
from painchain.configuration.connector_store import type_of
from painchain.configuration.errors import ChangeRefused
from painchain.connectors.contract import ErrorKind, PollContext, PollResult
from painchain.core import runtime
from painchain.database.models import Connector, PollState
from painchain.database.session import db
from painchain.ingestion.poll_errors import as_poll_error
from painchain.ingestion.poll_results import fail, store
from painchain.ingestion.source_events import settings_of
from painchain.scheduling import poll_leases
from painchain.scheduling.poll_leases import PollLease
from painchain.scheduling.poll_leases import acquire as acquire

UNKNOWN = "unknown"  # the type of a connector that is gone, or cannot be read
POLL_TIME = poll_leases.LEASE - timedelta(minutes=1)  # then a poll is asked to come to an end, before its turn is over


def sync_now(connector: Connector, trail: Trail) -> None:
    """Make a connector due at once, inside a write transaction. It changes no configuration: nothing is recorded.

    :raises Refused: when it is switched off, or is none that is polled.
    """
    if not type_of(connector).poll:
        raise ChangeRefused(f"“{connector.name}” is not polled.")
    if not connector.enabled:
        raise ChangeRefused(f"“{connector.name}” is disabled. Enable it to have it polled.")
    poll_leases.make_due(connector, trail.now)


def poll(turn: PollLease, clock: Callable[[], datetime], stopping: Callable[[], bool] = lambda: False) -> int:
    """Poll the connector of a turn and store what comes of it. Return how many events are new.

    Whatever goes wrong is stored in words, and touches no other connector. A poll that is cut off by the end of the
    server leaves the connector as it was.
    """
    number, kind = turn.connector_id, UNKNOWN
    try:
        kind = db.session.scalar(select(Connector.type).where(Connector.id == number)) or UNKNOWN
        polled = _polled(turn, stopping)
        new = store(number, polled, clock(), turn) if polled else 0
        runtime.current().metrics.polled(kind, "good" if polled else "left_out")
        return new
    except Exception as problem:  # a defect of one connector type must not stop the others
        if stopping():
            poll_leases.release(turn, clock())
        else:
            error = as_poll_error(problem, f"The poll of connector {number}")
            runtime.current().metrics.polled(kind, "rate_limited" if error.kind is ErrorKind.RATE_LIMITED else "failed")
            fail(number, error, clock(), turn)
        return 0


def _polled(turn: PollLease, stopping: Callable[[], bool]) -> PollResult | None:
    """Ask the source, with no connection to the database kept meanwhile; None if the connector is off or gone."""
    connector = db.session.get(Connector, turn.connector_id, populate_existing=True)
    state = db.session.get(PollState, turn.connector_id, populate_existing=True)
    ask = type_of(connector).poll if connector and connector.enabled else None
    if connector is None or state is None or ask is None:
        db.session.rollback()
        return None
    settings, cursor = settings_of(connector), state.cursor
    db.session.remove()
    end = time.monotonic() + POLL_TIME.total_seconds()
    return ask(PollContext(settings, cursor, turn.began, lambda: stopping() or time.monotonic() > end))
