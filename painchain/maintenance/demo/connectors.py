"""The connectors of the demo: created, changed and recorded like real ones, but not polled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, NamedTuple

from sqlalchemy import select

from painchain import connectors
from painchain.audit import event_kinds
from painchain.audit.trail import Trail
from painchain.configuration import connector_store, teams
from painchain.configuration.connector_edit import ConnectorEdit
from painchain.connectors.contract import ErrorKind
from painchain.database.models import Connector, PollState
from painchain.database.session import db
from painchain.database.types import EPOCH
from painchain.eventlog import writer
from painchain.eventlog.writer import EventLogWriter
from painchain.ingestion import poll_results
from painchain.maintenance.demo.company import (
    ADMINS,
    EDGE,
    GITHUB,
    GITHUB_HOST,
    GITLAB,
    GITLAB_HOST,
    PRODUCTION,
    STAGING,
)
from painchain.timeline import coverage

ARCHIVE = "Demo GitHub archive"
NEVER = datetime(2100, 1, 1, tzinfo=UTC)  # when the next poll of a demo connector is due
NOTE = "Sample data: this connector is not polled."
ERROR = "Could not resolve edge.demo.invalid. Check the URL and this server's DNS."
TEAMS = {"Demo on-call": ["on-call"], "Demo platform team": ["platform", "staging"]}
REPOSITORIES = [f"shop/{name}" for name in ("checkout", "api", "storefront", "search", "payments")]
PROJECTS = [f"platform/{name}" for name in ("mailer", "reports", "gateway")]
RENAMED_PROJECTS = ["platform/mailer-service"]  # a project that does not exist

_GITHUB = {"base_url": f"https://{GITHUB_HOST}", "token": "demo-token"}
CONNECTORS: dict[str, tuple[str, dict[str, Any]]] = {
    GITHUB: ("github", {**_GITHUB, "repos": REPOSITORIES, "tags": ["demo", "code"]}),
    GITLAB: (
        "gitlab",
        {
            **{"base_url": f"https://{GITLAB_HOST}", "token": "demo-token", "projects": PROJECTS},
            "tags": ["demo", "code", "platform"],
        },
    ),
    **{
        name: (
            "kubernetes",
            {
                "api_server": f"https://{cluster}.demo.invalid:6443",
                "token": "demo-token",
                "cluster_name": cluster,
                "poll_interval": 60,
                "tags": ["demo", *tags],
            },
        )
        for name, cluster, tags in (
            (PRODUCTION, "production", ["production", "on-call"]),
            (STAGING, "staging", ["staging"]),
            (EDGE, "edge", ["production", "edge"]),
        )
    },
    ARCHIVE: ("github", {**_GITHUB, "repos": ["shop/legacy"], "tags": ["demo", "archive"]}),
}
SHORTER = ("Deployments were seen too late", "Back to the shorter interval", "")
LONGER = ("Rate limit was reached twice", "Fewer requests to the API", "")
INTERVALS = (60, 120, 300, 600, 900)


class Action(NamedTuple):
    """A change of PainChain's configuration at its time, which records this many events."""

    at: datetime
    events: int
    run: Callable[[EventLogWriter], None]


@dataclass(frozen=True)
class DemoConnector:
    """A connector as it is copied into its events."""

    id: int
    name: str
    type: str
    tags: list[str]
    interval: int
    enabled: bool


def create(event_log: EventLogWriter, at: datetime) -> dict[str, DemoConnector]:
    """Return the demo connectors by name. Those that are missing are created."""
    existing = _stored()
    for index, (name, (type_key, values)) in enumerate(CONNECTORS.items()):
        if name not in existing:
            trail = _trail(event_log, ADMINS[0], at + timedelta(seconds=index), "Set up the demo")
            created = {**values, "name": name}
            existing[name] = connector_store.create(connectors.TYPES[type_key], created, True, trail)
    return {
        name: DemoConnector(
            connector.id,
            name,
            connector.type,
            list(connector.tags),
            int(connector_store.values(connector)["poll_interval"]),
            connector.enabled,
        )
        for name, connector in existing.items()
    }


