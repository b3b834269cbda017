"""Responses are compressed as the browser accepts, once for each body, and still streamed and revalidated."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable, Iterator

import brotli
import pytest
from flask import Flask
from flask.testing import FlaskClient
from flask_compress import flask_compress
from flask_compress.compat import compression
from werkzeug.test import TestResponse
from werkzeug.wrappers import Response

from tests.support.elements import tree
from tests.support.html import form_of, soup

DECOMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "br": brotli.decompress,
    "gzip": gzip.decompress,
    "zstd": compression.zstd.decompress,
}
CHROME = "gzip, deflate, br, zstd"


def fetch(client: FlaskClient, address: str, accepted: str = CHROME, **headers: str) -> TestResponse:
    return client.get(address, headers={"Accept-Encoding": accepted, **headers}, buffered=True)


def script_of(client: FlaskClient) -> str:
    [script, *_] = tree(client.get("/settings/teams")).iter("script")
    return str(script.attrib["src"])


@pytest.mark.parametrize(
    ("accepted", "algorithm"),
    [
        (CHROME, "br"),
        ("gzip, deflate", "gzip"),
        ("zstd;q=1, br;q=0.5", "zstd"),
        ("*", "br"),
        ("", None),
        ("identity", None),
        ("compress", None),
        ("br;q=0, gzip;q=0", None),
        ("gzip;q=nonsense, \x7f", None),
    ],
)
def test_a_response_has_the_encoding_that_the_browser_prefers(
    client: FlaskClient, accepted: str, algorithm: str | None
) -> None:
    script = script_of(client)
    for address in ("/help/README.md", "/openapi.json", script):
        plain, response = client.get(address, buffered=True), fetch(client, address, accepted)
        assert response.headers.get("Content-Encoding") == algorithm, address
        assert "Accept-Encoding" in response.headers["Vary"]
        assert response.content_length == len(response.data)
        assert (DECOMPRESS[algorithm](response.data) if algorithm else response.data) == plain.data
        assert (len(response.data) < len(plain.data) / 2) == bool(algorithm)


def test_pages_fragments_json_and_files_are_compressed_and_small_bodies_are_not(
    client: FlaskClient, make_connector: Callable[[], int]
) -> None:
    make_connector()
    for address in ("/", "/settings/integrations", "/api/changes", "/openapi.json", "/timeline"):
        assert fetch(client, address).headers["Content-Encoding"] == "br", address
    assert fetch(client, "/?range=7d", **{"HX-Request": "true"}).headers["Content-Encoding"] == "br"
    for address in ("/health", "/api/changes?range=1h&author=nobody"):
        assert "Content-Encoding" not in fetch(client, address).headers, address


@pytest.mark.parametrize("format", ["csv", "ndjson", "ocsf"])
@pytest.mark.parametrize("algorithm", DECOMPRESS)
def test_an_export_is_compressed_while_it_is_streamed(
    client: FlaskClient, make_connector: Callable[[], int], format: str, algorithm: str
) -> None:
    make_connector()
    form = {**form_of(client.get("/export?range=all&end_date=2999-01-01"), "#export"), "format": format}
    response = client.post("/export", data=form, headers={"Accept-Encoding": algorithm})
    assert (response.status_code, response.headers["Content-Encoding"]) == (200, algorithm)
    assert "Content-Length" not in response.headers
    assert b"Work GitHub" in DECOMPRESS[algorithm](response.data)


@pytest.mark.parametrize("algorithm", DECOMPRESS)
def test_a_streamed_body_is_sent_before_its_source_is_read_to_the_end(
    app: Flask, client: FlaskClient, algorithm: str
) -> None:
    produced = []

    def lines() -> Iterator[bytes]:
        for number in range(200):
            produced.append(number)
            yield os.urandom(50_000).hex().encode()

    app.add_url_rule("/help/stream", "help.stream", lambda: Response(lines(), mimetype="text/csv"))
    response = client.get("/help/stream", headers={"Accept-Encoding": algorithm})
    assert response.headers["Content-Encoding"] == algorithm
    for chunk in response.response:
        if len(chunk) > 100:
            break
    assert len(produced) < 100
    response.close()


def test_a_static_file_is_revalidated_in_each_encoding(client: FlaskClient) -> None:
    script = script_of(client)
    tags = {accepted: fetch(client, script, accepted).headers["ETag"] for accepted in ("br", "gzip", "")}
    assert len(set(tags.values())) == 3
    for accepted, tag in tags.items():
        again = fetch(client, script, accepted, **{"If-None-Match": tag})
        assert (again.status_code, again.data, again.headers["ETag"]) == (304, b"", tag)
    assert fetch(client, script, "gzip", **{"If-None-Match": tags["br"]}).status_code == 200


def test_the_etag_of_a_resource_is_the_same_in_each_encoding(
    client: FlaskClient, make_connector: Callable[[], int]
) -> None:
    address = f"/api/connectors/{make_connector()}"
    tag = fetch(client, address).headers["ETag"]
    assert tag == client.get(address).headers["ETag"]
    headers = {"If-Match": tag, "Accept-Encoding": CHROME}
    assert client.patch(address, json={"name": "Home GitHub"}, headers=headers).status_code == 200


def test_a_cached_page_and_a_static_file_are_compressed_once(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = script_of(client)
    compressed: list[str] = []
    compress = flask_compress._compress_data

    def record(app: Flask, data: bytes, algorithm: str) -> bytes:
        compressed.append(algorithm)
        return compress(app, data, algorithm)

    monkeypatch.setattr(flask_compress, "_compress_data", record)
    for address in ("/", script):
        compressed.clear()
        bodies = {fetch(client, address, accepted).data for accepted in ("br", "br", "gzip", "gzip", "br")}
        assert (compressed, len(bodies)) == (["br", "gzip"], 2), address
    compressed.clear()
    assert [fetch(client, "/settings/integrations").status_code for _ in range(2)] == [200, 200]
    assert compressed == ["br", "br"]


def test_unchanged_feeds_are_answered_as_before(client: FlaskClient) -> None:
    page = soup(client.get("/")).select_one("[hx-get^='/news']")
    assert page is not None
    response = fetch(client, str(page["hx-get"]))
    assert (response.status_code, response.data, "Content-Encoding" in response.headers) == (200, b"", False)
