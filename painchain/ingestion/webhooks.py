"""Receive webhooks: check the signature with the connector's secret, and record each delivery once."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from secrets import token_bytes
from typing import Any, NamedTuple

from sqlalchemy import bindparam, select, update
from sqlalchemy.engine import Connection

from painchain.audit import event_kinds
from painchain.audit.trail import Trail
from painchain.configuration import connector_store
from painchain.configuration.connector_store import subject, type_of
from painchain.configuration.errors import ChangeRefused
from painchain.connectors.contract import (
    Cursor,
    Delivery,
    InvalidSignature,
    NothingToRecord,
    SourceEvent,
    WebhookContext,
    WebhookHandler,
)
from painchain.core import runtime
from painchain.core.crypto import open_sealed, seal
from painchain.database.models import Connector, PollState, Webhook
from painchain.database.session import db, write_transaction
from painchain.database.types import iso
from painchain.eventlog import writer
from painchain.eventlog.writer import EventLogWriter
from painchain.ingestion import kept_deliveries, pending_events, remembered_deliveries
from painchain.ingestion.kept_deliveries import SafeDelivery
from painchain.ingestion.sanitize import safe_text, safe_topic
from painchain.ingestion.source_events import add_new_from, origin, settings_of

SECRET_BYTES = 32
SHORTEST_SECRET, LONGEST_SECRET = 8, 500  # of those that sources make
SECRET_PREFIX = "whsec_"  # noqa: S105  of Standard Webhooks: sources accept no other signing token
IDLE_INTERVAL = timedelta(seconds=10)
REASON_LENGTH = 300

# Why a genuine delivery adds nothing.
DISABLED = "The connector is disabled."
NO_EVENT = "PainChain records no event for deliveries of this kind."
KNOWN = "Its events are already recorded."
REPEATED = "This delivery was received before."

_FIND = (
    select(Connector, Webhook)
    .join(Webhook, Webhook.connector_id == Connector.id)
    .where(Connector.id == bindparam("number"), Connector.type == bindparam("type_key"))
)


class WebhookNotFound(Exception):
    """No such connector, or it has no webhook."""


class WebhooksUnsupported(ChangeRefused):
    """Connectors of this type do not support webhooks."""


class UnusableSecret(ChangeRefused):
    """A secret that a person entered cannot be used; the message says why."""


class StaleWebhook(ChangeRefused):
    """The secret was set, replaced or removed after this person read it."""


class Receiver(NamedTuple):
    """What a delivery is for: a connector, its type's handler of webhooks, and the stored webhook."""

    connector: Connector
    handler: WebhookHandler
    webhook: Webhook


@dataclass(frozen=True)
class DeliveryResult:
    """The result of a genuine delivery: the number of new events, and why there are none, or why a part made none.

    Events that wait for details from the source's API are counted too. `repeated` says that the delivery was received
    before.
    """

    events: int
    reason: str = ""
    repeated: bool = False


def webhook_of(connector: Connector) -> Webhook | None:
    """Return the webhook of a connector, if it has one."""
    return db.session.get(Webhook, connector.id)


def unpolled(connectors: Sequence[Connector]) -> dict[int, Webhook | None]:
    """Return the webhook of each connector that can only receive deliveries; None where none is set up."""
    numbers = [each.id for each in connectors if type_of(each).webhook and not type_of(each).poll]
    query = select(Webhook).where(Webhook.connector_id.in_(numbers))
    stored = {webhook.connector_id: webhook for webhook in db.session.scalars(query)} if numbers else {}
    return {number: stored.get(number) for number in numbers}


def fingerprint(webhook: Webhook | None) -> str:
    """Return a text that identifies the current secret without revealing it; "" if there is no webhook."""
    return iso(webhook.made_at) if webhook else ""


def set_secret(connector: Connector, trail: Trail, seen: str | None = None, own_secret: str = "") -> str:
    """Set a new webhook secret for the connector and return it. It cannot be read again later.

    Deliveries signed with the previous secret are refused. `seen` is the `fingerprint` that the person saw; None skips
    the check. `own_secret` is the one that the source made; without it, PainChain makes one.

    :raises WebhooksUnsupported: when connectors of this type do not support webhooks.
    :raises UnusableSecret: when the own secret cannot be used.
    :raises StaleWebhook: when the secret has changed since.
    """
    if type_of(connector).webhook is None:
        raise WebhooksUnsupported(f"{type_of(connector).label} connectors do not support webhooks.")
    webhook = _check_seen(connector, seen)
    if own_secret:
        _check_own(own_secret)
    secret = own_secret or SECRET_PREFIX + base64.b64encode(token_bytes(SECRET_BYTES)).decode()
    encrypted = seal(runtime.current().box, secret)
    if webhook:
        webhook.secret, webhook.made_at, webhook.made_by = encrypted, trail.now, trail.author
    else:
        db.session.add(
            Webhook(connector_id=connector.id, secret=encrypted, made_at=trail.now, made_by=trail.author, told="")
        )
    trail.log(event_kinds.webhook_changed(subject(connector), "replaced" if webhook else "set"))
    return secret


