"""Errors show nothing, other host names are refused, and forged sessions are rejected."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text
from werkzeug.test import TestResponse

from painchain.database.session import db
from painchain.startup import create_app
from tests.conftest import close, settings_for
from tests.support.accounts import PASSWORD, add_person
from tests.support.api import refuse
from tests.support.html import fill, form_of, soup, texts, words
from tests.web.common.hostile_input import HTMX, LIST, SYSTEM, opened


def filled_forms(client: FlaskClient, number: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield address and content of every form of the settings, filled in with a change."""
    form, connector_address = opened(client, number), f"{LIST}/{number}"
    yield f"{LIST}/new/kubernetes", {**form, "name": "New", "cluster_name": "new"}
    yield connector_address, {**form, "poll_interval": "600"}
    yield f"{connector_address}/visibility", {**form, "hide": "Commit"}
    yield f"{connector_address}/enable", form
    yield f"{connector_address}/delete", form


# Errors (tests/test_canaries.py looks for secrets everywhere else)

CANARY = "c4nary-8d1f"


def test_an_unexpected_error_is_logged_with_its_place_but_not_its_message(app, client, caplog):
    def fail() -> str:
        raise RuntimeError(f"cannot use {CANARY}")

    app.add_url_rule("/fail", view_func=fail)
    for headers in ({}, HTMX):
        response = client.get("/fail", headers=headers)
        assert response.status_code == 500
        message = words(soup(response).select_one("main, .toast"))
        assert "This is a bug in PainChain" in message
        assert response.headers["X-Request-Id"] in message
        assert CANARY not in response.text
    assert "RuntimeError" in caplog.text
    assert ["in fail" in record.exception for record in caplog.records if record.levelname == "ERROR"] == [True, True]
    assert CANARY not in caplog.text


# The database fails


def reason(response: TestResponse) -> str:
    """Return the message of a database failure: from the page, or from the toast for htmx."""
    assert response.status_code == 503, response.text
    page = soup(response)
    if page.html:
        assert words(page.h1) == "Database unavailable"
        return words(page.select_one("main p"))
    assert (response.headers["HX-Retarget"], response.headers["HX-Reswap"]) == ("#toast", "outerHTML")
    return texts(page, "#toast .toast.bad span")[0]


@pytest.mark.parametrize("headers", [{}, HTMX], ids=["plain", "htmx"])
def test_a_change_whose_event_cannot_be_written_is_rolled_back_with_a_message(
    app, client, events, make_connector, headers
):
    number = make_connector()
    filled_in = list(filled_forms(client, number))
    before = client.get("/api/connectors").get_json(), events()
    refuse(app, "INSERT", "change_events")
    for address, form in filled_in:
        message = reason(client.post(address, data=form, headers=headers))
        assert "Not saved: " in message
        assert "the disk is full" in message
        assert "INSERT" not in message
    assert (client.get("/api/connectors").get_json(), events()) == before, "reads continue"
    for address in ("/", LIST, f"{LIST}/{number}"):
        assert client.get(address).status_code == 200


def test_the_same_form_succeeds_once_the_database_can_write_again(app, client, make_connector):
    number = make_connector()
    form = fill(opened(client, number), poll_interval="600")
    refuse(app, "INSERT", "change_events")
    reason(client.post(f"{LIST}/{number}", data=form))
    with app.app_context():
        on_table = "" if db.engine.dialect.name == "sqlite" else " ON change_events"
        db.session.execute(text(f"DROP TRIGGER refuse{on_table}"))
        db.session.commit()
    assert client.post(f"{LIST}/{number}", data=form).status_code == 303
    assert opened(client, number)["poll_interval"] == "600"


def test_every_page_shows_a_message_if_the_database_cannot_be_read(app, client):
    with app.app_context():
        db.session.execute(text("ALTER TABLE connectors RENAME TO away"))
        db.session.commit()
    for address in ("/", LIST, f"{LIST}/{SYSTEM}"):
        for headers in ({}, HTMX):
            response = client.get(address, headers=headers)
            assert "The database cannot be read: " in reason(response)
            assert "SELECT" not in response.text
    assert words(soup(client.get("/nowhere")).h1) == "Not found"


# Host names and origins


@pytest.fixture
def start_server(started_instance: Path, tmp_path: Path) -> Iterator[Callable[..., Flask]]:
    """Return a function that starts a server with these settings."""
    apps: list[Flask] = []

    def start(**more: str) -> Flask:
        folder = tmp_path / f"instance-{len(apps)}"
        shutil.copytree(started_instance, folder)
        apps.append(create_app(settings_for(folder, **more)))
        return apps[-1]

    yield start
    for app in apps:
        close(app)


