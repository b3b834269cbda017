"""Sessions end, and their cookies are hidden from scripts and other sites."""

from __future__ import annotations

import pytest

from painchain.accounts import users
from tests.support.accounts import PASSWORD, add_person, audited_transaction, sign_in, sign_out
from tests.support.html import fill, form_of, soup, texts, words
from tests.web.account.sessions import HTMX, age_sessions
from tests.web.parts import part_of


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
    assert words(part_of(client.get(polled.headers["HX-Redirect"]), "main").select_one("[role=alert]")).startswith(
        reason
    )
    for headers in ({}, HTMX):
        saved = client.post("/settings/integrations/new/kubernetes", data=open_tab, headers=headers)
        assert saved.status_code == 401
        assert f"Nothing was saved. {reason}" in texts(soup(saved), "[role=alert] p, #toast .bad span")[0]


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


def test_two_browsers_of_one_person_do_not_share_cached_pages(app, client):
    add_person(app)
    second_browser = app.test_client()
    for browser in (client, second_browser):
        sign_in(browser)
        assert browser.get("/").status_code == 200
    for browser in (client, second_browser):
        assert browser.get("/").status_code == 200
        assert sign_out(browser).location == "/sign-in"
