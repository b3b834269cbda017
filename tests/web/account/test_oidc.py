"""Sign-in through OpenID Connect with a real provider: who is admitted, and which responses are refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from painchain.accounts import users
from painchain.core import config
from painchain.database.session import db
from painchain.integrity import verification
from painchain.startup import create_app
from tests.conftest import close, settings_for
from tests.counterparts.node import free_port
from tests.counterparts.oidc import FakeProvider, provider
from tests.support.accounts import PASSWORD, add_person, audited_transaction, sign_in, sign_out
from tests.support.html import form_of, soup, words

BACK = "/sign-in/oidc/back"
MakeApp = Callable[..., Flask]


@pytest.fixture(scope="session")
def shared_provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeProvider]:
    with provider(tmp_path_factory.mktemp("provider")) as fake_provider:
        yield fake_provider


@pytest.fixture
def fake_server(shared_provider: FakeProvider) -> FakeProvider:
    shared_provider.faults()
    return shared_provider


@pytest.fixture
def make_app(settings: config.Settings, fake_server: FakeProvider) -> Iterator[MakeApp]:
    """Return a function that starts a server with the provider, and an admin whose email address the provider has."""
    apps: list[Flask] = []

    def make(**more: str) -> Flask:
        app_settings = settings_for(settings.instance, settings.database_url, **fake_server.environment(**more))
        apps.append(app := create_app(app_settings))
        with audited_transaction(app) as trail:
            if not users.any_exist():
                users.add("alice", "admin", trail, email="alice@people.example", password=PASSWORD)
        return app

    yield make
    for app in apps:
        close(app)


@pytest.fixture
def app(make_app: MakeApp) -> Flask:
    return make_app()


def start_sign_in(client: FlaskClient, start: str = "/sign-in") -> str:
    """Press the provider's button on the sign-in page, and return its address at the provider."""
    button = soup(client.get(start)).select_one("a.button[href^='/sign-in/oidc']")
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
    return words(soup(answer).select_one("[role=alert]"))


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


@pytest.mark.both_databases
def test_an_existing_account_reaches_the_requested_page_and_is_then_matched_by_subject(app, client, fake_server):
    answer = sign_in_at_provider(client, fake_server, "subject-of-alice", client.get("/report?month=2026-01").location)
    assert (answer.status_code, answer.location) == (303, "/report?month=2026-01")
    assert "alice admin" in words(soup(client.get("/")).select_one(".who"))
    linked, entered = newest(app, 2)
    assert linked[:2] == ("PersonChanged", "alice")
    assert linked[2]["changes"] == {"issuer": {"old": None, "new": fake_server.url}}
    assert entered[:2] == ("SignedIn", "alice")
    assert entered[2]["way"] == "oidc"
    sign_out(client)
    with audited_transaction(app) as trail:
        users.change(users.find_by_name("alice"), trail, None, name="alice", role="admin", email="a@moved.example")
    assert sign_in_at_provider(client, fake_server, "subject-of-alice").status_code == 303
    assert [kind for kind, *_ in newest(app, 2)] == ["PersonChanged", "SignedIn"]


def test_the_authorization_request_has_pkce_state_and_nonce(app, client, fake_server):
    parameters = dict(parse_qsl(urlsplit(start_sign_in(client)).query))
    assert parameters["response_type"] == "code"
    assert parameters["code_challenge_method"] == "S256"
    assert parameters["redirect_uri"] == f"http://localhost{BACK}"
    assert min(len(parameters[name]) for name in ("state", "nonce", "code_challenge")) >= 43
    assert dict(parse_qsl(urlsplit(start_sign_in(client)).query))["state"] != parameters["state"]


@pytest.mark.parametrize(
    ("account", "message", "why"),
    [
        (
            "subject-of-bob",
            "No account with the address bob@people.example. Ask",
            "no account with the email",
        ),
        ("unverified", "alice@people.example is not verified at Example ID", "is not verified"),
        ("nameless", "Example ID sent no usable email address", "no email address"),
        ("lookalike", "Example ID sent no usable email address", "no email address"),
    ],
)
def test_a_refused_sign_in_shows_the_reason_and_is_audited(app, client, fake_server, account, message, why):
    answer = sign_in_at_provider(client, fake_server, account)
    assert answer.status_code == 403
    assert message_of(answer).startswith(message)
    [(kind, author, facts)] = newest(app)
    assert (kind, author, facts["way"], facts["person"]) == ("SignInFailed", "system", "oidc", None)
    assert why in facts["why"]
    assert client.get("/").status_code == 303


