"""Proxy headers count only if a setting trusts the proxy; cookies are bound to https and this host."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from painchain.accounts import login_throttle
from painchain.startup import create_app
from tests.conftest import close, settings_for
from tests.support.accounts import PASSWORD, add_person
from tests.support.html import fill, form_of, soup, texts

FAR = "203.0.113.9"
HOST = "painchain.example"
FORWARDED = {"X-Forwarded-For": f"198.51.100.1, {FAR}", "X-Forwarded-Proto": "https", "X-Forwarded-Host": HOST}
SESSION = "painchain_session"


@pytest.fixture
def start_server(started_instance: Path, tmp_path: Path) -> Iterator[Callable[..., Flask]]:
    """Return a function that starts a server with these settings and an account."""
    apps: list[Flask] = []

    def start(**more: str) -> Flask:
        folder = tmp_path / f"instance-{len(apps)}"
        shutil.copytree(started_instance, folder)
        apps.append(create_app(settings_for(folder, **more)))
        add_person(apps[-1])
        return apps[-1]

    yield start
    for app in apps:
        close(app)


def sign_in(
    client: FlaskClient, address: str = "http://localhost", name: str = "alice", **headers: str
) -> TestResponse:
    """Sign in as a browser at this address does."""
    over: dict[str, Any] = {"base_url": address, "headers": {"Referer": f"https://{HOST}/sign-in", **headers}}
    form = fill(form_of(client.get("/sign-in", **over), "#sign-in"), name=name, password=PASSWORD)
    return client.post("/sign-in", data=form, **over)


def cookies(response: TestResponse) -> dict[str, str]:
    """Return the cookies that a response sets, with value and attributes, by name."""
    return dict(header.split("=", 1) for header in response.headers.getlist("Set-Cookie"))


def signed_in_from(client: FlaskClient, **headers: str) -> str:
    page = soup(client.get("/account", headers=headers))
    return texts(page, "#sign-ins .soft")[0].partition(" ")[0]


def test_headers_of_untrusted_proxies_are_ignored(start_server: Callable[..., Flask]) -> None:
    client = start_server().test_client()
    answer = sign_in(client, **FORWARDED)
    assert answer.status_code == 303
    assert [
        name for name, attributes in cookies(answer).items() if "Secure" in attributes or name.startswith("__")
    ] == []
    assert signed_in_from(client, **FORWARDED) == "127.0.0.1"
    assert client.get("/", headers={**FORWARDED, "X-Forwarded-Host": "evil.example"}).status_code == 200
    assert "Strict-Transport-Security" not in client.get("/", headers=FORWARDED).headers


def test_a_trusted_proxy_sets_address_scheme_and_host(start_server: Callable[..., Flask]) -> None:
    app = start_server(trusted_proxies="1", trusted_hosts=f"{HOST}, localhost")
    client = app.test_client()
    answer = sign_in(client, **FORWARDED)
    assert {name for name, attributes in cookies(answer).items() if "Secure" in attributes} >= {f"__Host-{SESSION}"}
    assert signed_in_from(client, **FORWARDED) == FAR
    assert client.get("/", headers=FORWARDED).headers["Strict-Transport-Security"] == "max-age=31536000"
    invited = client.post("/api/people", json={"name": "bob", "role": "viewer"}, headers=FORWARDED)
    assert invited.get_json()["link"].startswith(f"https://{HOST}/link/")
    elsewhere = client.get("/", headers={**FORWARDED, "X-Forwarded-Host": "evil.example"})
    assert elsewhere.status_code == 400
    assert "evil.example" in texts(soup(elsewhere), "main")[0]


def test_only_the_headers_of_trusted_proxies_in_a_chain_count(start_server: Callable[..., Flask]) -> None:
    """A client can send any earlier entries of X-Forwarded-For."""
    app = start_server(trusted_proxies="2", trusted_hosts=f"{HOST}, localhost")
    client = app.test_client()
    chain = {"X-Forwarded-For": f"10.9.9.9, {FAR}, 192.0.2.7"}
    assert sign_in(client, **chain).status_code == 303
    assert signed_in_from(client, **chain) == FAR


class Guesser:
    """A browser that guesses the passwords of different accounts."""

    def __init__(self, app: Flask) -> None:
        self.client = app.test_client()
        self.form = form_of(self.client.get("/sign-in"), "#sign-in")
        self.names = itertools.count()

    def fail(self, address: str) -> int:
        """Try once from an address, and return the status."""
        guess = {**self.form, "name": f"p{next(self.names)}", "password": "x"}
        return self.client.post("/sign-in", data=guess, headers={"X-Forwarded-For": address}).status_code


def test_failed_sign_ins_count_for_the_address_sent_by_a_trusted_proxy(
    start_server: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch
) -> None:
    guesser = Guesser(start_server(trusted_proxies="1"))
    assert [guesser.fail(FAR) for _ in range(31)] == [422] * 30 + [429]
    assert guesser.fail("198.51.100.2") == 422
    monkeypatch.setattr(login_throttle, "MAX_PER_ADDRESS", 6)  # each guess takes time to hash
    same_network = [guesser.fail(f"2001:db8:0:1:{number:x}::1") for number in range(7)]
    assert same_network == [422] * 6 + [429], "a client with one IPv6 address has a whole /64"
    assert guesser.fail("2001:db8:0:2::1") == 422


@pytest.mark.parametrize(
    ("spellings", "another"),
    [
        ((FAR, f"{FAR}:{{port}}", f"::ffff:{FAR}", f"[::ffff:{FAR}]:{{port}}", "::FFFF:cb00:7109"), "203.0.113.10:1"),
        (("2001:db8:0:1::1", "[2001:DB8:0:1::{port}]:{port}", "2001:db8:0:1::1%eth{port}"), "[2001:db8:0:2::1]:1"),
        (("unknown", "_client{port}", "{port}", "203.0.113.256", "[", "x:{port}"), FAR),
    ],
    ids=["IPv4", "IPv6", "no address"],
)
def test_one_client_counts_once_however_its_address_is_written(
    start_server: Callable[..., Flask], spellings: tuple[str, ...], another: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some proxies send the port of the connection, which differs each time. Without an address all count as one."""
    monkeypatch.setattr(login_throttle, "MAX_PER_ADDRESS", 6)
    app = start_server(trusted_proxies="1")
    guesser = Guesser(app)
    written = [spellings[number % len(spellings)].format(port=1024 + number) for number in range(7)]
    assert [guesser.fail(address) for address in written] == [422] * 6 + [429]
    assert guesser.fail(another) == 422
    client = app.test_client()
    assert sign_in(client, **{"X-Forwarded-For": another}).status_code == 303
    assert signed_in_from(client, **{"X-Forwarded-For": another}) in another


