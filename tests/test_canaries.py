"""No secret leaks: secrets are planted through every input, and searched in every output."""

from __future__ import annotations

import base64
import gzip
import io
import itertools
import json
import logging
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import LargeBinary, text
from sqlalchemy.engine import make_url
from werkzeug.test import TestResponse

from painchain import verify_export
from painchain.configuration import connector_store, secrets
from painchain.connectors import ADDABLE
from painchain.core import config as core_config
from painchain.core import key_file
from painchain.database.session import Base, db
from painchain.eventlog import writer
from painchain.ingestion import polling
from painchain.integrity import check_job
from painchain.startup import create_app
from painchain.workers.completion import CompletionWorker
from painchain.workers.integrity import IntegrityWorker
from painchain.workers.notifications import NotificationWorker
from tests.conftest import close, settings_for
from tests.counterparts import FakeServer, ReceivedRequest, Reply, as_json, path_of, run_fake_server
from tests.support.accounts import add_person, sign_in
from tests.support.api import refuse
from tests.support.command_line import Run
from tests.support.html import fill, form_of
from tests.support.tampering import change
from tests.web.test_webhook_signatures import deliver

HTMX = {"HX-Request": "true"}
LIST = "/settings/integrations"
# It contains a character that is percent-encoded in addresses.
CANARY = "c4nary+8d1f-"
FAULT = "f4ult+b27e-made-up"
# Shown only to its sender: the name on the sign-in page (sometimes a password by mistake), the address of a link.
SHOWN_BACK = re.compile(
    r'POST /sign-in 422: .*<input name="name" value="|POST /link/\S+ 422: .*method="post" action="/link/'
)
numbered = itertools.count(1)


def canary() -> str:
    """Return a new secret, so that a leak shows through which input it came."""
    return f"{CANARY}{next(numbered)}"


