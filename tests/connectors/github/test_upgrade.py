"""Events that older versions stored under other ids are neither recorded twice nor lost after the upgrade."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from painchain.audit.trail import SYSTEM, Trail
from painchain.configuration import connector_store
from painchain.connectors.contract import PollContext, PollResult, SourceEvent
from painchain.connectors.github import TYPE
from painchain.database.models import ChangeEvent, Connector
from painchain.database.session import db
from painchain.eventlog import writer
from painchain.ingestion import poll_results, source_events
from tests.counterparts.github import TOKEN, GitHub
from tests.counterparts.server import run_fake_json_server

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
REPO = "acme/api"
# What version 1.0 at commit aa9ce9b found in `day`: its events and its cursor.
RECORDED = Path(__file__).parents[2] / "recorded" / "github_former.json"


def ago(**past: float) -> str:
    """Return a time before NOW as GitHub writes it."""
    return (NOW - timedelta(**past)).isoformat().replace("+00:00", "Z")


def day() -> GitHub:
    """Return a GitHub on which a day of work has been done."""
    github = GitHub()
    github.add_repo(REPO, pushed_at=ago(hours=2))
    for number, more in enumerate(
        [
            {},
            {"state": "closed", "closed_at": ago(hours=2)},
            {"state": "closed", "closed_at": ago(hours=1), "merged_at": ago(hours=1)},
        ]
    ):
        pull = {"number": number, "title": f"Change {number}", "state": "open", "user": {"login": "ann"}}
        times = {"created_at": ago(hours=9), "updated_at": ago(hours=1)}
        github.put(REPO, "pulls", {**pull, **times, "head": {"ref": "fix"}, "base": {"ref": "main"}, **more})
    run = {"name": "CI", "head_branch": "main", "run_attempt": 1, "created_at": ago(hours=5)}
    times = {"run_started_at": ago(hours=5), "updated_at": ago(hours=4)}
    github.put(REPO, "actions/runs", {"id": 1, "status": "completed", "conclusion": "failure", **run, **times})
    github.put(REPO, "actions/runs", {"id": 2, "status": "in_progress", "conclusion": None, **run, **times})
    github.put(REPO, "releases", {"id": 5, "tag_name": "v1", "prerelease": True, "published_at": ago(hours=3)})
    deployment = {"id": 9, "environment": "production", "created_at": ago(hours=8), "updated_at": ago(hours=6)}
    github.put(REPO, "deployments", deployment)
    states = [(3, "success", 6), (2, "inactive", 7), (1, "success", 7.5)]
    github.lists[f"repos/{REPO}/deployments/9/statuses"] = [
        {"id": number, "state": state, "created_at": ago(hours=hours)} for number, state, hours in states
    ]
    for number in (2, 1):
        author = {"name": "Ann", "date": ago(hours=number)}
        commit = {"sha": f"c{number}", "commit": {"message": "Work", "author": author, "committer": author}}
        github.put(REPO, "commits", {**commit, "author": {"login": "ann"}})
    ends = {"before": "c2", "after": "c1", "ref": "refs/heads/main", "activity_type": "push"}
    github.put(REPO, "activity", {"id": 1, "timestamp": ago(hours=1), "actor": {"login": "ann"}, **ends})
    package = {"name": "api", "owner": {"login": "acme"}, "repository": {"full_name": REPO}, "updated_at": ago(hours=1)}
    github.lists["users/acme/packages"] = [package]
    version = {"id": 77, "name": "sha256:abc", "created_at": ago(hours=1)}
    github.lists["users/acme/packages/container/api/versions"] = [version]
    return github


def poll(connector: int, settings: dict[str, Any], cursor: dict[str, Any], minutes: float) -> PollResult:
    """Poll and store the result."""
    assert TYPE.poll
    now = NOW + timedelta(minutes=minutes)
    result = TYPE.poll(PollContext(settings, cursor, now, connector_id=connector))
    poll_results.store(connector, result, now)
    return result


def stored(connector: int) -> list[tuple[str, str | None, datetime]]:
    """Return the events of the timeline."""
    db.session.rollback()
    rows = db.session.scalars(
        select(ChangeEvent).where(ChangeEvent.connector_id == connector, ChangeEvent.source == "github")
    )
    return sorted((row.title, row.status, row.timestamp) for row in rows)


@pytest.mark.parametrize("has_cursor", [True, False])
def test_the_first_poll_after_the_upgrade_neither_repeats_nor_loses_events(app: Flask, has_cursor: bool) -> None:
    recorded, github = json.loads(RECORDED.read_text()), day()
    with app.app_context(), run_fake_json_server(github) as server:
        values = {"name": "Upgraded", "base_url": server.url, "token": TOKEN, "repos": [REPO], "tags": []}
        with writer.writing() as event_log:
            connector = connector_store.create(TYPE, values, True, Trail(event_log, SYSTEM, "r", NOW)).id
        former = [
            SourceEvent(**{**event, "timestamp": datetime.fromisoformat(event["timestamp"])})
            for event in recorded["events"]
        ]
        with writer.writing() as event_log:
            source_events.add_new(event_log, db.session.get_one(Connector, connector), former, NOW)
        before = stored(connector)
        assert len(before) == len(recorded["events"])
        settings = {**TYPE.defaults(), **values}
        # Without the cursor, the same 24 hours are read again.
        result = poll(connector, settings, {**recorded["cursor"], "base": server.url} if has_cursor else {}, 5)
        # Pushes were not recorded before, and of a repeated state only the first.
        repeated = ("[Deployment] production success", "success", NOW - timedelta(hours=6))
        pushed = ("[Push] main", "pushed", NOW - timedelta(hours=1))
        assert stored(connector) == sorted([*before, *([] if has_cursor else [repeated, pushed])])
        before = stored(connector)
        github.lists[f"repos/{REPO}/releases"][0].update(prerelease=False, updated_at=ago(minutes=-7))
        pull = {"number": 8, "title": "New", "state": "open", "user": {"login": "ann"}, "base": {"ref": "main"}}
        github.put(REPO, "pulls", {**pull, "created_at": ago(minutes=-8), "updated_at": ago(minutes=-8)})
        poll(connector, settings, result.cursor, 10)
        assert [row for row in stored(connector) if row not in before] == [
            ("[PR] New", "open", NOW + timedelta(minutes=8)),
            ("[Release] v1", "published", NOW + timedelta(minutes=7)),
        ]
