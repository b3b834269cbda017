"""Each log line of a request or a poll has its context, and each refusal is a warning."""

from __future__ import annotations

import json
import logging
import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from painchain import connectors
from painchain.connectors.contract import PollContext, PollResult
from painchain.core import logs
from painchain.notifications import delivery
from painchain.web.common import responses
from painchain.workers.poll_pool import PollPool
from tests.conftest import ON_SQLITE
from tests.support.accounts import PASSWORD, add_person, make_link, sign_in
from tests.support.html import fill, form_of
from tests.support.log_lines import CANARY, HOSTILE, LIST, PATIENCE, Lines, Logged, Make, events_of, lines_of
from tests.support.webhook_source import HOOK, sign


def test_every_line_of_a_request_has_its_id_route_and_actor(app: Flask, client: FlaskClient, logged: Logged) -> None:
    @app.get("/tea/<int:cups>/<name>")
    def tea(cups: int, name: str) -> str:
        logging.getLogger("painchain.tea").info("brewing")
        return "tea"

    add_person(app, "Ada Ünal")
    sign_in(client, "Ada Ünal")
    logged()
    response = client.get(f"/tea/2/{CANARY}?q={CANARY}")
    lines = logged()
    assert [line["message"] for line in lines] == ["brewing", "GET /tea/2/<name> 200"]
    for line in lines:
        assert line["request_id"] == response.headers["X-Request-Id"]
        assert (line["method"], line["path"], line["actor"]) == ("GET", "/tea/2/<name>", "Ada Ünal")
        assert line["address"] == "127.0.0.1"
    assert (lines[1]["status"], lines[1]["level"]) == (200, "info")
    assert lines[1]["ms"] >= 0
    logging.getLogger("painchain").info("afterwards")
    assert "request_id" not in logged()[0]


@ON_SQLITE
def test_frequent_requests_are_logged_at_debug_level_unless_they_fail(client: FlaskClient, logged: Logged) -> None:
    for address in ("/health", "/news?after=0", "/static/painchain.css", "/metrics"):
        client.get(address).close()
    levels = {line["path"]: line["level"] for line in lines_of(logged(), "painchain.web.access")}
    assert levels == {
        "/health": "debug",
        "/news": "debug",
        "/static/<path:filename>": "debug",
        "/metrics": "info",  # metrics are off: the failed request is worth a line
    }


def plant(app: Flask, client: FlaskClient, connector_id: int) -> None:
    """Send a secret with line breaks in every part of a request."""
    quoted = f"{CANARY}%0d%0aforged%1b"
    client.get(f"/{quoted}?q={quoted}")
    client.get(f"/?q={quoted}&range={quoted}")
    client.get(f"/link/{CANARY}%0aforged")
    client.get(f"/people/{quoted}")
    client.get(f"/static/{quoted}")
    client.get(f"/events/{quoted}")
    client.open("/", method=CANARY)
    other_client = app.test_client()
    for name in ("painchain_session", "painchain_known", "painchain", "zone"):
        other_client.set_cookie(name, CANARY)
    other_client.get("/", headers={"User-Agent": CANARY, "X-Reason": CANARY, "Referer": f"http://localhost/{CANARY}"})
    other_client.get("/api/connectors", headers={"Authorization": f"Bearer pct_{CANARY}"})
    other_client.get("/metrics", headers={"Authorization": f"Bearer {CANARY}"})
    form = form_of(client.get(f"{LIST}/{connector_id}"), "#connector-form")
    client.post(f"{LIST}/{connector_id}", data=fill(form, token=HOSTILE.replace("\r\n", " "), name=HOSTILE))
    client.post(f"{LIST}/{connector_id}", data=fill(form, token=CANARY, csrf_token=CANARY))
    client.post("/api/connectors", json={"name": HOSTILE, "type": "github", "config": {"token": HOSTILE}})
    client.post("/api/connectors", data=f"{{{HOSTILE}", content_type="application/json")
    client.post("/api/painchain/log", json={"event_type": "config_changed", "field": "token", "new_value": HOSTILE})
    client.post(f"/hooks/kubernetes/{connector_id}", data=HOSTILE.encode(), headers={"X-Forge-Signature": CANARY})
    client.post("/sign-in", data={"name": CANARY, "password": CANARY})
    client.get("/", headers={"Host": f"{CANARY}@evil.example"})


