"""Any input gets a readable response."""

from __future__ import annotations

from urllib.parse import quote_from_bytes

import pytest

from tests.conftest import ON_SQLITE
from tests.support.html import fill, soup, words
from tests.web.common.hostile_input import (
    ENDLESS,
    HOSTILE,
    HTMX,
    INPUTS,
    LIST,
    PARAMETERS,
    SPECIAL_IN_ADDRESSES,
    SYSTEM,
    opened,
    time_limit,
)


@pytest.fixture
def values(thorough: bool) -> list[bytes]:
    """The values to send in a parameter or a form."""
    return HOSTILE if thorough else [value for value in HOSTILE if value not in SPECIAL_IN_ADDRESSES]


def test_no_parameter_causes_a_server_error(client, values):
    for page, names in PARAMETERS.items():
        for name in (*names, "unknown"):
            for value in values:
                query = f"{name}={quote_from_bytes(value)}"
                assert client.get(f"{page}?{query}").status_code in (200, 204, 422), (page, query[:80])


def test_a_parameter_with_too_many_values_is_refused(client):
    for page in ("/", "/timeline", "/api/changes"):
        with time_limit():
            response = client.get(f"{page}?tag=" + ",".join(map(str, range(3_000))))
        assert response.status_code == 422, page


@ON_SQLITE
def test_the_longest_text_is_handled_quickly(client, make_connector):
    form = opened(client, make_connector())
    for key, text_value in ENDLESS.items():
        with time_limit():
            response = client.post(f"{LIST}/2", data=fill(form, **{key: text_value}))
        assert response.status_code == 422, key


@ON_SQLITE
def test_the_longest_reported_event_is_accepted_and_shown_quickly(client):
    report = {"event_type": "config_changed", "connector_name": "Prod", "field": "x"}
    sides = [("", text_value) for text_value in ENDLESS.values()] + [
        (list(range(60_000)), list(range(60_000, 120_000)))
    ]
    for old, new in sides:
        with time_limit():
            response = client.post("/api/painchain/log", json={**report, "old_value": old, "new_value": new})
            assert response.status_code == 201
    with time_limit():
        response = client.get("/")
        assert response.status_code == 200
        assert len(response.data) < 200_000


def test_no_address_causes_a_server_error(client):
    for value in HOSTILE:
        part = quote_from_bytes(value, safe="")
        for address in (
            f"/{part}",
            f"/events/{part}",
            f"{LIST}/{part}",
            f"{LIST}/{part}/delete",
            f"{LIST}/{part}/disable",
            f"{LIST}/new/{part}",
            f"/static/{part}",
        ):
            for headers in ({}, HTMX):
                assert client.get(address, headers=headers).status_code in (200, 302, 308, 404, 414), address[:80]


@pytest.mark.both_databases
def test_no_form_input_causes_a_server_error(client, make_connector, values):
    number = make_connector()
    token = opened(client, number)["csrf_token"]
    for address, groups in INPUTS.items():
        for names in groups:
            for value in values:
                inputs = "&".join(f"{name}={quote_from_bytes(value)}" for name in names)
                body = inputs if names == ("csrf_token",) else f"csrf_token={token}&{inputs}"
                response = client.post(address, data=body, content_type="application/x-www-form-urlencoded")
                assert response.status_code in (303, 400, 409, 422), (address, inputs[-80:])
    assert client.get(f"{LIST}/{number}").status_code == 200


def test_a_huge_id_is_not_found_on_any_route(client):
    token = opened(client, SYSTEM)["csrf_token"]
    for number in (2**31, 2**63 - 1, 2**63, 10**400):
        for what in ("", "/enable", "/disable", "/delete", "/visibility"):
            response = client.post(f"{LIST}/{number}{what}", data={"csrf_token": token, "name": "x"})
            assert response.status_code == 404, (number, what)


def test_a_too_large_request_is_refused_with_a_message(client, events, make_connector):
    number = make_connector()
    form = fill(opened(client, number), repos="a/b\n" * 300_000)
    before = events()
    for headers in ({}, HTMX):
        response = client.post(f"{LIST}/{number}", data=form, headers=headers)
        assert response.status_code == 413
        assert "Nothing was saved" in words(soup(response).select_one("main, .toast"))
    assert events() == before


def test_an_oversized_address_or_form_is_refused_with_a_message(client, events, make_connector):
    number = make_connector()
    form = fill(opened(client, number), poll_interval="600")
    before = events()
    for query in ("tag=" + "a" * 20_000, "&".join(["tag=a"] * 1_500)):
        for page in ("/", "/api/changes", "/nowhere"):
            response = client.get(f"{page}?{query}")
            assert response.status_code == 414, page
            assert "The URL is too long." in response.text
    many_inputs = {**form, **{f"more{number}": "x" for number in range(1_500)}}
    for kind in ("application/x-www-form-urlencoded", "multipart/form-data"):
        response = client.post(f"{LIST}/{number}", data=many_inputs, content_type=kind)
        assert response.status_code == 413, kind
        assert "Nothing was saved" in words(soup(response).main)
    assert events() == before


def test_too_deep_or_too_large_json_is_refused_with_a_message(client, make_connector):
    number = make_connector("gitlab")
    client.post(f"/api/connectors/{number}/enable")
    secret = client.post(f"/api/connectors/{number}/webhook").get_json()["secret"]
    deep = b"[" * 100_000
    nested = b'{"event_type": "config_changed", "connector_name": "a", "field": "a", "new_value": ' + deep
    for raw in (deep, deep + b"]" * 100_000, nested, b'{"a":' * 50_000):
        with time_limit():
            response = client.post("/api/painchain/log", data=raw, content_type="application/json")
            assert response.status_code == 422
            delivery = {"X-Gitlab-Token": secret, "X-Gitlab-Event": "Push Hook"}
            hooked = client.post(f"/hooks/gitlab/{number}", data=raw, content_type="application/json", headers=delivery)
            assert hooked.status_code == 422
    sides = {str(number): {"old": 1, "new": 2} for number in range(201)}
    report = {"event_type": "connector_updated", "connector_name": "a", "connector_type": "github", "changes": sides}
    assert client.post("/api/painchain/log", json=report).status_code == 422
    tags = [str(number) for number in range(10_000)]
    for body in ({"name": "Many", "tags": tags}, {"name": "a" * 900_000, "tags": "a"}):
        assert client.post("/api/teams", json=body).status_code == 422


def test_a_body_that_is_not_a_form_is_refused_with_a_message(client):
    for content_type in (
        "application/json",
        "multipart/form-data",
        "multipart/form-data; boundary=x",
        "text/plain",
        "",
    ):
        response = client.post(f"{LIST}/{SYSTEM}/disable", data=b'{"\xff', content_type=content_type)
        assert response.status_code == 400, content_type
        assert "This form has expired" in words(soup(response).main)


def test_an_unsupported_method_is_refused_with_the_allowed_ones(client):
    for method, address, allowed in (("POST", "/", "GET"), ("GET", f"{LIST}/{SYSTEM}/enable", "POST")):
        response = client.open(address, method=method)
        assert response.status_code == 405
        assert allowed in response.headers["Allow"]
        assert words(soup(response).h1) == "Method not allowed"
