"""Actions that the audit trail records, and what turns it on and off."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from flask import Flask
from flask.testing import FlaskClient

from painchain import connectors
from painchain.audit.diff import Change
from painchain.audit.records import Subject, VisibilityChange
from painchain.audit.trail import Trail
from painchain.configuration import connector_store
from painchain.eventlog import writer
from painchain.timeline import queries
from painchain.timeline.filter import Filter
from painchain.timeline.queries import Event

NOW = datetime(2026, 3, 1, 12, 0, 0, 891234, tzinfo=UTC)
WORK = Subject("Work GitHub", "github", 41)
INTERVAL = Change("poll_interval", "Poll interval", "number", 300, 3600)
TOKEN = Change("token", "Token", "secret", "planted-old", "planted-new")
TAGS = Change("tags", "Tags", "tags", ["a"], ["a", "b"])
REVIEWERS = VisibilityChange("PullRequest", "reviewers", "Reviewers", visible=False)
COMMENTS = VisibilityChange("PullRequest", "comments", "Comments", visible=True)
Act = Callable[[Trail], str | None]


@contextmanager
def audited_transaction(
    app: Flask, author: str = "operator", now: datetime = NOW, request_id: str = "r1"
) -> Iterator[Trail]:
    """Open an audited transaction."""
    with app.app_context(), writer.writing() as event_log:
        yield Trail(event_log, author, request_id, now)


def run_actions(app: Flask, *acts: Act, **how: Any) -> list[Event]:
    """Run actions and return their events in commit order."""
    with app.app_context():
        before = queries.head().last_event
    with audited_transaction(app, **how) as trail:
        for act in acts:
            act(trail)
    with app.app_context():
        return list(queries.written_after(Filter(), before))


def system(app: Flask) -> Any:
    """The built-in connector."""
    return connector_store.list_all(connector_type=connectors.BUILTIN.key)[0]


def turn_auditing(app: Flask, on: bool, **how: Any) -> list[Event]:
    """Enable or disable the built-in connector and return the events."""
    return run_actions(app, lambda trail: connector_store.set_enabled(system(app), on, trail), **how)


def add(client: FlaskClient, name: str, **more: Any) -> int:
    """Add a GitHub connector and return its number."""
    new = {"name": name, "type": "github", "config": {"token": "made-up"}, **more}
    response = client.post("/api/connectors", json=new)
    assert response.status_code == 201, response.json
    return int(response.json["id"])


def change(client: FlaskClient, number: int, **values: Any) -> None:
    """Change values of a connector."""
    address = f"/api/connectors/{number}"
    etag = client.get(address).headers["ETag"]
    response = client.patch(address, json=values, headers={"If-Match": etag})
    assert response.status_code == 200, response.json
