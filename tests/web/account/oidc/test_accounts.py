"""Whom a sign-in at the provider admits, and to which account."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import parse_qsl, urlsplit

import pytest

from painchain.accounts import users
from painchain.integrity import verification
from painchain.startup import create_app
from tests.conftest import close, settings_for
from tests.counterparts.node import free_port
from tests.support.accounts import add_person, audited_transaction, sign_in, sign_out
from tests.support.html import form_of, soup, words
from tests.web.account.oidc.flow import (
    BACK,
    follow_link,
    message_of,
    newest,
    open_callback,
    sign_in_at_provider,
    start_sign_in,
)
from tests.web.parts import part_of


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
    page = part_of(client.get(follow_link(client, "/account", "Unlink…")), "main")
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
    assert "You cannot unlink it, because you have no password." in words(part_of(client.get("/account"), "main").main)
    token = form_of(client.get("/account"), "#everywhere")
    for refused in (client.get("/account/unlink"), client.post("/account/unlink", data=token)):
        assert refused.status_code == 409
        assert "has no password" in message_of(refused)
    sign_in(admin)
    with app.app_context():
        number = max(person.id for person in users.list_users())
    address = f"/settings/people/{number}/unlink"
    assert "Until then, nobody can sign in" in words(part_of(admin.get(address), "main").main)
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
