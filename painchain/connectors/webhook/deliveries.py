"""Verify and read the deliveries of a Webhook connector."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote

from painchain.connectors.change_types import type_name
from painchain.connectors.contract import (
    ConfiguredWebhook,
    Delivery,
    InvalidSignature,
    NothingToRecord,
    SetupGuide,
    SourceEvent,
    WebhookContext,
    WebhookHandler,
)
from painchain.connectors.webhook import signing
from painchain.connectors.webhook.mapping import MappingError
from painchain.connectors.webhook.settings import expressions_of, preset_of, signing_of

GROUP_PARTS = 3  # of the id of an event in a group: the source, the connector, and what the events have in common
# The headers in which sources name what they deliver: X-Gitea-Event, X-Event-Key, Sentry-Hook-Resource, Ce-Type …
_TOPIC_HEADER = re.compile(r".*(event|event-key|event-type|hook-resource|topic|ce-type)")
_TOPIC = re.compile(r"[A-Za-z0-9][\w .:/-]{0,59}", re.ASCII)
UNKNOWN_PRESET = "This version of PainChain does not have the connector's preset. Choose another one."


def read(delivery: Delivery, context: WebhookContext) -> Sequence[SourceEvent]:
    """Return the events that the connector's mapping makes of a delivery, and say which items make none.

    :raises NothingToRecord: if it makes none, with the reason.
    """
    settings = context.settings
    preset = preset_of(settings)
    if preset is None:
        raise NothingToRecord(UNKNOWN_PRESET)
    try:
        compiled = preset.compiled(expressions_of(settings))
        found = compiled.events(_payload(delivery), _kept_headers(settings, delivery.headers))
    except MappingError as problem:
        raise NothingToRecord(f"The mapping does not fit. {problem}") from None
    digest = hashlib.sha256(delivery.body).hexdigest()[:32]
    events = [_event(item, f"{digest}-{index}", context) for index, item in enumerate(found)]
    problems = [(number, each) for number, each in enumerate(events, 1) if isinstance(each, MappingError)]
    made = [each for each in events if isinstance(each, SourceEvent)]
    if problems and not made:
        raise NothingToRecord(_misfit(problems, len(events)))
    if problems:
        context.left_out.append(_misfit(problems, len(events)))
    return made


def _misfit(problems: Sequence[tuple[int, MappingError]], items: int) -> str:
    """Say for how many items there is no event, and what is wrong with the first of them."""
    number, problem = problems[0]
    if items == 1:
        return f"The mapping does not fit. {problem}"
    return f"The mapping does not fit {len(problems):,} of {items:,} items. Item {number:,}: {problem}"


def _payload(delivery: Delivery) -> Any:
    try:
        return json.loads(delivery.body)
    except (ValueError, RecursionError):
        raise NothingToRecord("The body is not JSON.") from None


def _event(
    members: Mapping[str, Any] | MappingError, own_id: str, context: WebhookContext
) -> SourceEvent | MappingError:
    """Return the event of the members that a mapping gave. `own_id` is its id if the source gives it none."""
    # Commands do without Pydantic, whose import takes a sixth of the processor time until they start.
    from painchain.connectors import change_event
    from painchain.core.validation import BadBody, read

    if isinstance(members, MappingError):
        return members
    defaults = {name: context.settings.get(name) for name in ("service", "environment")}
    given = {name: value for name, value in {**defaults, **members}.items() if value is not None and name != "group"}
    try:
        event = read(change_event.ChangeEvent, json.dumps(given).encode())
    except BadBody as problem:
        first = problem.errors[0]
        return MappingError(first["field"] or "event", first["message"])
    time = min(event.time or context.now, context.now)
    facts = change_event.facts(event, time)
    author = facts.pop("actor", None)  # as at other sources: a source says who did it
    return SourceEvent(
        event_id=_event_id(context.connector_id, members.get("group"), event.external_id, own_id),
        event_type=type_name(event.kind),
        title=event.title,
        timestamp=time,
        author=author or "unknown",
        status=event.status,
        url=event.url,
        text=event.description,
        facts=facts,
        tags=tuple(event.tags),
    )


def _event_id(connector_id: int, group: str | None, external_id: str | None, own_id: str) -> str:
    """Return the id of an event: the same for a repeated delivery. Those of a group have `GROUP_PARTS` parts before it.

    >>> _event_id(7, "disk:full", "1", ""), _event_id(7, None, None, "ab-0")
    ('webhook:7:disk%3Afull:1', 'webhook:7:body-ab-0')
    """
    last = quote(external_id, safe=" /") if external_id else f"body-{own_id}"
    return ":".join(["webhook", str(connector_id), *([quote(group, safe=" /")] if group else []), last])


def _verify(settings: Mapping[str, Any], delivery: Delivery, secret: str, now: datetime) -> None:
    signing.verify(signing_of(settings), delivery, secret, now)


def _kept_headers(settings: Mapping[str, Any], headers: Mapping[str, str]) -> Mapping[str, str]:
    return signing.public_headers(signing_of(settings), headers)


def _guide(settings: Mapping[str, Any]) -> SetupGuide:
    preset = preset_of(settings)
    return SetupGuide(preset.sender, preset.setup, preset.gives_secret) if preset else SetupGuide("the source", "")


def _refuse(delivery: Delivery, secret: str, now: datetime) -> None:
    raise InvalidSignature("Without settings, nothing says how deliveries are signed.")


def _delivery_id(delivery: Delivery) -> str:
    """Return the id that Standard Webhooks give a delivery; "" without one."""
    return delivery.headers.get("webhook-id", "")


def _topic(delivery: Delivery) -> str:
    """Return the source's name of what it delivers, if a header has one."""
    values = (value for name, value in delivery.headers.items() if _TOPIC_HEADER.fullmatch(name))
    return next((value for value in values if _TOPIC.fullmatch(value)), "")


HANDLER = WebhookHandler(
    verify=_refuse,
    delivery_id=_delivery_id,
    read=read,
    topic=_topic,
    configured=ConfiguredWebhook(_verify, _kept_headers, _guide),
)
