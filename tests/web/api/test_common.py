"""Requirements for every write through the API, and the shape of its errors."""

from __future__ import annotations

import json

from flask.testing import FlaskClient

from tests.support.api import KUBERNETES, Events, problem, rename

ELSEWHERE = [
    {"Origin": "https://elsewhere.example"},
    {"Origin": "http://localhost:8000"},
    {"Origin": "https://localhost"},
    {"Origin": "null"},
    {"Origin": "http://["},
    {"Origin": ""},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Origin": "http://localhost", "Sec-Fetch-Site": "cross-site"},
]
WRITES = [
    ("POST", "/api/painchain/log", rename("Prod")),
    ("POST", "/api/connectors", KUBERNETES),
    ("PATCH", "/api/connectors/1", {"name": "Mine"}),
    ("DELETE", "/api/connectors/1", None),
    ("POST", "/api/connectors/1/enable", None),
    ("POST", "/api/connectors/1/disable", None),
    ("PUT", "/api/connectors/1/visibility/ConfigChanged/field", {"visible": False}),
]


def test_a_page_of_another_site_cannot_write(client: FlaskClient, events: Events) -> None:
    before = events()
    for method, address, body in WRITES:
        for headers in ELSEWHERE:
            problem(client.open(address, method=method, json=body, headers={"If-Match": "*", **headers}), 403)
    assert events() == before


def test_own_pages_and_scripts_can_write(client: FlaskClient) -> None:
    own = {"Origin": "http://localhost"}
    for headers in ({}, own, {**own, "Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}):
        assert client.post("/api/painchain/log", json=rename("Prod"), headers=headers).status_code == 201, headers


def test_reads_need_no_origin(client: FlaskClient) -> None:
    assert client.get("/api/changes", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 200


def test_a_body_of_another_type_than_json_is_refused(client: FlaskClient, events: Events) -> None:
    before = events()
    for method, address, body in WRITES:
        for content_type in (None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
            arguments = {"data": json.dumps(body or {}), "content_type": content_type, "headers": {"If-Match": "*"}}
            problem(client.open(address, method=method, **arguments), 415)
    assert events() == before


def test_an_unsupported_method_is_answered_with_the_allowed_ones(client: FlaskClient) -> None:
    for method, address, allowed in (
        ("DELETE", "/api/changes", {"GET"}),
        ("PUT", "/api/changes/1", {"GET"}),
        ("GET", "/api/painchain/log", {"POST"}),
        ("PUT", "/api/connectors/1", {"GET", "PATCH", "DELETE"}),
        ("GET", "/api/connectors/1/enable", {"POST"}),
        ("POST", "/health", {"GET"}),
        ("TRACE", "/openapi.json", {"GET"}),
    ):
        response = client.open(address, method=method)
        problem(response, 405)
        assert set(response.headers["Allow"].split(", ")) - {"HEAD", "OPTIONS"} == allowed


def test_unknown_addresses_are_answered_in_json(client: FlaskClient) -> None:
    for address in ("/api/nothing", "/api/", "/api/changes/", "/api/connectors/", "/health/x"):
        problem(client.get(address), 404)


def test_an_unknown_host_name_is_refused(client: FlaskClient) -> None:
    problem(client.get("/api/changes", headers={"Host": "elsewhere.example"}), 400)
