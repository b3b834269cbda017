"""The dashboard as people read it, and events for it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from bs4 import BeautifulSoup, Tag
from flask.testing import FlaskClient

from tests.support.accounts import report_as
from tests.support.html import soup
from tests.web.parts import part_of

HTMX = {"HX-Request": "true"}
MINUTE = timedelta(minutes=1)
LONG_AGO = datetime(2020, 5, 4, 12, 0, tzinfo=UTC)
Write = Callable[..., list[int]]


def log(client: FlaskClient, **body: Any) -> None:
    """Record an event that a script reports."""
    report = {"event_type": "config_changed", "connector_name": "Prod", "field": "x", **body}
    report_as(client.application, report.pop("author", "system"), **report)


def read(client: FlaskClient, only: str = "", **query: Any) -> BeautifulSoup:
    """Return the dashboard of a filter, or only its element with an id."""
    response = client.get("/", query_string=query, follow_redirects=True)
    assert response.status_code == 200
    return part_of(response, only) if only else soup(response)


def numbers(page: BeautifulSoup | Tag) -> list[int]:
    return [int(str(article["data-id"])) for article in page.select("article.event")]


def out_of_band(page: BeautifulSoup) -> list[Any]:
    """Return the ids of the elements that htmx swaps out of band."""
    return [element["id"] for element in page.select("[hx-swap-oob=true]")]


def follow(client: FlaskClient, page: BeautifulSoup, selector: str, attribute: str = "href") -> BeautifulSoup:
    """Open the address in an attribute of an element."""
    response = client.get(str(page.select_one(selector)[attribute]), headers=HTMX if attribute == "hx-get" else {})
    assert response.status_code == 200
    return soup(response)


# Filters

VARIED: list[dict[str, Any]] = [
    {"title": "one", "tags": ["ui-team"], "author": "ann"},
    {"title": "two", "source": "gitlab", "event_type": "Pipeline", "status": "failed", "tags": ["ci", "night"]},
    {"title": "three", "connector_id": 7, "connector_name": "Work", "tags": ["ci"], "author": "Doe, Jane"},
    {"title": "four", "description": {"text": "Raise the 100% limit"}},
    {"title": "five", "timestamp": datetime.now(UTC) - timedelta(days=20)},
    {"title": "six", "timestamp": LONG_AGO},
]


def live_address(page: BeautifulSoup) -> str:
    """Return the address from which an open dashboard loads updates."""
    return str(page.select_one("#live")["hx-get"])