@ON_SQLITE
def test_text_planted_in_a_request_is_in_no_log_line_and_breaks_none(
    app: Flask,
    client: FlaskClient,
    make_connector: Make,
    logged: Logged,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(connectors.TYPES, "kubernetes", replace(connectors.TYPES["kubernetes"], webhook=HOOK))
    connector_id = make_connector("kubernetes", "Cluster", enabled=True)
    assert client.post(f"/api/connectors/{connector_id}/webhook").status_code == 201
    logged()
    plant(app, client, connector_id)
    add_person(app)
    sign_in(client)
    plant(app, client, connector_id)
    sign_in(app.test_client(), CANARY, CANARY)
    lines = logged()
    assert len(lines_of(lines, "painchain.web.access")) > 40
    assert [line for line in lines if CANARY in json.dumps(line).lower()] == []
    assert [line for line in lines if "forged" in json.dumps(line)] == []
    assert {"link_refused", "csrf_refused", "token_refused", "webhook_refused", "host_refused"} <= set(events_of(lines))
    assert not [line for line in lines if line["level"] == "error"]


@ON_SQLITE
def test_a_failed_request_is_logged_with_its_id_even_if_the_error_page_fails(
    app: Flask, client: FlaskClient, logged: Logged, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: str, **more: Any) -> Any:
        raise RuntimeError(CANARY)

    app.add_url_rule("/fail/<secret>", view_func=fail)
    response = client.get(f"/fail/{CANARY}")
    [failed] = [line for line in logged() if line["level"] == "error"]
    assert failed["request_id"] == response.headers["X-Request-Id"]
    assert failed["message"] == "The request failed: RuntimeError"
    assert "in fail" in failed["exception"]
    pages = [responses.page, fail]  # `pop` returns the last one first
    monkeypatch.setattr("painchain.web.common.responses.page", lambda *args, **more: pages.pop()(*args, **more))
    assert client.get(f"/fail/{CANARY}").status_code == 500
    lines = logged()
    assert "An error page failed: RuntimeError" in [line["message"] for line in lines]
    assert CANARY not in json.dumps(lines)


# Safety


def test_each_refusal_is_one_warning_with_actor_address_and_reason(app: Flask, logged: Logged) -> None:
    link = make_link(app)
    add_person(app)
    add_person(app, "bob", "viewer")
    client = app.test_client()
    logged()
    assert sign_in(client, "alice", f"wrong {CANARY}").status_code == 422
    assert sign_in(client, f"{CANARY}", f"wrong {CANARY}").status_code == 422
    assert client.get(link).status_code == 410
    refused = lines_of(logged(), "painchain.security")
    assert [(line["event"], line["message"]) for line in refused] == [
        ("sign_in_failed", "A sign-in as alice failed: wrong password."),
        ("sign_in_failed", "A sign-in as an unknown account failed: no such account."),
        ("link_refused", "Invalid one-time link requested."),
    ]
    assert all(line["level"] == "warning" and line["request_id"] and line["address"] for line in refused)
    sign_in(client, "bob")
    assert client.post("/api/connectors", json={}).status_code == 403
    assert client.get("/settings/people").status_code == 403
    assert client.post("/sign-out").status_code == 400
    assert client.post("/api/teams", json={}, headers={"Origin": "https://elsewhere.example"}).status_code == 403
    signed, *refused = lines_of(logged(), "painchain.security")
    assert (signed["event"], signed["level"], signed["message"]) == ("signed_in", "info", "bob signed in.")
    assert [(line["event"], line["actor"]) for line in refused] == [
        ("role_refused", "bob"),
        ("role_refused", "bob"),
        ("csrf_refused", "bob"),
        ("role_refused", "bob"),
    ]
    assert refused[1]["path"] == "/settings/people"
    for _ in range(10):
        assert sign_in(app.test_client(), "alice", "wrong").status_code in (422, 429)
    assert "rate_limited" in events_of(logged())


@ON_SQLITE
def test_forged_and_cross_site_requests_are_logged_as_warnings(
    client: FlaskClient, make_connector: Make, logged: Logged, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(connectors.TYPES, "kubernetes", replace(connectors.TYPES["kubernetes"], webhook=HOOK))
    connector_id = make_connector("kubernetes", "Cluster", enabled=True)
    assert client.post(f"/api/connectors/{connector_id}/webhook").status_code == 201
    logged()
    headers = {"X-Forge-Signature": sign(b"{}", "guessed")}
    assert client.post(f"/hooks/kubernetes/{connector_id}", data=b"{}", headers=headers).status_code == 401
    assert client.post("/api/teams", json={}, headers={"Origin": "https://elsewhere.example"}).status_code == 403
    assert client.get("/", headers={"Host": "evil.example"}).status_code == 400
    refused = lines_of(logged(), "painchain.security")
    assert [line["event"] for line in refused] == ["webhook_refused", "origin_refused", "host_refused"]
    assert (refused[0]["connector"], refused[2]["host"]) == (connector_id, "evil.example")


# Background


def test_a_failed_poll_is_logged_with_its_connector(
    app: Flask, client: FlaskClient, make_connector: Make, logged: Logged, monkeypatch: pytest.MonkeyPatch
) -> None:
    def poll(context: PollContext) -> PollResult:
        raise RuntimeError(CANARY)

    monkeypatch.setitem(connectors.TYPES, "github", replace(connectors.TYPES["github"], poll=poll))
    connector_id = make_connector(enabled=True)
    logged()
    pollers = PollPool(app, lambda: datetime.now(UTC), threads=1)
    pollers.start()
    with app.app_context():
        pollers.start_due()
    lines: Lines = []
    end = time.monotonic() + PATIENCE
    while len(lines) < 2 and time.monotonic() < end:
        lines += logged()
        time.sleep(0.01)
    pollers.stop(PATIENCE)
    defect, message_line = lines
    assert (defect["connector"], defect["message"]) == (
        connector_id,
        f"The poll of connector {connector_id} failed: RuntimeError",
    )
    assert "in poll" in defect["exception"]
    assert (message_line["connector"], message_line["level"]) == (connector_id, "warning")
    assert message_line["message"].startswith("A poll failed: PainChain could not read the response.")
    assert CANARY not in json.dumps(lines)


def test_a_thread_of_a_request_logs_under_its_id(logged: Logged, monkeypatch: pytest.MonkeyPatch) -> None:
    def sent(url: str, title: str, text: str) -> None:
        logging.getLogger("painchain.notifications.delivery").warning("trying")

    monkeypatch.setattr(delivery, "_sent", sent)
    with logs.context(request_id="7"):
        delivery.send("json://127.0.0.1:9", "a", "b")
    assert [line["request_id"] for line in logged()] == ["7"]


def test_no_line_contains_the_password(app: Flask, logged: Logged) -> None:
    add_person(app)
    client = app.test_client()
    sign_in(client)
    client.get("/account")
    assert PASSWORD not in json.dumps(logged())
