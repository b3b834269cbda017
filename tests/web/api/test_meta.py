"""The connector types and the health of the server."""

from __future__ import annotations

from flask import Flask
from flask.testing import FlaskClient

from tests.support.api import SYSTEM, refuse


def test_the_types_describe_the_fields_of_a_connector(client: FlaskClient) -> None:
    types = {connector_type["type"]: connector_type for connector_type in client.get("/api/connector-types").get_json()}
    assert list(types) == ["painchain", "github", "gitlab", "kubernetes", "webhook", "api"]
    assert [name for name, connector_type in types.items() if connector_type["builtin"]] == ["painchain"]
    interval = next(field for field in types["github"]["fields"] if field["key"] == "poll_interval")
    assert (interval["kind"], interval["default"], interval["minimum"], interval["maximum"]) == (
        "number",
        300,
        60,
        3600,
    )
    assert "PullRequest" in [event_type["name"] for event_type in types["github"]["event_types"]]


def test_health_is_ok_while_the_database_reads_and_writes(client: FlaskClient) -> None:
    answer = client.get("/health?probe=7").get_json()
    assert (answer["status"], answer["database"], answer["auditing"]) == ("ok", "ok", True)
    client.post(f"/api/connectors/{SYSTEM}/disable")
    assert client.get("/health").get_json()["auditing"] is False


def test_health_fails_if_the_database_cannot_write(app: Flask, client: FlaskClient) -> None:
    refuse(app, "UPDATE", "log_head")
    answer = client.get("/health")
    assert (answer.status_code, answer.json["status"]) == (503, "failing")
    assert list(answer.json) == ["success", "message", "errors", "status", "database"]
    assert "the disk is full" in answer.json["database"]
