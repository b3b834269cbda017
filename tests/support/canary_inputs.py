"""Plant secrets through every input."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from painchain.connectors import ADDABLE
from painchain.database.session import db
from painchain.eventlog import writer
from painchain.ingestion import polling
from painchain.integrity import check_job
from painchain.workers.completion import CompletionWorker
from painchain.workers.integrity import IntegrityWorker
from painchain.workers.notifications import NotificationWorker
from tests.counterparts import FakeServer, ReceivedRequest, Reply, as_json, path_of
from tests.support.accounts import sign_in
from tests.support.api import refuse
from tests.support.canaries import FAULT, HTMX, LIST, Editor, Watch, canary, opened
from tests.support.html import fill, form_of
from tests.support.signed_webhooks import deliver
from tests.support.tampering import change


def plant_in_forms(client: FlaskClient) -> Iterator[TestResponse]:
    """Send tokens through every form: in the right and in the wrong inputs, with valid and invalid values."""
    for type_key in ADDABLE:
        address = f"{LIST}/new/{type_key}"
        form = form_of(client.get(address))
        yield client.post(address, data=fill(form, name=type_key, token=canary(), poll_interval="7"))
        yield client.post(address, data=fill(form, name=type_key, token=canary(), csrf_token=False))
        yield client.post(address, data=fill(form, name=type_key, token=canary() * 100))
        yield client.post(address, data=fill(form, name=type_key, token=canary()), headers=HTMX)
    for number in (2, 3, 4):
        address, stale = f"{LIST}/{number}", opened(client, number)
        yield client.post(address, data=fill(stale, token=canary(), tags="first"), headers=HTMX)
        yield client.post(address, data=fill(stale, token=canary(), tags="second"))
        form = opened(client, number)  # the next requests do not save it
        yield client.post(address, data=fill(form, token=canary(), name=""))
        yield client.post(address, data=fill(form, token=canary(), csrf_token="wrong"))
        yield client.post(f"{address}/enable", data={**form, "token": canary()}, headers=HTMX)


def plant_in_addresses(client: FlaskClient) -> Iterator[TestResponse]:
    """Send tokens inside addresses, as people paste them: as password, or in the query."""
    editor = Editor(client)
    leaky = (
        lambda: f"https://me:{canary()}@git.example/x",
        lambda: f"https://git.example/x?private_token={canary()}",
    )
    for make in leaky:
        for number, key in ((2, "base_url"), (2, "repos"), (2, "branches"), (3, "projects"), (4, "api_server")):
            for headers in ({}, HTMX):
                yield editor.edit(number, headers, **{key: make()})
        for key in ("name", "tags", "cluster_name", "namespaces", "ca_certificate"):
            yield editor.edit(4, HTMX, **{key: make()})
            config = {"name": make()} if key == "name" else {"config": {key: make()}}
            yield client.post("/api/connectors", json={"name": f"By {key}", "type": "kubernetes", **config})
        yield client.get("/settings/integrations/new/" + make())
        yield client.get("/events/" + make())


def plant_in_bulk_actions(client: FlaskClient) -> Iterator[TestResponse]:
    """Change several connectors at once, with secrets in tags, reasons and the names of the inputs' values."""
    numbers = []
    for name in ("One of many", "Another of many"):
        config = {"name": name, "type": "kubernetes", "config": {"cluster_name": name}}
        numbers.append(client.post("/api/connectors", json=config).get_json()["id"])

    form = form_of(client.get(LIST), "#bulk")

    def post(action: str, **values: Any) -> TestResponse:
        chosen = [f"{number}:{client.get(f'/api/connectors/{number}').get_json()['version']}" for number in numbers]
        return client.post(f"{LIST}/bulk", data={**form, "chosen": chosen, "action": action, **values})

    def leaky() -> str:
        return f"https://me:{canary()}@git.example/?private_token={canary()}"

    for action in ("add_tag", "remove_tag"):
        yield post(action, tags=leaky(), reason=leaky())
        yield post(action, tags=f"plain, {leaky()}" * 20, reason=leaky())
    for values in ({}, {"confirmed": "1"}):
        yield post("disable", tags=leaky(), reason=leaky(), **values)
    yield post("enable", reason=leaky())
    yield post(canary(), tags=canary(), reason=leaky())
    yield post("add_tag", tags="", chosen=f"{canary()}:1")
    yield post("add_tag", tags="stale", chosen=f"{numbers[0]}:99", reason=leaky())
    yield post("add_tag", tags="unsigned", csrf_token=canary())
    yield client.get(LIST)