def test_a_disabled_account_cannot_sign_in(app, client, fake_server):
    add_person(app, "root")
    sign_in_at_provider(client, fake_server, "subject-of-alice")
    with audited_transaction(app) as trail:
        users.disable(users.find_by_name("alice"), trail)
    assert message_of(client.get(client.get("/").location)).startswith("Your account is disabled")
    answer = sign_in_at_provider(client, fake_server, "subject-of-alice")
    assert (answer.status_code, message_of(answer)) == (403, "Your account is disabled. Ask an admin to enable it.")
    assert newest(app)[0][2]["person"] == "alice"


def test_an_address_reassigned_at_the_provider_does_not_give_access_to_the_account(app, client, fake_server):
    sign_in_at_provider(client, fake_server, "subject-of-alice")
    stranger = app.test_client()
    answer = sign_in_at_provider(stranger, fake_server, "other-alice")
    assert answer.status_code == 403
    assert "belongs to another user at Example ID" in message_of(answer)


def test_an_identity_is_unlinked_by_its_person_or_an_admin(app, client, fake_server):
    sign_in_at_provider(client, fake_server, "subject-of-alice")
    other_browser = app.test_client()
    sign_in_at_provider(other_browser, fake_server, "subject-of-alice")
    page = soup(client.get(follow_link(client, "/account", "Unlink…")))
    assert fake_server.url in words(page.main)
    assert client.post("/account/unlink", data=form_of(client.get("/account/unlink"), "main form")).status_code == 303
    [(kind, author, facts)] = newest(app)
    assert (kind, author, facts["changes"]) == (
        "PersonChanged",
        "alice",
        {"issuer": {"old": fake_server.url, "new": None}},
    )
    assert [client.get("/account").status_code, other_browser.get("/account").status_code] == [200, 303]
    assert client.get("/account/unlink").status_code == 409
    with app.app_context():
        assert verification.completeness().drift == []
    # The admin unlinks the account of a person who has another subject at the provider now.
    sign_in_at_provider(app.test_client(), fake_server, "subject-of-alice")
    stranger = app.test_client()
    assert sign_in_at_provider(stranger, fake_server, "other-alice").status_code == 403
    add_person(app, "root")
    sign_out(client)
    sign_in(client, "root")
    address = follow_link(client, "/settings/people/1", "Unlink…")
    values = form_of(client.get(address), "main form")
    assert client.post(address, data={**values, "version": "999"}).status_code == 409
    assert client.post(address, data={**values, "reason": "Migrated"}).status_code == 303
    assert sign_in_at_provider(stranger, fake_server, "other-alice").status_code == 303


def test_an_admin_unlinks_an_identity_through_the_api(app, client, fake_server):
    sign_in_at_provider(client, fake_server, "subject-of-alice")
    add_person(app, "bob", "viewer")
    root = app.test_client()
    add_person(app, "root")
    sign_in(root, "root")
    read = root.get("/api/people/1")
    assert (read.get_json()["issuer"], root.get("/api/people/2").get_json()["issuer"]) == (fake_server.url, None)
    assert root.post("/api/people/2/unlink").status_code == 409
    assert root.post("/api/people/1/unlink", headers={"If-Match": '"person-1-999"'}).status_code == 412
    unlinked = root.post("/api/people/1/unlink", headers={"If-Match": read.headers["ETag"], "X-Reason": "Migrated"})
    assert (unlinked.status_code, unlinked.get_json()["issuer"]) == (200, None)
    assert unlinked.headers["ETag"] != read.headers["ETag"]
    [(kind, author, facts)] = newest(app)
    assert (kind, author, facts["changes"]) == (
        "PersonChanged",
        "root",
        {"issuer": {"old": fake_server.url, "new": None}},
    )
    assert client.get("/account").status_code == 303, "the session that began at the provider ended"


def follow_link(client: FlaskClient, page: str, name: str) -> str:
    """Return the address of the link of this name on a page."""
    [link] = [link for link in soup(client.get(page)).select("main a") if words(link) == name]
    return str(link["href"])


