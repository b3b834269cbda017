"""Fixtures of the tests of the API."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from tests.support.accounts import report_as
from tests.support.api import GITHUB, SEVEN, SYSTEM, patch, rename


@pytest.fixture
def github(client: FlaskClient) -> str:
    """The address of a GitHub connector."""
    response = client.post("/api/connectors", json=GITHUB)
    assert response.status_code == 201, response.text
    return response.headers["Location"]


@pytest.fixture
def various(client: FlaskClient, github: str) -> None:
    """Events that differ in every filter."""
    client.post(f"{github}/enable")
    patch(client, f"/api/connectors/{SYSTEM}", tags="system,audit,nightly")
    report_as(client.application, "ann", **rename("Nightly"))
    report_as(client.application, "bob, the builder", **{**SEVEN[0][0], "connector_name": "50% off_er"})
