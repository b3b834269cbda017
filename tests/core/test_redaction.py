"""Redaction of credentials in texts and JSON values."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from painchain.core.redaction import looks_secret, scrub, scrub_value

SCRUBBED = [
    ("https://me:hunter2@git.example/x", "https://***@git.example/x"),
    ("https://hunter2@git.example", "https://***@git.example"),
    ("https://me:hun@ter2@git.example/x", "https://***@git.example/x"),
    ("postgresql+psycopg://me:hunter2@127.0.0.1:5432/x", "postgresql+psycopg://***@127.0.0.1:5432/x"),
    ("HTTPS://ME:HUNTER2@GIT.EXAMPLE", "HTTPS://***@GIT.EXAMPLE"),
    ("a http://b:hunter2@c d http://e:hunter2@f", "a http://***@c d http://***@f"),
    ("ssh://git:hunter2@git.example:22/x.git", "ssh://***@git.example:22/x.git"),
    ("https://x.example/?token=hunter2", "https://x.example/?token=***"),
    ("https://x.example/?page=2&private_token=hunter2&sort=up", "https://x.example/?page=2&private_token=***&sort=up"),
    ("https://x.example/?access_token=hunter2#top", "https://x.example/?access_token=***#top"),
    ("https://x.example/?api_key=hunter2&apikey=hunter2", "https://x.example/?api_key=***&apikey=***"),
    ("https://x.example/?key=hunter2;sig=hunter2;auth=hunter2", "https://x.example/?key=***;sig=***;auth=***"),
    ("https://x.example/?client_secret=hunter2 failed", "https://x.example/?client_secret=*** failed"),
    ("https://x.example/?X-Amz-Signature=hunter2", "https://x.example/?X-Amz-Signature=***"),
    ("get '/x?password=hunter2' failed", "get '/x?password=***' failed"),
]
LEFT_ALONE = [
    "",
    "nothing secret here",
    "mail me@example.com",
    "https://git.example/octo/x?page=2",
    "https://git.example/@octo/x",
    "https://git.example and mail me@example.com",
    "git@git.example:octo/x.git",
    "https://x.example/?monkey=banana&author=me&signal=up",
    "https://x.example/?token=",
    "token: see the settings",
]


@pytest.mark.parametrize(("text", "expected"), SCRUBBED)
def test_credentials_in_an_address_are_removed(text: str, expected: str) -> None:
    assert scrub(text) == expected


@pytest.mark.parametrize("text", LEFT_ALONE)
def test_a_text_without_credentials_is_unchanged(text: str) -> None:
    assert scrub(text) == text


schemes = st.sampled_from(["http", "https", "postgresql+psycopg", "ssh", "redis"])
users = st.text(st.characters(codec="utf-8", exclude_characters="/?#", exclude_categories=["Z", "C"]), max_size=8)
passwords = st.text(st.characters(codec="utf-8", exclude_characters="/?#", exclude_categories=["Z", "C"]), max_size=20)
around = st.sampled_from(["", " ", "could not reach ", "(", "'", "a=1 and "])


@given(schemes, users, passwords, around, around)
def test_scrubbing_never_leaves_a_password_in(scheme: str, user: str, password: str, before: str, after: str) -> None:
    scrubbed = scrub(f"{before}{scheme}://{user}:{password}@host.example/path{after}")
    assert scrubbed == f"{before}{scheme}://***@host.example/path{after}"


@pytest.mark.parametrize("piece", ["x", "x@", "://", "://x", "://x:x@", "?", "?token", "?token=", "&a-"])
def test_scrubbing_a_long_text_is_fast(piece: str) -> None:
    # If the time were quadratic in the length, this would take many minutes.
    long = piece * (200_000 // len(piece))
    assert scrub(f"{long} https://me:hunter2@host.example").endswith(" https://***@host.example")


@given(st.text())
def test_scrubbing_is_idempotent(text: str) -> None:
    assert scrub(scrub(text)) == scrub(text)


@pytest.mark.parametrize("name", ["token", "API_TOKEN", "client_secret", "Password", "passwd", "apikey", "api-key"])
def test_a_field_name_that_suggests_a_secret_is_detected(name: str) -> None:
    assert looks_secret(name)


@pytest.mark.parametrize("name", ["poll_interval", "key", "author", "name", "tags", "branches"])
def test_a_harmless_field_name_is_not_treated_as_a_secret(name: str) -> None:
    assert not looks_secret(name)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("http://a:hunter2@b/", "http://***@b/"),
        (["x", {"url": "http://a:hunter2@b/"}], ["x", {"url": "http://***@b/"}]),
        ({"token": "hunter2", "deep": {"Password": ["hunter2"]}}, {"token": "***", "deep": {"Password": "***"}}),
        ({"token": None, "secret": "", "password": []}, {"token": None, "secret": "", "password": []}),
        ({"http://a:hunter2@b/": 1}, {"http://***@b/": 1}),
        (300, 300),
        (True, True),
        (None, None),
        (1.5, 1.5),
    ],
)
def test_a_json_value_is_scrubbed_wherever_it_holds_text(value: Any, expected: Any) -> None:
    assert scrub_value(value) == expected
    assert type(scrub_value(value)) is type(expected)
