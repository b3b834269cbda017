"""The OCSF export has valid OCSF events."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from flask import Flask
from flask.testing import FlaskClient

from painchain.database.session import db
from painchain.exports import ocsf
from tests.support.exports import Events, Report, newest_first, texts_of

# The required members and their types in OCSF 1.8.0, https://schema.ocsf.io/1.8.0/classes/entity_management.
REQUIRED: dict[str, type] = {
    "activity_id": int,
    "category_uid": int,
    "class_uid": int,
    "type_uid": int,
    "severity_id": int,
    "time": int,
    "metadata": dict,
    "entity": dict,
}
RECOMMENDED = {"message", "status", "status_id", "actor", "timezone_offset"}
OPTIONAL = {"activity_name", "category_name", "class_name", "type_name", "severity", "status_code", "unmapped"}
METADATA: dict[str, type] = {
    "version": str,
    "product": dict,
    "uid": str,
    "original_event_uid": str,
    "event_code": str,
    "log_name": str,
    "sequence": int,
    "correlation_uid": str,
    "labels": list,
    "original_time": str,
    "logged_time": int,
}
ACTIVITIES = {
    "ConnectorCreated": 1,
    "ConnectorUpdated": 3,
    "ConfigChanged": 3,
    "FieldVisibilityChanged": 3,
    "ConnectorDeleted": 4,
    "ConnectorEnabled": 8,
    "ConnectorDisabled": 9,
    "EventsExported": 2,
    "TeamCreated": 1,
    "TeamUpdated": 3,
    "TeamDeleted": 4,
    "ViewSaved": 1,
    "ViewChanged": 3,
    "ViewDeleted": 4,
}


def check(event: dict[str, Any]) -> None:
    """Check an event against the OCSF class."""
    assert set(REQUIRED) <= set(event) <= {*REQUIRED, *RECOMMENDED, *OPTIONAL}
    assert all(type(event[name]) is kind for name, kind in REQUIRED.items())
    assert (event["category_uid"], event["class_uid"]) == (3, 3004)
    assert event["type_uid"] == 300400 + event["activity_id"]
    assert event["severity_id"] in range(7)
    assert event["status_id"] in (0, 1, 2, 99)
    assert 1_600_000_000_000 < event["time"] < 100_000_000_000_000, "milliseconds"
    assert event["metadata"]["version"] == "1.8.0"
    assert event["metadata"]["product"].keys() >= {"name", "vendor_name", "version"}
    assert all(type(value) is METADATA[name] for name, value in event["metadata"].items())
    assert event["entity"].get("name") or event["entity"].get("uid")
    assert set(event["entity"]) <= {"name", "uid", "type", "type_id"}
    assert all(isinstance(event["entity"][name], str) for name in ("name", "uid", "type") if name in event["entity"])
    assert event["entity"]["type_id"] == 99
    assert event["actor"]["user"]["name"]


def test_ocsf_is_entity_management_for_every_kind_of_event(
    app: Flask, client: FlaskClient, events: Events, make_connector: Callable[..., int]
) -> None:
    connector = f"/api/connectors/{make_connector('kubernetes', 'Cluster')}"
    for method, address, body in (
        ("POST", f"{connector}/enable", None),
        ("POST", f"{connector}/disable", None),
        ("PATCH", connector, {"config": {"poll_interval": 600}}),
        ("PUT", f"{connector}/visibility/K8sPod/reason", {"visible": False}),
        ("DELETE", connector, None),
        ("POST", "/api/teams", {"name": "Payments", "tags": ["a"]}),
        ("PATCH", "/api/teams/1", {"tags": ["b"]}),
        ("DELETE", "/api/teams/1", None),
        ("POST", "/api/views", {"name": "Ours", "filter": "q=a"}),
        ("PATCH", "/api/views/1", {"filter": "q=b"}),
        ("DELETE", "/api/views/1", None),
        ("POST", "/api/export", None),
    ):
        response = client.open(address, method=method, json=body, headers={"If-Match": "*"})
        assert response.status_code < 300, response.text
    with app.app_context():
        exported = json.loads(texts_of("ocsf"))
    from_api = newest_first(events)
    assert [item["metadata"]["uid"] for item in exported] == [event["event_id"] for event in from_api]
    for ocsf_event, event in zip(exported, from_api, strict=True):
        check(ocsf_event)
        assert ocsf_event["activity_id"] == ACTIVITIES[event["event_type"]], event["event_type"]
        assert ocsf_event["unmapped"]["description"] == event["description"]
    assert {event["event_type"] for event in from_api} == set(ACTIVITIES)


def test_ocsf_event_of_another_source_is_other_with_its_status(app: Flask, report: Report) -> None:
    report()
    with app.app_context():
        db.session.execute(db.text("UPDATE change_events SET source = 'gitlab', event_type = 'Job', status = 'failed'"))
        db.session.commit()
        exported = json.loads(texts_of("ocsf"))[0]
    check(exported)
    assert (exported["activity_id"], exported["activity_name"], exported["status_id"], exported["status"]) == (
        99,
        "Job",
        99,
        "failed",
    )


def test_every_audit_event_type_has_an_ocsf_activity() -> None:
    from painchain.connectors import BUILTIN

    assert {event_type.name for event_type in BUILTIN.event_types} == set(ocsf.ACTIVITIES)
