"""Signing in and out: who may ask for what, and what an account is asked before."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import urlsplit

import pytest

from painchain.factory import create_app
from tests.conftest import close
from tests.people import PASSWORD, add_person, make_link, sign_in, sign_out
from tests.reading import fill, form_of, soup, words


def test_out_of_the_box_nobody_signs_in(client, events):
    assert client.get("/").status_code == 200
    assert client.get("/sign-in").location == "/"


def test_from_the_first_account_on_everybody_signs_in(app, client):
    add_person(app)
    answer = client.get("/?range=7d")
    assert (answer.status_code, answer.location) == (303, "/sign-in?next=%2F%3Frange%3D7d")
    assert client.get("/api/changes").status_code == 401
    fragment = client.get("/feed", headers={"HX-Request": "true", "HX-Current-URL": "http://localhost/?q=a"})
    assert (fragment.status_code, fragment.headers["HX-Redirect"]) == (401, "/sign-in?next=%2F%3Fq%3Da")
    assert client.get("/health").status_code == 200
    assert client.get("/nowhere").status_code == 303


def test_whoever_signs_in_comes_to_the_page_asked_for_and_is_the_author(app, client, make_connector, events):
    add_person(app)
    answer = sign_in(client, start=client.get("/settings/integrations?q=a").location)
    assert (answer.status_code, answer.location) == (303, "/settings/integrations?q=a")
    assert "alice admin" in words(soup(client.get("/")).select_one(".who"))
    make_connector()
    assert [one["author"] for one in events()][-2:] == ["alice", "alice"]
    sign_out(client)
    assert client.get("/").status_code == 303


@pytest.mark.parametrize(("name", "password"), [("alice", "wrong"), ("nobody", PASSWORD), ("", ""), ("a\0b", "x")])
def test_a_wrong_sign_in_says_nothing_of_the_account(app, client, name, password):
    add_person(app)
    answer = sign_in(client, name, password)
    assert answer.status_code == 422
    assert words(soup(answer).select_one("[role=alert]")).startswith("Name and password do not belong together")
    assert client.get("/").status_code == 303


def test_many_wrong_sign_ins_are_held_back_but_not_for_a_browser_that_is_known(app, client):
    add_person(app)
    sign_in(client)
    sign_out(client)
    stranger = app.test_client()
    answers = [sign_in(stranger, password="guess").status_code for _ in range(11)]
    assert answers == [422] * 10 + [429]
    assert sign_in(stranger).status_code == 429
    assert sign_in(client).status_code == 303


def test_a_link_makes_the_first_account_once(app, client):
    address = make_link(app)
    form = fill(form_of(client.get(address), "#link"), name="alice", password=PASSWORD, again=PASSWORD)
    assert client.post(address, data={**form, "again": "else"}).status_code == 422
    assert client.post(address, data=form).status_code == 303
    assert client.get("/").status_code == 200
    assert client.get(address).status_code == 410


def test_nothing_else_is_served_beyond_loopback_until_there_is_an_account(settings):
    app = create_app(replace(settings, host="0.0.0.0", trusted_hosts=()))
    client = app.test_client()
    try:
        assert client.get("/").status_code == 403
        assert "Open the link" in client.get("/").get_data(as_text=True)
        assert client.get("/api/changes").status_code == 401
        assert client.post("/api/connectors", json={}).status_code == 401
    finally:
        close(app)


@pytest.mark.parametrize("wanted", ["https://elsewhere.example/", "//elsewhere.example", "/\\elsewhere.example", "x"])
def test_nobody_is_led_elsewhere(app, client, wanted):
    add_person(app)
    form = fill(form_of(client.get("/sign-in", query_string={"next": wanted}), "#sign-in"), name="alice")
    answer = client.post("/sign-in", data={**form, "password": PASSWORD, "next": wanted})
    assert urlsplit(answer.location).netloc == ""
    assert answer.location == "/"
