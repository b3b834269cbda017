"""Try settings that are not saved on deliveries of a webhook: the events that they would make."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from painchain.configuration.connector_store import type_of
from painchain.configuration.errors import ChangeRefused, InvalidValues
from painchain.connectors.base import ConnectorType
from painchain.connectors.contract import Delivery, NothingToRecord, SourceEvent, WebhookContext
from painchain.database.models import Connector, KeptDelivery
from painchain.ingestion.sanitize import safe_text, sanitize
from painchain.ingestion.source_events import clamped, settings_of
from painchain.ingestion.webhooks import NO_EVENT, REASON_LENGTH

MAX_SECONDS = 2.0  # of all deliveries together
INCOMPLETE = "Its body was not kept as a whole, so the mapping cannot be tried on it."
TOO_SLOW = "Not tried: the mapping took too long on the deliveries before it."


@dataclass(frozen=True)
class Sample:
    """A delivery to try settings on: a kept one, or one that a person pasted. Without `delivery` it is not complete."""

    delivery: Delivery | None
    kept: KeptDelivery | None = None


@dataclass(frozen=True)
class Trial:
    """The events that settings make of a sample, and the reason why there is none, or none of a part of it."""

    sample: Sample
    events: Sequence[SourceEvent] = ()
    reason: str = ""


def supports(connector_type: ConnectorType) -> bool:
    """Return whether connectors of this type have settings that decide how deliveries are read."""
    return connector_type.webhook is not None and connector_type.webhook.configured is not None


def pasted(payload: str, headers: Mapping[str, str] | None = None) -> Sample:
    """Return the sample of a payload that a person pasted, with the headers that came with it."""
    names = {name.strip().lower(): value.strip() for name, value in (headers or {}).items()}
    return Sample(Delivery(names, payload.encode("utf-8", "replace")))


def of_kept(kept: KeptDelivery) -> Sample:
    """Return the sample of a kept delivery."""
    return Sample(Delivery(kept.headers, kept.body.encode()) if kept.is_whole else None, kept)


def for_connector(
    connector: Connector, submitted: Mapping[str, Any], samples: Iterable[Sample], now: datetime
) -> list[Trial]:
    """Try the settings of a connector, with those that were `submitted` in their place.

    :raises ChangeRefused: when connectors of this type have no such settings.
    :raises InvalidValues: when a submitted value is invalid.
    """
    return _run(type_of(connector), settings_of(connector), submitted, samples, (connector.id, now))


def for_new(
    connector_type: ConnectorType, submitted: Mapping[str, Any], samples: Iterable[Sample], now: datetime
) -> list[Trial]:
    """Try the settings of a connector that is not there yet.

    :raises ChangeRefused: when connectors of this type have no such settings.
    :raises InvalidValues: when a submitted value is invalid.
    """
    return _run(connector_type, connector_type.defaults(), submitted, samples, (0, now))


def _run(
    connector_type: ConnectorType,
    stored: Mapping[str, Any],
    submitted: Mapping[str, Any],
    samples: Iterable[Sample],
    context: tuple[int, datetime],
) -> list[Trial]:
    if not supports(connector_type):
        raise ChangeRefused(f"{connector_type.label} connectors have no mapping to try.")
    own = {field.key for field in connector_type.fields}
    cleaned, errors = connector_type.clean({key: value for key, value in submitted.items() if key in own})
    if errors:
        raise InvalidValues(errors)
    connector_id, now = context
    of_connector = WebhookContext(connector_id, {**stored, **cleaned}, now)
    end = time.monotonic() + MAX_SECONDS
    return [
        _trial(connector_type, sample, of_connector) if time.monotonic() < end else Trial(sample, reason=TOO_SLOW)
        for sample in samples
    ]


def _trial(connector_type: ConnectorType, sample: Sample, context: WebhookContext) -> Trial:
    if sample.delivery is None or connector_type.webhook is None:
        return Trial(sample, reason=INCOMPLETE)
    of_sample = replace(context, left_out=[])
    try:
        events = connector_type.webhook.read(sample.delivery, of_sample)
    except NothingToRecord as nothing:
        return Trial(sample, reason=safe_text(nothing, (), REASON_LENGTH))
    safe = [_as_recorded(event, of_sample.now) for event in events]
    left_out = safe_text(" ".join(of_sample.left_out), (), REASON_LENGTH)
    return Trial(sample, safe, left_out if safe else NO_EVENT)


def _as_recorded(event: SourceEvent, now: datetime) -> SourceEvent:
    safe = sanitize(event, ())
    return SourceEvent(**{**vars(safe), "timestamp": clamped(safe.timestamp, now)})
