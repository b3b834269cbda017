"""Webhooks: their secret, their last deliveries, and what a mapping makes of a delivery."""

from __future__ import annotations

import json
from typing import Any

from pydantic import Field

from painchain.connectors.contract import SourceEvent
from painchain.database import models
from painchain.ingestion.mapping_trials import Trial
from painchain.web.api.resources.base import Resource, Time
from painchain.web.common.links import webhook_address


class Webhook(Resource):
    """The webhook of a connector, without its secret."""

    url: str
    set: bool = Field(description="Whether a secret is set. Without one, deliveries are rejected.")
    made_at: Time | None
    made_by: str | None
    last_delivery: Time | None
    last_told: str | None = Field(description="Summary of the last delivery.")

    @classmethod
    def of(cls, connector: models.Connector, webhook: models.Webhook | None) -> Webhook:
        """Return the resource of a connector's webhook, which it may not have."""
        return cls(
            url=webhook_address(connector),
            set=webhook is not None,
            made_at=webhook.made_at if webhook else None,
            made_by=webhook.made_by if webhook else None,
            last_delivery=webhook.last_delivery if webhook else None,
            last_told=webhook.told if webhook and webhook.last_delivery else None,
        )


class NewWebhook(Resource):
    """The address and the new secret of a webhook."""

    url: str = Field(description="URL for deliveries.")
    secret: str = Field(description="Shown only once.")


class Delivery(Resource):
    """One of the last deliveries of a webhook, without secrets."""

    id: int
    received_at: Time
    topic: str = Field(description="The source's name of what it delivered, or empty.")
    events: int = Field(description="How many new events it made.")
    reason: str = Field(description="Why it made none, or why a part of it made none.")
    headers: dict[str, str] = Field(description="Without those that can have a secret.")
    payload: Any = Field(description="The JSON body, with secrets masked; null if it was not JSON or too large.")
    whole: bool = Field(description="False if long texts and lists were cut, or the payload is not kept.")

    @classmethod
    def of(cls, kept: models.KeptDelivery) -> Delivery:
        """Return the resource of a kept delivery."""
        return cls(
            id=kept.id,
            received_at=kept.received_at,
            topic=kept.topic,
            events=kept.events,
            reason=kept.reason,
            headers=kept.headers,
            payload=json.loads(kept.body) if kept.body else None,
            whole=kept.is_whole,
        )


class TriedEvent(Resource):
    """An event that a mapping would record."""

    event_id: str
    event_type: str
    title: str
    text: str
    author: str
    timestamp: Time
    status: str | None
    url: str | None
    metadata: dict[str, Any]
    tags: list[str]

    @classmethod
    def of(cls, event: SourceEvent) -> TriedEvent:
        """Return the resource of an event that is not recorded."""
        return cls(
            event_id=event.event_id,
            event_type=event.event_type,
            title=event.title,
            text=event.text,
            author=event.author,
            timestamp=event.timestamp,
            status=event.status or None,
            url=event.url,
            metadata=dict(event.facts),
            tags=list(event.tags),
        )


class TriedDelivery(Resource):
    """What a mapping makes of a delivery."""

    delivery: int | None = Field(description="The id of the delivery; null for the payload of the request.")
    events: list[TriedEvent]
    reason: str = Field(description="Why there are no events, or why a part of it makes none.")

    @classmethod
    def of(cls, trial: Trial) -> TriedDelivery:
        """Return the resource of a trial."""
        return cls(
            delivery=trial.sample.kept.id if trial.sample.kept else None,
            events=[TriedEvent.of(event) for event in trial.events],
            reason=trial.reason,
        )