def plant_through_the_api(client: FlaskClient) -> Iterator[TestResponse]:
    """Send tokens through the API."""
    new = {"name": "By script", "type": "github"}
    yield client.post("/api/connectors", json={**new, "config": {"token": [canary()]}})
    yield client.post("/api/connectors", json={**new, "token": canary()})
    yield client.post("/api/connectors", json={**new, "config": {"token": canary(), "poll_interval": 7}})
    yield client.post("/api/connectors", json={**new, "config": {"token": canary()}})
    etag = {"If-Match": client.get("/api/connectors/2").headers["ETag"]}
    yield client.patch("/api/connectors/2", json={"config": {"token": canary()}}, headers=etag)
    yield client.patch("/api/connectors/2", json={"config": {"token": canary()}}, headers=etag)
    yield client.patch("/api/connectors/2", json={"config": {"token": canary()}})
    about = {"connector_name": "Elsewhere", "connector_type": "github"}
    for field in ("token", "api_key", "client_secret", "password"):
        sides = {"old_value": canary(), "new_value": canary()}
        yield client.post("/api/painchain/log", json={"event_type": "config_changed", **about, "field": field, **sides})
    changes = {
        "token": {"old": canary(), "new": canary()},
        "base_url": {"old": f"https://me:{canary()}@git.example", "new": f"https://git.example?token={canary()}"},
        "login": {"new": {"user": "me", "password": canary()}},
    }
    yield client.post("/api/painchain/log", json={"event_type": "connector_updated", **about, "changes": changes})
    leaky = {"connector_name": f"https://{canary()}@git.example", "author": f"https://me:{canary()}@git.example"}
    yield client.post("/api/painchain/log", json={"event_type": "connector_deleted", **about, **leaky})


def plant_in_reports(client: FlaskClient) -> Iterator[TestResponse]:
    """Send tokens in reasons, filters and invalid bodies, which responses could repeat."""
    leaky = f"https://me:{canary()}@git.example/?private_token={canary()}"
    new = {"name": "With a reason", "type": "kubernetes", "config": {"cluster_name": "x"}}
    yield client.post("/api/connectors", json=new, headers={"X-Reason": quote(leaky)})
    form = form_of(client.get("/events/1"), "#add-note")
    for note in (f"See {leaky}", leaky * 100):
        yield client.post("/events/1/notes", data=fill(form, text=note))
        yield client.post("/api/changes/1/notes", json={"text": note})
    yield client.post("/api/changes/1/notes", json={"note": canary()})
    yield client.get("/events/1")
    yield client.get("/api/changes/1")
    yield client.post("/api/export", json={"format": "csv", "q": leaky})
    yield client.post("/api/teams", json={"name": "Team", "tags": [leaky]})
    yield client.post("/api/views", json={"name": "View", "filter": urlencode({"q": leaky})})
    yield client.post("/api/views", json={"name": leaky, "filter": leaky})
    yield client.get("/settings/views/new", query_string={"q": leaky})
    for path in ("/api/connectors", "/api/notify-rules", "/api/people", "/api/tokens", "/api/painchain/log"):
        yield client.post(path, data=f'{{"token": "{canary()}"', content_type="application/json")
        yield client.post(path, json={"token": canary(), "password": canary(), "url": canary(), "role": canary()})
    yield client.get("/api/connectors", headers={"Authorization": f"Bearer {canary()}"})
    yield client.get(f"/link/{canary()}")
    yield client.get("/metrics", headers={"Authorization": f"Bearer {canary()}"})


