"""Return the health of each connector: the state of its polls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Select, bindparam, func, select

from painchain.audit import trail as audit_trail
from painchain.audit.trail import Auditing
from painchain.configuration import connector_store, onboarding
from painchain.configuration.connector_store import type_of
from painchain.configuration.onboarding import SetupFacts
from painchain.connectors.contract import ErrorKind
from painchain.database import clock
from painchain.database.models import Connector, PollState
from painchain.database.session import db
from painchain.scheduling import poll_leases

_COPIED = (
    *("due", "last_poll", "last_success", "failures", "failing_since", "error", "note", "requests"),
    *("rate_limit", "rate_remaining", "rate_resets"),
)


@dataclass(frozen=True)
class Health:
    """The health of a connector: `state` is off, waiting (not polled yet), polling, fine, failing or rate_limited."""

    state: str
    due: datetime | None = None
    last_poll: datetime | None = None
    last_success: datetime | None = None
    failures: int = 0
    failing_since: datetime | None = None
    error: str | None = None
    note: str = ""
    requests: int | None = None
    rate_limit: int | None = None
    rate_remaining: int | None = None
    rate_resets: datetime | None = None


def read(connectors: Sequence[Connector], now: datetime) -> Mapping[int, Health]:
    """Return the health of each connector that can be polled, by connector ID."""
    polled = [connector for connector in connectors if type_of(connector).poll]
    enabled = [connector.id for connector in polled if connector.enabled]
    states = db.session.scalars(_states(), {"ids": enabled}) if enabled else ()
    by_id = {state.connector_id: state for state in states}
    return {connector.id: of(connector, by_id.get(connector.id), now) for connector in polled}


@cache
def _states() -> Select[Any]:
    """Return the statement for the states of the connectors `ids`; those of disabled ones have nothing to show."""
    query = select(PollState).where(PollState.connector_id.in_(bindparam("ids", expanding=True)))
    return query.execution_options(populate_existing=True)


@dataclass(frozen=True)
class Overview:
    """Every connector with its health, what is set up, and whether auditing is on; None without any connector."""

    connectors: list[tuple[Connector, Health | None]]
    setup: SetupFacts | None
    auditing: Auditing | None


def overview(now: datetime) -> Overview:
    """Return what the dashboard shows of all connectors, which are in the order of the page, in one statement."""
    rows = db.session.execute(_query()).all()
    states = {connector.id: poll_state for connector, poll_state, *_ in rows}
    health = [
        (connector, of(connector, states[connector.id], now) if type_of(connector).poll else None)
        for connector in connector_store.in_page_order([connector for connector, *_ in rows])
    ]
    *setup, broken = rows[0][2:] if rows else (None,)
    builtin = next((connector for connector, _ in health if type_of(connector).builtin), None)
    return Overview(
        health,
        SetupFacts.from_row(setup) if setup else None,
        audit_trail.auditing_of(builtin, broken) if builtin else None,
    )


@cache
def _query() -> Select[Any]:
    """Return the statement for every connector, its state, and the values that are the same for all connectors."""
    query = select(Connector, PollState, *onboarding.COLUMNS, audit_trail.BROKEN)
    query = query.outerjoin(PollState, PollState.connector_id == Connector.id)
    query = query.order_by(func.lower(Connector.name), Connector.id)
    return query.execution_options(populate_existing=True)


def of(connector: Connector, poll_state: PollState | None, now: datetime) -> Health:
    """Return the health of a connector from its row in poll_states; None stands for a missing row."""
    if not connector.enabled or poll_state is None:
        return Health("waiting" if connector.enabled else "off")
    if poll_state.trouble == ErrorKind.RATE_LIMITED:
        state = "rate_limited"
    elif poll_state.failing_since:
        state = "failing"
    elif not clock.is_reached(poll_state.taken_until, now, poll_leases.LEASE):
        state = "polling"
    else:
        state = "waiting" if poll_state.last_poll is None else "fine"
    return Health(state, **{name: getattr(poll_state, name) for name in _COPIED})
