"""After an upgrade, sources report the same day again: no event is recorded twice, and none is lost."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from painchain import connectors
from painchain.audit.trail import SYSTEM, Trail
from painchain.configuration import connector_store
from painchain.connectors.contract import SourceEvent
from painchain.database.models import ChangeEvent, Connector
from painchain.database.session import Base, db
from painchain.eventlog import writer
from painchain.ingestion import polling, source_events
from painchain.integrity import verification
from painchain.startup import create_app
from tests.conftest import close, settings_for
from tests.connectors.github import test_upgrade as github_day
from tests.connectors.gitlab import former as gitlab_day
from tests.counterparts import run_fake_server
from tests.counterparts.gitlab import GitLab
from tests.counterparts.server import run_fake_json_server
from tests.database.test_old_databases import Rows, old_database, typed_table

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
# What an older version found on the same day is in the recordings.
OLD_REVISIONS = ("0006", "0013")
RECORDED = Path(__file__).parents[1] / "recorded"
GITHUB_EVENTS = json.loads((RECORDED / "github_former.json").read_bytes())["events"]
GITLAB_EVENTS = json.loads((RECORDED / "gitlab" / "former_ids.json").read_bytes())["polled"]
PUSHED_AT = datetime(2026, 3, 4, 9, 0, 0, 250_000, tzinfo=UTC)
SHARED_IDS = ("commit-acme/api-c1", "commit-acme/api-c2")  # of both servers: older versions recorded the first
NEW_EVENTS = Counter(
    [
        ("github", "[Deployment] production success", NOW - timedelta(hours=6)),  # the second time
        ("github", "[Push] main", NOW - timedelta(hours=1)),
        ("gitlab", "[Push] main", PUSHED_AT),
        *(("gitlab", f"[Commit] {event_id[-2:]}", PUSHED_AT) for event_id in SHARED_IDS),
    ]
)


@contextmanager
def sources() -> Iterator[dict[str, dict[str, Any]]]:
    """Run a GitHub and a GitLab on which a day of work was done, and yield the settings of connectors."""
    gitlab = GitLab()
    gitlab_day.fill(gitlab)
    with run_fake_json_server(github_day.day()) as github_server, run_fake_server(gitlab) as gitlab_server:
        yield {
            "github": {"base_url": github_server.url, "token": github_day.TOKEN, "repos": [github_day.REPO]},
            "gitlab": {"base_url": gitlab_server.url, "token": "glpat-far", "projects": ["acme/api"]},
        }


def record_the_day(app: Flask, settings: dict[str, dict[str, Any]]) -> Rows:
    """Store the connectors and what an older version recorded of the day, and return all rows of the database."""
    recorded = {
        "github": [
            SourceEvent(**{**event, "timestamp": datetime.fromisoformat(event["timestamp"])}) for event in GITHUB_EVENTS
        ],
        "gitlab": [
            SourceEvent(event_id, "MergeRequest", event_id, datetime.fromisoformat(time))
            for event_id, time in GITLAB_EVENTS
        ],
    }
    with app.app_context():
        for key, values in settings.items():
            with writer.writing() as event_log:
                trail = Trail(event_log, SYSTEM, writer.new_request_id(NOW), NOW)
                number = connector_store.create(connectors.TYPES[key], {"name": key, **values}, True, trail).id
            with writer.writing() as event_log:
                connector = db.session.get_one(Connector, number)
                source_events.add_new(event_log, connector, recorded[key], NOW)
        with db.engine.connect() as connection:
            return {
                table.name: [dict(row) for row in connection.execute(sa.select(typed_table(table))).mappings()]
                for table in Base.metadata.sorted_tables
            }


def poll_all(now: datetime) -> int:
    """Poll every connector that is due, and return how many events are new."""
    new_events = 0
    while lease := polling.acquire(now):
        new_events += polling.poll(lease, lambda: now)
    return new_events


def stored() -> Counter[tuple[str, str, datetime]]:
    """Return how often each event of a source is stored."""
    db.session.rollback()
    rows = db.session.scalars(sa.select(ChangeEvent).where(ChangeEvent.source.in_(["github", "gitlab"])))
    return Counter((row.source, row.title, row.timestamp) for row in rows)


@pytest.mark.parametrize("database", ["sqlite"])
@pytest.mark.parametrize("revision", OLD_REVISIONS)
def test_the_first_poll_after_an_upgrade_records_each_event_once(
    started_instance: Path,
    empty_database: str,
    revision: str,
    tmp_path: Path,
) -> None:
    first, instance = tmp_path / "first", tmp_path / "instance"
    shutil.copytree(started_instance, first)
    with sources() as settings:
        app = create_app(settings_for(first))
        rows = record_the_day(app, settings)
        close(app)
        shutil.copytree(first, instance, ignore=shutil.ignore_patterns("*.db*"))
        old_database(instance, empty_database, revision, rows)
        app = create_app(settings_for(instance, empty_database))
        with app.app_context():
            before = stored()
            assert before.total() == len(GITHUB_EVENTS) + len(GITLAB_EVENTS) - len(SHARED_IDS)
            poll_all(NOW + timedelta(minutes=5))
            assert stored() - before == NEW_EVENTS
            assert poll_all(NOW + timedelta(minutes=20)) == 0
            assert verification.verify_chain().broken is None
        close(app)