def plant_as_people(app: Flask, watch: Watch, client: FlaskClient) -> Iterator[TestResponse]:
    """Set, mistype and change passwords; create tokens and links, which are shown once."""
    created = client.post("/api/people", json={"name": "bob", "role": "editor"})
    link = urlsplit(created.get_json()["link"]).path
    watch.issued(link.rpartition("/")[2])
    person, password = app.test_client(), canary() * 2
    form = form_of(person.get(link), "#link")
    yield person.post(link, data=fill(form, password=canary() * 2, again=canary()))
    yield person.post(link, data=fill(form, password=password, again=password))
    yield person.post(link, data=fill(form, password=password, again=password))
    for name, secret in (("bob", canary()), (canary(), canary()), ("bob", password)):
        yield sign_in(app.test_client(), name, secret)
    form = form_of(person.get("/account"), "form[action='/account/password']")
    for old, new in ((canary(), canary()), (password, canary() * 3)):
        yield person.post("/account/password", data={**form, "old": old, "password": new, "again": new})
    token = watch.issued(client.post("/api/tokens", json={"name": "ci", "role": "viewer"}).get_json()["token"])
    bearer = {"Authorization": f"Bearer {token}"}
    yield app.test_client().get("/api/connectors", headers=bearer)
    yield app.test_client().delete("/api/connectors/2", headers=bearer)
    yield app.test_client().get(f"/api/connectors?token={token}&private_token={canary()}")


def plant_with_fake_servers(
    app: Flask, watch: Watch, client: FlaskClient, fake_server: FakeServer
) -> Iterator[TestResponse]:
    """Let fake servers echo the request, with every kind of failure, to connection tests, polls and messages."""
    numbers = []
    polled = [key for key, connector_type in ADDABLE.items() if connector_type.poll]
    for status, type_key in itertools.product((200, 401, 500), polled):
        base = {"kubernetes": "api_server"}.get(type_key, "base_url")
        extra = {"cluster_name": f"c{status}"} if type_key == "kubernetes" else {}
        config = {"token": canary(), base: f"{fake_server.url}/answer-{status}", **extra}
        new = {"name": f"Far {type_key} {status}", "type": type_key, "enabled": True, "config": config}
        created = client.post("/api/connectors", json=new)
        assert created.status_code == 201, created.text
        numbers.append(created.get_json()["id"])
        yield created
        yield client.post(f"/api/connectors/{numbers[-1]}/test")
    tls = {
        "name": "TLS",
        "type": "gitlab",
        "config": {"token": canary(), "base_url": fake_server.url.replace("http", "https")},
    }
    created = client.post("/api/connectors", json=tls)
    yield client.post(f"/api/connectors/{created.get_json()['id']}/test")
    with app.app_context():
        while lease := polling.acquire(datetime.now(UTC)):
            polling.poll(lease, lambda: datetime.now(UTC))
        db.session.remove()
    address = (
        fake_server.url.replace("http://", f"json://me:{quote(canary(), safe='')}@")
        + f"/answer-500/{quote(canary(), safe='')}"
    )
    rule = {"name": "Far", "url": address, "kinds": ["connector_disabled"]}
    created = client.post("/api/notify-rules", json=rule)
    assert created.status_code == 201, created.text
    yield created
    yield client.post(f"/api/notify-rules/{created.get_json()['id']}/test")
    yield client.post("/api/notify-rules", json={**rule, "name": "No", "url": f"nonsense://me:{canary()}@x"})
    yield client.post(f"/api/connectors/{numbers[0]}/disable")
    NotificationWorker(app, lambda: datetime.now(UTC) + timedelta(minutes=1)).run_once()


def plant_in_deliveries(watch: Watch, client: FlaskClient) -> Iterator[TestResponse]:
    """Deliver webhooks that contain credentials, with valid and invalid signatures."""
    unreachable = "http://127.0.0.1:1"  # an API that does not answer
    config = {"token": canary(), "base_url": unreachable}
    new = {"name": "Listening", "type": "github", "enabled": True, "config": config}
    connector_id = client.post("/api/connectors", json=new).get_json()["id"]
    webhook = client.post(f"/api/connectors/{connector_id}/webhook").get_json()
    path, secret = urlsplit(webhook["url"]).path, watch.issued(webhook["secret"])
    leaky = f"https://me:{canary()}@git.example/x?token={canary()}"
    release = {
        **{"id": 5, "tag_name": "v1", "name": leaky, "body": leaky, "html_url": leaky, "author": {"login": leaky}},
        **{"published_at": "2026-01-15T14:00:00Z", "draft": False, "prerelease": False},
    }
    payload = {"action": "published", "release": release, "repository": {"full_name": "octo/x", "html_url": leaky}}
    accepted = deliver(client, path, secret, "release", payload, "1")
    assert accepted.get_json() == {"events": 1}
    yield accepted
    pull = {"number": 1, "title": leaky, "body": leaky, "html_url": leaky, "user": {"login": leaky}}
    opened_pull = {"action": "opened", "pull_request": pull, "repository": payload["repository"]}
    yield deliver(client, path, secret, "pull_request", opened_pull, "2")
    CompletionWorker(client.application, lambda: datetime.now(UTC) + timedelta(minutes=1)).run_once()
    yield deliver(client, path, canary(), "release", payload, canary())
    yield deliver(client, path, secret, canary(), payload, canary())
    yield client.post(f"/hooks/gitlab/{connector_id}", data=canary(), headers={"X-Gitlab-Token": canary()})
    yield client.get(f"{LIST}/{connector_id}")


