"""What an OpenID Connect provider sends is believed when all of it fits, and otherwise not."""

from __future__ import annotations

import base64
import gzip
import hmac
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from joserfc import jws
from joserfc.jwk import RSAKey

from painchain.accounts.oidc import ANSWER_BYTES, Failed, Identity, Provider, Started
from painchain.core import config
from tests.counterparts.server import Asked, Told, far_system

KEY, OTHER = RSAKey.generate_key(2048), RSAKey.generate_key(2048)
CARELESS = {"id_token_signing_alg_values_supported": ["RS256", "HS256", "none"]}  # two of them are never taken
STARTED = Started("the state", "the nonce", "the verifier")
ME, SECRET = "painchain", "a client secret of some length"


def part(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def signed(claims: dict[str, Any], key: RSAKey = KEY, **header: str) -> str:
    return jws.serialize_compact({"alg": "RS256", "kid": "one", **header}, json.dumps(claims).encode(), key)


def unsigned(claims: dict[str, Any]) -> str:
    return f"{part({'alg': 'none'})}.{part(claims)}."


def signed_by_text(text: bytes) -> Callable[[dict[str, Any]], str]:
    """Sign with what is no key: a text that others know too."""

    def sign(claims: dict[str, Any]) -> str:
        head = f"{part({'alg': 'HS256', 'kid': 'one'})}.{part(claims)}"
        return f"{head}.{part(hmac.digest(text, head.encode(), 'sha256'))}"

    return sign


def finish(
    claims: dict[str, Any] | None = None,
    sign: Callable[[dict[str, Any]], str] = signed,
    answered: dict[str, str] | None = None,
    described: dict[str, Any] | None = None,
    **answers: Told,
) -> Identity:
    """Come back from a provider that answers so."""

    def answer(asked: Asked) -> Told:
        name = asked.path.rpartition("/")[2]
        if name in answers:
            return answers[name]
        now = int(time.time())
        whole = {"iss": far.url, "aud": ME, "sub": "one", "exp": now + 60, "iat": now, "nonce": STARTED.nonce}
        whole = {**whole, "email": "Me@people.example", "email_verified": True, **(claims or {})}
        names = ("authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint")
        places = {name: f"{far.url}/{name}" for name in names}
        return Told(
            {
                "openid-configuration": {"issuer": far.url, **places, **CARELESS, **(described or {})},
                "jwks_uri": {"keys": [{**KEY.as_dict(private=False), "kid": "one"}, {"kty": "unheard-of"}]},
                "token_endpoint": {
                    "access_token": "opaque",
                    "token_type": "Bearer",
                    "id_token": sign({name: value for name, value in whole.items() if value is not None}),
                },
                "userinfo_endpoint": {"sub": "one", "email": "told@people.example", "email_verified": "true"},
            }[name]
        )

    with far_system(answer) as far:
        given = {"issuer": far.url, "client_id": ME, "client_secret": SECRET}
        environ = {f"PAINCHAIN_OIDC_{name.upper()}": value for name, value in given.items()}
        provider = Provider(config.load({**environ, "PAINCHAIN_PUBLIC_URL": "http://localhost"}))
        back = {"state": STARTED.state, "code": "the code", **(answered or {})}
        return provider.finish(STARTED, back, datetime.now(UTC))


def test_whoever_a_good_token_names_is_believed():
    one = finish()
    assert (one.subject, one.email, one.verified) == ("one", "me@people.example", True)
    assert finish({"aud": [ME, "else"], "azp": ME}).subject == "one"


def test_the_address_is_asked_for_where_the_token_does_not_have_it():
    one = finish({"email": None, "email_verified": None})
    assert (one.email, one.verified) == ("told@people.example", True)
    with pytest.raises(Failed, match="not what OpenID Connect says"):
        finish({"email": None}, userinfo_endpoint=Told({"sub": "two", "email": "told@people.example"}))


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "else"},
        {"aud": "else", "azp": ME},
        {"aud": [ME, "else"]},
        {"aud": [ME, "else"], "azp": "else"},
        {"iss": "https://else.example"},
        {"exp": int(time.time()) - 3600},
        {"exp": None},
        {"iat": int(time.time()) + 3600},
        {"nonce": "another"},
        {"nonce": None},
        {"sub": None},
        {"at_hash": "another"},
    ],
    ids=lambda claims: "-".join(claims),
)
def test_a_token_for_somebody_else_or_another_time_is_not_believed(claims):
    with pytest.raises(Failed, match="cannot be believed"):
        finish(claims)


@pytest.mark.parametrize(
    "sign",
    [
        unsigned,
        lambda claims: signed(claims, OTHER),
        lambda claims: signed(claims, kid="two"),
        signed_by_text(SECRET.encode()),
        signed_by_text(KEY.as_pem(private=False)),
        lambda claims: "no.token.at-all",
        lambda claims: "",
    ],
    ids=["unsigned", "another key", "an unknown key", "the client secret", "the public key", "no token", "nothing"],
)
def test_a_token_that_the_provider_has_not_signed_is_not_believed(sign):
    with pytest.raises(Failed) as failure:
        finish(sign=sign)
    assert failure.value.status == 502


@pytest.mark.parametrize(
    ("answers", "status"),
    [
        ({"token_endpoint": Told({"error": "invalid_client"}, 401)}, 502),
        ({"token_endpoint": Told({"error": "<script>"}, 400)}, 502),
        ({"token_endpoint": Told({"access_token": "opaque"})}, 502),
        ({"token_endpoint": Told(b"<html>", 200)}, 502),
        ({"token_endpoint": Told(b"{}", 307, {"Location": "/userinfo"})}, 502),
        ({"token_endpoint": Told({"id_token": "x" * ANSWER_BYTES})}, 503),
        ({"jwks_uri": Told(gzip.compress(b'{"keys": []}', mtime=0), 200, {"Content-Encoding": "gzip"})}, 503),
        ({"jwks_uri": Told([])}, 502),
        ({"jwks_uri": Told({"keys": [None]})}, 502),
        ({"openid-configuration": Told(None, 500)}, 503),
    ],
    ids=str,
)
def test_an_answer_that_is_none_is_said_so(answers, status):
    with pytest.raises(Failed) as failure:
        finish(**answers)
    assert failure.value.status == status
    assert "<" not in str(failure.value) + failure.value.why


def test_a_provider_that_calls_itself_otherwise_is_not_believed():
    with pytest.raises(Failed, match="not what OpenID Connect says"):
        finish(described={"issuer": "https://else.example"})


@pytest.mark.parametrize("name", ["authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint"])
@pytest.mark.parametrize("place", ["http://else.example/", "//else.example/"])
def test_nobody_is_sent_where_others_can_listen(name, place):
    with pytest.raises(Failed, match="not what OpenID Connect says"):
        finish({"email": None}, described={name: place})


@pytest.mark.parametrize("state", ["", "another", "thé state", "the state "])
def test_another_state_is_refused_before_anything_is_asked(state):
    with pytest.raises(Failed, match="was not started here"):
        finish(answered={"state": state})
