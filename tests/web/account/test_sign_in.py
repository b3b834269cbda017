"""People sign in and out, and attempts are limited."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import urlsplit

import pytest
from sqlalchemy import delete

from painchain.accounts import password_links, users
from painchain.database.models import Person
from painchain.database.session import db
from painchain.startup import create_app
from tests.conftest import close
from tests.support.accounts import PASSWORD, add_person, audited_transaction, make_link, sign_in, sign_out
from tests.support.html import fill, form_of, soup, texts, words
from tests.web.parts import part_of


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


def test_signing_in_is_no_longer_required_once_a_backup_without_accounts_is_restored(app, client, events):
    add_person(app)
    assert client.get("/").status_code == 303
    with app.app_context(), db.session.begin():
        db.session.execute(delete(Person))
    assert client.get("/").status_code == 200
    log = {"event_type": "connector_enabled", "connector_name": "Work", "connector_type": "github"}
    assert client.post("/api/painchain/log", json=log).status_code == 201
    assert events()[0]["author"] == "system"
    add_person(app)
    assert client.get("/").status_code == 303


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
    assert words(part_of(answer, "main").select_one("[role=alert]")).startswith("Wrong name or password")
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
    assert words(part_of(page, "main").h1) == "Set a new password for alice"
    form = form_of(page, "#link")
    for password, again, message in (
        ("short", "short", "12 characters"),
        ("alice2026alice!", "alice2026alice!", "too easy"),
        (PASSWORD + "!", PASSWORD, "do not match"),
    ):
        refused = stranger.post(address, data={**form, "password": password, "again": again})
        assert refused.status_code == 422
        assert message in words(part_of(refused, "link").select_one("[role=alert]"))
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
            assert "Open the setup link" in words(part_of(client.get(address), "main").select_one("main [role=alert]"))
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
    feed = part_of(client.get("/?event_type=SignInFailed"), "feed")
    assert texts(feed, "#feed .where")[:2] == ["alice", "alice"]
    assert texts(feed, "#feed .note")[:2] == ["disabled account", "wrong password"]


def test_account_events_are_shown_with_names(app, client):
    number = add_person(app)
    add_person(app, "bob")
    with audited_transaction(app) as trail:
        users.change(users.get(number), trail, None, name="alice", role="editor", email="alice@mail.example")
        password_links.make_link(users.get(number), trail.now, trail)
    sign_in(client, "bob")
    feed = part_of(client.get("/?source=painchain&type=PersonAdded"), "feed")
    lines = [" ".join(texts(article, ".event-type, .where, .what")).strip() for article in feed.select("#feed article")]
    assert "Person Added bob admin" in lines
    assert "Password Link Made alice" in lines
    assert "Person Changed alice 2 settings: Role: admin → editor Email: empty → alice@mail.example" in lines
