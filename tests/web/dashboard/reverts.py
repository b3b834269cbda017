"""Change a setting, and revert it by page or by API."""

from __future__ import annotations

from typing import Any

from bs4 import BeautifulSoup
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.support.html import form_of, texts, words
from tests.web.parts import part_of

HTMX = {"HX-Request": "true"}
LIST = "/settings/integrations"
SYSTEM = 1


def change(client: FlaskClient, number: int, **values: Any) -> None:
    """Change some values of a connector through the API, like another person."""
    top = {key: values.pop(key) for key in ("name", "tags") if key in values}
    body = {**top, "config": values}
    answer = client.patch(f"/api/connectors/{number}", json=body, headers={"If-Match": "*"})
    assert answer.status_code == 200, answer.text


def stored(client: FlaskClient, number: int) -> dict[str, Any]:
    connector = client.get(f"/api/connectors/{number}").get_json()
    return {**connector, **connector["config"]}


def newest(client: FlaskClient, event_type: str, field: str = "") -> dict[str, Any]:
    """Return the newest event of a type, and of a field if given."""
    matching = client.get("/api/changes", query_string={"event_type": event_type}).get_json()
    return next(event for event in matching if field in ("", event["metadata"].get("field")))


def page_of(event: dict[str, Any]) -> str:
    return f"/events/{event['id']}/restore"


def revert(client: FlaskClient, event: dict[str, Any], *, htmx: bool = False, **values: Any) -> TestResponse:
    """Open the preview, tick the settings in `fields` (default: the preselected ones) and press the button."""
    opened = client.get(page_of(event))
    fields = [str(field["value"]) for field in part_of(opened, "restore").select("[name=fields][checked]")]
    form = {**form_of(opened, "#restore"), "fields": fields, **values}
    return client.post(page_of(event), data=form, headers=HTMX if htmx else {})


def revert_by_api(client: FlaskClient, event: dict[str, Any], **body: Any) -> TestResponse:
    return client.post(f"/api/changes/{event['id']}/restore", json=body)


def previewed(page: BeautifulSoup) -> dict[str, str]:
    """Return the text of the preview for each setting: the change, or why it cannot be reverted."""
    return {
        str(item["data-field"]): words(item.select_one(".obstacle") or item.select_one(".change"))
        for item in page.select("#restore li")
    }


def refusal_reason(client: FlaskClient, event: dict[str, Any]) -> str:
    """Return why an event cannot be reverted, after asserting that page and API give the same reason."""
    page = part_of(client.get(page_of(event)), "restore")
    [reason] = texts(page, "#restore .obstacle")
    assert page.select_one("#restore button") is None
    before = client.get("/api/changes?limit=1").get_json()
    [error] = revert_by_api(client, event).get_json()["errors"]
    assert error["message"] == reason
    assert client.get("/api/changes?limit=1").get_json() == before
    return reason
