"""Find webhooks that deliver nothing while polls of the same connector find events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import BigInteger, func, literal, select, type_coerce

from painchain.configuration.connector_store import type_of
from painchain.database.models import IS_FOUND, ChangeEvent, Connector, Webhook
from painchain.database.session import db

DELAY = timedelta(minutes=10)  # between an event and its delivery, or the clock of the source and this one
MAX_EVENTS = 1_000  # that are counted

_event = ChangeEvent.__table__.c


@dataclass(frozen=True)
class SilentWebhook:
    """A webhook without a delivery since a time, and the number of later events, which polls found.

    There may be more events than ``MAX_EVENTS``. `is_new` says that it has never delivered anything.
    """

    since: datetime
    is_new: bool
    events: int


def find(connectors: Sequence[Connector], now: datetime) -> dict[int, SilentWebhook]:
    """Return the silent webhooks of these connectors by connector ID. Disabled connectors have none."""
    numbers = [connector.id for connector in connectors if connector.enabled and type_of(connector).webhook]
    if not numbers:
        return {}
    since = func.coalesce(Webhook.last_delivery, Webhook.made_at, type_=Webhook.made_at.type)
    known_until = type_coerce(since, BigInteger) + DELAY // timedelta(microseconds=1)
    later = (
        select(literal(1))
        .where(IS_FOUND, _event.connector_id == Webhook.connector_id)
        .where(type_coerce(_event.timestamp, BigInteger) > known_until, _event.timestamp <= now - DELAY)
        .limit(MAX_EVENTS)
        .correlate(Webhook)
        .subquery()
    )
    count = select(func.count()).select_from(later).correlate(Webhook).scalar_subquery()
    query = select(Webhook.connector_id, since, Webhook.last_delivery.is_(None), count)
    rows = db.session.execute(query.where(Webhook.connector_id.in_(numbers)))
    return {number: SilentWebhook(time, is_new, events) for number, time, is_new, events in rows if events}