def test_signing_in_again_asks_the_provider_to_authenticate(app, client, fake_server):
    sign_in_at_provider(client, fake_server, "subject-of-alice")
    address = start_sign_in(client, "/sign-in?again=1&next=/settings/people/new")
    parameters = dict(parse_qsl(urlsplit(address).query))
    assert (parameters["prompt"], parameters["max_age"]) == ("login", "600")
    answer = open_callback(client, fake_server.visit(address, "subject-of-alice"))
    assert (answer.status_code, answer.location) == (303, "/settings/people/new")


def test_a_person_whom_the_provider_remembered_signs_in_again_before_changing_who_has_access(app, client, fake_server):
    remembered = {"account": "subject-of-alice", "ago": "7200"}
    assert open_callback(client, fake_server.visit(start_sign_in(client), **remembered)).status_code == 303
    assert newest(app)[0][2]["way"] == "oidc"
    assert client.get("/settings/people").status_code == 200
    page = client.get("/settings/people/new").location
    assert page == "/sign-in?again=1&next=%2Fsettings%2Fpeople%2Fnew"
    assert message_of(client.get(page)).endswith("Example ID remembered you, and did not ask you to sign in there.")
    assert client.post("/api/people", json={"name": "bob", "role": "admin"}).status_code == 403
    address = start_sign_in(client, page)
    assert open_callback(client, fake_server.visit(address, "subject-of-alice")).status_code == 303
    assert client.get("/settings/people/new").status_code == 200


def test_nobody_is_locked_out_by_unlinking(make_app, fake_server):
    app = make_app(oidc_role="editor")
    client, admin = app.test_client(), app.test_client()
    sign_in_at_provider(client, fake_server, "subject-of-bob")
    assert "You cannot unlink it, because you have no password." in words(soup(client.get("/account")).main)
    token = form_of(client.get("/account"), "#everywhere")
    for refused in (client.get("/account/unlink"), client.post("/account/unlink", data=token)):
        assert refused.status_code == 409
        assert "has no password" in message_of(refused)
    sign_in(admin)
    with app.app_context():
        number = max(person.id for person in users.list_users())
    address = f"/settings/people/{number}/unlink"
    assert "Until then, nobody can sign in" in words(soup(admin.get(address)).main)
    form = form_of(admin.get(f"/settings/people/{number}"), "#person")
    assert admin.post(f"/settings/people/{number}", data={**form, "email": ""}).status_code == 303
    refused = admin.post(address, data=form_of(admin.get(f"/settings/people/{number}"), "#switch"))
    assert (refused.status_code, "create a reset link" in message_of(refused)) == (409, True)


def test_a_first_sign_in_creates_an_account_if_a_setting_allows_it(make_app, fake_server):
    app = make_app(oidc_role="editor", oidc_domains="people.example, @else.example")
    client = app.test_client()
    assert sign_in_at_provider(client, fake_server, "subject-of-bob").status_code == 303
    assert "bob@people.example editor" in words(soup(client.get("/")).select_one(".who"))
    assert [event[:2] for event in newest(app, 3)] == [
        ("PersonAdded", "system"),
        ("PersonChanged", "bob@people.example"),
        ("SignedIn", "bob@people.example"),
    ]
    answer = sign_in_at_provider(app.test_client(), fake_server, "elsewhere")
    assert message_of(answer) == "Sign-in is not allowed for addresses like bob@elsewhere.example."


def test_the_provider_cannot_create_the_first_account(settings, fake_server):
    app_settings = settings_for(settings.instance, settings.database_url, **fake_server.environment(oidc_role="admin"))
    app = create_app(replace(app_settings, host="0.0.0.0"))
    try:
        answer = app.test_client().get("/sign-in/oidc")
        assert (answer.status_code, "There are no accounts yet" in message_of(answer)) == (403, True)
    finally:
        close(app)


