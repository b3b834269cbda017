"""A response of the provider signs somebody in once, and only if it is valid."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.counterparts.oidc import FakeProvider
from tests.support.accounts import sign_out
from tests.web.account.oidc.flow import (
    BACK,
    message_of,
    newest,
    open_callback,
    sign_in_at_provider,
    start_sign_in,
    with_query,
)


def test_the_authorization_request_has_pkce_state_and_nonce(app, client, fake_server):
    parameters = dict(parse_qsl(urlsplit(start_sign_in(client)).query))
    assert parameters["response_type"] == "code"
    assert parameters["code_challenge_method"] == "S256"
    assert parameters["redirect_uri"] == f"http://localhost{BACK}"
    assert min(len(parameters[name]) for name in ("state", "nonce", "code_challenge")) >= 43
    assert dict(parse_qsl(urlsplit(start_sign_in(client)).query))["state"] != parameters["state"]


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


def test_sign_in_never_redirects_to_another_site(app, client, fake_server):
    answer = sign_in_at_provider(client, fake_server, "subject-of-alice", "/sign-in?next=https://elsewhere.example/")
    assert answer.location == "/"