def forms(secret: bytes) -> set[bytes]:
    """Return the encodings of a secret: plain, percent-encoded, hexadecimal, JSON, base64 at any offset."""
    text = secret.decode("latin-1")
    encodings = {secret, quote(text, safe="").encode(), quote(text).encode(), text.replace("+", " ").encode()}
    encodings |= {form.lower() for form in encodings if b"%" in form and form.isascii()} | {secret.hex().encode()}
    encodings |= {json.dumps(text).replace("/", "\\/")[1:-1].encode()}
    for skipped in range(3):
        packed = base64.b64encode(b"x" * skipped + secret)
        inner = packed[-(-skipped * 8 // 6) : (skipped + len(secret)) * 8 // 6]
        encodings |= {inner, inner.replace(b"+", b"-").replace(b"/", b"_")}
    return encodings


class Watch:
    """The planted secrets, and where they were found."""

    def __init__(self) -> None:
        self.secrets = {CANARY.encode()}
        self.found: list[str] = []
        self.outputs: set[str] = set()
        self._forms: set[bytes] = set()
        self._count = 0

    def issued(self, secret: str) -> str:
        """Also search for a secret that PainChain has created, and return it."""
        assert len(secret) >= 20
        self.secrets.add(secret.encode())
        return secret

    def look(self, output: str, *contents: str | bytes) -> None:
        """Search for every secret in the contents of an output."""
        encodings = set().union(*map(forms, self.secrets)) if len(self.secrets) != self._count else self._forms
        self._forms, self._count = encodings, len(self.secrets)
        self.outputs.add(output)
        for content in contents:
            data = content if isinstance(content, bytes) else content.encode("utf-8", "surrogateescape")
            for form in encodings:
                for hit in re.finditer(re.escape(form), data) if form in data else ():
                    leak = f"{output}: {data[max(hit.start() - 60, 0) : hit.end() + 6]!r}"
                    self.found += [] if SHOWN_BACK.match(leak) else [leak]

    def answers(self, *responses: TestResponse) -> None:
        """Search headers and bodies of responses."""
        for response in responses:
            output = f"{response.request.method} {response.request.path} {response.status_code}"
            self.look(output, str(response.headers), response.get_data())


# Inputs


def opened(client: FlaskClient, number: int) -> dict[str, Any]:
    """Open a connector's page and return its form."""
    return form_of(client.get(f"{LIST}/{number}"), "#connector-form")


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
        yield client.post(address, data=fill(opened(client, number), token=canary(), name=""))
        yield client.post(address, data=fill(opened(client, number), token=canary(), csrf_token="wrong"))
        yield client.post(f"{address}/enable", data={**opened(client, number), "token": canary()}, headers=HTMX)


def plant_in_addresses(client: FlaskClient) -> Iterator[TestResponse]:
    """Send tokens inside addresses, as people paste them: as password, or in the query."""
    leaky = (
        lambda: f"https://me:{canary()}@git.example/x",
        lambda: f"https://git.example/x?private_token={canary()}",
    )
    for make in leaky:
        for number, key in ((2, "base_url"), (2, "repos"), (2, "branches"), (3, "projects"), (4, "api_server")):
            for headers in ({}, HTMX):
                yield client.post(
                    f"{LIST}/{number}", data=fill(opened(client, number), **{key: make()}), headers=headers
                )
        for key in ("name", "tags", "cluster_name", "namespaces", "ca_certificate"):
            yield client.post(f"{LIST}/4", data=fill(opened(client, 4), **{key: make()}), headers=HTMX)
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

    def post(action: str, **values: Any) -> TestResponse:
        form = form_of(client.get(LIST), "#bulk")
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
    for status, type_key in itertools.product((200, 401, 500), ADDABLE):
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


# Outputs


def pages(watch: Watch, app: Flask, client: FlaskClient) -> None:
    """Request every readable address, as a page and as a fragment."""
    ids = {name: [1, 2, 3] for name in ("person_id", "token_id", "rule_id", "team_id", "view_id")}
    connectors = [connector["id"] for connector in client.get("/api/connectors").get_json()]
    events = client.get("/api/changes?limit=500").get_json()
    # The API returns every event completely; one page of each type, author and field is enough.
    some = list(
        {
            (event["event_type"], event["author"], event["metadata"].get("field")): event["id"] for event in events
        }.values()
    )
    with app.app_context():
        watched = db.session.scalar(text("SELECT count(*) FROM change_events"))
    assert len(events) == min(watched, 500)
    for rule in (rule for rule in app.url_map.iter_rules() if rule.endpoint != "static"):
        values: list[dict[str, Any]] = [{}]
        for name in rule.arguments:
            choices: list[Any] = ids.get(name) or {
                "connector_id": connectors,
                "event_id": [event["event_id"] for event in events[:3]],
                "name": ["system", "alice", "bob", "ci"],
                "key": list(ADDABLE),
                "what": ["replace", "remove"],
                "secret": ["x" * 43],
                "document": ["README.md", "admin/configuration.md"],
            }.get(name, [])
            if name == "number":
                choices = connectors if "integrations" in rule.rule else some
            values = [{**arguments, name: value} for arguments in values for value in choices]
        assert values or "GET" not in rule.methods, f"the test has no values for {rule}"
        for arguments in values if "GET" in (rule.methods or ()) else ():
            with app.test_request_context():
                address = app.url_for(rule.endpoint, **arguments)
            watch.answers(client.get(address), *([client.get(address, headers=HTMX)] if len(values) < 60 else []))
    for address in ("/?range=all", "/feed?range=all", "/timeline?range=all", "/report?range=all", "/news?after=0"):
        watch.answers(client.get(address), client.get(address, headers=HTMX))
    for kind in ("csv", "ndjson", "ocsf"):
        exported = client.post("/api/export", json={"format": kind})
        assert exported.status_code == 200, exported.text
        watch.answers(exported)


def database(watch: Watch, app: Flask) -> None:
    """Search every column of every table as text."""
    with app.app_context(), db.engine.connect() as connection:
        for table in Base.metadata.tables.values():
            for column in table.columns:
                plain = text(f'SELECT "{column.name}" FROM {table.name}')  # as it is stored
                values = [value for value in connection.scalars(plain) if value is not None]
                binary = isinstance(column.type, LargeBinary)
                content = b"\n".join(map(bytes, values)) if binary else "\n".join(map(str, values))
                watch.look(f"{table.name}.{column.name}", content)


def files(watch: Watch, folder: Path) -> None:
    """Search every file except the key file: database and journal, checkpoints, backups."""
    for path in folder.rglob("*"):
        if path.is_file() and path.name != "secret.key":
            data = path.read_bytes()
            watch.look(path.name, data)
            if data[:2] == b"\x1f\x8b":
                watch.look(f"{path.name}, unpacked", gzip.decompress(data))


def commands(watch: Watch, run: Run, folder: Path, checkpoint_file: Path) -> None:
    """Plant secrets on the command line, and search the output of each command."""
    leaky = f"https://me:{canary()}@git.example/?token={canary()}"
    about = ["log", "--event-type", "config_changed", "--connector-name", leaky, "--reason", leaky]
    command_lines = [
        [*about, "--field", "token", "--old-value", canary(), "--new-value", canary()],
        [*about, "--field", "base_url", "--new-value", leaky],
        [
            *about,
            "--event-type",
            "connector_updated",
            "--connector-type",
            "github",
            "--changes",
            json.dumps({"api_key": {"new": canary()}}),
        ],
        ["events", "--limit", "10000"],
        ["events", "--limit", "10000", "--json"],
        ["checkpoint", "--reason", leaky],
        *(["export", "--format", kind, "--output", str(folder / kind)] for kind in ("csv", "ndjson", "ocsf")),
        ["backup", str(folder / "backup")],
        *(
            ["verify", *more]
            for more in ([], ["--json"], ["--checkpoint", str(checkpoint_file)], ["--checkpoint", str(folder)])
        ),
        *(["user", "list"], ["prune", "--dry-run"]),
    ]
    for arguments in command_lines:
        done = run(*arguments)
        assert done.exit_code in (0, 1) or str(folder) in arguments, done.output
        watch.look(f"painchain {' '.join(arguments[:2])}", done.output, done.stderr)
    # Error messages do not repeat invalid settings.
    bad = folder / "bad"
    for variable, value in (
        ("PAINCHAIN_DATABASE_URL", f"mysql://me:{canary()}@db.example/x"),
        ("PAINCHAIN_DATABASE_URL", f"postgresql+psycopg://me:{quote(canary(), safe='')}@127.0.0.1:9/x"),
        ("PAINCHAIN_DATABASE_URL", f"postgresql+psycopg://me@127.0.0.1:9/x?password={quote(canary(), safe='')}"),
        ("PAINCHAIN_DATABASE_URL", f"postgresql+psycopg://me@127.0.0.1:9/x?nonsense={quote(canary(), safe='')}"),
        ("PAINCHAIN_SECRET_KEY", canary()),
        ("PAINCHAIN_SECRET_KEY_FILE", canary()),
        ("PAINCHAIN_SECRET_KEY_FILE", str(bad)),
        ("PAINCHAIN_METRICS_TOKEN", f"{canary()} {canary()}"),
        ("PAINCHAIN_METRICS_TOKEN_FILE", canary()),
        ("PAINCHAIN_METRICS_TOKEN_FILE", str(bad)),
        ("PAINCHAIN_OIDC_CLIENT_SECRET_FILE", canary()),
        ("PAINCHAIN_CHECKPOINT_URL", f"https://me:{canary()}@keep.example/"),
        ("PAINCHAIN_CHECKPOINT_URL", f"http://keep.example/?token={canary()}"),
        ("PAINCHAIN_PUBLIC_URL", f"https://me:{canary()}@painchain.example/"),
        ("PAINCHAIN_OIDC_ISSUER", f"https://me:{canary()}@id.example/"),
    ):
        bad.write_text(f"{canary()} {canary()}")
        done = run("events", env={"PAINCHAIN_SECRET_KEY_FILE": "", variable: value})
        assert done.exit_code in (1, 2), f"{variable} {done.output}"
        watch.look(f"painchain with a bad {variable}", done.output, done.stderr)
    bad.unlink()


def verifier(watch: Watch, folder: Path, key: Path, checkpoint_file: Path) -> None:
    """Search the output of the verifier of exports, for a valid export and for other files."""
    bad = folder / "bad"
    bad.write_text(canary())
    for arguments, code in (
        (("ndjson", key, checkpoint_file), 0),
        (("csv", key, checkpoint_file), 1),
        (("ndjson", bad, checkpoint_file), 2),
        (("ndjson", key, bad), 2),
        ((bad, key, checkpoint_file), 1),
    ):
        export, used, checkpoints = (str(folder / name) for name in arguments)
        command = [sys.executable, verify_export.__file__, export, "--key", used, "--checkpoint", checkpoints]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == code, done
        watch.look("the verifier of exports", done.stdout, done.stderr)
    bad.unlink()


def restores(watch: Watch, run: Run, folder: Path) -> None:
    """Search the output of a restore, of a backup and of other files."""
    leaky = f"https://me:{canary()}@git.example/?token={canary()}"
    (folder / "bad").write_bytes(gzip.compress(json.dumps({"format": 1, "rows": {}, leaky: canary()}).encode()))
    for name, code in (("bad", 1), ("csv", 1), ("backup", 0)):
        done = run("restore", str(folder / name), "--replace", "--yes", "--reason", leaky)
        assert done.exit_code == code, done.output
        watch.look(f"painchain restore {name}", done.output, done.stderr)
    (folder / "bad").unlink()


def test_no_secret_is_readable_anywhere(
    settings: core_config.Settings, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch, log = Watch(), io.StringIO()
    handler = logging.StreamHandler(log)
    logging.root.addHandler(handler)
    logging.root.setLevel(logging.DEBUG)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    keys = key_file.read_keys(key_file.key_source(settings))
    assert keys
    watch.issued((settings.instance / "secret.key").read_text().strip())
    watch.secrets |= {
        keys.roots[0],
        *(keys.derive(purpose) for purpose in ("sessions", "stored secrets", "chain of events")),
    }
    url = settings.database_url
    if not url.startswith("sqlite"):
        url = make_url(url).set(password=canary()).render_as_string(hide_password=False)
    with run_fake_server(fake_answers) as fake_server:
        app_settings = settings_for(
            settings.instance,
            url,
            oidc_issuer=fake_server.url,
            oidc_client_id="painchain",
            oidc_client_secret=canary(),
            public_url="http://localhost",
            metrics_token=canary() * 2,
        )
        app = create_app(app_settings)
        try:
            add_person(app)
            client = app.test_client()
            assert sign_in(client).status_code == 303
            for plant in (
                *(plant_in_forms, plant_in_addresses, plant_in_bulk_actions, plant_through_the_api, plant_in_reports),
            ):
                watch.answers(*plant(client))
            watch.answers(
                *plant_as_people(app, watch, client), *plant_with_fake_servers(app, watch, client, fake_server)
            )
            watch.answers(*plant_in_deliveries(watch, client), *plant_with_the_provider(app, watch))
            watch.answers(*plant_in_faults(app, watch, client))
            watch.look("the log", log.getvalue())
            watch.secrets.remove(FAULT.encode())  # the trigger itself is stored in the database
            watch.answers(*plant_in_checkpoints(app, watch, client, fake_server))
            metrics = app.test_client().get(
                "/metrics", headers={"Authorization": f"Bearer {app_settings.metrics_token}"}
            )
            assert metrics.status_code == 200
            watch.answers(metrics)
            with app.app_context():  # the planted secrets were really stored
                stored = [secrets.decrypted_secrets(row) for row in connector_store.list_all() if row.secrets]
            assert len(stored) > 10
            assert all(
                secret.startswith(CANARY)
                for values in stored
                for secret in values.values()
                if secret != "made-up-token"
            )
            assert any(CANARY in str(request.headers) + str(request.body) for request in fake_server.requests)
            monkeypatch.setenv("PAINCHAIN_DATABASE_URL", url)
            commands(watch, run, tmp_path, app_settings.checkpoint_file)
            verifier(watch, tmp_path, settings.instance / "secret.key", app_settings.checkpoint_file)
            pages(watch, app, client)
            rotated = run("rotate-key", "--reason", f"https://me:{canary()}@git.example")
            assert rotated.exit_code == 0, rotated.output
            watch.issued(next(iter((settings.instance / "secret.key").read_text().split())))
            watch.look("painchain rotate-key", rotated.output, rotated.stderr)
            restores(watch, run, tmp_path)
            database(watch, app)
            files(watch, tmp_path)
        finally:
            close(app)
            logging.root.removeHandler(handler)
    watch.look("the log", log.getvalue())
    assert "GET /" in log.getvalue()
    assert watch.outputs >= {f"POST {LIST}/bulk {status}" for status in (200, 303, 400, 409, 422)}
    files_read = {"backup", "backup, unpacked", "checkpoints.ndjson", "csv", "ndjson", "ocsf"}
    assert watch.outputs >= {"GET /metrics 200", "GET /api/integrity 200", "GET /settings/audit-log 200", *files_read}
    assert not watch.found, "\n".join(sorted(set(watch.found)))


def test_the_search_finds_a_secret_in_every_encoding() -> None:
    secret = canary()
    for encoded in (
        *(secret, quote(secret), quote(secret, safe=""), secret.encode().hex(), json.dumps({"a": secret})),
        *(base64.b64encode(b"user:"[:n] + secret.encode()).decode() for n in range(6)),
        *(base64.urlsafe_b64encode(b"user:"[:n] + secret.encode()).decode() for n in range(6)),
    ):
        watch = Watch()
        watch.look("here", f"before {encoded} after")
        assert watch.found, encoded
    nothing = Watch()
    nothing.look("here", "c4nary", "8d1f", base64.b64encode(b"something else"))
    assert nothing.found == []
