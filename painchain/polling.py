"""Poll the connectors: whose turn it is, one poll, one commit of what it found, and how each of them does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select

from painchain.connectors.poll import Checked
from painchain.connectors.poll import PollError as PollError
from painchain.db import db
from painchain.inventory import type_of
from painchain.models import Connector, PollState


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
    states = db.session.scalars(select(PollState).where(PollState.connector_id.in_([one.id for one in found])))
    by_id = {state.connector_id: state for state in states}
    return {one.id: _health(one, by_id.get(one.id), now) for one in found}


def check(connector_type_key: str, settings: Mapping[str, Any], now: datetime) -> Checked:
    """Test a connection with these settings (secrets in plain text), within 10 seconds.

    What goes wrong is told in words in the answer; this raises nothing.
    """
    raise NotImplementedError


def _health(one: Connector, state: PollState | None, now: datetime) -> Health:
    if not one.enabled or state is None:
        return Health("waiting" if one.enabled else "off")
    doing = "polling" if state.taken_until > now else "waiting" if state.last_poll is None else "fine"
    if state.failures:
        doing = "rate_limited" if state.trouble == "rate_limited" else "failing"
    kept = ("due", "last_poll", "last_success", "failures", "failing_since", "error", "note")
    rate = ("rate_limit", "rate_remaining", "rate_resets")
    return Health(doing, **{name: getattr(state, name) for name in (*kept, *rate)})
