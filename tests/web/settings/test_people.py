"""Settings → People, the page of a person, the own account, and the API of people."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from painchain.accounts import users
from tests.support.accounts import PASSWORD, add_person, audited_transaction, make_link, sign_in, sign_out
from tests.support.html import action_of, fill, form_of, texts, unfold, words
from tests.web.parts import part_of

LIST = "/settings/people"
NEW_PASSWORD = "a wholly different set of words"


def send(client: FlaskClient, page: str, selector: str, **values: Any) -> TestResponse:
    """Fetch a form, fill it in and send it to its action."""
    response = client.get(page)
    form = part_of(response, "main").select_one(selector)
    assert form is not None, f"no {selector} on {page}"
    return client.post(str(form["action"]), data=fill(form_of(response, selector), **values))


def save(client: FlaskClient, number: int, **values: Any) -> TestResponse:
    return send(client, f"{LIST}/{number}", "#person", **values)


def path_of(response: TestResponse) -> str:
    """Return the path of the one-time link on a page or in a JSON response."""
    link = (
        response.get_json()["link"]
        if response.is_json
        else part_of(response, "one-time-link").select_one("#one-time-link")["value"]
    )
    return str(link).removeprefix("http://localhost")


def problem(response: TestResponse) -> str:
    return words(part_of(response, "main").select_one("main [role=alert]"))


# The first account


@pytest.mark.both_databases
def test_the_first_account_is_an_admin_whose_link_sets_the_password(app, client, events):
    assert "everyone must sign in" in words(part_of(client.get(LIST), "main").main)
    refused = send(client, f"{LIST}/new", "#person", name="alice", role="viewer")
    assert refused.status_code == 422
    assert "The first account must be an admin" in words(part_of(refused, "error-role").select_one("#error-role"))
    created = send(client, f"{LIST}/new", "#person", name=" alice ")
    assert created.status_code == 200
    assert "shown only once" in words(part_of(created, "main").main)
    assert client.get(LIST).status_code == 303, "nobody is signed in before the link is used"
    used = send(client, path_of(created), "#link", password=PASSWORD, again=PASSWORD)
    assert used.status_code == 303
    assert texts(part_of(client.get(LIST), "cards"), ".card h2") == ["alice you"]
    new_events = [(event["event_type"], event["author"]) for event in events()][-4:]
    assert new_events == [
        ("PersonAdded", "system"),
        ("PasswordLinkMade", "system"),
        ("PasswordSet", "alice"),
        ("SignedIn", "alice"),
    ]


def test_the_first_account_with_a_password_leads_to_the_sign_in_page(app, client):
    answer = send(client, f"{LIST}/new", "#person", name="alice", password=PASSWORD)
    assert answer.location == LIST
    page = client.get(LIST, follow_redirects=True)
    assert "From now on, everyone must sign in" in words(part_of(page, "toast").select_one("#toast"))
    assert sign_in(client).status_code == 303


# Settings → People


INVALID = [
    ({"name": " "}, "name", "Enter a name"),
    ({"name": "Ａlice"}, "name", "An account named “alice” already exists"),
    ({"name": "token:x"}, "name", "reserved for PainChain"),
    ({"name": "bob", "role": "king"}, "role", "Choose one of"),
    ({"name": "bob", "email": "here"}, "email", "not a valid email address"),
    ({"name": "bob", "password": "short"}, "password", "12 characters"),
]


def test_an_invalid_account_value_is_reported_at_its_field(app, client, subtests):
    add_person(app)
    sign_in(client)
    for values, field, message in INVALID:
        with subtests.test(str(values)):
            answer = send(client, f"{LIST}/new", "#person", **values)
            assert answer.status_code == 422
            assert message in words(part_of(answer, "person").select_one(f"#error-{field}"))
            if "password" in values:
                assert "short" not in str(part_of(answer, "password").select_one("#password"))


def test_a_change_is_audited_and_a_new_role_ends_sessions(app, client, events):
    add_person(app)
    bob = add_person(app, "bob", "viewer")
    sign_in(client)
    bobs = app.test_client()
    sign_in(bobs, "bob")
    assert save(client, bob, name="robert", role="editor", email="Bob@Example.org").location == LIST
    [event] = events(event_type="PersonChanged")
    assert event["author"] == "alice"
    assert {change["field"] if "field" in change else change["key"] for change in event["description"]["changes"]} == {
        "name",
        "role",
        "email",
    }
    assert bobs.get("/").status_code == 303
    assert sign_in(bobs, "robert").status_code == 303
    assert "No changes to save." in words(part_of(client.get(save(client, bob).location), "toast").select_one("#toast"))
    assert len(events(event_type="PersonChanged")) == 1


def test_a_stale_form_does_not_overwrite_another_persons_change(app, client):
    add_person(app)
    bob = add_person(app, "bob", "viewer")
    sign_in(client)
    stale = form_of(client.get(f"{LIST}/{bob}"), "#person")
    save(client, bob, role="editor")
    answer = client.post(f"{LIST}/{bob}", data=fill(stale, name="bert"))
    assert answer.status_code == 409
    assert "It is now “bob”, editor" in words(part_of(answer, "conflict").select_one("#conflict"))
    again = form_of(answer, "#person")
    assert (again["name"], again["role"]) == ("bert", "viewer")
    assert client.post(f"{LIST}/{bob}", data=again).location == LIST


@pytest.mark.parametrize("action", ["role", "disable", "remove"])
def test_the_last_admin_cannot_be_removed(app, client, action):
    alice = add_person(app)
    add_person(app, "bob", "editor")
    sign_in(client)
    if action == "role":
        answer = save(client, alice, role="editor")
        message = words(part_of(answer, "error-role").select_one("#error-role"))
    else:
        page = f"{LIST}/{alice}" + ("/remove" if action == "remove" else "")
        answer = send(client, page, "#switch" if action == "disable" else "main form")
        message = problem(answer)
    assert answer.status_code == 409
    assert "“alice” is the last admin who can sign in. Give another account the admin role first." in message
    assert client.get(LIST).status_code == 200


def test_disabling_a_person_ends_sessions_and_enabling_allows_signing_in(app, client):
    add_person(app)
    bob = add_person(app, "bob", "editor")
    sign_in(client)
    bobs = app.test_client()
    sign_in(bobs, "bob")
    old = make_link(app, bob)
    assert send(client, f"{LIST}/{bob}", "#switch").location == LIST
    assert bobs.get("/").status_code == 303
    assert sign_in(bobs, "bob").status_code == 422
    assert bobs.get(old).status_code == 410
    csrf = form_of(client.get(f"{LIST}/{bob}"), "#switch")
    assert "Enable the account first" in problem(client.post(f"{LIST}/{bob}/link", data=csrf))
    send(client, f"{LIST}/{bob}", "#switch")
    assert sign_in(bobs, "bob").status_code == 303


def test_a_link_sets_a_new_password_and_ends_all_sessions(app, client):
    add_person(app)
    bob = add_person(app, "bob", "viewer")
    sign_in(client)
    bobs, elsewhere = app.test_client(), app.test_client()
    sign_in(elsewhere, "bob")
    address = path_of(send(client, f"{LIST}/{bob}", "#make-link"))
    assert send(bobs, address, "#link", password=NEW_PASSWORD, again=NEW_PASSWORD).status_code == 303
    assert bobs.get("/").status_code == 200
    assert elsewhere.get("/").status_code == 303
    assert bobs.get(address).status_code == 410


# The page of a person


@pytest.mark.both_databases
def test_the_page_of_a_person_shows_changes_and_sign_ins_even_after_removal(app, client, make_connector, events):
    add_person(app)
    bob = add_person(app, "bob/ops", "editor")
    sign_in(client, "bob/ops")
    make_connector(name="Of Bob")
    event = unfold(client, part_of(client.get("/"), "feed")).select_one("[data-event-type=ConnectorCreated]")
    address = event.select_one(".links a[href^='/people/']")["href"]
    page = part_of(client.get(address), "main")
    assert texts(page, "#feed .event-type")[0] == "Connector Created"
    assert "Signed In" not in texts(page, "#feed .event-type")
    assert "still signed in" in texts(page, "#sessions li")[0]
    sign_out(client)
    sign_in(client)
    assert "still signed in" not in texts(part_of(client.get(address), "sessions"), "#sessions li")[0]
    assert "ended" not in texts(part_of(client.get(address), "sessions"), "#sessions li")[0]
    send(client, f"{LIST}/{bob}/remove", "main form")
    page = part_of(client.get(address), "main")
    assert "The account was removed" in words(page.main)
    assert "Of Bob" in words(page.select_one("#feed"))
    assert len(texts(page, "#sessions li")) == 1
    assert texts(page, "#account-history a") == ["Person Removed", "Person Added"]


def test_a_renamed_person_is_found_under_both_names(app, client):
    add_person(app)
    bob = add_person(app, "bob", "editor")
    sign_in(client)
    save(client, bob, name="robert")
    assert "Renamed to robert on" in words(part_of(client.get("/people/bob"), "main").main)
    assert "Formerly bob, until" in words(part_of(client.get("/people/robert"), "main").main)


UNKNOWN = ["nobody", "%00", "alice/../x", "Alice"]


def test_an_unknown_name_has_no_page(app, client, subtests):
    add_person(app)
    sign_in(client)
    for name in UNKNOWN:
        with subtests.test(name):
            assert client.get(f"/people/{name}").status_code == 404


def test_hidden_fields_are_hidden_on_the_page_of_a_person(app, client):
    add_person(app)
    sign_in(client)
    assert "127.0.0.1" in texts(part_of(client.get("/people/alice"), "sessions"), "#sessions li")[0]
    path = "/api/connectors/1/visibility/SignedIn/address"
    form = form_of(client.get("/"), ".who")
    assert form["csrf_token"]
    assert client.put(path, json={"visible": False}, headers={"If-Match": "*"}).status_code == 200
    assert "127.0.0.1" not in texts(part_of(client.get("/people/alice"), "sessions"), "#sessions li")[0]


# The own account


def test_changing_the_password_needs_the_current_one_and_keeps_this_session(app, client, events):
    add_person(app, "bob", "viewer")
    elsewhere = app.test_client()
    sign_in(client, "bob")
    sign_in(elsewhere, "bob")
    passwords = {"old": PASSWORD, "password": NEW_PASSWORD, "again": NEW_PASSWORD}
    for wrong, field in (({"old": "guess"}, "old"), ({"again": "else"}, "again")):
        answer = send(client, "/account", "#own-password", **(passwords | wrong))
        assert (answer.status_code, bool(texts(part_of(answer, "own-password"), f"#error-{field}"))) == (422, True)
    assert send(client, "/account", "#own-password", **(passwords | {"password": "x", "again": "x"})).status_code == 422
    assert send(client, "/account", "#own-password", **passwords).location == "/account"
    assert client.get("/").status_code == 200
    assert elsewhere.get("/").status_code == 303
    assert sign_in(elsewhere, "bob", NEW_PASSWORD).status_code == 303
    kinds = [(event["event_type"], event["author"]) for event in events(event_type="PasswordSet,SignInFailed")]
    assert kinds == [("SignInFailed", "bob"), ("PasswordSet", "bob")]


def test_attempts_at_the_current_password_are_throttled(app, client):
    add_person(app)
    sign_in(client)
    guess = {"old": "guess", "password": NEW_PASSWORD, "again": NEW_PASSWORD}
    answers = [send(client, "/account", "#own-password", **guess).status_code for _ in range(11)]
    assert answers == [422] * 10 + [429]


def test_a_person_can_end_one_or_all_of_their_sessions(app, client, events):
    add_person(app)
    second, third = app.test_client(), app.test_client()
    for browser in (client, second, third):
        sign_in(browser)
    page = part_of(client.get("/account"), "sign-ins")
    assert len(page.select("#sign-ins li")) == 3
    other_session = next(li for li in page.select("#sign-ins li") if "this browser" not in words(li))
    form = form_of(client.get("/account"), "#everywhere")
    assert client.post(str(other_session.form["action"]), data=form).location == "/account"
    assert sorted(browser.get("/").status_code for browser in (second, third)) == [200, 303]
    assert client.post("/account/sign-ins/end", data=form).location == "/sign-in"
    assert {browser.get("/").status_code for browser in (client, second, third)} == {303}
    sign_in(client)
    assert [event["author"] for event in events(event_type="SignedOut")] == ["alice"] * 3


def test_a_person_cannot_end_sessions_of_others(app, client):
    add_person(app)
    add_person(app, "bob", "viewer")
    bobs = app.test_client()
    sign_in(client)
    sign_in(bobs, "bob")
    alices = action_of(client.get("/account"), "#sign-ins form")
    assert bobs.post(alices, data=form_of(bobs.get("/account"), "#everywhere")).status_code == 303
    assert client.get("/").status_code == 200


def test_without_accounts_there_is_no_account_page(client):
    page = client.get("/account")
    assert page.status_code == 200
    assert "Add the first account" in words(part_of(page, "main").main)
    token = form_of(client.get(f"{LIST}/new"), "#person")["csrf_token"]
    assert client.post("/account/sign-ins/end", data={"csrf_token": token}).status_code == 409


# The API


def test_people_are_managed_through_the_api(app: Flask, client: FlaskClient) -> None:
    add_person(app)
    sign_in(client)
    created = client.post("/api/people", json={"name": "bob", "role": "viewer"})
    assert (created.status_code, created.get_json()["password"]) == (201, {"set": False})
    bob = created.headers["Location"]
    assert client.get(path_of(created)).status_code == 200
    etag = created.headers["ETag"]
    assert client.patch(bob, json={"role": "editor"}).status_code == 428
    changed = client.patch(bob, json={"role": "editor"}, headers={"If-Match": etag})
    assert changed.get_json()["role"] == "editor"
    assert client.patch(bob, json={"role": "admin"}, headers={"If-Match": etag}).status_code == 412
    refused = client.patch(bob, json={"role": "king"}, headers={"If-Match": "*"})
    assert [error["field"] for error in refused.get_json()["errors"]] == ["role"]
    assert client.post(f"{bob}/disable").get_json()["enabled"] is False
    assert client.post(f"{bob}/link").status_code == 409
    assert client.post(f"{bob}/enable").get_json()["enabled"] is True
    assert client.post(f"{bob}/link").status_code == 201
    assert [item["name"] for item in client.get("/api/people").get_json()] == ["alice", "bob"]
    assert client.delete(bob).status_code == 204
    assert client.get(bob).status_code == 404
    assert client.delete("/api/people/1").status_code == 409
    with audited_transaction(app):
        assert [person.name for person in users.list_users()] == ["alice"]
