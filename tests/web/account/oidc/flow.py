"""The steps of a sign-in at the provider."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from painchain.database.session import db
from tests.counterparts.oidc import FakeProvider
from tests.support.html import soup, words
from tests.web.parts import part_of

BACK = "/sign-in/oidc/back"
MakeApp = Callable[..., Flask]


def start_sign_in(client: FlaskClient, start: str = "/sign-in") -> str:
    """Press the provider's button on the sign-in page, and return its address at the provider."""
    button = part_of(client.get(start), "main").select_one("a.button[href^='/sign-in/oidc']")
    assert words(button) == "Sign in with Example ID"
    answer = client.get(str(button["href"]))
    assert answer.status_code == 303, words(soup(answer).select_one("[role=alert]"))
    return str(answer.location)


def open_callback(client: FlaskClient, address: str) -> TestResponse:
    parts = urlsplit(address)
    assert (parts.netloc, parts.path) == ("localhost", BACK)
    return client.get(f"{parts.path}?{parts.query}")


def sign_in_at_provider(
    client: FlaskClient, fake_server: FakeProvider, account: str, start: str = "/sign-in"
) -> TestResponse:
    """Sign in through the provider, and return the response to the callback."""
    return open_callback(client, fake_server.visit(start_sign_in(client, start), account))


def with_query(address: str, **changed: str) -> str:
    parts = urlsplit(address)
    query = {**dict(parse_qsl(parts.query)), **changed}
    return parts._replace(query=urlencode(query)).geturl()


def message_of(answer: TestResponse) -> str:
    return words(part_of(answer, "main").select_one("[role=alert]"))


def newest(app: Flask, count: int = 1) -> list[tuple[str, str, dict[str, Any]]]:
    """Return type, author and metadata of the newest events, oldest first."""
    with app.app_context():
        rows = db.session.execute(
            db.text("SELECT event_type, author, metadata FROM change_events ORDER BY id DESC LIMIT :count").columns(
                metadata=db.JSON
            ),
            {"count": count},
        )
        return [(kind, author, facts) for kind, author, facts in reversed(list(rows))]


def follow_link(client: FlaskClient, page: str, name: str) -> str:
    """Return the address of the link of this name on a page."""
    [link] = [link for link in part_of(client.get(page), "main").select("main a") if words(link) == name]
    return str(link["href"])