def remove(connector: Connector, trail: Trail, seen: str | None = None) -> bool:
    """Remove the connector's webhook. Return whether it had one. Later deliveries are refused.

    :raises StaleWebhook: when the secret has changed since the person saw it.
    """
    webhook = _check_seen(connector, seen)
    if webhook is None:
        return False
    db.session.delete(webhook)
    trail.log(event_kinds.webhook_changed(subject(connector), "removed"))
    return True


def receive(receiver: Receiver, delivery: Delivery, now: datetime) -> DeliveryResult:
    """Record the events of a delivery unless it was received before. Events get the same ids as polling gives them.

    Events that lack details are stored as pending: a worker completes and records them. No request is sent here.

    :raises WebhookNotFound: when the webhook was removed in the meantime.
    :raises InvalidSignature: when the delivery is not signed with the connector's secret.
    :raises painchain.connectors.contract.UnreadableDelivery: when its body cannot be parsed.
    """
    connector, handler, webhook = receiver
    key, connector_id, encrypted_secret = connector.type, connector.id, webhook.secret
    secret, settings = open_sealed(runtime.current().box, encrypted_secret), settings_of(connector)
    handler.verify_for(settings, delivery, secret, now)
    to_keep = _to_keep(handler, delivery, settings, secret)
    received = _Received(connector_id, safe_topic(handler.topic(delivery)), now, to_keep)
    try:
        context = WebhookContext(connector_id, settings, now, lambda: _cursor(connector_id))
        events = _read(connector, handler, delivery, context)
    except NothingToRecord as nothing:
        reason = _safe_reason(str(nothing), connector, secret)
        _note_idle(webhook, received, reason)
        return DeliveryResult(0, reason)
    left_out = _safe_reason(" ".join(context.left_out), connector, secret)
    with writer.writing() as event_log:
        connector, handler, webhook = find_webhook(key, connector_id)  # again, under the write lock
        if webhook.secret != encrypted_secret:
            raise InvalidSignature("The secret was replaced while this delivery was processed.")
        delivery_key = "" if left_out else _delivery_key(handler, delivery)
        if not connector.enabled:
            result = DeliveryResult(0, DISABLED)
        elif delivery_key and not remembered_deliveries.remember(event_log.connection, connector_id, delivery_key, now):
            result = DeliveryResult(0, REPEATED, repeated=True)
        else:  # one with a part that is left out is not remembered: with another mapping, it can be sent again
            added = _add(event_log, connector, events, secret, now)
            result = DeliveryResult(added, " ".join(filter(None, ("" if added else KNOWN, left_out))))
            if added and type_of(connector).poll:
                _remember_server(connector, handler)
        _note(event_log.connection, webhook, received, result)
    return result


def note(connector: Connector, delivery: Delivery, result: DeliveryResult, now: datetime) -> None:
    """Note the result of a delivery whose events are recorded, and keep it, inside the write transaction."""
    connector, handler, webhook = find_webhook(connector.type, connector.id)
    to_keep = _to_keep(handler, delivery, settings_of(connector), open_sealed(runtime.current().box, webhook.secret))
    received = _Received(connector.id, safe_topic(handler.topic(delivery)), now, to_keep)
    _note(db.session.connection(), webhook, received, result)


@dataclass(frozen=True)
class _Received:
    """A genuine delivery, and what is kept of it; None if nothing is."""

    connector_id: int
    topic: str
    now: datetime
    to_keep: SafeDelivery | None

    def keep(self, connection: Connection, events: int, reason: str) -> None:
        """Keep the delivery with its result, inside a write transaction."""
        if self.to_keep:
            kept_deliveries.add(connection, self.connector_id, self.to_keep, self.topic, events, reason, self.now)


def _safe_reason(reason: str, connector: Connector, secret: str) -> str:
    return safe_text(reason, (*origin(connector).secrets, secret), REASON_LENGTH) if reason else ""


def _to_keep(
    handler: WebhookHandler, delivery: Delivery, settings: Mapping[str, Any], secret: str
) -> SafeDelivery | None:
    if handler.configured is None:
        return None
    return kept_deliveries.safe(delivery, handler.configured.kept_headers(settings, delivery.headers), (secret,))


