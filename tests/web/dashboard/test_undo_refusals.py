"""A revert is refused, with the reason, if the setting changed since or cannot be reverted."""

from __future__ import annotations

import pytest

from tests.support.html import form_of, soup, texts, unfold, words
from tests.web.dashboard.reverts import (
    HTMX,
    LIST,
    change,
    newest,
    page_of,
    refusal_reason,
    revert,
    revert_by_api,
    stored,
)
from tests.web.parts import part_of


def test_a_secret_is_never_reverted(client, make_connector):
    connector_id = make_connector()
    change(client, connector_id, token="another", poll_interval=600)
    secret, save = newest(client, "ConfigChanged", "token"), newest(client, "ConnectorUpdated")
    assert "secret" in refusal_reason(client, secret)
    assert revert_by_api(client, secret).status_code == revert_by_api(client, save, fields=["token"]).status_code == 422
    assert revert(client, save, fields=["token", "poll_interval"]).status_code == 422
    assert stored(client, connector_id)["poll_interval"] == 600
    assert revert_by_api(client, save).status_code == 200, "without a choice everything but secrets is put back"
    assert stored(client, connector_id)["poll_interval"] == 300


def test_a_setting_changed_since_is_not_reverted_and_its_current_value_is_shown(client, make_connector):
    connector_id = make_connector()
    change(client, connector_id, poll_interval=600)
    event = newest(client, "ConfigChanged")
    change(client, connector_id, poll_interval=900)
    assert refusal_reason(client, event) == "Poll interval was changed again later. It is now 900."
    change(client, connector_id, poll_interval=300)
    assert refusal_reason(client, event) == "Poll interval is already 300."
    assert revert_by_api(client, event).status_code == 409


@pytest.mark.parametrize("htmx", [False, True], ids=["plain", "htmx"])
def test_a_change_between_preview_and_revert_refuses_the_whole_revert(client, make_connector, htmx):
    connector_id = make_connector()
    change(client, connector_id, poll_interval=600, name="Home")
    event = newest(client, "ConnectorUpdated")
    form = {**form_of(client.get(page_of(event)), "#restore"), "fields": ["poll_interval", "name"]}
    change(client, connector_id, poll_interval=900)
    before = client.get("/api/changes").get_json()
    answer = client.post(page_of(event), data=form, headers=HTMX if htmx else {})
    assert answer.status_code == 409
    page = soup(answer)
    assert bool(page.find("html")) != htmx
    assert texts(page, "[role=alert]") == ["Nothing was changed: Poll interval was changed again later. It is now 900."]
    assert [field["value"] for field in page.select("[name=fields][checked]")] == ["name"]
    assert stored(client, connector_id)["name"] == "Home"
    assert client.get("/api/changes").get_json() == before
    assert revert(client, event).status_code == 303
    assert (stored(client, connector_id)["name"], stored(client, connector_id)["poll_interval"]) == ("Work GitHub", 900)


def test_another_changed_field_does_not_prevent_the_revert(client, make_connector):
    connector_id = make_connector()
    change(client, connector_id, poll_interval=600)
    event = newest(client, "ConfigChanged")
    form = {**form_of(client.get(page_of(event)), "#restore"), "fields": ["poll_interval"]}
    change(client, connector_id, name="Home")
    assert client.post(page_of(event), data=form).status_code == 303
    assert stored(client, connector_id)["poll_interval"] == 300


def test_changes_of_a_deleted_connector_cannot_be_reverted(client, make_connector):
    connector_id = make_connector()
    change(client, connector_id, poll_interval=600)
    event = newest(client, "ConfigChanged")
    form = form_of(client.get(page_of(event)), "#restore")
    assert client.delete(f"/api/connectors/{connector_id}").status_code == 204
    assert refusal_reason(client, event) == "The connector was deleted."
    assert client.post(page_of(event), data={**form, "fields": ["poll_interval"]}).status_code == 409
    assert revert_by_api(client, event).status_code == 409


