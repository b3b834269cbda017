"""What the company's Alertmanager and its CI server post: deliveries, read by the presets of two webhook connectors."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial
from random import Random
from typing import Any

from sqlalchemy import select

from painchain import connectors
from painchain.audit.trail import Trail
from painchain.configuration import connector_store
from painchain.configuration.connector_store import type_of
from painchain.connectors.contract import Delivery, NothingToRecord, SourceEvent, WebhookContext
from painchain.database.models import Connector
from painchain.database.session import db
from painchain.database.types import microseconds
from painchain.eventlog import writer
from painchain.eventlog.writer import EventLogWriter
from painchain.ingestion import source_events, webhooks
from painchain.ingestion.webhooks import DeliveryResult
from painchain.maintenance.demo.company import ADMINS, Company, stamp
from painchain.maintenance.demo.connectors import Action

ALERTMANAGER, JENKINS = "Demo Alertmanager", "Demo Jenkins"
PRESETS = {ALERTMANAGER: "alertmanager", JENKINS: "jenkins"}
SHARE = 60  # of so many events, there is one alert or build
MOST = 60  # of all alerts and builds
ALERTS = (
    ("HighErrorRate", "page", "More than 5 % of requests fail"),
    ("SlowResponses", "ticket", "Half of the requests take longer than a second"),
    ("QueueBacklog", "page", "More than 1,000 jobs wait"),
)
MINUTE = timedelta(minutes=1)


def create(event_log: EventLogWriter, at: datetime) -> None:
    """Create the webhook connectors that are missing, each with a secret that nobody knows."""
    existing = _stored()
    for index, (name, preset) in enumerate(PRESETS.items(), 20):
        if name not in existing:
            made_at = at + timedelta(seconds=index)
            trail = Trail(event_log, ADMINS[0], writer.new_request_id(made_at), made_at, reason="Set up the demo")
            values = {"name": name, "preset": preset, "environment": "production", "tags": ["demo", "on-call"]}
            connector = connector_store.create(connectors.TYPES["webhook"], values, True, trail)
            webhooks.set_secret(connector, trail)


def received(company: Company, events: int, begin: datetime, now: datetime) -> Iterator[Action]:
    """Yield deliveries, spread over the time of a log with so many events: an alert, a build, and so on.

    The last alert fires while the checkout crashes.
    """
    random = Random(events)  # noqa: S311  nothing here is secret
    amount = min(max(events // SHARE, 2), MOST)
    for turn in range(amount):
        at = begin + (now - begin) * (turn + 0.25 + random.random() / 2) / (amount + 1)
        alert = ALERTS[turn // 2 % len(ALERTS)]
        if turn % 2:
            yield from _build(company, random, at)
        else:
            end = at + random.randrange(4, 70) * MINUTE
            yield from _alert(company, random.choice(company.services).name, alert, at, end)
    yield from _alert(company, "checkout", ALERTS[0], now - 84 * MINUTE, now - 50 * MINUTE)


def _alert(
    company: Company, service: str, alert: tuple[str, str, str], start: datetime, end: datetime
) -> Iterator[Action]:
    """Yield the deliveries of an alert that fires and is resolved."""
    name, severity, summary = alert
    labels = {"alertname": name, "service": service, "environment": "production", "severity": severity}
    described = {
        "labels": labels,
        "annotations": {"summary": summary},
        "startsAt": stamp(start),
        "generatorURL": f"https://prometheus.demo.invalid/graph?g0.expr={name}",
        "fingerprint": company.digest()[:16],
    }
    for status, at in (("firing", start), ("resolved", end)):
        item = {**described, "status": status, "endsAt": stamp(end) if status == "resolved" else "0001-01-01T00:00:00Z"}
        payload = {"version": "4", "status": status, "receiver": "painchain", "alerts": [item]}
        yield _delivery(ALERTMANAGER, payload, at + timedelta(seconds=30), 1)


def _build(company: Company, random: Random, start: datetime) -> Iterator[Action]:
    """Yield the deliveries of a build that deploys a service. That of its phase COMPLETED makes no event."""
    service, number = random.choice(company.services), company.next("jenkins", 400)
    seconds, name = random.randrange(60, 900), f"deploy-{service.name}"
    build = {
        "number": number,
        "full_url": f"https://jenkins.demo.invalid/job/{name}/{number}/",
        "parameters": {"SERVICE": service.name, "ENVIRONMENT": "production", "VERSION": f"1.{number % 90}.0"},
        "scm": {"url": f"{service.url}.git", "branch": "origin/main", "commit": company.sha()},
    }
    result = "FAILURE" if random.random() < 0.15 else "SUCCESS"
    for phase, after, events in (("STARTED", 0, 1), ("COMPLETED", seconds, 0), ("FINALIZED", seconds + 1, 1)):
        at = start + timedelta(seconds=after)
        ended: dict[str, Any] = {"status": result, "duration": seconds * 1_000} if after else {}
        state = {**build, "phase": phase, "timestamp": microseconds(at) // 1_000, **ended}
        yield _delivery(JENKINS, {"name": name, "display_name": name, "build": state}, at, events)


def _delivery(name: str, payload: dict[str, Any], at: datetime, events: int) -> Action:
    return Action(at, events, partial(_receive, name, payload, at))


def _receive(name: str, payload: dict[str, Any], at: datetime, event_log: EventLogWriter) -> None:
    """Record and keep a delivery as the receiver of webhooks does."""
    connector = _stored()[name]
    settings, delivery = connector_store.values(connector), Delivery({}, json.dumps(payload).encode())
    events: Sequence[SourceEvent] = ()
    reason = ""
    try:
        if handler := type_of(connector).webhook:
            events = handler.read(delivery, WebhookContext(connector.id, settings, at))
    except NothingToRecord as nothing:
        reason = str(nothing)
    added = source_events.add_new(event_log, connector, events, at)
    webhooks.note(connector, delivery, DeliveryResult(added, reason), at)


def _stored() -> dict[str, Connector]:
    rows = db.session.scalars(select(Connector).where(Connector.name.in_(PRESETS)))
    return {connector.name: connector for connector in rows}