def _read(
    connector: Connector, handler: WebhookHandler, delivery: Delivery, context: WebhookContext
) -> Sequence[SourceEvent]:
    """Return the events of a delivery.

    :raises NothingToRecord: when there are none.
    """
    if not connector.enabled:
        raise NothingToRecord(DISABLED)
    events = handler.read(delivery, context)
    if not events:
        raise NothingToRecord(NO_EVENT)
    return events


def _add(
    event_log: EventLogWriter, connector: Connector, events: Sequence[SourceEvent], secret: str, now: datetime
) -> int:
    """Record the events that are complete, and store the others as pending. Return how many are new."""
    handler = type_of(connector).webhook
    can_complete = handler is not None and handler.complete is not None
    complete, incomplete = list[SourceEvent](), list[SourceEvent]()
    for event in events:
        (incomplete if can_complete and event.details is not None else complete).append(event)
    source = origin(connector)
    source = replace(source, secrets=(*source.secrets, secret))
    added = add_new_from(event_log, source, complete, now) if complete else 0
    return added + pending_events.add(event_log, connector, incomplete, now)


def _remember_server(connector: Connector, handler: WebhookHandler) -> None:
    """Store which server the first events come from: the ids of their repositories are those of this server."""
    state = db.session.get(PollState, connector.id)
    if state and state.last_success is None and not state.cursor:
        state.cursor = handler.first_cursor(connector_store.values(connector))


def _cursor(connector_id: int) -> Cursor:
    state = db.session.get(PollState, connector_id)
    return state.cursor if state else {}


def find_webhook(type_key: str, connector_id: int) -> Receiver:
    """Return what a delivery to an address is for.

    :raises WebhookNotFound: when no such connector has a webhook.
    """
    address = {"number": connector_id, "type_key": type_key}
    found = db.session.execute(_FIND, address).one_or_none() if connector_id < 2**63 else None
    handler = type_of(found.Connector).webhook if found else None
    if found is None or handler is None:
        raise WebhookNotFound
    return Receiver(found.Connector, handler, found.Webhook)


def _check_own(secret: str) -> None:
    if not SHORTEST_SECRET <= len(secret) <= LONGEST_SECRET:
        raise UnusableSecret(f"The secret must have {SHORTEST_SECRET} to {LONGEST_SECRET} characters.")
    if not secret.isascii() or not secret.isprintable() or secret.strip() != secret:
        raise UnusableSecret("The secret must have only printable ASCII characters, and no space around it.")


def _check_seen(connector: Connector, seen: str | None) -> Webhook | None:
    webhook = webhook_of(connector)
    if seen is not None and seen != fingerprint(webhook):
        raise StaleWebhook(
            f"The webhook of “{connector.name}” was changed by someone else. Reload the page and try again."
        )
    return webhook


def _note(connection: Connection, webhook: Webhook, received: _Received, result: DeliveryResult) -> None:
    """Note the result of a delivery, inside the write transaction.

    Without a poll, a repeated one is the only sign that the source is there: an alert that still fires, for example.
    """
    if result.repeated and received.to_keep is None:
        return
    summary = _summary(received.topic, result.events, result.reason)
    is_new = bool(result.events) or _is_new(webhook, received, summary)
    webhook.last_delivery, webhook.told = received.now, summary
    if is_new and not result.repeated:
        received.keep(connection, result.events, result.reason)


def _note_idle(webhook: Webhook, received: _Received, reason: str) -> None:
    """Note a delivery without events; the same again only after ``IDLE_INTERVAL``. The log is not written for it."""
    summary = _summary(received.topic, 0, reason)
    if _is_new(webhook, received, summary):
        same_webhook = (Webhook.connector_id == webhook.connector_id, Webhook.secret == webhook.secret)
        noted = update(Webhook).where(*same_webhook).values(last_delivery=received.now, told=summary)
        with write_transaction() as connection:
            if connection.execute(noted).rowcount:
                received.keep(connection, 0, reason)


def _is_new(webhook: Webhook, received: _Received, summary: str) -> bool:
    """Return whether a delivery is not the same as the one before, or comes long enough after it."""
    last = webhook.last_delivery
    return last is None or webhook.told != summary or abs(received.now - last) > IDLE_INTERVAL


def _delivery_key(handler: WebhookHandler, delivery: Delivery) -> str:
    """Return the SHA-256, in hexadecimal, of the delivery's id, or of its body if it has no id."""
    delivery_id = handler.delivery_id(delivery)
    return hashlib.sha256(delivery_id.encode("utf-8", "replace") if delivery_id else delivery.body).hexdigest()


def _summary(topic: str, new_events: int, reason: str) -> str:
    """Describe a delivery in a few words."""
    count = f"{new_events} new event{'' if new_events == 1 else 's'}" if new_events else "nothing recorded"
    result = f"{count}. {reason.rstrip('.')}" if reason else count
    return f"{topic}: {result}" if topic else result
