"""Fill a log with sample events that look like real events, for demonstrations and measurements."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any

from sqlalchemy import select

from painchain import connectors
from painchain.audit.trail import Trail
from painchain.configuration import connector_store
from painchain.configuration.connector_edit import ConnectorEdit
from painchain.connectors.base import ConnectorType, EventField, EventType, Kind, Shape
from painchain.database.models import Connector
from painchain.database.session import db
from painchain.database.types import microseconds
from painchain.eventlog import writer
from painchain.eventlog.writer import EventLogWriter, NewEvent

BATCH = 5_000  # events in one transaction
AUDITED_INTERVAL = 50  # one of this many events is an audited change
RARELY = 60  # the number of events by the rare author, in a log of any size
RARE = "demo-zoe"
AUTHORS = tuple(
    f"demo-{name}"
    for name in (
        *("alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi", "ivan", "judy", "ken", "laura"),
        *("mike", "nina", "oscar", "peggy", "quinn", "rupert", "sybil", "trent", "ursula", "victor", "wendy"),
    )
)
ENVIRONMENTS = {  # suffix of the connector's name, and its tags
    "": ("demo", "production"),
    " Staging": ("demo", "staging"),
    " Platform": ("demo", "platform", "on-call"),
}
SERVICES = ("web", "api", "billing", "search", "mailer", "worker", "gateway", "reports", "auth", "catalog")
WORK = (
    *("Fix retry loop", "Raise memory limit", "Add health check", "Rotate certificates", "Speed up the start page"),
    *("Update dependencies", "Log slow queries", "Drop unused index", "Cache avatars", "Handle empty carts"),
)
BRANCHES = ("main", "main", "main", "release", "fix/retry", "feature/search", "feature/export")
TOPICS = BRANCHES[4:]
RUNS = ("success", "success", "success", "success", "failure", "cancelled", "in_progress")

# How often an event type occurs beside others of its source, how its title begins, and its outcomes.
COMMON = {"Commit": 9, "WorkflowRun": 7, "Pipeline": 7, "PullRequest": 5, "MergeRequest": 5, "K8sDeployment": 6}
SHORT = {"PullRequest": "PR", "MergeRequest": "MR", "WorkflowRun": "Workflow"}
TITLES = {
    "PullRequest": "{work}",
    "MergeRequest": "{work}",
    "Commit": "{work}",
    "Push": "{branch}",
    "WorkflowRun": "Tests - {branch}",
    "Pipeline": "{ref}",
    "Deployment": "{environment} {state}",
    "Image": "{service}:{tags[0]}",
}
OUTCOMES: dict[str, tuple[str, ...]] = {
    "PullRequest": ("open", "merged", "merged", "closed"),
    "MergeRequest": ("opened", "merged", "merged", "closed"),
    "WorkflowRun": RUNS,
    "Pipeline": ("success", "success", "success", "failed", "canceled", "running"),
    "Push": ("pushed", "pushed", "pushed", "forced"),
    "Release": ("published", "published", "prerelease"),
    "Commit": ("committed",),
    "Deployment": ("success", "success", "success", "failure", "pending"),
    "Image": ("published",),
    "K8sPod": ("CrashLoopBackOff", "OOMKilled", "ImagePullBackOff", "Evicted"),
    "HelmRelease": ("deployed", "deployed", "deployed", "failed"),
}
CHANGED = ("modified", "modified", "modified", "added", "deleted")
VERBS = {"modified": "Updated", "added": "Created", "deleted": "Deleted"}


@dataclass(frozen=True)
class EventOfConnector:
    """One event type of one connector."""

    id: int
    name: str
    type: ConnectorType
    event_type: EventType
    tags: list[str]


def fill(events: int, days: int, seed: int, now: datetime, done: Callable[[int], None]) -> None:
    """Write `events` sample events of the last `days`. The same `seed` gives the same events.

    `done` is called with the number of new events after each transaction. The demo connectors are created and recorded,
    stay disabled and have addresses that do not exist.
    """
    random = Random(seed)  # noqa: S311  nothing here is secret
    times = _times(events, days, now, random)
    kinds: list[EventOfConnector] = []
    for start in range(0, events, BATCH):
        batch_times = times[start : start + BATCH]
        with writer.writing() as event_log:
            before = event_log.last_event
            demo_connectors = _connectors(event_log, batch_times[0])
            kinds = kinds or list(_kinds(demo_connectors))
            remaining = len(batch_times) - (event_log.last_event - before)
            for when in batch_times[: remaining // AUDITED_INTERVAL * AUDITED_INTERVAL : 2 * AUDITED_INTERVAL]:
                _audited_change(random.choice(demo_connectors), when, event_log, random)
            remaining = len(batch_times) - (event_log.last_event - before)
            poll_times = sorted(random.sample(batch_times, max(remaining, 0)))
            event_log.append(*_polled_events(event_log.last_event, poll_times, kinds, max(events // RARELY, 2), random))
        done(len(batch_times))


def _times(events: int, days: int, now: datetime, random: Random) -> list[datetime]:
    """Return sorted times: many in working hours, few at night and at weekends."""
    hours = [now - timedelta(hours=hour) for hour in range(days * 24, 0, -1)]
    weights = [(6 if 8 <= hour.hour < 18 else 1) * (1 if hour.weekday() < 5 else 0.3) for hour in hours]
    busy = random.choices(hours, weights, k=events)
    return sorted(hour + timedelta(microseconds=random.randrange(3_600_000_000)) for hour in busy)


def _connectors(event_log: EventLogWriter, when: datetime) -> list[Connector]:
    """Return the demo connectors. Create those that are missing."""
    existing = {connector.name: connector for connector in db.session.scalars(select(Connector))}
    demo_connectors = {
        f"Demo {connector_type.label}{environment}": (connector_type, tags)
        for connector_type in connectors.ADDABLE.values()
        for environment, tags in ENVIRONMENTS.items()
    }
    for name, (connector_type, tags) in demo_connectors.items():
        if name not in existing:
            trail = Trail(event_log, AUTHORS[0], writer.new_request_id(when), when)
            values = {"name": name, "tags": list(tags), **_placeholder_values(connector_type)}
            existing[name] = connector_store.create(connector_type, values, False, trail)
    return [existing[name] for name in demo_connectors]


def _placeholder_values(connector_type: ConnectorType) -> dict[str, str]:
    """Return addresses and tokens that do not exist."""
    placeholders = {Kind.URL: "https://demo.invalid", Kind.SECRET: "demo-token"}
    return {field.key: placeholders[field.kind] for field in connector_type.fields if field.kind in placeholders}


def _kinds(demo_connectors: Sequence[Connector]) -> Iterator[EventOfConnector]:
    for connector in demo_connectors:
        connector_type = connectors.TYPES[connector.type]
        for event_type in connector_type.event_types:
            for _ in range(COMMON.get(event_type.name, 1)):
                yield EventOfConnector(connector.id, connector.name, connector_type, event_type, connector.tags)


def _audited_change(connector: Connector, when: datetime, event_log: EventLogWriter, random: Random) -> None:
    """Change a setting, or switch the connector on and off again: two events."""
    trail = Trail(event_log, random.choice(AUTHORS[:6]), writer.new_request_id(when), when)
    if random.random() < 0.7:
        other_intervals = [
            interval for interval in (60, 120, 300, 600, 900, 3600) if interval != connector.config["poll_interval"]
        ]
        connector_store.update(connector, ConnectorEdit({"poll_interval": random.choice(other_intervals)}), trail)
    else:
        connector_store.set_enabled(connector, True, trail)
        connector_store.set_enabled(connector, False, trail)


def _polled_events(
    last: int, times: Sequence[datetime], kinds: Sequence[EventOfConnector], rarely: int, random: Random
) -> Iterator[NewEvent]:
    """Yield events as polls would find them at these times, one in `rarely` by the rare author.

    Numbers in their IDs continue after `last`, so none is used twice.
    """
    zipf = [1 / rank for rank in range(1, len(AUTHORS) + 1)]
    authors = random.choices(AUTHORS, zipf, k=len(times))
    for number, (when, author) in enumerate(zip(times, authors, strict=True), last + 1):
        kind = random.choice(kinds)
        author = RARE if number % rarely == rarely // 2 else author
        yield _event(number, when, author, kind, random)


def _event(number: int, when: datetime, author: str, kind: EventOfConnector, random: Random) -> NewEvent:
    name = kind.event_type.name
    service, work = random.choice(SERVICES), random.choice(WORK)
    outcome = random.choice(OUTCOMES.get(name, CHANGED))
    facts = {field.key: _fact(field, number, service, outcome, random) for field in kind.event_type.fields}
    exact = {"pusher": author, "committed_at": (when - timedelta(minutes=number % 90)).isoformat()}
    facts |= {key: value for key, value in exact.items() if key in facts}
    short = SHORT.get(name, kind.event_type.label)
    if outcome in VERBS:
        title = f"[{short} {VERBS[outcome]}] demo-{service}"
    else:
        title = f"[{short}] {TITLES.get(name, 'demo-{service}').format(service=service, work=work, **facts)}"
    return NewEvent(
        event_id=f"demo-{name.lower()}-{service}-{number}-{outcome}".lower(),
        source=kind.type.key,
        event_type=name,
        title=title,
        description={"text": f"{work} in demo-{service}"},
        metadata=facts,
        author=author,
        request_id=f"{microseconds(when):016x}{random.getrandbits(64):016x}",
        timestamp=when,
        recorded_at=when + timedelta(seconds=random.randrange(1, 300)),
        connector_id=kind.id,
        connector_name=kind.name,
        connector_type=kind.type.key,
        status=outcome,
        url=f"https://demo.invalid/{service}/{number}" if kind.type.field("base_url") else None,
        tags=kind.tags,
    )


def _fact(field: EventField, number: int, service: str, outcome: str, random: Random) -> Any:
    """Return a sample value in the shape of the field."""
    key = field.key
    if field.shape is Shape.LIST:
        if key == "failed_jobs" and not outcome.startswith("fail"):
            return []
        names = [template.format(service=service, number=number) for template in _LISTS.get(key, ("demo-{service}",))]
        return random.sample(names, random.randrange(1, len(names) + 1))
    if field.shape is Shape.MOVES and key == "replicas":
        return [{"name": f"demo-{service}", "old": 2, "new": 3 + number % 5}]
    if field.shape is Shape.YES_NO:
        return outcome == key
    if field.shape in _SHAPED:
        return _SHAPED[field.shape](number, service, outcome, random)
    if key in ("branch", "ref"):
        return random.choice(BRANCHES)
    return _TEXTS[key].format(service=service, number=number, some=number % 9) if key in _TEXTS else number % 17


def _moved(number: int, service: str) -> list[dict[str, Any]]:
    """Return how the images of a workload change: most have one container, some a second that is new."""
    image_change = {
        "name": service,
        "old": f"demo/{service}:1.{number % 9}",
        "new": f"demo/{service}:1.{number % 9 + 1}",
    }
    return [image_change] if number % 4 else [image_change, {"name": "proxy", "old": None, "new": "demo/proxy:2.0"}]


_SHAPED: dict[Shape, Callable[[int, str, str, Random], Any]] = {
    Shape.STATUS: lambda number, service, outcome, random: outcome,
    Shape.SECONDS: lambda number, service, outcome, random: random.randrange(5, 2_000),
    Shape.BYTES: lambda number, service, outcome, random: random.randrange(5_000_000, 900_000_000),
    Shape.SHA: lambda number, service, outcome, random: f"{random.getrandbits(160):040x}",
    Shape.LINK: lambda number, service, outcome, random: f"https://demo.invalid/{service}/runs/{number}",
    Shape.BRANCHES: lambda number, service, outcome, random: {"head": random.choice(TOPICS), "base": "main"},
    Shape.LINES: lambda number, service, outcome, random: {
        "additions": random.randrange(1, 400),
        "deletions": random.randrange(120),
        "files": random.randrange(1, 14),
    },
    Shape.MOVES: lambda number, service, outcome, random: _moved(number, service),
}
_LISTS = {
    "reviewers": ("demo-alice", "demo-bob", "demo-carol"),
    "approved_by": ("demo-alice", "demo-dave"),
    "files_changed": (
        *("src/{service}.py", "src/{service}/api.py", "tests/test_{service}.py", "README.md", "CHANGELOG.md"),
        *("docs/{service}.md", "deploy/{service}.yaml", "deploy/values.yaml"),
    ),
    "failed_jobs": ("unit tests", "lint", "integration tests"),
    "assets": ("{service}.tar.gz", "{service}.zip", "SHA256SUMS"),
    "tags": ("1.{number}", "latest"),
    "ports": ("80/TCP", "443/TCP"),
    "hosts": ("{service}.demo.invalid", "www.{service}.demo.invalid"),
    "keys_added": ("{service}.timeout",),
    "keys_removed": ("{service}.legacy", "{service}.debug"),
    "keys_modified": ("{service}.url", "{service}.retries", "log.level"),
    "annotations_added": ("prometheus.io/scrape",),
    "annotations_removed": ("traefik.io/rewrite-target",),
    "annotations_modified": ("cert-manager.io/cluster-issuer", "argocd.argoproj.io/sync-options"),
    "taints": ("dedicated=demo:NoSchedule",),
    "conditions": ("Ready: True", "MemoryPressure: False", "DiskPressure: False"),
    "rules": ("get pods", "list pods", "get configmaps"),
    "subjects": ("ServiceAccount demo-{service}", "Group demo-operators"),
}
_TEXTS = {
    "image": "demo/{service}",
    "tag": "v1.{some}.{number}",
    "environment": "demo-production",
    "namespace": "demo-{service}",
    "cluster": "demo",
    "workload": "Deployment/demo-{service}",
    "release": "demo-{service}",
    "chart": "{service}-1.{some}.0",
    "creator": "demo-alice",
    "registry": "registry.demo.invalid",
    "repository": "demo/{service}",
    "package": "{service}",
    "service_type": "ClusterIP",
    "cluster_ip": "10.0.{some}.{some}",
    "ingress_class": "demo",
    "strategy": "RollingUpdate",
    "schedule": "{some} 3 * * *",
    "role": "demo-reader",
    "container": "{service}",
    "trigger": "push",
    "source": "push",
}
