"""A connector can be duplicated: the copy has its settings, tags and field visibility, but none of its secrets."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.html import fill, form_of, soup, texts, words
from tests.web.parts import part_of

LIST = "/settings/integrations"
pytestmark = pytest.mark.usefixtures("fake_sources")


@pytest.fixture
def original(client: Any, make_connector: Any) -> int:
    """A connector with settings and two hidden fields."""
    number: int = make_connector(
        name="Work", tags="a, b", poll_interval="600", repos="acme/api\nacme/web", enabled=True, token="made-up-secret"
    )
    for field in ("branches", "merged"):
        path = f"/api/connectors/{number}/visibility/PullRequest/{field}"
        assert client.put(path, json={"visible": False}).status_code == 200
    return number


def test_the_form_of_a_copy_has_everything_but_the_secret(client, original):
    page = soup(client.get(f"{LIST}/{original}"))
    [link] = [link for link in page.select("a.button") if words(link) == "Duplicate…"]
    response = client.get(str(link["href"]))
    form, page = form_of(response, "#new"), part_of(response, "main")
    assert words(page.select_one("h1")) == "Duplicate “Work”"
    assert (form["name"], form["tags"], form["token"]) == ("Copy of Work", "a, b", "")
    assert (form["repos"].split(), form["poll_interval"]) == (["acme/api", "acme/web"], "600")
    assert "enabled" not in form
    assert "Secrets are not copied: enter the token again." in words(page.select_one(".copied"))
    assert "2 fields of its events will be hidden" in words(page.select_one(".copied"))
    assert "made-up-secret" not in response.text


def test_the_copy_is_recorded_with_the_name_of_the_original(client, original, events):
    form = form_of(client.get(f"{LIST}/{original}/duplicate"), "#new")
    before = len(events())
    response = client.post(f"{LIST}/new/github", data=fill(form, token="another-secret", enabled=True, reason="Mirror"))
    assert response.status_code == 303
    recorded = events()[before:]
    assert [event["event_type"] for event in recorded] == [
        "ConnectorCreated",
        "FieldVisibilityChanged",
        "FieldVisibilityChanged",
        "ConnectorEnabled",
    ]
    created = recorded[0]["description"]
    assert (created["copied_from"], created["reason"]) == ("Work", "Mirror")
    assert created["text"] == "Created the GitHub connector “Copy of Work” as a copy of “Work”"
    assert len({event["request_id"] for event in recorded}) == 1
    number = int(response.location.rpartition("/")[2])
    copied, stored = (client.get(f"/api/connectors/{each}").get_json() for each in (number, original))
    for member in ("type", "tags", "enabled", "hidden"):
        assert copied.get(member) == stored.get(member)
    assert {**copied["config"], "token": None} == {**stored["config"], "token": None}
    row = part_of(client.get(f"/events/{recorded[0]['id']}"), "main")
    assert texts(row, "[data-field=copied_from] dd") == ["Work"]
    assert client.get("/api/integrity").status_code == 200


def test_a_refused_copy_keeps_what_was_copied(client, original, events):
    form = form_of(client.get(f"{LIST}/{original}/duplicate"), "#new")
    before = events()
    refused = client.post(f"{LIST}/new/github", data=fill(form, name="Work", token="x"))
    again = form_of(refused, "#new")
    assert (refused.status_code, again["copied_from"]) == (422, str(original))
    assert again["repos"].split() == form["repos"].split()
    assert again["copied_hidden"] == form["copied_hidden"] != ""
    assert events() == before
    test = client.post(f"{LIST}/new/github/test", data=fill(form, token="x"))
    assert form_of(test, "#new")["copied_from"] == str(original)


@pytest.mark.parametrize("number", ["", "999", "1", "x", str(2**70), "-1"])
def test_a_copy_of_nothing_is_a_connector_like_any_other(client, original, events, number):
    form = form_of(client.get(f"{LIST}/{original}/duplicate"), "#new")
    sent = {**form, "copied_from": number, "token": "x"}
    assert client.post(f"{LIST}/new/github", data=sent).status_code == 303
    assert (events()[-1]["event_type"], "copied_from" in events()[-1]["description"]) == ("ConnectorCreated", False)


def test_a_made_up_toggle_is_ignored(client, original, events):
    form = form_of(client.get(f"{LIST}/{original}/duplicate"), "#new")
    sent = {**form, "copied_hidden": "visible.PullRequest.nothing x visible.PullRequest.merged", "token": "x"}
    assert client.post(f"{LIST}/new/github", data=sent).status_code == 303
    assert [event["event_type"] for event in events()][-2:] == ["ConnectorCreated", "FieldVisibilityChanged"]


def test_the_builtin_connector_has_no_copy(client):
    assert "Duplicate" not in client.get(f"{LIST}/1").text
    assert client.get(f"{LIST}/1/duplicate").status_code == 404
    assert client.get(f"{LIST}/999/duplicate").status_code == 404
