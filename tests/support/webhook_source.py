"""A sample source of webhooks whose deliveries are signed like GitHub's. Each delivery contains any number of casts.

If the connector has the URL of an API, the API adds the metal of each cast.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from painchain.connectors.base import ConnectorType, EventType, Field, Kind, fields
from painchain.connectors.contract import (
    Delivery,
    InvalidSignature,
    NothingToRecord,
    SourceEvent,
    UnreadableDelivery,
    WebhookContext,
    WebhookHandler,
)
from painchain.connectors.http_client import HttpClient


def sign(body: bytes, secret: str) -> str:
    """Return the signature of a body."""
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def _verify(delivery: Delivery, secret: str, now: datetime) -> None:
    if not hmac.compare_digest(delivery.headers.get("x-forge-signature", ""), sign(delivery.body, secret)):
        raise InvalidSignature


def _read(delivery: Delivery, context: WebhookContext) -> Sequence[SourceEvent]:
    try:
        body = json.loads(delivery.body)
        casts = [cast for cast in body["casts"] if cast != context.settings.get("ignored")]
    except (ValueError, TypeError, KeyError):
        raise UnreadableDelivery("The body is not what the forge sends.") from None
    if not casts and delivery.headers.get("x-forge-topic") == "ping":
        raise NothingToRecord("The forge tests the webhook.")
    return [_cast(cast, context) for cast in casts]


def _cast(cast: str, context: WebhookContext) -> SourceEvent:
    details = {"cast": cast} if context.settings.get("api") else None
    event_id = f"cast-{context.connector_id}-{cast}" if details else f"cast-{cast}"
    return SourceEvent(event_id, "Cast", f"[Cast] {cast}", context.now, "smith", details=details)


def _complete(context: WebhookContext, event: SourceEvent) -> SourceEvent:
    """Ask the forge's API for the metal of a cast."""
    assert event.details
    with HttpClient(context.settings["api"], {}, context.now, step_seconds=5) as client:
        response = client.get(f"casts/{event.details['cast']}").value
    event_id = response.get("id") or event.event_id
    return replace(event, event_id=event_id, facts={"metal": response["metal"]}, details=None)


HOOK = WebhookHandler(
    _verify,
    lambda delivery: delivery.headers.get("x-forge-delivery", ""),
    _read,
    "Enter URL and secret at the forge, and tick Casts.",
    lambda delivery: delivery.headers.get("x-forge-topic", ""),
    _complete,
)
WEBHOOK_SOURCE = ConnectorType(
    key="forge",
    label="Forge",
    summary="Casts of a forge.",
    icon="circle",
    colour="grey",
    fields=(Field("ignored", "Ignored", Kind.TEXT), Field("api", "API", Kind.URL)),
    event_types=(EventType("Cast", "Cast", fields(metal="Metal")),),
    webhook=HOOK,
)


def deliver(
    client: FlaskClient, address: str, secret: str, casts: Any, delivery: str = "", **headers: str
) -> TestResponse:
    """Post a signed delivery that lists `casts`; bytes are posted unchanged as the body."""
    body = casts if isinstance(casts, bytes) else json.dumps({"casts": casts}).encode()
    all_headers = {"X-Forge-Signature": sign(body, secret), "X-Forge-Delivery": delivery, **headers}
    return client.post(address, data=body, content_type="application/json", headers=all_headers)
