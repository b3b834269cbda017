"""Save, edit and star views."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.support.html import fill, form_of, texts, words
from tests.web.parts import part_of

HTMX = {"HX-Request": "true"}
LIST, NEW = "/settings/views", "/settings/views/new"
FORM = "#view-form"
Events = Callable[..., list[dict[str, Any]]]


def save(client: FlaskClient, name: str = "Production", query: str = "tag=production&range=7d", **values: Any) -> Any:
    """Open the form as the menu of the timeline does, fill it in and send it."""
    form = fill(form_of(client.get(f"{NEW}?{query}"), FORM), name=name, **values)
    return client.post(NEW, data=form)


def edit(client: FlaskClient, number: int = 1, headers: dict[str, str] | None = None, **values: Any) -> TestResponse:
    form = fill(form_of(client.get(f"{LIST}/{number}"), FORM), **values)
    return client.post(f"{LIST}/{number}", data=form, headers=headers or {})


def star(client: FlaskClient, number: int = 1) -> TestResponse:
    """Press the button with the star in the list."""
    selector = f"#view-{number} form"
    return client.post(f"{LIST}/{number}/start", data=form_of(client.get(LIST), selector))


def menu(response: TestResponse) -> list[str]:
    return texts(part_of(response, "menu-views"), "#menu-views ul:not(.view-actions) a")


def client_summary(client: FlaskClient) -> str:
    return words(part_of(client.get("/"), "menu-views").select_one("#menu-views summary"))