def statuses(app: Flask, *hosts: str) -> list[int]:
    return [app.test_client().get("/", headers={"Host": host}).status_code for host in hosts]


def test_on_loopback_other_host_names_are_refused(start_server):
    app = start_server()
    assert statuses(app, "127.0.0.1:8000", "localhost", "localhost:1") == [200] * 3
    assert statuses(app, "evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80", "10.0.0.1") == [400] * 4
    response = app.test_client().get("/", headers={"Host": "evil.example"})
    assert "evil.example" in words(soup(response).select_one("main [role=alert]"))
    for headers in ({}, HTMX):
        response = app.test_client().post(f"{LIST}/1/disable", headers={"Host": "evil.example", **headers})
        assert response.status_code == 400


def test_on_ipv6_loopback_its_own_address_is_answered(start_server):
    app = start_server(host="::1")
    assert statuses(app, "[::1]:8000", "[::1]", "localhost:8000") == [200] * 3
    assert statuses(app, "evil.example", "[2001:db8::1]", "[::1].evil.example", "", "[", "a b") == [400] * 6


def test_any_host_name_is_answered_until_trusted_hosts_are_set(start_server):
    """Beyond loopback, status 403 means that there is no account yet, and 400 that the host name is not trusted."""
    assert statuses(start_server(host="0.0.0.0"), "127.0.0.1", "painchain.example") == [403] * 2
    app = start_server(host="0.0.0.0", trusted_hosts="painchain.example, .inner.example")
    hosts = ("painchain.example:8000", "a.inner.example", "127.0.0.1", "evil.example")
    assert statuses(app, *hosts) == [403, 403, 400, 400]


def test_health_is_answered_whatever_the_host_name(start_server):
    client = start_server(trusted_hosts="painchain.example").test_client()
    for host in ("10.0.0.5:8000", "evil.example", "", "[", "a b", "[fe80::1]:8000"):
        assert client.get("/health", headers={"Host": host}).get_json()["status"] == "ok", host
        assert client.get("/", headers={"Host": host}).status_code == 400


@pytest.mark.parametrize("settings", [{"trusted_hosts": "pain_chain, localhost"}, {"host": "0.0.0.0"}])
def test_a_host_name_may_have_an_underscore(start_server, settings):
    """Compose services often have one."""
    app = start_server(**settings)
    add_person(app)
    client, headers = app.test_client(), {"Host": "pain_chain:8000", "Origin": "http://pain_chain:8000"}
    form = fill(form_of(client.get("/sign-in", headers=headers), "#sign-in"), name="alice", password=PASSWORD)
    assert client.post("/sign-in", data=form, headers=headers).status_code == 303
    body = {"name": "One", "type": "github", "config": {"token": "made-up-token"}}
    added = client.post("/api/connectors", json=body, headers=headers)
    assert added.status_code == 201
    hook = client.post(f"/api/connectors/{added.get_json()['id']}/webhook", json={}, headers=headers).get_json()
    assert hook["url"].startswith("http://pain_chain:8000/hooks/github/")
    refused = client.post("/api/connectors", json=body, headers={**headers, "Origin": "http://painchain:8000"})
    assert refused.status_code == 403


def test_a_request_without_a_valid_host_name_is_refused_in_plain_words(start_server):
    for app in (start_server(), start_server(host="0.0.0.0")):
        for host in ("", "a b", "[", "a/b", "a@b", "a:b", "\xe4"):
            response = app.test_client().get("/", headers={"Host": host})
            assert response.status_code == 400, host
            assert "has no valid host name" in words(soup(response).select_one("main [role=alert]"))


def test_the_session_cookie_is_hidden_from_scripts_and_other_sites(client):
    [cookie] = client.get(f"{LIST}/new/github").headers.getlist("Set-Cookie")
    parts = {part.strip() for part in cookie.split(";")}
    assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= parts
    assert cookie.startswith("painchain=")


def test_reading_pages_sets_no_cookie(client):
    assert not client.get("/").headers.getlist("Set-Cookie")


def test_a_forged_session_is_rejected(client):
    for value in ("nonsense", "eyJjc3JmX3Rva2VuIjoiYSJ9.aaaaaa.bbbbbb", "\x01", "." * 3000):
        client.set_cookie("painchain", value)
        assert client.get("/").status_code == 200
        assert client.get(f"{LIST}/{SYSTEM}").status_code == 200
