"""API tokens are created and shown once, used, expired and revoked; their events name the token."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient

from painchain.accounts import users
from painchain.database.models import ApiToken
from painchain.database.session import db
from tests.support.accounts import add_person, audited_transaction, sign_in
from tests.support.html import fill, form_of, soup, texts, words
from tests.web.parts import part_of

PAGE = "/settings/tokens"
CLUSTER = {"name": "Cluster", "type": "kubernetes"}


@pytest.fixture
def admin(app: Flask, client: FlaskClient) -> int:
    """The number of the signed-in account."""
    number = add_person(app)
    sign_in(client)
    return number


def create_token(client: FlaskClient, **values: str) -> str:
    """Create a token through the form, and return it as shown once on the page."""
    form = fill(form_of(client.get(f"{PAGE}/new"), "#token"), **values)
    response = client.post(f"{PAGE}/new", data=form)
    assert response.status_code == 200, words(soup(response).main)
    return str(part_of(response, "secret").select_one("#secret")["value"])


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


@pytest.mark.both_databases
@pytest.mark.usefixtures("admin")
def test_a_token_is_shown_once_and_its_name_is_in_its_events(app, client, events):
    secret = create_token(client, name="ci", role="editor", reason="The new pipeline")
    created_token = events()[-1]
    assert (created_token["event_type"], created_token["author"], created_token["description"]["reason"]) == (
        "TokenCreated",
        "alice",
        "The new pipeline",
    )
    script = app.test_client()
    assert script.post("/api/connectors", json=CLUSTER, headers=bearer(secret)).status_code == 201
    report = {"event_type": "config_changed", "connector_name": "Cluster", "field": "x", "author": "alice"}
    assert script.post("/api/painchain/log", json=report, headers=bearer(secret)).status_code == 201
    created, reported = events(author="token:ci")
    assert created["event_type"] == "ConnectorCreated"
    assert reported["description"]["claimed_author"] == "alice"
    assert "cause" not in reported["description"]
    page = part_of(client.get("/?range=all&author=token:ci"), "feed")
    assert texts(page, "#feed .author") == ["token:ci", "token:ci"]
    assert texts(page, "#feed .claimed") == ["claimed author: alice"]
    shown_text = client.get(PAGE).text + client.get("/?range=all").text + str(events())
    assert secret[4:] not in shown_text
    with app.app_context():
        assert secret[4:] not in str(db.session.execute(db.text("SELECT * FROM api_tokens")).all())
    assert "used just now" in words(part_of(client.get(PAGE), "token-1").select_one("#token-1 .meta"))


def test_a_token_is_limited_by_its_role_and_by_its_owner(app, client, admin):
    secrets = [create_token(client, name=role, role=role) for role in ("viewer", "editor", "admin")]
    script = app.test_client()

    def add_team(secret: str) -> int:
        body = {"name": f"Team {secret}", "tags": ["a"]}
        return script.post("/api/teams", json=body, headers=bearer(secret)).status_code

    def read(address: str, secret: str) -> int:
        return script.get(address, headers=bearer(secret)).status_code

    assert [read("/api/changes", secret) for secret in secrets] == [200, 200, 200]
    assert [add_team(secret) for secret in secrets] == [403, 201, 201]
    assert [read("/api/tokens", secret) for secret in secrets] == [403, 403, 200]
    add_person(app, "bob")
    with audited_transaction(app) as trail:
        users.change(users.get(admin), trail, None, name="alice", role="viewer")
    assert [add_team(secret) for secret in secrets] == [403, 403, 403]
    with audited_transaction(app) as trail:
        users.disable(users.get(admin), trail)
    assert [read("/api/changes", secret) for secret in secrets] == [401, 401, 401]


@pytest.mark.usefixtures("admin")
def test_a_token_expires(app, client):
    secret = create_token(client, name="short", days="7")
    assert app.test_client().get("/api/changes", headers=bearer(secret)).status_code == 200
    with app.app_context():
        token = db.session.get_one(ApiToken, 1)
        assert token.expires - token.created_at == timedelta(days=7)
        token.expires -= timedelta(days=8)
        db.session.commit()
    refused = app.test_client().get("/api/changes", headers=bearer(secret))
    assert (refused.status_code, refused.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert words(part_of(client.get(PAGE), "token-1").select_one("#token-1 .pill")) == "Expired"


@pytest.mark.usefixtures("admin")
def test_a_revoked_token_no_longer_works(app, client, events):
    secret = create_token(client, name="old")
    address = f"{PAGE}/1/revoke"
    assert client.post(address, data=form_of(client.get(address), "main form")).status_code == 303
    assert app.test_client().get("/api/changes", headers=bearer(secret)).status_code == 401
    assert events()[-1]["event_type"] == "TokenRevoked"
    assert client.get(address).status_code == 404


@pytest.mark.usefixtures("admin")
def test_an_invalid_value_is_reported_beside_its_field(client, events):
    create_token(client, name="ci")
    before = events()
    for values, wrong in (
        ({"name": " "}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"name": "CI"}, "name"),
        ({"role": "root"}, "role"),
        ({"days": "8"}, "days"),
        ({"days": "many"}, "days"),
    ):
        form = fill(form_of(client.get(f"{PAGE}/new"), "#token"), **{"name": "new", **values})
        page = client.post(f"{PAGE}/new", data=form)
        assert page.status_code == 422
        assert [element["id"] for element in part_of(page, "token").select(".error")] == [f"error-{wrong}"]
    assert events() == before


@pytest.mark.usefixtures("admin")
def test_the_api_creates_lists_and_revokes_tokens(client, events):
    created_token = client.post("/api/tokens", json={"name": "ci", "role": "viewer", "days": 0})
    assert created_token.status_code == 201
    body = created_token.get_json()
    assert body.pop("token").startswith("pct_")
    assert (body["name"], body["role"], body["person"], body["expires"]) == ("ci", "viewer", "alice", None)
    assert client.get("/api/tokens").get_json() == [body]
    assert client.get(created_token.location).get_json() == body
    again = client.post("/api/tokens", json={"name": "CI", "role": "viewer"})
    assert (again.status_code, again.get_json()["errors"][0]["field"]) == (422, "name")
    assert client.delete(created_token.location).status_code == 204
    assert client.delete(created_token.location).status_code == 404
    assert [event["event_type"] for event in events()[-2:]] == ["TokenCreated", "TokenRevoked"]


def test_tokens_require_an_account(client, events):
    before = events()
    assert "Create token" not in words(part_of(client.get(PAGE), "main").main)
    assert part_of(client.get(f"{PAGE}/new"), "token").select_one("#token") is None
    refused = client.post("/api/tokens", json={"name": "ci", "role": "viewer"})
    assert (refused.status_code, refused.get_json()["message"][:21]) == (409, "No token was created.")
    assert events() == before


def test_the_api_description_explains_authentication(client):
    document = client.get("/openapi.json").get_json()
    assert document["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
    assert {"token": []} in document["security"]
    assert document["paths"]["/health"]["get"]["security"] == []
    writes = [operation for path in document["paths"].values() for method, operation in path.items() if method != "get"]
    assert all("X-Reason" in [parameter["name"] for parameter in operation["parameters"]] for operation in writes)
