"""Edits and events for the report."""

from __future__ import annotations

from typing import Any

from flask.testing import FlaskClient

from tests.support.html import fill, form_of


def edit(client: FlaskClient, number: int, **values: Any) -> None:
    """Change a connector through its form."""
    address = f"/settings/integrations/{number}"
    form = fill(form_of(client.get(address), "#connector-form"), **values)
    assert client.post(address, data=form).status_code == 303


def log(client: FlaskClient, **body: Any) -> None:
    assert client.post("/api/painchain/log", json=body).status_code == 201