def test_behind_a_trusted_proxy_signing_in_is_required(started_instance: Path, tmp_path: Path) -> None:
    folder = tmp_path / "instance"
    shutil.copytree(started_instance, folder)
    app = create_app(settings_for(folder, trusted_proxies="1"))
    assert app.test_client().get("/").status_code == 403
    close(app)


# Cookies


@pytest.mark.parametrize("address", ["http://localhost", f"http://{HOST}"], ids=["http", "https by the public address"])
def test_over_https_every_cookie_has_the_host_prefix(start_server: Callable[..., Flask], address: str) -> None:
    client = start_server(public_url=f"https://{HOST}").test_client()
    secure = HOST in address
    first_response = client.get("/sign-in", base_url=address)
    set_cookies = {**cookies(first_response), **cookies(sign_in(client, address))}
    expected = {"painchain", SESSION, "painchain_known"}
    assert set(set_cookies) == {f"__Host-{name}" if secure else name for name in expected}
    for attributes in set_cookies.values():
        parts = {part.strip() for part in attributes.split(";")}
        assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= parts
        assert ("Secure" in parts, any(part.startswith("Domain") for part in parts)) == (secure, False)
    assert client.get("/", base_url=address).status_code == 200
    assert ("Strict-Transport-Security" in client.get("/", base_url=address).headers) == secure


def test_changing_to_https_and_back_requires_only_one_new_sign_in(start_server: Callable[..., Flask]) -> None:
    """Cookies over https have other names, because browsers do not replace a secure cookie by an insecure one."""
    client = start_server(public_url=f"https://{HOST}").test_client()
    for address in ("http://localhost", f"http://{HOST}"):
        assert sign_in(client, address).status_code == 303
        assert client.get("/", base_url=address).status_code == 200
    assert client.get("/", base_url="http://localhost").status_code == 200


