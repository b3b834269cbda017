"""People sign in and out, sessions end, and attempts are limited."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from urllib.parse import quote, unquote, urlsplit

import pytest
from flask import Flask

from painchain.accounts import password_links, users
from painchain.database.session import db
from painchain.startup import create_app
from tests.conftest import close
from tests.support.accounts import PASSWORD, add_person, audited_transaction, make_link, sign_in, sign_out
from tests.support.html import fill, form_of, soup, texts, words


def test_by_default_no_sign_in_is_required(client, events):
    assert client.get("/").status_code == 200
    assert client.get("/sign-in").location == "/"


def test_signing_in_is_required_once_an_account_exists(app, client):
    add_person(app)
    answer = client.get("/?range=7d")
    assert (answer.status_code, answer.location) == (303, "/sign-in?next=%2F%3Frange%3D7d")
    assert client.get("/api/changes").status_code == 401
    fragment = client.get("/feed", headers={"HX-Request": "true", "HX-Current-URL": "http://localhost/?q=a"})
    assert (fragment.status_code, fragment.headers["HX-Redirect"]) == (401, "/sign-in?next=%2F%3Fq%3Da")
    assert client.get("/health").status_code == 200
    assert client.get("/nowhere").status_code == 303


@pytest.mark.both_databases
def test_signing_in_leads_to_the_requested_page_and_sets_the_author(app, client, make_connector, events):
    add_person(app)
    answer = sign_in(client, start=client.get("/settings/integrations?q=a").location)
    assert (answer.status_code, answer.location) == (303, "/settings/integrations?q=a")
    assert "alice admin" in words(soup(client.get("/")).select_one(".who"))
    make_connector()
    assert [event["author"] for event in events()][-2:] == ["alice", "alice"]
    sign_out(client)
    assert client.get("/").status_code == 303


@pytest.mark.parametrize(("name", "password"), [("alice", "wrong"), ("nobody", PASSWORD), ("", ""), ("a\0b", "x")])
def test_a_failed_sign_in_reveals_nothing_about_the_account(app, client, name, password):
    add_person(app)
    answer = sign_in(client, name, password)
    assert answer.status_code == 422
    assert words(soup(answer).select_one("[role=alert]")).startswith("Wrong name or password")
    assert client.get("/").status_code == 303


@pytest.mark.both_databases
def test_many_failed_sign_ins_are_throttled_except_in_a_known_browser(app, client):
    add_person(app)
    sign_in(client)
    sign_out(client)
    stranger = app.test_client()
    answers = [sign_in(stranger, password="guess").status_code for _ in range(11)]
    assert answers == [422] * 10 + [429]
    assert sign_in(stranger).status_code == 429
    assert sign_in(client).status_code == 303


def test_a_setup_link_creates_the_first_account_once(app, client):
    address = make_link(app)
    form = fill(form_of(client.get(address), "#link"), name="alice", password=PASSWORD, again=PASSWORD)
    assert client.post(address, data={**form, "again": "else"}).status_code == 422
    assert client.post(address, data=form).status_code == 303
    assert client.get("/").status_code == 200
    assert client.get(address).status_code == 410


def test_a_reset_link_works_once_within_a_day_and_ends_every_session(app, client, events):
    number = add_person(app)
    sign_in(client)
    replaced, address = make_link(app, number), make_link(app, number)
    stranger = app.test_client()
    assert stranger.get(replaced).status_code == 410, "only the newest link is valid"
    page = stranger.get(address)
    assert words(soup(page).h1) == "Set a new password for alice"
    form = form_of(page, "#link")
    for password, again, message in (
        ("short", "short", "12 characters"),
        ("alice2026alice!", "alice2026alice!", "too easy"),
        (PASSWORD + "!", PASSWORD, "do not match"),
    ):
        refused = stranger.post(address, data={**form, "password": password, "again": again})
        assert refused.status_code == 422
        assert message in words(soup(refused).select_one("[role=alert]"))
    assert client.get("/").status_code == 200
    new = {**form, "password": PASSWORD + "!", "again": PASSWORD + "!"}
    assert stranger.post(address, data=new).status_code == 303
    assert (client.get("/").status_code, stranger.get("/").status_code) == (303, 200)
    assert stranger.get(address).status_code == 410
    assert (sign_in(client).status_code, sign_in(client, password=PASSWORD + "!").status_code) == (422, 303)
    old = make_link(app, number)
    with app.app_context():
        db.session.execute(db.text("UPDATE one_time_links SET expires = expires - 86400000000"))
        db.session.commit()
    assert stranger.get(old).status_code == 410
    assert PASSWORD not in str(events())


def test_beyond_loopback_only_setup_is_served_until_an_account_exists(settings):
    app = create_app(replace(settings, host="0.0.0.0", trusted_hosts=()))
    client = app.test_client()
    try:
        assert client.get("/").status_code == 403
        for address in ("/", "/sign-in"):
            assert "Open the setup link" in words(soup(client.get(address)).select_one("main [role=alert]"))
        assert client.get("/api/changes").status_code == 401
        assert client.post("/api/connectors", json={}).status_code == 401
    finally:
        close(app)


@pytest.mark.parametrize(
    "next_address", ["https://elsewhere.example/", "//elsewhere.example", "/\\elsewhere.example", "x"]
)
def test_no_redirect_leads_to_another_site(app, client, next_address):
    add_person(app)
    form = fill(form_of(client.get("/sign-in", query_string={"next": next_address}), "#sign-in"), name="alice")
    answer = client.post("/sign-in", data={**form, "password": PASSWORD, "next": next_address})
    assert urlsplit(answer.location).netloc == ""
    assert answer.location == "/"


HTMX = {"HX-Request": "true"}


def age_sessions(app: Flask, **span: int) -> None:
    """Make every session older by a time span."""
    moved = timedelta(**span) // timedelta(microseconds=1)
    with app.app_context():
        statement = "UPDATE sign_ins SET seen = seen - :moved, began = began - :moved"
        db.session.execute(db.text(statement), {"moved": moved})
        db.session.commit()


def test_a_session_ends_when_idle_and_after_its_maximum_time(app, client):
    add_person(app)
    sign_in(client)
    for _ in range(31):
        age_sessions(app, hours=11)
        status = client.get("/").status_code
        if status != 200:
            break
    assert status == 303, "14 days is the maximum, even in use"
    sign_in(client)
    age_sessions(app, hours=11)
    assert client.get("/report").status_code == 200
    age_sessions(app, hours=13)
    assert client.get("/report").status_code == 303


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
    assert (refused.status_code, words(soup(refused).select_one("main h1"))) == (403, "Sign in again")
    assert client.delete(f"/api/people/{bob}").status_code == 403
    assert client.post("/api/tokens", json={"name": "ci", "role": "admin"}).status_code == 403
    assert client.post("/account/unlink", data=old_form).status_code == 403
    assert len(events()) == before
    page = client.get(f"{address}/remove").location
    form = form_of(client.get(page), "#sign-in")
    assert (form["name"], form["next"]) == ("alice", f"{address}/remove")
    assert "sign in again" in words(soup(client.get(page)).select_one("[role=alert]"))
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
        assert "What you entered is kept, except passwords" in words(soup(refused).select_one("[role=alert]"))
        [link] = [a["href"] for a in soup(refused).select("main a") if words(a) == "Sign in again"]
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


def test_automatic_requests_do_not_extend_a_session(app, client):
    add_person(app)
    sign_in(client)
    for address in ("/news?after=0", "/settings/integrations/health?ids=1", "/settings/retention/progress"):
        age_sessions(app, hours=3)
        assert client.get(address, headers=HTMX).status_code in (200, 204), address
    age_sessions(app, hours=4)
    assert client.get("/news?after=0", headers=HTMX).status_code == 401


@pytest.mark.parametrize(
    ("act", "reason"),
    [
        (lambda person, trail: users.disable(person, trail), "Your account is disabled."),
        (lambda person, trail: users.remove(person, trail), "Your account was removed."),
        (
            lambda person, trail: users.change(person, trail, None, name="bob", role="viewer"),
            "Your session has expired or was ended, or your role or password changed.",
        ),
        (
            lambda person, trail: users.set_password(person, PASSWORD + "!", trail),
            "Your session has expired or was ended, or your role or password changed.",
        ),
    ],
    ids=["disabled", "removed", "role", "password"],
)
def test_changing_an_account_ends_its_sessions_and_the_page_shows_why(app, client, act, reason):
    add_person(app)
    number = add_person(app, "bob", "editor")
    sign_in(client, "bob")
    page = client.get("/settings/integrations/new/kubernetes")
    open_tab = fill(form_of(page), name="Cluster")
    with audited_transaction(app) as trail:
        act(users.get(number), trail)
    polled = client.get("/news?after=0", headers={**HTMX, "HX-Current-URL": "http://localhost/?q=a"})
    assert (polled.status_code, polled.headers["HX-Redirect"]) == (401, "/sign-in?next=%2F%3Fq%3Da")
    assert words(soup(client.get(polled.headers["HX-Redirect"])).select_one("[role=alert]")).startswith(reason)
    for headers in ({}, HTMX):
        saved = client.post("/settings/integrations/new/kubernetes", data=open_tab, headers=headers)
        assert saved.status_code == 401
        assert f"Nothing was saved. {reason}" in texts(soup(saved), "[role=alert] p, #toast .bad span")[0]


def test_sign_in_does_not_reveal_whether_an_account_exists(app, client):
    add_person(app)
    assert not soup(client.get("/sign-in")).select("[role=alert]")
    client.set_cookie("painchain_known", "nonsense")
    client.set_cookie("painchain_session", "nonsense")
    assert "disabled" not in client.get("/sign-in").text


def test_a_failed_sign_in_is_audited_without_input_and_without_an_author(app, client, events):
    number = add_person(app)
    add_person(app, "bob")
    sign_in(client, "bob")
    stranger = app.test_client()
    for name, password in (("alice", "planted-one-1"), ("planted-two-2", PASSWORD), ("Alice", "")):
        sign_in(stranger, name, password)
    with audited_transaction(app) as trail:
        users.disable(users.get(number), trail)
    sign_in(stranger)
    failed = events(event_type="SignInFailed")
    whose = [(event["author"], event["metadata"]["person"], event["metadata"]["why"]) for event in failed]
    assert whose == [
        ("system", "alice", "wrong password"),
        ("system", None, "no such account"),
        ("system", "alice", "wrong password"),
        ("system", "alice", "disabled account"),
    ]
    assert "planted" not in str(events())
    feed = soup(client.get("/?event_type=SignInFailed"))
    assert texts(feed, "#feed .where")[:2] == ["alice", "alice"]
    assert texts(feed, "#feed .note")[:2] == ["disabled account", "wrong password"]


def test_cookies_are_hidden_from_scripts_and_other_sites_and_contain_no_account_data(app, client):
    add_person(app)
    cookies = sign_in(client).headers.getlist("Set-Cookie")
    for name in ("painchain_session", "painchain_known"):
        [cookie] = [cooky for cooky in cookies if cooky.startswith(f"{name}=")]
        assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= {part.strip() for part in cookie.split(";")}
        assert "alice" not in cookie


def test_over_https_cookies_are_secure(app, client):
    add_person(app)
    over = {"base_url": "https://localhost", "headers": {"Referer": "https://localhost/sign-in"}}
    form = fill(form_of(client.get("/sign-in", **over), "#sign-in"), name="alice", password=PASSWORD)
    cookies = client.post("/sign-in", data=form, **over).headers.getlist("Set-Cookie")
    for name in ("__Host-painchain_session", "__Host-painchain_known"):
        assert ["; Secure" in cooky for cooky in cookies if cooky.startswith(name)] == [True]


def test_signing_in_again_ends_the_previous_session_of_the_browser(app, client):
    add_person(app)
    add_person(app, "bob")
    form = form_of(client.get("/sign-in"), "#sign-in")
    sign_in(client)
    held = client.get_cookie("painchain_session").value
    token = form_of(client.get("/account"), "#everywhere")["csrf_token"]
    again = client.post("/sign-in", data={**fill(form, name="bob", password=PASSWORD), "csrf_token": token})
    assert again.status_code == 303
    assert client.get_cookie("painchain_session").value != held
    assert client.get("/").status_code == 200
    client.set_cookie("painchain_session", held)
    assert client.get("/").status_code == 303


def test_signing_out_ends_the_session_on_the_server(app, client):
    add_person(app)
    sign_in(client)
    held = client.get_cookie("painchain_session").value
    sign_out(client)
    client.set_cookie("painchain_session", held)
    assert client.get("/").status_code == 303


def test_account_events_are_shown_with_names(app, client):
    number = add_person(app)
    add_person(app, "bob")
    with audited_transaction(app) as trail:
        users.change(users.get(number), trail, None, name="alice", role="editor", email="alice@mail.example")
        password_links.make_link(users.get(number), trail.now, trail)
    sign_in(client, "bob")
    feed = soup(client.get("/?source=painchain&type=PersonAdded"))
    lines = [" ".join(texts(article, ".event-type, .where, .what")).strip() for article in feed.select("#feed article")]
    assert "Person Added bob admin" in lines
    assert "Password Link Made alice" in lines
    assert "Person Changed alice 2 settings: Role: admin → editor Email: empty → alice@mail.example" in lines


def test_two_browsers_of_one_person_do_not_share_cached_pages(app, client):
    add_person(app)
    second_browser = app.test_client()
    for browser in (client, second_browser):
        sign_in(browser)
        assert browser.get("/").status_code == 200
    for browser in (client, second_browser):
        assert browser.get("/").status_code == 200
        assert sign_out(browser).location == "/sign-in"
