"""A connector is added through its form."""

from __future__ import annotations

import pytest

from painchain.connectors import ADDABLE
from tests.support.html import fill, form_of, soup, texts
from tests.web.parts import part_of
from tests.web.settings.connector_pages import HTMX, LIST, invalid_fields, page_of, toasts, value_of


def test_every_type_except_the_built_in_one_can_be_added(client):
    links = part_of(client.get(f"{LIST}/new"), "main").select("article.card h2 a")
    keys = ("github", "gitlab", "kubernetes", "webhook")
    assert [link["href"] for link in links] == [f"{LIST}/new/{key}" for key in keys]


@pytest.mark.parametrize("type_key", ADDABLE)
def test_a_new_connector_starts_disabled(client, events, make_connector, type_key):
    before = len(events())
    page = soup(client.get(page_of(make_connector(type_key, "Fresh"))))
    assert texts(page, "#connector_header h1, #connector_header .pill") == ["Fresh", "Disabled"]
    assert toasts(page) == ["Added “Fresh”. The connector is disabled. Enable it when you are ready."]
    [created] = events()[before:]
    assert (created["title"], created["status"]) == ("[Connector Created] Fresh", "created")
    assert created["description"]["configuration"]["enabled"] is False


def test_enabling_a_new_connector_is_an_explicit_choice_and_a_separate_event(client, events, make_connector):
    before = len(events())
    number = make_connector("kubernetes", "Cluster", enabled=True)
    assert texts(part_of(client.get(page_of(number)), "connector_header"), "#connector_header .pill") == ["Enabled"]
    created, enabled = events()[before:]
    assert [created["title"], enabled["title"]] == ["[Connector Created] Cluster", "[Connector Enabled] Cluster"]
    assert created["request_id"] == enabled["request_id"]


def test_htmx_is_redirected_to_the_page_of_a_new_connector(client):
    address = f"{LIST}/new/kubernetes"
    form = fill(form_of(client.get(address)), name="Cluster")
    response = client.post(address, data=form, headers=HTMX)
    assert (response.status_code, response.data) == (204, b"")
    page = soup(client.get(response.headers["HX-Redirect"]))
    assert texts(page, "#connector_header h1") == ["Cluster"]
    assert toasts(page)[0].startswith("Added ")


def test_the_form_shows_the_saved_values(client, make_connector):
    inputs = {"repos": "a/b\r\nc/d", "branches": "main", "poll_interval": "61", "tags": "x, y"}
    number = make_connector("github", "Work", base_url="https://git.example/api/v3/", **inputs)
    page = part_of(client.get(page_of(number)), "connector-form")
    assert [value_of(page, name) for name in ("name", "tags", "base_url", "poll_interval", "repos", "branches")] == [
        "Work",
        "x, y",
        "https://git.example/api/v3",
        "61",
        "a/b\nc/d",
        "main",
    ]


@pytest.mark.parametrize("htmx", [False, True], ids=["plain", "htmx"])
def test_invalid_input_for_a_new_connector_stays_and_its_fields_are_marked(client, events, htmx):
    before = events()
    address = f"{LIST}/new/github"
    inputs = {
        "name": "",
        "poll_interval": "7",
        "repos": "nonsense",
        "tags": "typed",
        "token": "made-up",
        "enabled": True,
    }
    form = fill(form_of(client.get(address)), **inputs)
    response = client.post(address, data=form, headers=HTMX if htmx else {})
    page = soup(response)
    assert response.status_code == 422
    assert bool(page.find("html")) is not htmx
    assert invalid_fields(page) == ["name", "poll_interval", "repos"]
    assert texts(page, ".error") == [
        "Connection Name is required.",
        "Poll interval must be an integer between 60 and 3600.",
        "“nonsense” is not of the form owner/name.",
    ]
    assert [value_of(page, name) for name in ("poll_interval", "repos", "tags")] == ["7", "nonsense", "typed"]
    assert page.select_one("[name=enabled][checked]")
    assert texts(page, "#problems a") == ["Connection Name", "Poll interval", "Repositories"]
    assert "made-up" not in response.text
    assert events() == before
    assert len(part_of(client.get(LIST), "cards").select("article.card")) == 1


REFUSED = [
    ("github", "name", "x" * 101, "at most"),
    ("github", "name", "a\x07b", "unprintable"),
    ("github", "name", "\u200b", "that can be seen"),
    ("github", "name", "\u2800\u115f", "that can be seen"),
    ("github", "tags", "x" * 51, "at most"),
    ("github", "base_url", "", "required"),
    ("github", "base_url", "git.example", "must be a URL"),
    ("github", "base_url", "ftp://git.example", "must be a URL"),
    ("github", "base_url", "https://", "must be a URL"),
    ("github", "base_url", "https://git.example/?page=2", "must not contain a query"),
    ("github", "token", "", "required"),
    ("github", "token", "x" * 100_001, "at most"),
    ("github", "poll_interval", "59", "between 60 and 3600"),
    ("github", "poll_interval", "3601", "between 60 and 3600"),
    ("github", "poll_interval", "", "required"),
    ("github", "poll_interval", "1e3", "between 60 and 3600"),
    ("github", "repos", "owner/name\nowner", "“owner” is not"),
    ("github", "branches", "two words", "“two words” is not"),
    ("gitlab", "projects", "group", "“group” is not"),
    ("kubernetes", "api_server", "cluster", "must be a URL"),
    ("kubernetes", "ca_certificate", "nonsense", "PEM"),
    ("kubernetes", "ca_certificate", "-----BEGIN PRIVATE KEY-----", "private key"),
    ("kubernetes", "cluster_name", "", "required"),
    ("kubernetes", "poll_interval", "9", "between 10 and 3600"),
    ("kubernetes", "namespaces", "Upper", "“Upper” is not"),
]


def test_each_field_describes_its_values(client):
    for type_key, key, value, message in REFUSED:
        address = f"{LIST}/new/{type_key}"
        form = fill(form_of(client.get(address)), **{"name": "New", "token": "made-up", key: value})
        response = client.post(address, data=form)
        assert response.status_code == 422, (key, value)
        assert invalid_fields(part_of(response, "new")) == [key]
        assert message in texts(part_of(response, "new"), ".error")[0]


def test_connector_names_are_unique(client, make_connector):
    make_connector(name="Work GitHub")
    address = f"{LIST}/new/kubernetes"
    for name in ("Work GitHub", "work github", " WORK GitHub ", "painchain system"):
        response = client.post(address, data=fill(form_of(client.get(address)), name=name))
        assert response.status_code == 422
        assert "already" in texts(part_of(response, "error-name"), "#error-name")[0]