def test_a_session_started_over_http_is_invalid_and_deleted_over_https(start_server: Callable[..., Flask]) -> None:
    """An attacker who can set cookies over http must not choose the account that is used over https."""
    app = start_server(public_url=f"https://{HOST}")
    planted = app.test_client()
    sign_in(planted)
    cookie = planted.get_cookie(SESSION)
    assert cookie is not None
    client, address = app.test_client(), f"http://{HOST}"
    client.set_cookie(SESSION, cookie.value, domain=HOST)
    assert client.get("/", base_url=address).status_code == 303
    for path in ("/news?after=0", "/news?after=1"):
        assert client.get(path, base_url=address).status_code == 303
    assert "Max-Age=0" in cookies(sign_in(client, address))[SESSION]


def test_over_http_to_a_trusted_proxy_cookies_are_accepted_by_browsers(
    start_server: Callable[..., Flask],
) -> None:
    client = start_server(public_url=f"https://{HOST}", trusted_proxies="1").test_client()
    answer = sign_in(client, f"http://{HOST}", **{"X-Forwarded-Proto": "http"})
    assert SESSION in cookies(answer)
    answer = sign_in(client, f"http://{HOST}")  # a proxy without X-Forwarded-Proto
    assert f"__Host-{SESSION}" in cookies(answer)


def test_an_address_with_a_port_gets_no_strict_transport_security(start_server: Callable[..., Flask]) -> None:
    """The header would apply to every port of the host, and so to other services."""
    client = start_server(public_url=f"https://{HOST}:8443").test_client()
    answer = sign_in(client, f"http://{HOST}:8443", Referer=f"https://{HOST}:8443/")
    assert f"__Host-{SESSION}" in cookies(answer)
    assert "Strict-Transport-Security" not in answer.headers


# Origins

TLS_PROXY = {"Host": HOST, "Origin": f"https://{HOST}"}


@pytest.mark.parametrize(
    ("settings", "headers", "status"),
    [
        ({}, {}, 403),
        ({}, {"Sec-Fetch-Site": "same-origin"}, 303),
        ({}, {"Sec-Fetch-Site": "same-origin", "Origin": "https://evil.example"}, 403),
        ({"trusted_proxies": "1"}, {"X-Forwarded-Proto": "https"}, 303),
        ({"trusted_proxies": "1"}, {"X-Forwarded-Proto": "http"}, 403),
        ({"public_url": f"https://{HOST}"}, {}, 303),
        ({"public_url": f"https://{HOST}"}, {"Host": "localhost"}, 303),
        ({"public_url": f"https://{HOST}:8443"}, {"Origin": f"https://{HOST}:8443"}, 303),
        ({"public_url": f"https://{HOST}"}, {"Origin": f"http://{HOST}"}, 403),
    ],
)
def test_behind_a_proxy_with_tls_forms_and_the_api_accept_the_origin_that_people_see(
    start_server: Callable[..., Flask], settings: dict[str, str], headers: dict[str, str], status: int
) -> None:
    """A proxy that no setting names hides the scheme: the browser's own comparison counts, or else it is refused."""
    client = start_server(trusted_hosts=f"{HOST}, localhost", **settings).test_client()
    sent = {**TLS_PROXY, "Referer": f"https://{HOST}/sign-in", **headers}
    form = fill(form_of(client.get("/sign-in", headers=sent), "#sign-in"), name="alice", password=PASSWORD)
    saved = client.post("/sign-in", data=form, headers=sent)
    assert saved.status_code == status
    called = client.post("/api/teams", json={}, headers=sent)
    assert called.status_code == (422 if status == 303 else 401), "authentication comes first"
    if status == 403:
        assert texts(soup(saved), "h1") == ["This request is from another site"]
        assert "set PAINCHAIN_PUBLIC_URL to the address" in texts(soup(saved), "main")[0]


def test_a_form_of_another_origin_over_https_explains_the_proxy_settings(start_server: Callable[..., Flask]) -> None:
    client = start_server().test_client()
    form = form_of(client.get("/sign-in", base_url="https://localhost"), "#sign-in")
    answer = client.post("/sign-in", data=form, base_url="https://localhost", headers={"Referer": "https://x.example"})
    assert answer.status_code == 400
    assert "must pass on its host name" in texts(soup(answer), "main")[0]
