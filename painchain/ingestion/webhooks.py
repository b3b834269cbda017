"""Receive webhooks: with a secret for each connector, genuine deliveries only, each of them once."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from secrets import token_urlsafe

from sqlalchemy import delete, update

from painchain.audit import event_kinds
from painchain.audit.trail import Trail
from painchain.configuration.connector_store import get, subject, type_of
from painchain.configuration.errors import ChangeRefused
from painchain.connectors.contract import Delivery, InvalidSignature, SourceEvent, WebhookHandler
from painchain.core import runtime
from painchain.core.crypto import open_sealed, seal
from painchain.core.redaction import scrub
from painchain.database.models import Connector, Webhook, WebhookDelivery
from painchain.database.session import db, write_transaction
from painchain.database.types import iso
from painchain.eventlog import writer
from painchain.ingestion.source_events import add_new, settings_of

SECRET_BYTES = 32
REMEMBERED = timedelta(days=7)  # a source repeats what was not taken for three days at most
IDLE = timedelta(seconds=10)
TOPIC_LENGTH = 60


class NoHook(Exception):
    """There is no such connector, or it has no webhook."""


class SwitchedOff(Exception):
    """The connector is disabled: nothing of it is recorded."""


class NoneTaken(ChangeRefused):
    """Connectors of this type take no webhooks."""


class StaleWebhook(ChangeRefused):
    """Somebody else has set, replaced or removed the secret in the meantime."""


@dataclass(frozen=True)
class Received:
    """The result of a genuine delivery: how many events were new, or that it was `repeated`."""

    events: int
    repeated: bool = False


def of(connector: Connector) -> Webhook | None:
    """Return the webhook of a connector, if it has one."""
    return db.session.get(Webhook, connector.id)


def state(webhook: Webhook | None) -> str:
    """Return a text that differs for each secret and does not reveal it; "" stands for no webhook."""
    return iso(webhook.made_at) if webhook else ""


def make(connector: Connector, trail: Trail, seen: str | None = None) -> str:
    """Give the connector a new webhook secret and return it: it is never shown again.

    The one before, if there is one, is no longer taken. `seen` is the `state` that the person saw, None any.

    :raises NoneTaken: when connectors of this type take no webhooks.
    :raises StaleWebhook: when it is another by now.
    """
    if type_of(connector).webhook is None:
        raise NoneTaken(f"{type_of(connector).label} connectors take no webhooks.")
    webhook = _seen(connector, seen)
    secret = token_urlsafe(SECRET_BYTES)
    if webhook:
        webhook.secret, webhook.made_at, webhook.made_by = _sealed(secret), trail.now, trail.author
    else:
        db.session.add(
            Webhook(connector_id=connector.id, secret=_sealed(secret), made_at=trail.now, made_by=trail.author, told="")
        )
    trail.log(event_kinds.webhook_changed(subject(connector), "replaced" if webhook else "set"))
    return secret


def remove(connector: Connector, trail: Trail, seen: str | None = None) -> bool:
    """Remove the connector's webhook, and say whether it had one: nothing is taken any more.

    :raises StaleWebhook: when it is not the one that the person saw.
    """
    webhook = _seen(connector, seen)
    if webhook is None:
        return False
    db.session.delete(webhook)
    trail.log(event_kinds.webhook_changed(subject(connector), "removed"))
    return True


def receive(type_key: str, connector_id: int, delivery: Delivery, now: datetime) -> Received:
    """Store the events of a delivery, with the same ids as polling gives, unless it was received before.

    :raises NoHook: when nothing is taken under this address.
    :raises InvalidSignature: when it is not signed with the connector's secret.
    :raises SwitchedOff: when the connector is disabled.
    :raises painchain.connectors.contract.UnreadableDelivery: when its body is not what it should be.
    """
    connector, hook, webhook = find(type_key, connector_id)
    sealed = webhook.secret
    hook.verify(delivery, open_sealed(runtime.current().box, sealed))
    _refuse_disabled(connector)
    found = hook.read(delivery, settings_of(connector), now)
    if not found:
        _note_idle(webhook, _summary(hook.topic(delivery), found, 0), now)
        return Received(0)
    with writer.writing() as event_log:
        connector, hook, webhook = find(type_key, connector_id)  # as it is now that nobody else writes
        if webhook.secret != sealed:
            raise InvalidSignature("The secret was replaced in the meantime.")
        _refuse_disabled(connector)
        if not _remember(connector_id, _mark(hook, delivery), now):
            return Received(0, repeated=True)
        events = add_new(event_log, connector, found, now)
        webhook.last_delivery, webhook.told = now, _summary(hook.topic(delivery), found, events)
    return Received(events)


def find(type_key: str, connector_id: int) -> tuple[Connector, WebhookHandler, Webhook]:
    """Return the connector that a delivery is for, how it is read, and its secret.

    :raises NoHook: when there is none.
    """
    connector = get(connector_id) if connector_id < 2**63 else None
    webhook = of(connector) if connector and connector.type == type_key else None
    hook = type_of(connector).webhook if connector else None
    if connector is None or webhook is None or hook is None:
        raise NoHook
    return connector, hook, webhook


def _seen(connector: Connector, seen: str | None) -> Webhook | None:
    webhook = of(connector)
    if seen is not None and seen != state(webhook):
        raise StaleWebhook(f"Somebody else has changed the webhook of “{connector.name}” in the meantime.")
    return webhook


def _refuse_disabled(connector: Connector) -> None:
    if not connector.enabled:
        raise SwitchedOff


def _note_idle(webhook: Webhook, told: str, now: datetime) -> None:
    """Note a delivery without events, at most one in ``IDLE``. Most are such; the log does not move for them."""
    if webhook.last_delivery is None or abs(now - webhook.last_delivery) > IDLE:
        mine = (Webhook.connector_id == webhook.connector_id, Webhook.secret == webhook.secret)
        with write_transaction():
            db.session.execute(update(Webhook).where(*mine).values(last_delivery=now, told=told))


def _remember(connector_id: int, mark: str, now: datetime) -> bool:
    """Remember a delivery and forget old ones; say whether it is new."""
    if db.session.get(WebhookDelivery, (connector_id, mark)):
        return False
    db.session.execute(delete(WebhookDelivery).where(WebhookDelivery.received_at < now - REMEMBERED))
    db.session.add(WebhookDelivery(connector_id=connector_id, mark=mark, received_at=now))
    return True


def _mark(hook: WebhookHandler, delivery: Delivery) -> str:
    """Return what a repeated delivery is known by, always of one length: of its id, or else of all of it."""
    delivery_id = hook.delivery_id(delivery)
    return hashlib.sha256(delivery_id.encode("utf-8", "replace") if delivery_id else delivery.body).hexdigest()


def _summary(topic: str, found: Sequence[SourceEvent], events: int) -> str:
    """Return what a delivery was, in words. Its topic is not signed: it is cut and cleaned."""
    topic = "".join(character for character in " ".join(scrub(topic).split()) if character.isprintable())[:TOPIC_LENGTH]
    if not found:
        news = "nothing to record"
    elif not events:
        news = "known already"
    else:
        news = f"{events} new event{'' if events == 1 else 's'}"
    return f"{topic}: {news}" if topic else news


def _sealed(secret: str) -> str:
    return seal(runtime.current().box, secret)
