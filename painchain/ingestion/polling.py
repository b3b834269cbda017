"""Poll one connector and store the result."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta

from painchain.audit.trail import Trail
from painchain.configuration.connector_store import type_of
from painchain.configuration.errors import ChangeRefused
from painchain.connectors.contract import ErrorKind, PollContext, PollResult
from painchain.core import runtime
from painchain.database.models import Connector
from painchain.database.session import db
from painchain.ingestion.poll_errors import as_poll_error
from painchain.ingestion.poll_results import LeaseLost, fail, store
from painchain.ingestion.source_events import recorded_facts, settings_of
from painchain.scheduling import poll_leases
from painchain.scheduling.poll_leases import PollLease
from painchain.scheduling.poll_leases import acquire as acquire

POLL_TIME = poll_leases.LEASE - timedelta(minutes=1)  # then a poll is asked to end, before its lease does


def sync_now(connector: Connector, trail: Trail) -> None:
    """Make a connector due at once, inside a write transaction. It changes no configuration: nothing is recorded.

    :raises ChangeRefused: when it is switched off, or its type is not polled.
    """
    if not type_of(connector).poll:
        raise ChangeRefused(f"“{connector.name}” is not polled.")
    if not connector.enabled:
        raise ChangeRefused(f"“{connector.name}” is disabled. Enable it to have it polled.")
    poll_leases.make_due(connector, trail.now)


def poll(lease: PollLease, clock: Callable[[], datetime], is_stopping: Callable[[], bool] = lambda: False) -> int:
    """Poll the connector of a lease and store the result. Return how many events are new.

    Whatever goes wrong is stored in words, and touches no other connector. A poll that is cut off by the end of the
    server leaves the connector as it was.
    """
    connector_id, connector_type = lease.connector_id, lease.polled.connector.type
    metrics = runtime.current().metrics
    try:
        result = _ask(lease, is_stopping)
        new = store(connector_id, result, clock(), lease)
        metrics.count_poll(connector_type, "good")
        return new
    except LeaseLost as lost:
        metrics.count_poll(connector_type, "left_out")
        return lost.added
    except Exception as problem:  # a defect of one connector type must not stop the others
        if is_stopping():
            poll_leases.release(lease, clock())
        else:
            error = as_poll_error(problem, f"The poll of connector {connector_id}")
            metrics.count_poll(connector_type, "rate_limited" if error.kind is ErrorKind.RATE_LIMITED else "failed")
            fail(connector_id, error, clock(), lease)
        return 0


def _ask(lease: PollLease, is_stopping: Callable[[], bool]) -> PollResult:
    """Ask the source, and keep no connection to the database meanwhile."""
    connector = lease.polled.connector
    ask = type_of(connector).poll
    assert ask is not None  # noqa: S101  only such connectors are leased
    settings = settings_of(connector)
    db.session.remove()
    end = time.monotonic() + POLL_TIME.total_seconds()
    return ask(
        PollContext(
            settings,
            lease.polled.cursor,
            lease.began,
            lambda: is_stopping() or time.monotonic() > end,
            lease.connector_id,
            recorded_facts,
        )
    )
