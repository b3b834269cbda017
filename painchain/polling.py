"""Poll the connectors: whose turn it is, one poll, one commit of what it found, and how each of them does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import current_app
from sqlalchemy import select

from painchain.connectors.poll import Checked, Found
from painchain.connectors.poll import PollError as PollError
from painchain.db import db
from painchain.inventory import type_of, values
from painchain.ledger import Ledger, NewEvent, new_request_id
from painchain.models import ChangeEvent, Connector, PollState
from painchain.secrets import open_sealed


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


def settings_of(connector: Connector) -> dict[str, Any]:
    """Return the value of every field, the secrets opened."""
    box = current_app.extensions["painchain.box"]
    return values(connector) | {key: open_sealed(box, sealed) for key, sealed in connector.secrets.items()}


def add_found(book: Ledger, connector: Connector, found: Sequence[Found], now: datetime) -> int:
    """Append what is not there yet."""
    ids = {one.event_id for one in found}
    there = set(db.session.scalars(select(ChangeEvent.event_id).where(ChangeEvent.event_id.in_(ids))))
    new = {one.event_id: one for one in found if one.event_id not in there}
    request_id = new_request_id(now)
    book.append(
        *(
            NewEvent(
                one.event_id,
                connector.type,
                one.event_type,
                one.title,
                {"text": one.text},
                dict(one.facts),
                one.author,
                request_id,
                one.timestamp,
                now,
                connector.id,
                connector.name,
                connector.type,
                one.status,
                one.url,
                connector.tags,
            )
            for one in new.values()
        )
    )
    return len(new)


def _health(one: Connector, state: PollState | None, now: datetime) -> Health:
    if not one.enabled or state is None:
        return Health("waiting" if one.enabled else "off")
    doing = "polling" if state.taken_until > now else "waiting" if state.last_poll is None else "fine"
    if state.failures:
        doing = "rate_limited" if state.trouble == "rate_limited" else "failing"
    kept = ("due", "last_poll", "last_success", "failures", "failing_since", "error", "note")
    rate = ("rate_limit", "rate_remaining", "rate_resets")
    return Health(doing, **{name: getattr(state, name) for name in (*kept, *rate)})