def test_a_value_that_is_no_longer_valid_is_not_reverted(client, make_connector):
    connector_id = make_connector()
    report = {"event_type": "config_changed", "connector_name": "Work GitHub", "field": "poll_interval"}
    client.post("/api/painchain/log", json={**report, "old_value": 5, "new_value": 300})
    event = newest(client, "ConfigChanged")
    assert refusal_reason(client, event).startswith("The old value is no longer valid: Poll interval must be")
    assert revert_by_api(client, event).status_code == 422
    client.post("/api/painchain/log", json={**report, "old_value": {"odd": 1}, "new_value": ["odd"]})
    assert "changed again later" in refusal_reason(client, newest(client, "ConfigChanged"))
    client.post("/api/painchain/log", json={**report, "field": "base_url", "old_value": "https://a:b@host.example"})
    assert stored(client, connector_id)["base_url"] == "https://api.github.com"


def test_a_field_that_no_longer_exists_is_not_reverted(client, make_connector):
    make_connector()
    report = {"event_type": "config_changed", "connector_name": "Work GitHub", "field": "colour"}
    client.post("/api/painchain/log", json={**report, "old_value": "red", "new_value": "blue"})
    assert refusal_reason(client, newest(client, "ConfigChanged")) == "A GitHub connector no longer has Colour."


def test_a_name_that_is_taken_by_now_is_not_reverted(client, make_connector):
    connector_id = make_connector(name="Work")
    change(client, connector_id, name="Home")
    event = newest(client, "ConfigChanged")
    make_connector(name="WORK")
    assert refusal_reason(client, event) == "A connector named “Work” already exists."


@pytest.mark.parametrize("htmx", [False, True], ids=["plain", "htmx"])
def test_an_empty_or_unknown_choice_is_refused(client, make_connector, htmx):
    connector_id = make_connector()
    change(client, connector_id, poll_interval=600)
    event = newest(client, "ConfigChanged")
    none = revert(client, event, htmx=htmx, fields=[])
    assert (none.status_code, texts(part_of(none, "problems"), "[role=alert]")) == (
        422,
        ["Not reverted: select at least one setting."],
    )
    odd = revert(client, event, htmx=htmx, fields=["poll_interval", "name"])
    assert odd.status_code == 422
    assert "Choose only settings that this event changed: poll_interval." in words(
        part_of(odd, "problems").select_one("[role=alert]")
    )
    assert stored(client, connector_id)["poll_interval"] == 600


def test_events_that_changed_no_setting_cannot_be_reverted(client, make_connector):
    connector_id = make_connector()
    created = newest(client, "ConnectorCreated")
    client.post("/api/painchain/log", json={"event_type": "config_changed", "connector_name": "Else", "field": "x"})
    for event in (created, newest(client, "ConfigChanged")):
        assert client.get(page_of(event)).status_code == revert_by_api(client, event).status_code == 404
        token = form_of(client.get(f"{LIST}/{connector_id}"), "#connector-form")["csrf_token"]
        assert client.post(page_of(event), data={"csrf_token": token, "fields": ["x"]}).status_code == 404
        assert "Revert…" not in client.get(f"/events/{event['id']}").text


def test_unknown_events_cannot_be_reverted(client, make_connector):
    token = form_of(client.get(f"{LIST}/{make_connector()}"), "#connector-form")["csrf_token"]
    for number in (999999, 2**70):
        assert client.get(f"/events/{number}/restore").status_code == 404
        assert client.post(f"/events/{number}/restore", data={"csrf_token": token}).status_code == 404
    for number in (999999, 2**70, "painchain-nothing-1.000000", "a/b"):
        assert client.post(f"/api/changes/{number}/restore", json={}).status_code == 404


def test_a_form_without_csrf_token_reverts_nothing(client, make_connector):
    connector_id = make_connector()
    change(client, connector_id, poll_interval=600)
    assert client.post(page_of(newest(client, "ConfigChanged")), data={"fields": ["poll_interval"]}).status_code == 400
    assert stored(client, connector_id)["poll_interval"] == 600


def test_the_revert_link_is_shown_if_something_can_be_reverted(client, make_connector):
    connector_id = make_connector()
    change(client, connector_id, poll_interval=600, token="another")
    for event_type, field, offered in (
        ("ConfigChanged", "poll_interval", True),
        ("ConfigChanged", "token", False),
        ("ConnectorUpdated", "", True),
        ("ConnectorCreated", "", False),
    ):
        event = newest(client, event_type, field)
        for address in (f"/events/{event['id']}", "/"):
            page = unfold(client, soup(client.get(address)))
            links = page.select(f"#event-{event['id']} .links a[href='{page_of(event)}']")
            assert bool(links) == offered, (event_type, field, address)
