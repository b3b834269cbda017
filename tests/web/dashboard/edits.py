"""Events and edits at given times."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from bs4 import BeautifulSoup
from flask.testing import FlaskClient

from tests.support.html import fill, form_of, texts

HTMX = {"HX-Request": "true"}
LIST = "/settings/integrations"
CONNECTORS = "/api/connectors"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SYSTEM = 1
RecordEvent = Callable[..., int]


def titles(page: BeautifulSoup) -> list[str]:
    return texts(page, "#feed .subject") or texts(page, "article .subject")


def edit(client: FlaskClient, number: int, **values: Any) -> None:
    """Save a connector's form in a plain browser."""
    form = fill(form_of(client.get(f"{LIST}/{number}"), "#connector-form"), **values)
    assert client.post(f"{LIST}/{number}", data=form).status_code == 303


def set_interval(client: FlaskClient, number: int, seconds: int) -> None:
    """Change the poll interval of a connector through the API, which takes less time than its form."""
    body = {"config": {"poll_interval": seconds}}
    assert client.patch(f"{CONNECTORS}/{number}", json=body, headers={"If-Match": "*"}).status_code == 200
