"""A receiver of notifications, and rules that send to it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.support.html import action_of, fill, form_of, soup, texts
from tests.web.parts import part_of

Events = Callable[..., list[dict[str, Any]]]
Make = Callable[..., int]
PAGE = "/settings/notifications"
SECRET = "p4ssw0rd-and-path"
KEYS = [
    "auditing_off",
    "connector_deleted",
    "connector_disabled",
    "connector_failing",
    "sign_in_failed",
    "chain_broken",
]


class FakeReceiver:
    """A fake HTTP receiver of notifications on this machine."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.status = 200
        self.hold = threading.Event()
        self.hold.set()
        fake_receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                message_body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                fake_receiver.hold.wait(20)
                if fake_receiver.status == 200:
                    fake_receiver.messages.append(message_body)
                self.send_response(fake_receiver.status)
                self.end_headers()

            def log_message(self, *about: Any) -> None:
                """Keep the output of the tests clean."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.server.server_port}"
        self.url = f"json://me:{SECRET}@{self.address}/{SECRET}"

    @property
    def titles(self) -> list[str]:
        return [message_body["title"] for message_body in self.messages]


def send(client: FlaskClient, address: str, kinds: list[str] | None = None, **values: Any) -> TestResponse:
    """Fill in the form of a rule and send it."""
    page = client.get(address)
    form = fill(form_of(page, "#rule"), **values)
    ticked = [str(field["value"]) for field in part_of(page, "rule").select("[name=kinds][checked]")]
    return client.post(address, data={**form, "kinds": ticked if kinds is None else kinds})


def add(client: FlaskClient, url: str, name: str = "On call", **values: Any) -> int:
    response = send(client, f"{PAGE}/new", name=name, url=url, **values)
    assert response.status_code == 303, texts(soup(response), ".error")
    return int(response.location.rsplit("/", 1)[1])


def press(client: FlaskClient, page: str, selector: str = "main form[method=post]") -> TestResponse:
    response = client.get(page)
    address = action_of(response, selector)
    return client.post(address, data=form_of(response, selector))


def toast(client: FlaskClient, response: TestResponse) -> str:
    [message] = texts(part_of(client.get(response.location), "toast"), ".toast > span")
    return message
