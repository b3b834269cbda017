"""Changes that the company's scripts and pipelines report: migrations, feature flags, DNS, infrastructure, an alert."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial
from random import Random
from typing import Any

from painchain.connectors import api
from painchain.connectors.change_event import ChangeEvent, facts
from painchain.connectors.change_types import type_name
from painchain.database.types import microseconds
from painchain.eventlog.writer import EventLogWriter, NewEvent
from painchain.maintenance.demo.company import AUTHORS, Company
from painchain.maintenance.demo.connectors import Action

SHARE = 30  # of so many events, one is reported by a script
RUNBOOKS = "https://runbooks.demo.invalid"
FLAGS = ("gift-cards", "express-checkout", "new-search", "stock-by-size", "invoice-pdf", "declined-reasons")
TABLES = ("orders", "customers", "invoices", "stock", "sessions", "carts")
MODULES = ("network", "database", "object-storage", "queues", "certificates")
HOSTS = ("www", "api", "static", "mail", "status")
ALERTS = ("HighErrorRate", "SlowResponses", "QueueBacklog", "CertificateExpiresSoon")
Made = tuple[str, ChangeEvent]  # the name of the token, and the change
MINUTE = timedelta(minutes=1)


def reported(company: Company, events: int, begin: datetime, now: datetime) -> Iterator[Action]:
    """Yield what scripts report, spread over the time of a log with so many events; of an incident, two changes."""
    random, number = Random(events), 0  # noqa: S311  nothing here is secret
    amount = max(events // SHARE, len(_STORIES))
    for turn in range(amount):
        at = begin + (now - begin) * (turn + 0.25 + random.random() / 2) / amount
        for token, change in _STORIES[turn % len(_STORIES)](company, random, at, turn // len(_STORIES)):
            number += 1
            recorded_at = change.end_time or change.time or at
            if recorded_at <= now:
                yield Action(recorded_at, 1, partial(_append, token, change, recorded_at, company.base, number))


def _append(
    token: str, change: ChangeEvent, recorded_at: datetime, base: int, number: int, log: EventLogWriter
) -> None:
    """Append a change as the API records it."""
    time, author = change.time or recorded_at, f"token:{token}"
    log.append(
        NewEvent(
            event_id=f"api:{author.replace(':', '%3A')}:demo-{base}-{number}",
            source=api.TYPE.key,
            event_type=type_name(change.kind),
            title=change.title,
            description={"text": change.description},
            metadata=facts(change, time),
            author=author,
            request_id=f"{microseconds(recorded_at):016x}{base:08x}{number:08x}",
            timestamp=time,
            recorded_at=recorded_at,
            connector_type=api.TYPE.key,
            status=change.status,
            url=change.url,
            tags=change.tags,
        )
    )


def _change(random: Random, title: str, kind: str, at: datetime, **members: Any) -> ChangeEvent:
    service = members.pop("service", None)
    return ChangeEvent(title=title, kind=kind, time=at, service=service, actor=random.choice(AUTHORS), **members)


def _migration(company: Company, random: Random, at: datetime, turn: int) -> Iterator[Made]:
    service, table = random.choice(company.services), random.choice(TABLES)
    version, is_bad = f"{2026_000 + 7 * turn}", random.random() < 0.15
    for environment, hours in (("staging", 0), ("production", 2)):
        start = at + timedelta(hours=hours)
        end = start + timedelta(seconds=random.randrange(20, 900))
        failed = is_bad and environment == "production"
        yield (
            "Demo pipelines",
            _change(
                random,
                f"Migrate {table}",
                "migration",
                start,
                end_time=end,
                service=service.name,
                environment=environment,
                version=version,
                status="failure" if failed else "success",
                description="The table was locked by a report." if failed else "",
                data={"exit_status": 1 if failed else 0},
            ),
        )


def _flag(company: Company, random: Random, at: datetime, turn: int) -> Iterator[Made]:
    flag, service = FLAGS[turn % len(FLAGS)], random.choice(company.services)
    percent = (10, 50, 100)[turn % 3]
    change = _change(
        random,
        f"Enabled {flag} for {percent} %",
        "feature_flag",
        at,
        service=service.name,
        environment="production",
        status="enabled",
        tags=["flags"],
        data={"strategy": "gradual", "percent": percent},
    )
    yield "Demo feature flags", change
    if random.random() < 0.2:
        members = {"service": service.name, "environment": "production", "status": "disabled", "tags": ["flags"]}
        yield (
            "Demo feature flags",
            _change(random, f"Disabled {flag}", "feature_flag", at + 25 * MINUTE, **members),
        )


def _infrastructure(company: Company, random: Random, at: datetime, turn: int) -> Iterator[Made]:
    module, environment = MODULES[turn % len(MODULES)], random.choice(("staging", "production"))
    changed = random.randrange(1, 9)
    change = _change(
        random,
        f"Applied {module}: {changed} to change",
        "infrastructure",
        at,
        end_time=at + timedelta(seconds=random.randrange(40, 1_200)),
        environment=environment,
        repository="platform/infrastructure",
        sha=company.sha(),
        status="applied",
        url=f"https://terraform.demo.invalid/runs/{company.next('run', 900)}",
        data={"add": 0, "change": changed, "destroy": changed // 4},
    )
    yield "Demo pipelines", change


def _dns(company: Company, random: Random, at: datetime, turn: int) -> Iterator[Made]:
    name = f"{HOSTS[turn % len(HOSTS)]}.shop.demo.invalid"
    address = f"192.0.2.{random.randrange(2, 250)}"
    data = {"type": "A", "new": address, "ttl": 300}
    yield (
        "Demo DNS",
        _change(random, f"Point {name} to {address}", "dns", at, environment="production", data=data),
    )


def _alert(company: Company, random: Random, at: datetime, turn: int) -> Iterator[Made]:
    alert, service = ALERTS[turn % len(ALERTS)], random.choice(company.services)
    end = at + timedelta(minutes=random.randrange(4, 70))
    members: dict[str, Any] = {"service": service.name, "environment": "production", "url": f"{RUNBOOKS}/{alert}"}
    yield "Demo alerts", _change(random, f"{alert}: {service.name}", "incident", at, status="firing", **members)
    resolved = _change(random, f"{alert}: {service.name}", "incident", at, end_time=end, status="resolved", **members)
    yield "Demo alerts", resolved


Story = Callable[[Company, Random, datetime, int], Iterator[Made]]
_STORIES: tuple[Story, ...] = (_migration, _flag, _infrastructure, _alert, _flag, _dns)
