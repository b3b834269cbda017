"""Use the JSON API, read the database, and make it refuse writes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, text
from werkzeug.test import TestResponse

from painchain.database.session import Base, db

Events = Callable[..., list[dict[str, Any]]]
SYSTEM = 1
CANARY = "canary-4711"
GITHUB = {"name": "Work GitHub", "type": "github", "tags": ["team", "ci"], "config": {"token": CANARY}}
KUBERNETES = {"name": "Staging", "type": "kubernetes"}

# The seven events of the specification: the request, the recorded event, the members of its description.
ABOUT = {"connector_name": "Prod", "connector_type": "github"}
SEVEN = [
    (
        {"event_type": "connector_created", **ABOUT},
        ("ConnectorCreated", "[Connector Created] Prod", {"action": "create", **ABOUT}),
        ["connector_name", "connector_type", "text"],
    ),
    (
        {"event_type": "connector_updated", **ABOUT, "changes": {"poll_interval": {"old": 300, "new": 3600}}},
        (
            "ConnectorUpdated",
            "[Connector Updated] Prod",
            {"action": "update", **ABOUT, "changes": {"poll_interval": {"old": 300, "new": 3600}}},
        ),
        ["changes", "connector_name", "connector_type", "text"],
    ),
    (
        {"event_type": "connector_deleted", **ABOUT},
        ("ConnectorDeleted", "[Connector Deleted] Prod", {"action": "delete", **ABOUT}),
        ["connector_name", "connector_type", "text"],
    ),
    (
        {"event_type": "connector_enabled", **ABOUT},
        ("ConnectorEnabled", "[Connector Enabled] Prod", {"action": "enable", **ABOUT}),
        ["connector_name", "connector_type", "text"],
    ),
    (
        {"event_type": "connector_disabled", **ABOUT},
        ("ConnectorDisabled", "[Connector Disabled] Prod", {"action": "disable", **ABOUT}),
        ["connector_name", "connector_type", "text"],
    ),
    (
        {
            "event_type": "config_changed",
            "connector_name": "Prod",
            "field": "poll_interval",
            "old_value": 300,
            "new_value": 3600,
        },
        (
            "ConfigChanged",
            "[Config Changed] Prod - poll_interval",
            {"action": "config_change", "field": "poll_interval"},
        ),
        ["connector_name", "field", "kind", "label", "new_value", "old_value", "text"],
    ),
    (
        {
            "event_type": "field_visibility_changed",
            "connector_type": "PullRequest",
            "field_key": "branches",
            "visible": False,
        },
        (
            "FieldVisibilityChanged",
            "[Field Visibility Changed] PullRequest",
            {
                "action": "field_visibility_change",
                "event_type": "PullRequest",
                "field": "branches",
                "visible": False,
            },
        ),
        ["event_type", "field", "label", "text", "visible"],
    ),
]


def log(client: FlaskClient, **body: Any) -> TestResponse:
    return client.post("/api/painchain/log", json=body)


def rename(name: str) -> dict[str, Any]:
    return {"event_type": "config_changed", "connector_name": name, "field": "name", "new_value": name}


def patch(client: FlaskClient, address: str, if_match: str = "*", **changes: Any) -> TestResponse:
    return client.patch(address, json=changes, headers={"If-Match": if_match})


def problem(response: TestResponse, status: int) -> dict[str, Any]:
    """Return the body of an error response, after checking its shape."""
    body = response.get_json()
    assert response.status_code == status, response.text
    assert response.mimetype == "application/json"
    assert list(body) == ["success", "message", "errors"]
    assert body["success"] is False
    assert body["message"]
    assert all(set(error) == {"field", "message"} for error in body["errors"])
    return dict(body)


def fields_at_fault(response: TestResponse) -> list[str]:
    return [error["field"] for error in problem(response, 422)["errors"]]


def titles(events: list[dict[str, Any]]) -> list[str]:
    return [event["title"] for event in events]


def everything_stored(app: Flask) -> str:
    """Return every row of every table as text."""
    with app.app_context():
        rows = [tuple(row) for table in Base.metadata.sorted_tables for row in db.session.execute(select(table))]
    return repr(rows)


def refuse(app: Flask, operation: str, table: str, words: str = "the disk is full") -> None:
    """Make the database refuse an operation (INSERT or UPDATE) on a table, like a full disk."""
    trigger = f"CREATE TRIGGER refuse BEFORE {operation} ON {table}"
    with app.app_context():
        if db.engine.dialect.name == "sqlite":
            db.session.execute(text(f"{trigger} BEGIN SELECT RAISE(ABORT, '{words}'); END"))
        else:
            raising = f"$$ BEGIN RAISE EXCEPTION '{words}'; END $$"
            db.session.execute(text(f"CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS {raising}"))
            db.session.execute(text(f"{trigger} FOR EACH ROW EXECUTE FUNCTION refuse()"))
        db.session.commit()


SEVEN_IDS = [body["event_type"] for body, *_ in SEVEN]