def create_teams(event_log: EventLogWriter, at: datetime) -> None:
    """Create the teams that are missing."""
    present = {team.name for team in teams.list_all()}
    for name, tags in TEAMS.items():
        if name not in present:
            teams.create({"name": name, "tags": tags}, _trail(event_log, ADMINS[0], at + timedelta(seconds=9)))


def ordinary_change(random: Random, at: datetime) -> Action:
    """Return a change of a poll interval."""
    name, author = random.choice((GITHUB, PRODUCTION, STAGING)), random.choice(ADMINS)
    step, reason = random.randrange(1, len(INTERVALS)), random.randrange(len(SHORTER))

    def run(event_log: EventLogWriter) -> None:
        connector = _stored()[name]
        current = connector_store.values(connector)["poll_interval"]
        place = INTERVALS.index(current) if current in INTERVALS else 0
        interval = INTERVALS[(place + step) % len(INTERVALS)]
        why = (LONGER if interval > current else SHORTER)[reason]
        edit = ConnectorEdit({"poll_interval": interval})
        connector_store.update(connector, edit, _trail(event_log, author, at, why))

    return Action(at, 2, run)


def wrong_projects(at: datetime) -> Action:
    """Return the change after which the GitLab connector finds nothing: it lists a project that does not exist."""

    def run(event_log: EventLogWriter) -> None:
        trail = _trail(event_log, "demo-erin", at, "Only the mailer matters to us")
        connector = _stored()[GITLAB]
        is_wrong = connector_store.values(connector)["projects"] == RENAMED_PROJECTS  # of an earlier demo
        values = {"projects": PROJECTS if is_wrong else RENAMED_PROJECTS}
        connector_store.update(connector, ConnectorEdit(values), trail)

    return Action(at, 2, run)


def archived(at: datetime) -> Action:
    """Return that somebody disabled the connector of an archive."""

    def run(event_log: EventLogWriter) -> None:
        trail = _trail(event_log, ADMINS[1], at, "The repository is read-only now")
        connector_store.set_enabled(_stored()[ARCHIVE], False, trail)

    return Action(at, 1, run)


def failure(at: datetime) -> Action:
    """Return that polls of the edge cluster have failed since this time."""

    def run(event_log: EventLogWriter) -> None:
        connector = _stored()[EDGE]
        trail = _trail(event_log, poll_results.author(connector), at)
        trail.log(event_kinds.connector_failing(connector_store.subject(connector), ERROR))
        coverage.open_gap(connector, coverage.FAILING, at, ERROR)

    return Action(at, 1, run)


def stop_polls(now: datetime, failing_since: datetime) -> None:
    """Store that the connectors were polled just now and are never due, inside a write transaction.

    The edge cluster is due, and its polls fail: its address does not exist.
    """
    for name, connector in _stored().items():
        if not connector.enabled:
            continue
        state = db.session.get(PollState, connector.id) or PollState(connector_id=connector.id, taken_until=EPOCH)
        state.due, state.last_poll, state.last_success, state.note = NEVER, now, now, NOTE
        if name == EDGE:
            state.due, state.last_success, state.note = now, failing_since - timedelta(minutes=1), ""
            state.failures, state.failing_since = 9, failing_since
            state.trouble, state.error = ErrorKind.UNREACHABLE.value, ERROR
        db.session.add(state)


def any_exist() -> bool:
    """Return whether one of the demo connectors exists."""
    return bool(_stored())


def _stored() -> dict[str, Connector]:
    rows = db.session.scalars(select(Connector).where(Connector.name.in_(CONNECTORS)))
    return {connector.name: connector for connector in rows}


def _trail(event_log: EventLogWriter, author: str, at: datetime, reason: str = "") -> Trail:
    return Trail(event_log, author, writer.new_request_id(at), at, reason=reason)
