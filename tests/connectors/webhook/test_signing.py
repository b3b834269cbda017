"""A delivery counts only if it was sent with the connector's secret."""

from __future__ import annotations

import base64
import hmac
from datetime import UTC, datetime, timedelta

import pytest

from painchain.connectors.contract import Delivery, InvalidSignature
from painchain.connectors.webhook.signing import Method, Signing, public_headers, verify

SECRET = "It's a Secret to Everybody"
BODY = b"Hello, World!"
DIGEST = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
NOW = datetime(2021, 2, 25, 15, 2, 10, tzinfo=UTC)
HMAC = Signing(Method.HMAC, "X-Signature")


def is_genuine(signing, headers, body=BODY, secret=SECRET, now=NOW):
    """Return whether a delivery with these headers is accepted."""
    try:
        verify(signing, Delivery(headers, body), secret, now)
    except InvalidSignature:
        return False
    return True


def digest(algorithm, body=BODY):
    """Return the HMAC of a body."""
    return hmac.new(SECRET.encode(), body, algorithm).digest()


def test_an_hmac_of_the_body_is_accepted_as_sources_write_it():
    for signing, value in [
        (HMAC, DIGEST),
        (HMAC, DIGEST.upper()),
        (HMAC, f"sha256={DIGEST}"),
        (Signing(Method.HMAC, "X-Signature", prefix="v1="), f"v1={DIGEST}"),
        (Signing(Method.HMAC, "X-Signature", prefix="v1="), f"v1=00, v1={DIGEST},v2=ff"),
        (Signing(Method.HMAC, "X-Signature", "sha512"), digest("sha512").hex()),
        (Signing(Method.HMAC, "X-Signature", "sha1"), f"sha1={digest('sha1').hex()}"),
        (Signing(Method.HMAC, "X-Signature", encoding="base64"), base64.b64encode(digest("sha256")).decode()),
    ]:
        headers = {"x-signature": value}
        assert is_genuine(signing, headers), (signing, value)
        assert not is_genuine(signing, headers, body=BODY + b" ")
        assert not is_genuine(signing, headers, secret="other")
        assert not is_genuine(signing, headers, secret="")
    for value in ("", "sha256=", DIGEST[:-1], "é" * 64, ",".join(["00"] * 20 + [DIGEST])):
        assert not is_genuine(HMAC, {"x-signature": value}), value
    assert not is_genuine(HMAC, {})


def test_a_signed_time_must_be_now():
    signing = Signing(Method.HMAC, "X-Signature", timestamp_header="X-Time")
    at = str(int(NOW.timestamp()))
    headers = {"x-time": at, "x-signature": digest("sha256", at.encode() + b":" + BODY).hex()}
    assert is_genuine(signing, headers)
    assert not is_genuine(signing, headers, now=NOW + timedelta(minutes=6))
    assert not is_genuine(signing, {**headers, "x-time": str(int(at) + 1)})
    assert not is_genuine(signing, {"x-signature": headers["x-signature"]})
    assert is_genuine(signing, {"x-signature": DIGEST})  # the source sends no time unless it is told to


def test_a_token_is_accepted_in_the_forms_of_a_header():
    token = Signing(Method.TOKEN, "Authorization")
    basic = base64.b64encode(f"painchain:{SECRET}".encode()).decode()
    for value in (SECRET, f"Bearer {SECRET}", f"bearer {SECRET}", f"Token {SECRET}", f"Basic {basic}"):
        assert is_genuine(token, {"authorization": value}), value
        assert not is_genuine(token, {"x-token": value})
    assert is_genuine(Signing(Method.TOKEN, "X-Token"), {"x-token": SECRET})
    for value in ("", "Bearer ", "Bearer x", f"Basic {SECRET}", "Basic ====", f"Other {SECRET}", "é"):
        assert not is_genuine(token, {"authorization": value}), value
    assert not is_genuine(token, {"authorization": ""}, secret="")
    assert not is_genuine(token, {"authorization": "Bearer "}, secret="")


def test_standard_webhooks_are_accepted():
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    now, body = datetime.fromtimestamp(1614265330, UTC), b'{"test": 2432232314}'
    standard = Signing(Method.STANDARD)
    assert is_genuine(standard, headers, body, secret, now)
    assert is_genuine(standard, headers, body, secret.removeprefix("whsec_"), now)
    assert not is_genuine(standard, headers, body + b" ", secret, now)
    assert not is_genuine(standard, headers, body, secret, now + timedelta(minutes=6))
    assert not is_genuine(standard, {**headers, "webhook-id": "msg_2"}, body, secret, now)


def test_the_reason_names_the_header_and_no_secret():
    with pytest.raises(InvalidSignature, match=r"^The signature in X-Signature is missing or wrong\.$"):
        verify(HMAC, Delivery({"x-signature": "00"}, BODY), SECRET, NOW)


def test_signatures_are_kept_from_mappings_and_pages():
    headers = {"X-Signature": "x", "Authorization": "y", "Webhook-Signature": "z", "X-Event": "push"}
    assert public_headers(HMAC, headers) == {"x-event": "push"}
    hidden = "X-Gitlab-Token Cookie X-Hub-Signature X-API-Key X-Goog-IAP-JWT-Assertion X-Shopify-Hmac-Sha256 X-Secret"
    public = {"X-Event-Key": "repo:push", "Idempotency-Key": "1"}
    expected = {"x-event-key": "repo:push", "idempotency-key": "1"}
    assert public_headers(HMAC, {**dict.fromkeys(hidden.split(), "x"), **public}) == expected
    assert public_headers(Signing(Method.TOKEN, "X-Shared"), {"x-shared": "x"}) == {}
