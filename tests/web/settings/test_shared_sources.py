"""Saving a connector warns if another one follows the same repository; it is never refused."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from painchain.connectors.contract import PollResult
from painchain.database.session import db
from painchain.ingestion import poll_results
from tests.support.html import form_of, words
from tests.support.sample_events import NOW
from tests.web.parts import part_of

LIST = "/settings/integrations"


def add(client: FlaskClient, name: str, type: str = "github", **config: Any) -> dict[str, Any]:
    """Add a connector through the API and return the answer."""
    new = {"name": name, "type": type, "enabled": True, "config": {"token": "made-up", **config}}
    response = client.post("/api/connectors", json=new)
    assert response.status_code == 201, response.text
    return dict(response.get_json())


def change(client: FlaskClient, connector: dict[str, Any], **values: Any) -> list[str]:
    """Change a connector through the API and return the warnings."""
    address = f"/api/connectors/{connector['id']}"
    response = client.patch(address, json=values, headers={"If-Match": "*"})
    assert response.status_code == 200, response.text
    return list(response.get_json()["warnings"])


def polled(app: Flask, connector: dict[str, Any], cursor: dict[str, Any]) -> None:
    """Store the cursor of a poll."""
    with app.app_context():
        poll_results.store(connector["id"], PollResult([], cursor), NOW)
        db.session.remove()


def message(name: str, repositories: str) -> str:
    return (
        f"“{name}” also follows {repositories}. While both connectors are enabled, each event is recorded twice: once "
        "for each connector."
    )


def test_the_api_warns_of_a_shared_repository(client: FlaskClient) -> None:
    first = add(client, "First", repos=["acme/api", "acme/web"])
    assert first["warnings"] == []
    second = add(client, "Second", repos=["ACME/api", "acme/other"])
    assert second["warnings"] == [message("First", "ACME/api")]
    assert "warnings" not in client.get(f"/api/connectors/{second['id']}").get_json()
    assert change(client, second, name="Renamed") == [], "what it follows did not change"
    assert change(client, second, config={"repos": ["acme/other"]}) == []
    many = [f"acme/{number}" for number in range(5)]
    assert change(client, first, config={"repos": many}) == []
    assert change(client, second, config={"repos": many}) == [message("First", "acme/0, acme/1, acme/2 and 2 more")]


def test_another_server_or_type_is_no_shared_repository(client: FlaskClient) -> None:
    add(client, "First", repos=["acme/api"])
    assert add(client, "Own", repos=["acme/api"], base_url="https://github.example/api/v3")["warnings"] == []
    assert add(client, "Lab", "gitlab", projects=["acme/api"])["warnings"] == []
    assert add(client, "Cluster", "kubernetes", api_server="https://cluster.example")["warnings"] == []
    assert add(client, "Other cluster", "kubernetes", api_server="https://cluster.example")["warnings"] == []


@pytest.mark.parametrize("htmx", [False, True], ids=["plain", "htmx"])
def test_the_page_warns_of_a_shared_repository(client: FlaskClient, htmx: bool) -> None:
    headers = {"HX-Request": "true"} if htmx else {}
    add(client, "First", repos=["acme/api"])
    form = form_of(client.get(f"{LIST}/new/github"))
    new = {**form, "name": "Second", "token": "made-up", "repos": "acme/api"}
    response = client.post(f"{LIST}/new/github", data=new, headers=headers)
    address = response.headers["HX-Redirect"] if htmx else response.location
    page = part_of(client.get(address), "toast")
    assert [words(toast.select_one("span")) for toast in page.select(".toast.info")] == [message("First", "acme/api")]
    form = form_of(client.get(address), "#connector-form")
    response = client.post(address, data={**form, "repos": "acme/api\nacme/web"}, headers=headers)
    shown = part_of(response if htmx else client.get(address), "toast")
    assert [words(toast.select_one("span")) for toast in shown.select(".toast")][1:] == [message("First", "acme/api")]


def test_repositories_that_polling_has_found_count(app: Flask, client: FlaskClient) -> None:
    every = add(client, "Every")
    polled(app, every, {"repos": {"4711": {"about": {"full_name": "acme/api"}}, "acme/old": {"seen": ""}}})
    assert add(client, "Second", repos=["acme/api"])["warnings"] == [message("Every", "acme/api")]
    lab = add(client, "Lab", "gitlab", projects=["acme/api"])
    polled(app, lab, {"names": {"acme/api": {"id": "7", "path": "acme/api"}}})
    assert add(client, "By number", "gitlab", projects=["7"])["warnings"] == [message("Lab", "7")]
    assert add(client, "By path", "gitlab", projects=["Acme/API"])["warnings"] == [message("Lab", "Acme/API")]
