"""Each log message is one line with its context, without control characters and without secrets."""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
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
from tests.support.webhook_source import HOOK, sign

Lines = list[dict[str, Any]]
Logged = Callable[[], Lines]
Make = Callable[..., int]
LIST = "/settings/integrations"
CANARY = "c4nary-5e7"
HOSTILE = f'{CANARY}\r\n{{"level":"error","message":"forged"}}\r\n2026-01-31 ERROR forged\x1b[2J\x7f\u2028\u202e'
PATIENCE = 20


def lines_of(lines: Lines, logger: str) -> Lines:
    return [line for line in lines if line["logger"] == logger]


def events_of(lines: Lines) -> list[str]:
    return [line["event"] for line in lines_of(lines, "painchain.security")]


# One line


@pytest.mark.usefixtures("own_logging")
def test_the_log_level_setting_applies(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("warning", "text")
    logging.getLogger("painchain").info("a quiet word")
    logging.getLogger("painchain").warning("a loud word")
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.endswith("Z WARNING painchain: a loud word\n")
    assert "a quiet word" not in printed.err


@pytest.mark.usefixtures("own_logging")
def test_no_text_can_forge_a_log_line(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", "text")
    with logs.context(actor=HOSTILE, connector=7):
        logging.getLogger("painchain").error("name %s", "a\r\n2026-01-31 INFO forged\x1b[2J\u2028\u202eend")
    [line, end] = capsys.readouterr().err.split("\n")
    assert end == ""
    assert r"ERROR painchain: name a\r\n2026-01-31 INFO forged\x1b[2J\u2028\u202eend actor=" in line
    assert line.endswith(" connector=7")
    assert line.isprintable()


def test_every_log_line_is_one_json_object(log_text: Callable[[], str]) -> None:
    with logs.context(actor=HOSTILE, request_id="1"):
        logging.getLogger("painchain").error("%s", HOSTILE, extra={"members": {"host": HOSTILE, "odd": {1}}})
    text = log_text()
    assert text.count("\n") == 1
    assert text[:-1].isprintable()
    line = json.loads(text)
    assert (line["message"], line["actor"], line["host"]) == (HOSTILE,) * 3
    assert (line["level"], line["logger"], line["request_id"], line["odd"]) == ("error", "painchain", "1", "{1}")
    assert abs(datetime.fromisoformat(line["time"]).timestamp() - time.time()) < 60
    assert line["time"].endswith("Z")


@pytest.mark.parametrize("form", ["json", "text"])
@pytest.mark.usefixtures("own_logging")
def test_an_exception_is_logged_with_type_and_place_but_without_its_message(
    form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.configure("info", form)
    try:
        try:
            raise KeyError(CANARY)
        except KeyError as problem:
            raise RuntimeError(f"no {CANARY}\n2026 forged") from problem
    except RuntimeError:
        logging.getLogger("waitress").exception("Exception while serving /link/%s" % CANARY)  # noqa: UP031  as it does
    text = capsys.readouterr().err
    assert CANARY not in text
    assert "Exception while serving a request" in text
    assert text.index("KeyError") < text.index("RuntimeError")
    assert "in test_an_exception_is_logged" in text
    if form == "json":
        assert text.count("\n") == 1
        assert "\n" in json.loads(text)["exception"]
    else:
        assert all(line.startswith("    ") for line in text.splitlines()[1:])


def test_credentials_in_addresses_are_removed_from_messages_and_members(logged: Logged) -> None:
    address = f"https://me:{CANARY}@git.example/?private_token={CANARY}"
    logging.getLogger("painchain").warning("no answer from %s", address, extra={"members": {"host": address}})
    [line] = logged()
    assert line["message"] == "no answer from https://***@git.example/?private_token=***"
    assert CANARY not in str(line)


def test_warnings_of_libraries_are_logged_in_the_same_format(logged: Logged) -> None:
    for name in ("waitress.queue", "alembic.runtime.migration", "httpx2", "authlib.jose", "sqlalchemy.engine"):
        logging.getLogger(name).info("quiet %s", CANARY)
        logging.getLogger(name).warning("loud")
    assert [(line["logger"], line["message"]) for line in logged()] == [
        (name, "loud")
        for name in ("waitress.queue", "alembic.runtime.migration", "httpx2", "authlib.jose", "sqlalchemy.engine")
    ]


@pytest.fixture
def restored_hooks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Restore Python's own hooks after the test."""
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    yield
    logging.captureWarnings(False)


@pytest.mark.usefixtures("restored_hooks")
def test_an_uncaught_exception_is_one_log_line(logged: Logged) -> None:
    def fail() -> None:
        raise RuntimeError(CANARY)

    logs.log_uncaught()
    thread = threading.Thread(target=fail, name="odd-job")
    thread.start()
    thread.join()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(True)
        warnings.warn("old\nhabit", stacklevel=1)
    [stray, habit] = logged()
    assert stray["message"] == "The thread odd-job failed: RuntimeError"
    assert "in fail" in stray["exception"]
    assert CANARY not in str(stray)
    assert (habit["logger"], habit["level"]) == ("py.warnings", "warning")


def test_a_terminal_gets_text_and_a_log_collector_gets_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    assert (logs.choose_format(""), logs.choose_format("json")) == ("text", "json")
    monkeypatch.setattr("sys.stderr.isatty", lambda: False, raising=False)
    assert (logs.choose_format(""), logs.choose_format("text")) == ("json", "text")


# Requests


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
