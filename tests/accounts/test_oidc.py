"""The callback of an OpenID Connect provider is accepted only if every part is valid."""

from __future__ import annotations

import base64
import gzip
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from joserfc import jws
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from painchain.accounts.oidc import ANSWER_BYTES, Identity, OidcSignInFailed, PendingSignIn, Provider
from painchain.core import config
from tests.counterparts.server import JsonReply, ReceivedRequest, run_fake_json_server

KEY, OTHER = RSAKey.generate_key(2048), RSAKey.generate_key(2048)
CARELESS = {"id_token_signing_alg_values_supported": ["RS256", "HS256", "none"]}  # the last two are never accepted
STARTED = PendingSignIn("the state", "the nonce", "the verifier", int(time.time()))
ME, SECRET = "painchain", "a client secret of some length"


def part(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def signed(claims: dict[str, Any], key: RSAKey = KEY, **header: str) -> str:
    return jws.serialize_compact({"alg": "RS256", "kid": "one", **header}, json.dumps(claims).encode(), key)


def unsigned(claims: dict[str, Any]) -> str:
    return f"{part({'alg': 'none'})}.{part(claims)}."


def signed_by_text(text: bytes) -> Callable[[dict[str, Any]], str]:
    """Sign with a text that is not secret, instead of a key."""

    def sign(claims: dict[str, Any]) -> str:
        head = f"{part({'alg': 'HS256', 'kid': 'one'})}.{part(claims)}"
        return f"{head}.{part(hmac.digest(text, head.encode(), 'sha256'))}"

    return sign


def finish(
    claims: dict[str, Any] | None = None,
    sign: Callable[[dict[str, Any]], str] = signed,
    parameters: dict[str, str] | None = None,
    described: dict[str, Any] | None = None,
    started: PendingSignIn = STARTED,
    **answers: JsonReply,
) -> Identity:
    """Finish a sign-in with a provider that sends these responses."""

    def answer(request: ReceivedRequest) -> JsonReply:
        name = request.path.rpartition("/")[2]
        if name in answers:
            return answers[name]
        now = int(time.time())
        id_claims = {
            "iss": fake_server.url,
            "aud": ME,
            "sub": "one",
            "exp": now + 60,
            "iat": now,
            "nonce": STARTED.nonce,
        }
        id_claims = {**id_claims, "email": "Me@people.example", "email_verified": True, **(claims or {})}
        names = ("authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint")
        endpoints = {name: f"{fake_server.url}/{name}" for name in names}
        return JsonReply(
            {
                "openid-configuration": {"issuer": fake_server.url, **endpoints, **CARELESS, **(described or {})},
                "jwks_uri": {"keys": [{**KEY.as_dict(private=False), "kid": "one"}, {"kty": "unheard-of"}]},
                "token_endpoint": {
                    "access_token": "opaque",
                    "token_type": "Bearer",
                    "id_token": sign({name: value for name, value in id_claims.items() if value is not None}),
                },
                "userinfo_endpoint": {"sub": "one", "email": "userinfo@people.example", "email_verified": "true"},
            }[name]
        )

    with run_fake_json_server(answer) as fake_server:
        settings = {"issuer": fake_server.url, "client_id": ME, "client_secret": SECRET}
        environ = {f"PAINCHAIN_OIDC_{name.upper()}": value for name, value in settings.items()}
        provider = Provider(config.load({**environ, "PAINCHAIN_PUBLIC_URL": "http://localhost"}))
        callback = {"state": STARTED.state, "code": "the code", **(parameters or {})}
        return provider.finish(started, callback, datetime.now(UTC))


def test_a_valid_token_identifies_the_user():
    identity = finish()
    assert (identity.subject, identity.email, identity.verified) == ("one", "me@people.example", True)
    assert finish({"aud": [ME, "else"], "azp": ME}).subject == "one"


def test_the_email_is_read_from_userinfo_if_the_token_has_none():
    identity = finish({"email": None, "email_verified": None})
    assert (identity.email, identity.verified) == ("userinfo@people.example", True)
    with pytest.raises(OidcSignInFailed, match="is not valid OpenID Connect"):
        finish({"email": None}, userinfo_endpoint=JsonReply({"sub": "two", "email": "userinfo@people.example"}))


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
def test_a_token_with_a_wrong_claim_is_rejected(claims):
    with pytest.raises(OidcSignInFailed, match=r"The ID token from .* is invalid"):
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
def test_a_token_without_the_signature_of_the_provider_is_rejected(sign):
    with pytest.raises(OidcSignInFailed) as failure:
        finish(sign=sign)
    assert failure.value.status == 502


ED25519 = OKPKey.generate_key("Ed25519")
PUBLIC = ED25519.as_dict(private=False)
EC_KEY = ECKey.generate_key("P-256").as_dict(private=False)
AT_HASH = part(hashlib.sha512(b"opaque").digest()[:32])


def finish_with_ed25519(name: str, keys: list[Any], claims: dict[str, Any] | None = None) -> Identity:
    """Finish a sign-in with a provider that signs with Ed25519 and calls the algorithm `name`."""

    def sign(claims: dict[str, Any]) -> str:
        header, text = {"alg": name, "kid": "one"}, json.dumps(claims).encode()
        return jws.serialize_compact(header, text, ED25519, registry=JWSRegistry(algorithms=[name]))

    supported = {"id_token_signing_alg_values_supported": [name]}
    return finish(claims, sign, described=supported, jwks_uri=JsonReply({"keys": keys}))


@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")
@pytest.mark.parametrize("name", ["EdDSA", "Ed25519"])
def test_a_token_signed_with_ed25519_is_accepted_under_both_names(name):
    """RFC 9864 has replaced the name EdDSA."""
    keys = [{**PUBLIC, "kid": "one"}]
    assert finish_with_ed25519(name, keys).subject == "one"
    assert finish_with_ed25519(name, keys, {"at_hash": AT_HASH}).subject == "one"
    with pytest.raises(OidcSignInFailed, match="at_hash"):
        finish_with_ed25519(name, keys, {"at_hash": AT_HASH[::-1]})


@pytest.mark.parametrize(
    ("auth_time", "is_recent"),
    [
        (STARTED.started, True),
        (STARTED.started - 30, True),  # the clocks differ a little
        (STARTED.started + 0.5, True),
        (STARTED.started - 600, False),
        (0, False),
        (None, False),
        (False, False),
    ],
    ids=["then", "a little earlier", "half a second later", "earlier", "in 1970", "not said", "no number"],
)
def test_a_sign_in_is_recent_only_if_the_provider_says_that_it_authenticated_the_user_now(auth_time, is_recent):
    """OpenID Connect Core 1.0, 3.1.3.7 number 13."""
    claims = {"auth_time": auth_time}
    assert finish(claims).is_remembered == (not is_recent), "a usual sign-in is accepted"
    again = replace(STARTED, is_again=True)
    if is_recent:
        assert finish(claims, started=again).subject == "one"
    else:
        words = "does not say when you signed in there" if auth_time is None else "did not ask you to sign in again"
        with pytest.raises(OidcSignInFailed, match=f"{words}. Sign in with your password") as failure:
            finish(claims, started=again)
        assert failure.value.status == 403


def test_a_time_of_authentication_that_is_no_number_is_rejected():
    for auth_time in ("yesterday", [1], {"at": 1}):
        with pytest.raises(OidcSignInFailed, match="invalid_claim auth_time"):
            finish({"auth_time": auth_time})


UNUSABLE_KEYS = {
    "unknown curve": {**PUBLIC, "crv": "Ed1234"},
    "unknown elliptic curve": {**EC_KEY, "crv": "P-999"},
    "curve that is no text": {**EC_KEY, "crv": 7},
    "point that is too short": {**EC_KEY, "x": "AA"},
    "elliptic curve without members": {"kty": "EC"},
    "RSA modulus that is no number": {"kty": "RSA", "n": "!!", "e": "AQAB"},
    "Ed25519 key that is too short": {**PUBLIC, "x": "AA"},
    "unknown type": {"kty": "ML-DSA"},
    "no members": {},
}


@pytest.mark.parametrize("key", UNUSABLE_KEYS.values(), ids=UNUSABLE_KEYS)
def test_a_key_that_cannot_be_used_is_left_out_and_the_others_are_used(key):
    """RFC 7517, section 5."""
    own = {**PUBLIC, "kid": "one"}
    for keys in ([{**key, "kid": "two"}, own], [own, {**key, "kid": "two"}], [key, own]):
        assert finish_with_ed25519("Ed25519", keys).subject == "one"
    with pytest.raises(OidcSignInFailed, match=r"ID token from .* is invalid \(missing_key"):
        finish_with_ed25519("Ed25519", [{**key, "kid": "one"}])


@pytest.mark.parametrize(
    ("answers", "status"),
    [
        ({"token_endpoint": JsonReply({"error": "invalid_client"}, 401)}, 502),
        ({"token_endpoint": JsonReply({"error": "<script>"}, 400)}, 502),
        ({"token_endpoint": JsonReply({"access_token": "opaque"})}, 502),
        ({"token_endpoint": JsonReply(b"<html>", 200)}, 502),
        ({"token_endpoint": JsonReply(b"{}", 307, {"Location": "/userinfo"})}, 502),
        ({"token_endpoint": JsonReply({"id_token": "x" * ANSWER_BYTES})}, 503),
        ({"jwks_uri": JsonReply(gzip.compress(b'{"keys": []}', mtime=0), 200, {"Content-Encoding": "gzip"})}, 503),
        ({"jwks_uri": JsonReply([])}, 502),
        ({"jwks_uri": JsonReply({"keys": [None]})}, 502),
        ({"openid-configuration": JsonReply(None, 500)}, 503),
    ],
    ids=str,
)
def test_an_invalid_response_fails_with_the_right_status(answers, status):
    with pytest.raises(OidcSignInFailed) as failure:
        finish(**answers)
    assert failure.value.status == status
    assert "<" not in str(failure.value) + failure.value.reason


def test_a_provider_with_another_issuer_is_rejected():
    with pytest.raises(OidcSignInFailed, match="is not valid OpenID Connect"):
        finish(described={"issuer": "https://else.example"})


@pytest.mark.parametrize("name", ["authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint"])
@pytest.mark.parametrize("endpoint", ["http://else.example/", "//else.example/"])
def test_an_endpoint_without_tls_is_rejected(name, endpoint):
    with pytest.raises(OidcSignInFailed, match="is not valid OpenID Connect"):
        finish({"email": None}, described={name: endpoint})


@pytest.mark.parametrize("state", ["", "another", "thé state", "the state "])
def test_another_state_is_rejected_before_any_request(state):
    with pytest.raises(OidcSignInFailed, match="was not started in this browser"):
        finish(parameters={"state": state})
