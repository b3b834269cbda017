"""CSRF tokens are masked: each response has another text for the same token, and each text is accepted."""

from __future__ import annotations

from collections.abc import Callable

from flask import Flask
from flask.testing import FlaskClient

from tests.support.accounts import add_person, sign_in, sign_out
from tests.support.html import fill, form_of, soup, texts

TEAM = "/settings/teams/new"


def token_of(client: FlaskClient) -> str:
    return str(form_of(client.get(TEAM), "#team-form")["csrf_token"])


def test_two_responses_have_different_tokens_that_both_are_accepted(client: FlaskClient) -> None:
    first, second = token_of(client), token_of(client)
    assert len(first) == len(second) > 200
    assert first[:12] != second[:12]
    assert first[-12:] != second[-12:]
    for name, token in (("First", first), ("Second", second)):
        form = fill(form_of(client.get(TEAM), "#team-form"), name=name, tags=name, csrf_token=token)
        assert client.post(TEAM, data=form).status_code == 303
    assert {"First", "Second"} <= set(texts(soup(client.get("/settings/teams")), "main td, main th, main h2, main a"))


def test_all_forms_of_one_page_have_the_same_token(client: FlaskClient, make_connector: Callable[[], int]) -> None:
    page = soup(client.get(f"/settings/integrations/{make_connector()}"))
    tokens = [str(field["value"]) for field in page.select("[name=csrf_token]")]
    assert len(tokens) > 1
    assert len(set(tokens)) == 1


def test_a_masked_token_in_the_header_is_accepted(client: FlaskClient) -> None:
    form = fill(form_of(client.get(TEAM), "#team-form"), name="Ops", tags="ops")
    token = form.pop("csrf_token")
    assert client.post(TEAM, data=form, headers={"HX-Request": "true"}).status_code == 400
    answer = client.post(TEAM, data=form, headers={"HX-Request": "true", "X-CSRFToken": token})
    assert answer.status_code < 400, answer.text


def test_a_token_that_another_browser_masked_or_that_was_changed_is_refused(app: Flask, client: FlaskClient) -> None:
    form = fill(form_of(client.get(TEAM), "#team-form"), name="Ops", tags="ops")
    other = token_of(app.test_client())
    own = str(form["csrf_token"])
    changed = own[:-2] + ("AA" if own[-2:] != "AA" else "BB")
    for token in (other, changed, own[1:], own[:100], "é", "=", "A", "AA", "....", "\x00"):
        assert client.post(TEAM, data={**form, "csrf_token": token}).status_code == 400, token
    assert client.post(TEAM, data=form).status_code == 303


def test_a_token_is_valid_only_in_its_session(app: Flask, client: FlaskClient) -> None:
    """Who can set cookies for the host can replace the cookie of the tokens by an anonymous one, not the session."""
    add_person(app)
    planting = app.test_client()
    token = form_of(planting.get("/sign-in"), "#sign-in")["csrf_token"]
    planted = planting.get_cookie("painchain")
    assert planted is not None
    sign_in(client)
    own = client.get_cookie("painchain_session")
    assert own is not None
    victim = app.test_client()
    victim.set_cookie("painchain", planted.value)
    victim.set_cookie("painchain_session", own.value)
    assert victim.get("/account").status_code == 200
    for headers in ({}, {"HX-Request": "true"}, {"X-CSRFToken": str(token)}):
        data = {"name": "Ops", "tags": "ops", "csrf_token": token}
        assert victim.post(TEAM, data=data, headers=headers).status_code == 400, headers
    assert client.get("/api/teams").get_json() == []


def test_a_token_of_an_ended_session_is_refused(app: Flask, client: FlaskClient) -> None:
    add_person(app)
    sign_in(client)
    form = fill(form_of(client.get(TEAM), "#team-form"), name="Ops", tags="ops")
    cookie = client.get_cookie("painchain")
    assert cookie is not None
    sign_out(client)
    sign_in(client)
    client.set_cookie("painchain", cookie.value)
    assert client.post(TEAM, data=form).status_code == 400
