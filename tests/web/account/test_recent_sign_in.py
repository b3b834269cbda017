"""Changing who has access needs a recent sign-in, and what was entered is kept meanwhile."""

from __future__ import annotations

from urllib.parse import quote, unquote

from painchain.accounts import users
from tests.support.accounts import PASSWORD, add_person, audited_transaction, sign_in
from tests.support.html import fill, form_of, words
from tests.web.account.sessions import age_sessions
from tests.web.parts import part_of


def test_changing_who_has_access_needs_a_recent_sign_in(app, client, events):
    add_person(app)
    bob = add_person(app, "bob", "viewer")
    sign_in(client)
    address = f"/settings/people/{bob}"
    old_form = form_of(client.get(address), "#person")
    age_sessions(app, minutes=59)
    assert client.get(f"{address}/remove").status_code == 200
    age_sessions(app, minutes=2)
    before = len(events())
    for path in ("/settings/people", "/settings/tokens", "/api/people", "/settings/retention", "/account"):
        assert client.get(path).status_code == 200, path
    sensitive = ("/settings/people/new", address, f"{address}/remove", f"{address}/unlink")
    for path in (*sensitive, "/settings/tokens/new", "/account/unlink"):
        assert client.get(path).location == f"/sign-in?again=1&next={quote(path, safe='')}", path
    refused = client.post(address, data={**old_form, "role": "admin"})
    assert (refused.status_code, words(part_of(refused, "main").select_one("main h1"))) == (403, "Sign in again")
    assert client.delete(f"/api/people/{bob}").status_code == 403
    assert client.post("/api/tokens", json={"name": "ci", "role": "admin"}).status_code == 403
    assert client.post("/account/unlink", data=old_form).status_code == 403
    assert len(events()) == before
    page = client.get(f"{address}/remove").location
    form = form_of(client.get(page), "#sign-in")
    assert (form["name"], form["next"]) == ("alice", f"{address}/remove")
    assert "sign in again" in words(part_of(client.get(page), "main").select_one("[role=alert]"))
    assert client.post("/sign-in", data=fill(form, password="wrong")).status_code == 422
    answer = client.post("/sign-in", data=fill(form, password=PASSWORD))
    assert (answer.status_code, answer.location) == (303, f"{address}/remove")
    assert (
        client.post(f"{address}/remove", data=form_of(client.get(f"{address}/remove"), "main form")).status_code == 303
    )
    assert events()[-1]["event_type"] == "PersonRemoved"


def test_what_was_entered_is_kept_while_a_person_signs_in_again(app, client, events):
    add_person(app)
    bob, address = add_person(app, "bob", "viewer"), "/settings/people"
    secret = "a secret of many words"
    new = {"name": "carol", "role": "editor", "email": "carol@people.example", "reason": "Joins"}
    token = {"name": "deploy", "role": "editor", "days": "30", "reason": "Pipelines"}
    for page, selector, entered, more in (
        (f"{address}/{bob}", "#person", {**new, "name": "robert", "email": "bob@people.example"}, {}),
        (f"{address}/new", "#person", new, {"password": secret}),
        ("/settings/tokens/new", "#token", token, {}),
        (f"{address}/{bob}/remove", "main form", {"reason": "Left"}, {}),
    ):
        sign_in(client, start="/sign-in?again=1")
        form = {**form_of(client.get(page), selector), **entered, **more}
        age_sessions(app, minutes=61)
        before = len(events())
        refused = client.post(page, data=form)
        assert (refused.status_code, len(events())) == (403, before)
        assert "What you entered is kept, except passwords" in words(
            part_of(refused, "main").select_one("[role=alert]")
        )
        [link] = [a["href"] for a in part_of(refused, "main").select("main a") if words(a) == "Sign in again"]
        sent = client.post("/sign-in", data=fill(form_of(client.get(link), "#sign-in"), password=PASSWORD))
        assert sent.location == page
        returned = client.get(page)
        shown = form_of(returned, selector)
        assert {name: shown[name] for name in entered} == entered
        assert secret not in returned.text
        assert "secret" not in unquote(refused.headers["Set-Cookie"])
        assert form_of(client.get(page), selector)["reason"] == "", "it is shown once"
        client.post(page, data={**shown, **more})
    kinds = [event["event_type"] for event in events()]
    made = {"PersonChanged": 1, "PersonAdded": 3, "TokenCreated": 1, "PersonRemoved": 1}
    assert {kind: kinds.count(kind) for kind in made} == made


def test_a_kept_form_is_of_its_person_and_page_and_of_no_other_site(app, client):
    add_person(app)
    add_person(app, "root")
    sign_in(client)
    page = "/settings/people/new"
    form = fill(form_of(client.get(page), "#person"), name="carol")
    age_sessions(app, minutes=61)
    for forged in (
        {**form, "csrf_token": "x"},
        {**form, "name": "https://a:secret@b.example"},
        {**form, "name": "x" * 4000},
    ):
        assert client.post(page, data=forged).status_code in (400, 403)
        assert "secret" not in str(client.get_cookie("painchain_form"))
        sign_in(client, start=f"/sign-in?again=1&next={page}")
        assert form_of(client.get(page), "#person")["name"] == ""
        age_sessions(app, minutes=61)
        form["csrf_token"] = form_of(client.get("/account"), "#everywhere")["csrf_token"]
    assert client.post(page, data=form).status_code == 403
    sign_in(client, start="/sign-in?again=1")
    assert form_of(client.get("/settings/tokens/new"), "#token")["name"] == ""
    age_sessions(app, minutes=61)
    sign_in(client, "root", start="/sign-in?again=1")
    assert form_of(client.get(page), "#person")["name"] == "", "another person gets an empty form"
    assert client.get_cookie("painchain_form") is None


def test_an_outdated_form_stays_outdated_while_its_person_signs_in_again(app, client):
    add_person(app)
    bob = add_person(app, "bob", "viewer")
    sign_in(client)
    page = f"/settings/people/{bob}"
    form = fill(form_of(client.get(page), "#person"), role="editor")
    with audited_transaction(app) as trail:
        users.change(users.get(bob), trail, None, name="bob", role="viewer", email="bob@people.example")
    age_sessions(app, minutes=61)
    client.post(page, data=form)
    sign_in(client, start="/sign-in?again=1")
    assert client.post(page, data=form_of(client.get(page), "#person")).status_code == 409