def fail(client: FlaskClient, fake_server: FakeProvider, fault: str) -> TestResponse:
    """Return from the provider with a fault."""
    address = start_sign_in(client)
    if fault == "another state":
        return open_callback(client, with_query(fake_server.visit(address, "subject-of-alice"), state="x" * 43))
    if fault == "another browser":
        return open_callback(client.application.test_client(), fake_server.visit(address, "subject-of-alice"))
    if fault == "another nonce":
        return open_callback(client, fake_server.visit(with_query(address, nonce="x" * 43), "subject-of-alice"))
    if fault == "another verifier":
        return open_callback(
            client, fake_server.visit(with_query(address, code_challenge="x" * 43), "subject-of-alice")
        )
    if fault == "another issuer":
        return open_callback(
            client, with_query(fake_server.visit(address, "subject-of-alice"), iss="https://other.example")
        )
    if fault == "refused":
        return open_callback(client, fake_server.visit(address, refuse="yes"))
    if fault == "a made-up code":
        return open_callback(client, with_query(fake_server.visit(address, "subject-of-alice"), code="x" * 43))
    back = fake_server.visit(address, "subject-of-alice")
    fake_server.faults(**{"another key": {"keys": "other"}, "no answer": {"silent": "/token"}}[fault])
    return open_callback(client, back)


@pytest.mark.parametrize(
    ("fault", "status", "message", "why"),
    [
        ("another state", 400, "This sign-in was not started in this browser", "the state is not that of this browser"),
        (
            "another browser",
            400,
            "This sign-in was not started in this browser",
            "the state is not that of this browser",
        ),
        ("another nonce", 502, "The ID token from Example ID is invalid", "not to be believed: invalid_claim nonce"),
        ("another verifier", 400, "Example ID does not accept this sign-in", "the code was refused: invalid_grant"),
        (
            "another issuer",
            502,
            "The response from Example ID is not valid OpenID Connect",
            "the provider's answer was not understood",
        ),
        ("refused", 403, "Example ID refused the sign-in (access_denied)", "refused: access_denied"),
        ("a made-up code", 400, "Example ID does not accept this sign-in", "the code was refused: invalid_grant"),
        ("another key", 502, "The ID token from Example ID is invalid", "not to be believed: bad_signature"),
        ("no answer", 503, "Example ID does not respond correctly", "the provider did not answer"),
    ],
)
def test_an_invalid_callback_signs_nobody_in(app, client, fake_server, fault, status, message, why):
    answer = fail(client, fake_server, fault)
    assert (answer.status_code, message_of(answer)[: len(message)]) == (status, message)
    [(kind, author, facts)] = newest(app)
    assert (kind, author, facts["way"]) == ("SignInFailed", "system", "oidc")
    assert why in facts["why"]
    assert client.get("/").status_code == 303
    fake_server.faults()
    assert sign_in_at_provider(client, fake_server, "subject-of-alice").status_code == 303


def test_a_code_signs_in_once(app, client, fake_server):
    back = fake_server.visit(start_sign_in(client), "subject-of-alice")
    cookie = client.get_cookie("painchain_away")
    assert open_callback(client, back).status_code == 303
    sign_out(client)
    assert "was not started in this browser" in message_of(
        open_callback(client, back)
    )  # the browser's pending sign-in was used
    client.set_cookie("painchain_away", cookie.value)
    answer = open_callback(client, back)
    assert (answer.status_code, "was already used or has expired" in message_of(answer)) == (400, True)


def test_many_failures_are_throttled_except_in_a_known_browser(app, client, fake_server):
    sign_in_at_provider(client, fake_server, "subject-of-alice")
    sign_out(client)
    stranger = app.test_client()
    answers = [stranger.get(BACK).status_code for _ in range(31)]
    assert answers == [400] * 30 + [429]
    assert sign_in_at_provider(client, fake_server, "subject-of-alice").status_code == 303


def test_password_sign_in_works_while_the_provider_is_down(make_app, fake_server):
    app = make_app(oidc_issuer=f"http://127.0.0.1:{free_port()}")
    client = app.test_client()
    answer = client.get("/sign-in/oidc")
    assert answer.status_code == 503
    assert message_of(answer) == "Example ID does not respond correctly. Try again in a minute."
    assert sign_in(client).status_code == 303


def test_without_a_provider_there_is_no_button_and_no_route(settings):
    app = create_app(settings)
    try:
        add_person(app)
        client = app.test_client()
        assert soup(client.get("/sign-in")).select("a[href^='/sign-in/oidc']") == []
        assert [client.get(path).status_code for path in ("/sign-in/oidc", BACK)] == [404, 404]
    finally:
        close(app)


def test_sign_in_never_redirects_to_another_site(app, client, fake_server):
    answer = sign_in_at_provider(client, fake_server, "subject-of-alice", "/sign-in?next=https://elsewhere.example/")
    assert answer.location == "/"
