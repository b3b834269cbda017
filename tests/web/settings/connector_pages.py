"""The pages of connectors as people use them."""

from __future__ import annotations

from typing import Any

from bs4 import BeautifulSoup
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.support.html import fill, form_of, soup, texts, words
from tests.web.parts import part_of

HTMX = {"HX-Request": "true"}
LIST = "/settings/integrations"
SYSTEM = 1
CERTIFICATE = """-----BEGIN CERTIFICATE-----
MIIBfDCCASGgAwIBAgIUDX++1z0JbwBrhonNDeNvtU/dqvwwCgYIKoZIzj0EAwIw
EjEQMA4GA1UEAwwHY2x1c3RlcjAgFw0yNjExMjMwMTM1MDFaGA8yMTI2MTAzMDAx
MzUwMVowEjEQMA4GA1UEAwwHY2x1c3RlcjBZMBMGByqGSM49AgEGCCqGSM49AwEH
A0IABKTP832TXiPHBASWXKlkSmSnDDPtrhTeV7SoJx9lSQ7uvveCjMUe0pF9f3uL
zhFaosVhaGPIgtXOuES+Sw6chXOjUzBRMB0GA1UdDgQWBBQiq2cc5oq615sC9Cj4
vEQMR2FmxzAfBgNVHSMEGDAWgBQiq2cc5oq615sC9Cj4vEQMR2FmxzAPBgNVHRMB
Af8EBTADAQH/MAoGCCqGSM49BAMCA0kAMEYCIQCPSkl6nl0fKnMcOtyngmx8Z9Qx
4uqzJl6bXDpN037WHAIhALEqpepI/LYctFMT3RZPATJCKCY5c07cCmFvc0IsEZbm
-----END CERTIFICATE-----"""


def page_of(number: int) -> str:
    return f"{LIST}/{number}"


def opened(client: FlaskClient, number: int) -> dict[str, Any]:
    """Open a connector's page and return its form."""
    return form_of(client.get(page_of(number)), "#connector-form")


def save(client: FlaskClient, number: int, form: dict[str, Any], htmx: bool = False) -> TestResponse:
    return client.post(page_of(number), data=form, headers=HTMX if htmx else {})


def edit(client: FlaskClient, number: int, *, htmx: bool = False, **values: Any) -> TestResponse:
    """Open a connector's page, fill in some inputs and press Save."""
    return save(client, number, fill(opened(client, number), **values), htmx)


def press(client: FlaskClient, number: int, what: str, *, htmx: bool = False, **values: Any) -> TestResponse:
    """Press a button that has its own form, such as Enable."""
    form = {"csrf_token": opened(client, number)["csrf_token"], **values}
    return client.post(f"{page_of(number)}/{what}", data=form, headers=HTMX if htmx else {})


def toggle(client: FlaskClient, number: int, event_type: str, field: str, visible: bool, **values: Any) -> TestResponse:
    """Change the visibility of one field, as htmx does."""
    opened_form = opened(client, number)
    form = {"csrf_token": opened_form["csrf_token"], "version": opened_form["version"], **values}
    if visible:
        form[f"visible.{event_type}.{field}"] = "1"
    query = {"event_type": event_type, "field": field}
    return client.post(f"{page_of(number)}/visibility", query_string=query, data=form, headers=HTMX)


def toasts(page: BeautifulSoup) -> list[str]:
    return texts(page, "#toast .toast span")


def out_of_band(page: BeautifulSoup) -> list[str]:
    return [str(part["id"]) for part in page.select("[hx-swap-oob=true]")]


def kinds(events: list[dict[str, Any]]) -> list[str]:
    return [event["event_type"] for event in events]


def value_of(page: BeautifulSoup, name: str) -> str:
    """Return the value of an input or text area."""
    element = page.select_one(f"[name='{name}']")
    assert element is not None
    return element.get_text().strip() if element.name == "textarea" else str(element.get("value", ""))


def invalid_fields(page: BeautifulSoup) -> list[str]:
    """Return the fields marked as invalid, after asserting that each refers to its error message."""
    marked = page.select("[aria-invalid=true]")
    for element in marked:
        assert words(page.find(id=f"error-{element['name']}"))
        assert f"error-{element['name']}" in element["aria-describedby"]
    return [str(element["name"]) for element in marked]


def refusal(response: TestResponse, status: int) -> str:
    """Return the message of a refusal: from the error page, or from the toast for htmx."""
    assert response.status_code == status, soup(response).get_text(" ", strip=True)
    page = soup(response)
    if page.find("html"):
        return words(page.select_one("main [role=alert], main h1"))
    assert (response.headers["HX-Retarget"], response.headers["HX-Reswap"]) == ("#toast", "outerHTML")
    assert page.select_one("#toast .toast.bad")
    return toasts(page)[0]


# Field visibility


def visible(client: FlaskClient, number: int) -> dict[tuple[str, str], bool]:
    """Return each toggle of a connector's page and whether it is on."""
    page = part_of(client.get(page_of(number)), "visibility")
    hidden_fields = {}
    for fieldset in page.select("#visibility fieldset"):
        for box in fieldset.select("input[type=checkbox]"):
            _, event_type, field = str(box["name"]).split(".")
            assert event_type == fieldset["data-event-type"] == words(fieldset.legend)
            hidden_fields[event_type, field] = box.has_attr("checked")
    return hidden_fields


# Two people


def table(page: BeautifulSoup) -> list[list[str]]:
    """Return the rows of the conflict: setting, their change, your change."""
    return [texts(row, "th, td") for row in page.select("#conflict tbody tr")]
