"""Poll the connectors: one poll of a turn, how each of them does, and tests of a connection."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from painchain import connectors
from painchain.audit.trail import Trail
from painchain.configuration.connector_store import ChangeRefused, type_of
from painchain.connectors.base import Kind
from painchain.connectors.contract import ConnectionTestResult, ErrorKind, PollContext, PollError, PollResult
from painchain.core import logs, runtime
from painchain.core.crypto import KeyUnusable
from painchain.database import clock as db_clock
from painchain.database.models import Connector, PollState
from painchain.database.session import WriteBusy, db
from painchain.ingestion.poll_results import fail as fail
from painchain.ingestion.poll_results import store as store
from painchain.ingestion.source_events import add_found as add_found
from painchain.ingestion.source_events import safe_text
from painchain.ingestion.source_events import settings_of as settings_of
from painchain.scheduling import poll_leases
from painchain.scheduling.poll_leases import PollLease
from painchain.scheduling.poll_leases import acquire as acquire

CHECK_SECONDS = 10.0
CHECKS = 8  # tests of a connection at the same time
UNKNOWN = "unknown"  # the type of a connector that is gone, or cannot be read
POLL_TIME = poll_leases.LEASE - timedelta(minutes=1)  # then a poll is asked to come to an end, before its turn is over

log = logging.getLogger(__name__)
_checks = threading.BoundedSemaphore(CHECKS)


@dataclass(frozen=True)
class Health:
    """How a connector does: `state` is off, waiting (not polled yet), polling, fine, failing or rate_limited."""

    state: str
    due: datetime | None = None
    last_poll: datetime | None = None
    last_success: datetime | None = None
    failures: int = 0
    failing_since: datetime | None = None
    error: str | None = None
    note: str = ""
    rate_limit: int | None = None
    rate_remaining: int | None = None
    rate_resets: datetime | None = None


def health(wanted: Sequence[Connector], now: datetime) -> Mapping[int, Health]:
    """Return how each of the connectors that can be polled does, by connector id."""
    found = [one for one in wanted if type_of(one).poll]
    query = select(PollState).where(PollState.connector_id.in_([one.id for one in found]))
    states = db.session.scalars(query.execution_options(populate_existing=True))
    by_id = {state.connector_id: state for state in states}
    return {one.id: _health(one, by_id.get(one.id), now) for one in found}


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
            told = _told(problem, number)
            runtime.current().metrics.polled(kind, "rate_limited" if told.kind is ErrorKind.RATE_LIMITED else "failed")
            fail(number, told, clock(), turn)
        return 0


def check(connector_type_key: str, settings: Mapping[str, Any], now: datetime) -> ConnectionTestResult:
    """Test a connection with these settings (secrets in plain text), within 10 seconds.

    What goes wrong is told in words in the answer; this raises nothing.
    """
    connector_type = connectors.TYPES.get(connector_type_key)
    if connector_type is None or connector_type.test_connection is None:
        return ConnectionTestResult(False, missing=["Connectors of this type cannot be tested."])
    if not _checks.acquire(blocking=False):
        return ConnectionTestResult(
            False, missing=["Many connections are being tested just now. Try again in a moment."]
        )
    ask, answers = connector_type.test_connection, list[ConnectionTestResult]()

    def run() -> None:
        try:
            answers.append(ask(settings, now))
        except Exception as problem:  # whatever it is, the person reads it in words
            answers.append(ConnectionTestResult(False, missing=[str(_told(problem))]))
        finally:
            _checks.release()

    thread = threading.Thread(target=logs.carried(run), name="check", daemon=True)
    thread.start()
    thread.join(CHECK_SECONDS)
    late = ConnectionTestResult(
        False, missing=[f"There was no answer within {CHECK_SECONDS:.0f} seconds. Check the URL."]
    )
    secret = [field.key for field in connector_type.all_fields if field.kind is Kind.SECRET]
    return _without_secrets(
        answers[0] if answers else late, [str(settings[key]) for key in secret if settings.get(key)]
    )


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


def _told(problem: Exception, connector_id: int | None = None) -> PollError:
    """Return a failure in words; one that is not foreseen is logged by its kind and place, never by its message."""
    if isinstance(problem, PollError):
        return problem
    if isinstance(problem, KeyUnusable):
        return PollError(str(problem), ErrorKind.SETTINGS)
    if isinstance(problem, WriteBusy | OperationalError):
        words = "The database did not take what was found; nothing is lost, it is asked for again."
        return PollError(words, ErrorKind.INTERNAL)
    logs.failed(log, "A test" if connector_id is None else f"The poll of connector {connector_id}", problem)
    return PollError(
        "PainChain could not read the answer; its log has the details. "
        "This is a defect in PainChain: please report it.",
        ErrorKind.INTERNAL,
    )


def _without_secrets(checked: ConnectionTestResult, secrets: Sequence[str]) -> ConnectionTestResult:
    sees, missing = ([safe_text(one, secrets, 500) for one in some] for some in (checked.sees, checked.missing))
    return replace(checked, identity=safe_text(checked.identity, secrets, 200), sees=sees, missing=missing)


def _health(one: Connector, state: PollState | None, now: datetime) -> Health:
    if not one.enabled or state is None:
        return Health("waiting" if one.enabled else "off")
    busy = not db_clock.is_reached(state.taken_until, now, poll_leases.LEASE)
    doing = "polling" if busy else "waiting" if state.last_poll is None else "fine"
    if state.trouble == ErrorKind.RATE_LIMITED:
        doing = "rate_limited"
    elif state.failing_since:
        doing = "failing"
    kept = ("due", "last_poll", "last_success", "failures", "failing_since", "error", "note")
    rate = ("rate_limit", "rate_remaining", "rate_resets")
    return Health(doing, **{name: getattr(state, name) for name in (*kept, *rate)})