def plant_with_the_provider(app: Flask, watch: Watch) -> Iterator[TestResponse]:
    """Return from a provider that echoes the client secret and the code."""
    client = app.test_client()
    redirect = client.get("/sign-in/oidc")
    state = parse_qs(urlsplit(redirect.location).query)["state"][0]
    yield client.get("/sign-in/oidc/back", query_string={"code": canary(), "state": canary()})
    redirect = client.get("/sign-in/oidc")
    state = parse_qs(urlsplit(redirect.location).query)["state"][0]
    yield client.get("/sign-in/oidc/back", query_string={"code": canary(), "state": state})
    yield client.get("/sign-in/oidc/back", query_string={"error": canary(), "error_description": canary()})


def plant_in_faults(app: Flask, watch: Watch, client: FlaskClient) -> Iterator[TestResponse]:
    """Let the database refuse a write with a message that contains credentials."""
    watch.secrets.add(FAULT.encode())
    words = f"no room at https://me:{FAULT}@db.example/?password={FAULT}"
    refuse(app, "INSERT", "change_events", words)
    new = {"name": "Refused", "type": "github", "config": {"token": canary()}}
    refused = client.post("/api/connectors", json=new)
    assert refused.status_code == 503
    assert "no room at" in refused.text
    yield refused
    yield client.post(f"{LIST}/2", data=fill(opened(client, 2), token=canary(), tags="refused"))
    yield client.get("/health")
    change(app, "DROP TRIGGER refuse" + ("" if on_sqlite(app) else " ON change_events"))


def plant_in_checkpoints(
    app: Flask, watch: Watch, client: FlaskClient, fake_server: FakeServer
) -> Iterator[TestResponse]:
    """Check the log; let a receiver of checkpoints echo and refuse the first one, and accept the second."""
    for status, failed in ((400, True), (200, False)):
        url = f"{fake_server.url}/answer-{status}/{canary()}?token={canary()}"
        object.__setattr__(app.extensions["painchain"].settings, "checkpoint_url", url)
        checkpoint = client.post("/api/checkpoints", headers={"X-Reason": quote(f"https://me:{canary()}@git.example")})
        assert checkpoint.status_code == 201
        yield checkpoint
        with app.app_context(), writer.writing():
            check_job.request_check()
        IntegrityWorker(app, lambda: datetime.now(UTC) + timedelta(seconds=1)).run_once()
        integrity = client.get("/api/integrity")
        assert integrity.get_json()["state"] == "whole"
        assert ("answered with status" in str(integrity.get_json()["checkpoint"]["post_error"])) == failed
        yield integrity
        yield client.get("/settings/audit-log")
    posted = [request for request in fake_server.requests if b'"seal"' in request.body]
    assert len(posted) == 2
    # The receiver knows its own address; headers and body must not contain it.
    watch.look("posted checkpoint", *(request.body + str(request.headers).encode() for request in posted))


def on_sqlite(app: Flask) -> bool:
    """Return whether an app uses SQLite."""
    with app.app_context():
        return db.engine.dialect.name == "sqlite"


def fake_answers(received: ReceivedRequest) -> Reply:
    """Describe an OpenID Connect provider; otherwise echo the request with the status in its path."""
    root = f"http://{received.headers['host']}"
    if path_of(received) == "/.well-known/openid-configuration":
        ends = {name: f"{root}/{name}" for name in ("authorization_endpoint", "token_endpoint", "jwks_uri")}
        return as_json({"issuer": root, **ends, "code_challenge_methods_supported": ["S256"]})
    echo = {"message": f"{received.path} {received.headers} {received.body!r}", "error": str(received.headers)}
    match = re.search(r"answer-(\d+)", received.path)
    return as_json(echo, int(match[1]) if match else 400, X_Echo=received.headers.get("authorization", ""))
