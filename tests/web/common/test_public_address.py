"""The public address of the server, which can be behind a proxy."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask

from painchain.core import config
from painchain.startup import create_app
from tests.conftest import close, settings_for
from tests.support.accounts import PASSWORD, add_person, make_link, sign_in
from tests.support.html import fill, form_of, soup

PUBLIC = "https://painchain.example"


@pytest.fixture
def app(settings: config.Settings) -> Iterator[Flask]:
    app = create_app(settings_for(settings.instance, settings.database_url, public_url=PUBLIC))
    yield app
    close(app)


def test_with_a_public_address_access_requires_an_account(app, client):
    assert client.get("/").status_code == 403
    assert client.get("/", headers={"Host": "painchain.example"}).status_code == 403
    assert client.get("/", headers={"Host": "other.example"}).status_code == 400
    assert client.post("/api/connectors", json={"name": "A", "type": "kubernetes"}).status_code == 401
    assert client.get(make_link(app)).status_code == 200


def test_webhook_addresses_use_the_public_address(app, client):
    add_person(app)
    sign_in(client)
    form = fill(form_of(client.get("/settings/integrations/new/github")), name="One", token="made-up-token")
    connector_address = client.post("/settings/integrations/new/github", data=form).location
    form = form_of(client.get(connector_address), "#webhook form")
    page = soup(client.post(f"{connector_address}/webhook", data=form, follow_redirects=True))
    assert page.select_one("#webhook-url")["value"].startswith(f"{PUBLIC}/hooks/github/")
    assert f"{PUBLIC}/hooks/github/" in soup(client.get(connector_address)).select_one("#webhook code").text


@pytest.mark.parametrize(("host", "secure"), [("painchain.example", True), ("localhost", False)])
def test_a_cookie_set_over_https_is_not_sent_over_http(app, host, secure):
    add_person(app)
    client = app.test_client()
    form = fill(form_of(client.get("/sign-in", base_url=f"http://{host}"), "#sign-in"), name="alice", password=PASSWORD)
    answer = client.post("/sign-in", data=form, base_url=f"http://{host}")
    assert ["Secure" in header for header in answer.headers.getlist("Set-Cookie") if "painchain_session" in header] == [
        secure
    ]
